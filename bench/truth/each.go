package truth

import "github.com/crestdb/crest/messages"

// Each calls f for every event in [start, end) of a cell, in the order in
// which they were sent.
func (e *Events) Each(start, end messages.Micros, cell messages.Cell, f func(topic string, n uint64)) {
	category, okCategory := e.names.find(cell.Category)
	region, okRegion := e.names.find(cell.Region)
	if !okCategory || !okRegion {
		return
	}
	for _, v := range e.all {
		if v.time >= start && v.time < end &&
			(cell.Category == "" || v.category == category) && (cell.Region == "" || v.region == region) {
			f(e.topics.list[v.topic], v.count)
		}
	}
}

// Event is one that counts.
type Event struct {
	Topic, Category, Region string
	Time                    messages.Micros
	Count                   uint64
}

// At is the i-th event, 0 … Len()−1.
func (e *Events) At(i int) Event {
	v := e.all[i]
	return Event{e.topics.list[v.topic], e.names.list[v.category], e.names.list[v.region], v.time, v.count}
}

// Keys is how many rows an engine has that counts every topic and every topic
// in a region apart.
func (e *Events) Keys() int {
	pairs := map[[2]uint32]bool{}
	for _, v := range e.all {
		if v.region != 0 {
			pairs[[2]uint32{v.topic, v.region}] = true
		}
	}
	return len(e.topics.list) + len(pairs)
}
