package api

// Log is a log outside of the node, such as a topic of Kafka.
type Log struct {
	Kind        string `json:"kind"` // kafka
	Brokers     string `json:"brokers"`
	Topic       string `json:"topic"`
	Error       string `json:"error,omitempty"`   // why it cannot be reached, while it cannot
	Warning     string `json:"warning,omitempty"` // what threatens to go wrong
	DeadLetters uint64 `json:"dead_letters"`      // put aside since the node started
}

// Behind is a partition with entries that are not counted yet; readyz names
// them while the log is replayed.
type Behind struct {
	Partition  int      `json:"partition"`
	LagRecords uint64   `json:"lag_records"`
	LagSec     *float64 `json:"lag_sec"`
}
