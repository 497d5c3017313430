package messages

// Message is what somebody else's producer has put into a log, as it came. Its
// bytes are the log's, valid while it is decoded.
type Message struct {
	Key, Value []byte
	Headers    []Header
	// Stamp is its arrival: the time of events without one.
	Stamp Micros
	// Latest bounds event times: an event after it is refused.
	Latest Micros
}

// Header is one of a message's. A key may come more than once.
type Header struct{ Key, Value []byte }

// Header is the value of the first header with this key.
func (m *Message) Header(key string) (value []byte, ok bool) {
	for i := range m.Headers {
		if string(m.Headers[i].Key) == key {
			return m.Headers[i].Value, true
		}
	}
	return nil, false
}

// Refusal says why an event of a message cannot be counted.
type Refusal struct {
	Index  int // of the event in the message, from 0
	Reason string
	// More events behind it are refused likewise, and have no Refusal of their own:
	// a message may have any number of them.
	More int
}

// RefusedEvents is how many events a list stands for.
func RefusedEvents(list []Refusal) int {
	n := len(list)
	for i := range list {
		n += list[i].More
	}
	return n
}
