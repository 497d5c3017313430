package tape

import (
	"errors"
	"slices"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// Tape is a stream's first events.
type Tape struct {
	Topics []string // by number, in the order in which they came up
	Events []Event  // times never go back

	numbers map[string]uint32
}

// Event is one event of a tape; it counts one.
type Event struct {
	At       messages.Micros
	Topic    uint32 // in Tape.Topics
	Category uint8  // of workload.CategoryNames, from 1; 0: none
	Region   uint8  // of workload.RegionNames, from 1; 0: none
}

// Hour is the stream of the published comparison: n events of one hour, a
// million topics by Zipf's law (1.07), 20 categories, 200 regions.
func Hour(seed uint64, n, topics int) workload.Config {
	c := workload.DefaultConfig()
	c.Seed, c.Topics, c.Exponent, c.Users = seed, topics, 1.07, 0
	c.Rate = float64(n) / time.Hour.Seconds()
	return c
}

// Record keeps the first n events of a stream, in which every event counts one
// and has neither user nor id.
func Record(c workload.Config, n int) (*Tape, error) {
	if n < 1 || c.Users != 0 || c.IDs || c.MaxCount != 1 {
		return nil, errors.New("tape: want at least one event, and events without users, ids and counts")
	}
	s, err := workload.New(c)
	if err != nil {
		return nil, err
	}
	categories, regions := numbersOf(workload.CategoryNames), numbersOf(workload.RegionNames)
	t := &Tape{Events: make([]Event, n), numbers: map[string]uint32{}}
	var e workload.Event
	for i := range t.Events {
		s.Next(&e)
		number, ok := t.numbers[string(e.Topic[:])]
		if !ok {
			number = uint32(len(t.Topics))
			name := e.Topic.String()
			t.Topics = append(t.Topics, name)
			t.numbers[name] = number
		}
		t.Events[i] = Event{e.Time, number, categories[e.Category], regions[e.Region]}
	}
	return t, nil
}

// Of is a tape of made-up events; their topics are numbers in names.
func Of(names []string, events []Event) *Tape {
	t := &Tape{Topics: names, Events: events, numbers: make(map[string]uint32, len(names))}
	for i, name := range names {
		t.numbers[name] = uint32(i)
	}
	return t
}

func numbersOf(names []string) map[string]uint8 {
	m := map[string]uint8{"": 0}
	for i, name := range names {
		m[name] = uint8(i + 1)
	}
	return m
}

// CategoryName is the name of an event's category.
func CategoryName(n uint8) string { return nameOf(workload.CategoryNames, n) }

// RegionName is the name of an event's region.
func RegionName(n uint8) string { return nameOf(workload.RegionNames, n) }

func nameOf(names []string, n uint8) string {
	if n == 0 {
		return ""
	}
	return names[n-1]
}

// Bodies are request bodies of n events each, encoded one event after another.
func (t *Tape) Bodies(n int, encode func(*workload.Event, []byte) []byte) [][]byte {
	var bodies [][]byte
	size := 0
	for part := range slices.Chunk(t.Events, n) {
		body := make([]byte, 0, size)
		for i := range part {
			body = encode(t.event(&part[i]), body)
		}
		size = max(size, len(body))
		bodies = append(bodies, body)
	}
	return bodies
}

func (t *Tape) event(e *Event) *workload.Event {
	w := &workload.Event{Category: CategoryName(e.Category), Region: RegionName(e.Region), Time: e.At, Count: 1}
	copy(w.Topic[:], t.Topics[e.Topic])
	return w
}
