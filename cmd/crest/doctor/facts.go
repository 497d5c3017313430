package doctor

import "time"

// Facts is what is known of a topic and of the node that is to use it as its
// log. Zero values mean that nothing is known, where not said otherwise.
type Facts struct {
	Topic     string
	Exists    bool
	ClusterID string
	TopicID   string // hexadecimal digits; "" where brokers give none

	Partitions  int
	Leaderless  []int // partitions without a leader now
	Copies      int   // of the partition that has the fewest; 0: not known
	InSync      int   // of the partition with the fewest in-sync copies
	Settings    map[string]string
	SettingsErr string // why the topic's settings are not known

	Begin, End uint64 // sums over the partitions: records ever, below and above
	// Kept is what the snapshots' store says the log is; nil: it has not been used
	// by that store.
	Kept *Kept
	// Other is the topic that the store was used with, if that is another one.
	Other string
	// Embedded: the data folder has a log of its own.
	Embedded bool
	// Behind are the partitions whose newest snapshot ends below where the topic
	// begins now.
	Behind []int

	Sample Sample
	Node   Node
}

// Kept is the identity of a log, as the store of snapshots has it.
type Kept struct {
	ClusterID, TopicID string
	Partitions         int
}

// Node is how the node is set up, as far as it matters here.
type Node struct {
	Partitions    int // of a topic that it makes
	Replication   int // 0: the brokers' default
	Retention     time.Duration
	NoCreate      bool
	Keyed         bool // --kafka-keyed
	SnapshotEvery time.Duration
	MaxRecord     int // bytes of the largest record that it writes
	DeadLetters   string
	TLS           bool
	SASL          string
}

// Sample is what the newest records of every partition are.
type Sample struct {
	Records int
	Own     int    // written by a crest, as their headers say
	Forged  int    // of these those whose header no crest writes
	Err     string // why there are no more

	// Of those that others wrote:
	Formats  map[string]int // by name
	Events   int
	Keyed    int    // records whose key is the topic of all their events, in its partition
	Unkeyed  int    // the other ones
	Example  string // an unkeyed one: partition/offset
	Late     int    // events older than the 30 days of the windows
	Refused  []Refused
	Refusals int // events that would go to the dead letters

	AppendTime int       // records stamped by the broker
	Largest    int       // bytes of the largest record
	Oldest     time.Time // stamps
	Newest     time.Time
}

// Refused is an event that would go to the dead letters.
type Refused struct {
	Partition int
	Offset    uint64
	Reason    string
}

// foreign is how many records others wrote.
func (s *Sample) foreign() int { return s.Records - s.Own }
