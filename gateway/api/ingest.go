package api

// Ingested answers POST /api/v1/events. One object is answered with Message
// and Topic, a batch with Accepted, Rejected and Errors.
type Ingested struct {
	Status  string `json:"status"` // success, or partial: some events were rejected
	Message string `json:"message,omitempty"`
	Topic   string `json:"topic,omitempty"`

	Accepted *int        `json:"accepted,omitempty"` // durable, retries included
	Rejected *int        `json:"rejected,omitempty"`
	Errors   []Rejection `json:"errors,omitzero"` // of the first 100 rejected events; a batch always has them

	// Position can be given as after= to a reading request; empty with ack=none.
	Position string `json:"position,omitempty"`
	// Ack is "none" if the events are not durable yet.
	Ack string `json:"ack,omitempty"`
	// Detail is set if all events of a batch were rejected.
	Detail string `json:"detail,omitempty"`
}

// Rejection says why one event of a batch was rejected.
type Rejection struct {
	Index  int    `json:"index"`            // place in the batch, from 0
	Line   int    `json:"line,omitempty"`   // of NDJSON, from 1
	Column int    `json:"column,omitempty"` // where the line is broken, in characters from 1
	Reason string `json:"reason"`
}
