package truth

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// Events is everything that was sent, in order.
type Events struct {
	all     []event
	topics  names
	names   names           // categories and regions
	ids     map[string]bool // topic and event_id of those that have one
	byTopic map[uint32][]int

	earliest, latest messages.Micros
}

type event struct {
	topic, category, region uint32 // of topics and names
	time                    messages.Micros
	count                   uint64
}

// names numbers strings.
type names struct {
	index map[string]uint32
	list  []string
}

func (n *names) number(s string) uint32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	if n.index == nil {
		n.index = map[string]uint32{}
	}
	i := uint32(len(n.list))
	n.index[s], n.list = i, append(n.list, s)
	return i
}

// find is the number of a string, false if it has none.
func (n *names) find(s string) (uint32, bool) {
	i, ok := n.index[s]
	return i, ok
}

// line is an event as it is sent.
type line struct {
	Topic     string          `json:"topic"`
	Category  string          `json:"category"`
	Region    string          `json:"region"`
	EventID   string          `json:"event_id"`
	Timestamp json.RawMessage `json:"timestamp"`
	Count     uint64          `json:"count"`
}

// AddLine takes an event as a line of NDJSON, with a timestamp. A repeated
// event_id of a topic counts once, however far apart.
func (e *Events) AddLine(text []byte) error {
	l := line{Count: 1}
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("event %d: %w", len(e.all), err)
	}
	at, err := moment(l.Timestamp)
	if err != nil {
		return fmt.Errorf("event %d: %w", len(e.all), err)
	}
	if l.EventID != "" {
		if e.ids == nil {
			e.ids = map[string]bool{}
		}
		id := l.Topic + "\x00" + l.EventID
		if e.ids[id] {
			return nil
		}
		e.ids[id] = true
	}
	e.add(l.Topic, l.Category, l.Region, at, l.Count)
	return nil
}

// AddEvent takes an event of a generated stream. Its ids are distinct.
func (e *Events) AddEvent(w *workload.Event) {
	e.add(w.Topic.String(), w.Category, w.Region, w.Time, w.Count)
}

func (e *Events) add(topic, category, region string, at messages.Micros, count uint64) {
	t := e.topics.number(topic)
	if e.byTopic == nil {
		e.byTopic = map[uint32][]int{}
		e.names.number("") // is 0: none
	}
	e.byTopic[t] = append(e.byTopic[t], len(e.all))
	e.all = append(e.all, event{t, e.names.number(category), e.names.number(region), at, count})
	if len(e.all) == 1 {
		e.earliest, e.latest = at, at
	}
	e.earliest, e.latest = min(e.earliest, at), max(e.latest, at)
}

// moment reads RFC 3339 or a Unix number in seconds, milliseconds or
// microseconds, told apart by magnitude.
func moment(raw json.RawMessage) (messages.Micros, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var t time.Time
		if err := json.Unmarshal(raw, &t); err != nil {
			return 0, err
		}
		return messages.MicrosOf(t), nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("timestamp %q", raw)
	}
	switch {
	case n < 1e11:
		return messages.Micros(n) * messages.Second, nil
	case n < 1e14:
		return messages.Micros(n) * messages.Millisecond, nil
	}
	return messages.Micros(n), nil
}

// Len is the number of events that count.
func (e *Events) Len() int { return len(e.all) }

// Latest is the largest event time.
func (e *Events) Latest() messages.Micros { return e.latest }

// Topics are all topics, in the order in which they came up.
func (e *Events) Topics() []string { return e.topics.list }
