package window_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// event is one event as an ingest actor has decided it.
type event struct {
	slice            messages.Micros
	topic            string
	category, region string
	count            uint64
}

// batch turns events into deltas: the ingest side of a shard.
type batch struct {
	categories, regions       *window.Names
	maxCategories, maxRegions int
	hash                      func([]byte) uint64
	d                         window.Delta
}

func newBatch(maxCategories, maxRegions int, hash func([]byte) uint64) *batch {
	return &batch{categories: window.NewNames(), regions: window.NewNames(), maxCategories: maxCategories, maxRegions: maxRegions, hash: hash}
}

func (b *batch) add(e event) {
	intern := func(n *window.Names, name string, bound int, d *window.NamesDelta) window.NameID {
		id, added := n.Intern([]byte(name), bound)
		if added {
			d.Added = append(d.Added, n.Added(id))
		}
		return id
	}
	r := window.DeltaRow{
		Slice:    e.slice,
		Count:    e.count,
		Hash:     b.hash([]byte(e.topic)),
		TopicAt:  uint32(len(b.d.Topics)),
		TopicLen: uint16(len(e.topic)),
		Category: intern(b.categories, e.category, b.maxCategories, &b.d.Categories),
		Region:   intern(b.regions, e.region, b.maxRegions, &b.d.Regions),
	}
	b.d.Topics = append(b.d.Topics, e.topic...)
	b.d.Rows = append(b.d.Rows, r)
}

// flush hands the delta out; it is valid until the next add.
func (b *batch) flush(clock messages.Micros) *window.Delta {
	d := b.d
	d.Clock = clock
	d.Categories.Folded, d.Regions.Folded = b.categories.Folded(), b.regions.Folded()
	b.d.Reset()
	return &d
}

func hashOf(topic []byte) uint64 {
	h := fnv.New64a()
	h.Write(topic)
	return h.Sum64()
}

// crowded is a hash under which many topics collide.
func crowded(topic []byte) uint64 { return hashOf(topic) % 5 * 0x0123456789abcdef }

// stream makes up what happens in a shard over some forty days: what a seed
// decides once is how topics, names, pace and lateness are distributed, so
// every seed is another kind of stream.
type stream struct {
	*rand.Rand
	clock                     messages.Micros // the partition clock
	topics                    []string
	skew                      float64
	categories, regions       []string
	faithful                  float64 // share of events in their topic's usual category
	maxCategories, maxRegions int
	late                      float64
	step                      []messages.Micros // usual time steps
	maxCount                  uint64
}

var starts = [...]messages.Micros{0, 7 * messages.Second, messages.Hour, 1_262_304_000 * messages.Second, 1_700_000_000*messages.Second + 123_456}

func newStream(seed uint64) *stream {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	s := &stream{
		Rand:          r,
		clock:         starts[r.IntN(len(starts))],
		skew:          r.Float64() * 3,
		faithful:      float64(pick(0, 50, 90, 99)) / 100,
		maxCategories: pick(1, 2, 4, 64),
		maxRegions:    pick(1, 3, 64),
		late:          float64(pick(0, 5, 30, 90)) / 100,
		maxCount:      uint64(pick(1, 1, 3, 1000)),
	}
	for i := range pick(2, 8, 60, 400, 3000) {
		s.topics = append(s.topics, topicName(r, i))
	}
	for i := range pick(0, 1, 2, 5, 9) {
		s.categories = append(s.categories, fmt.Sprintf("c%d", i))
	}
	for i := range pick(0, 1, 3, 8) {
		s.regions = append(s.regions, fmt.Sprintf("r%d", i))
	}
	if r.IntN(4) == 0 {
		s.categories = append(s.categories, "other")
	}
	switch r.IntN(4) {
	case 0: // steady
		s.step = []messages.Micros{messages.Millisecond, messages.Second, 5 * messages.Second}
	case 1: // bursts and silences
		s.step = []messages.Micros{messages.Millisecond, messages.Millisecond, 11 * messages.Hour}
	case 2: // slow
		s.step = []messages.Micros{10 * messages.Minute, messages.Hour, 7 * messages.Hour}
	case 3: // anything
		s.step = []messages.Micros{messages.Millisecond, 3 * messages.Second, messages.Minute, 20 * messages.Minute, 5 * messages.Hour, 3 * messages.Day}
	}
	return s
}

// topicName makes names that share prefixes, some of them longer than what is
// kept beside the record, some the prefix of others.
func topicName(r *rand.Rand, i int) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("t%d", i)
	case 1:
		return fmt.Sprintf("topic-with-a-long-name-%05d", r.IntN(100_000)*4+i%4)
	case 2:
		return fmt.Sprintf("t%d-", i/4)
	}
	return fmt.Sprintf("%c%c", 'a'+i%26, rune(0x1f300+i))
}

// next is the next event; the clock may have moved on.
func (s *stream) next() event {
	if s.IntN(3) == 0 {
		s.clock += messages.Micros(s.Float64() * 2 * float64(s.step[s.IntN(len(s.step))]))
	}
	at := s.clock
	if s.Float64() < s.late {
		at -= messages.Micros(s.Float64() * float64(lateness[s.IntN(len(lateness))]))
	}
	topic := int(float64(len(s.topics)) * pow(s.Float64(), 1+s.skew))
	e := event{slice: max(0, at).Floor(messages.SliceLength), topic: s.topics[topic], count: 1 + s.Uint64N(s.maxCount)}
	if s.IntN(2000) == 0 {
		e.count = 1 << 33
	}
	e.category = s.name(s.categories, topic)
	e.region = s.name(s.regions, topic/3)
	return e
}

var lateness = [...]messages.Micros{
	messages.Second, 10 * messages.Second, messages.Minute, 15 * messages.Minute, 2 * messages.Hour,
	30 * messages.Hour, 8 * messages.Day, 32 * messages.Day, 400 * messages.Day,
}

// name is mostly the usual one of a topic, sometimes none.
func (s *stream) name(names []string, usual int) string {
	n := len(names) + 1
	i := usual % n
	if s.Float64() >= s.faithful {
		i = s.IntN(n)
	}
	if i == len(names) {
		return ""
	}
	return names[i]
}

func pow(x, y float64) float64 {
	p := x
	for ; y >= 1.5; y-- {
		p *= x
	}
	return p
}

// shuffled is d's rows in another order, slices no longer ascending.
func shuffled(r *rand.Rand, d *window.Delta) *window.Delta {
	d.Rows = slices.Clone(d.Rows)
	r.Shuffle(len(d.Rows), func(i, j int) { d.Rows[i], d.Rows[j] = d.Rows[j], d.Rows[i] })
	return d
}
