package window_test

import (
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestBoundsOfShards spreads streams over several tables, each with another part
// of the memory it needs, and puts their answers together as a merger does. What
// comes out is compared with the obvious engine, which has everything and folds
// no name.
func TestBoundsOfShards(t *testing.T) {
	n := uint64(48)
	if os.Getenv("CREST_SEEDS") != "" {
		n = seeds(t)
	}
	var sum tally
	for seed := range n {
		playShards(t, seed, &sum)
		if t.Failed() {
			t.Fatalf("seed %d (%s)", seed, attacks[seed%uint64(len(attacks))].name)
		}
	}
	t.Logf("%d checks, %d of them of counts that were not exact; %d rows left; %d rows certified, %d not",
		sum.checks, sum.inexact, sum.left, sum.certified, sum.uncertain)
	if n >= 16 && (sum.left == 0 || sum.inexact == 0 || sum.certified == 0 || sum.uncertain == 0) {
		t.Error("the streams test nothing")
	}
}

// shards are tables among which topics are spread, and the judge of them all.
type shards struct {
	tables  []*window.Table
	batches []*batch
	brute   *actorstest.Brute
	truth   *batch
}

func newShards(seed uint64, attack attack, events int, r *rand.Rand, s *stream) *shards {
	hash := hashOf
	if seed%5 == 0 {
		hash = crowded
	}
	p := &shards{brute: actorstest.NewBrute(), truth: newBatch(1000, 1000, hash)}
	for i := range 3 + r.IntN(2) {
		memory := int64(0) // one in ten has enough
		if r.IntN(10) > 0 {
			memory = shortOf(newStream(seed), attack, events/3, hash, [...]int64{2, 10, 100}[r.IntN(3)])
		}
		p.tables = append(p.tables, window.New(window.Config{Hash: hash, Memory: memory, Epsilon: 0.01, Delta: 0.02, Key: [2]uint64{seed, uint64(i)}}))
		p.batches = append(p.batches, newBatch(s.maxCategories, s.maxRegions, hash))
	}
	return p
}

// home is the shard of a topic; not by the hash that the tables use.
func (p *shards) home(topic string) int {
	return int(hashOf([]byte("home of "+topic)) % uint64(len(p.tables)))
}

func (p *shards) add(e event) {
	p.truth.add(e)
	p.batches[p.home(e.topic)].add(e)
}

// flush counts what one shard has in its batch.
func (p *shards) flush(shard int, clock messages.Micros) {
	p.tables[shard].Apply(p.batches[shard].flush(clock))
}

func (p *shards) flushAll(clock messages.Micros) {
	for i := range p.tables {
		p.flush(i, clock)
	}
	p.brute.Apply(p.truth.flush(clock))
}

func playShards(t *testing.T, seed uint64, sum *tally) {
	const events = 2500
	r := rand.New(rand.NewPCG(seed, 13))
	attack := attacks[seed%uint64(len(attacks))]
	s := newStream(seed)
	p := newShards(seed, attack, events, r, s)
	for n := range events {
		e := s.next()
		attack.bend(s, n, &e)
		p.add(e)
		if r.IntN(4) == 0 {
			p.flush(r.IntN(len(p.tables)), s.clock)
		}
		if r.IntN(40) == 0 { // one slides ahead of the others
			p.tables[r.IntN(len(p.tables))].Slide(s.clock + messages.Micros(r.IntN(20))*messages.Second)
		}
		if r.IntN(250) > 0 && n < events-1 {
			continue
		}
		p.flushAll(s.clock)
		at := p.moment(r)
		questions := *s
		questions.Rand = r
		for range 8 {
			c := gathering{checker{t, &questions, p.brute, p.tables[0], questions.window(), at, p.cell(&questions), sum}, p}
			c.all()
		}
		if t.Failed() {
			t.Fatalf("after event %d", n)
		}
	}
	for _, table := range p.tables {
		sum.left += table.Left()
	}
}

// moment is one that all shards can answer for: those that are behind slide to
// it.
func (p *shards) moment(r *rand.Rand) messages.Micros {
	at := messages.Micros(0)
	for _, table := range p.tables {
		at = max(at, table.Clock())
	}
	if r.IntN(2) == 0 {
		at = max(at-messages.Micros(r.IntN(6))*messages.SliceLength, p.brute.Clock())
	}
	for _, table := range p.tables {
		table.Slide(at)
	}
	p.brute.Slide(at)
	return at
}

// cell is one that the judge knows: what is in "other" is each shard's own
// business.
func (p *shards) cell(s *stream) messages.Cell {
	for {
		if c := s.cell(); c.Category != messages.OtherName && c.Region != messages.OtherName {
			return c
		}
	}
}

// gathering puts the shards' parts of an answer together.
type gathering struct {
	checker
	shards *shards
}

func (c *gathering) all() {
	truth := c.brute.Top(&window.TopAsk{Window: c.window, E: c.e, Cell: c.cell, K: 1 << 20})
	c.boards(truth)
	for _, topic := range append(c.topics(truth), c.s.someTopics(2)...) {
		c.rank(topic, truth)
	}
}

// boards checks the board of all shards' parts, and that it is the same
// whatever is united first.
func (c *gathering) boards(truth *rank.Part) {
	k := c.s.k()
	q := &window.TopAsk{Window: c.window, E: c.e, Cell: c.cell, K: k}
	parts := make([]*rank.Part, len(c.shards.tables))
	for i, table := range c.shards.tables {
		parts[i] = table.Top(q)
	}
	union := rank.Union(parts, k)
	c.board(union, truth, k)
	c.within(union.Total, truth.Total, "total")
	known := make(map[string]messages.Count, len(truth.Rows))
	for _, r := range truth.Rows {
		known[r.Topic] = r.Count
	}
	for i, r := range union.Rows {
		c.within(r.Count, known[r.Topic], "row %d, %s", i, r.Topic)
		delete(known, r.Topic)
	}
	for topic, n := range known {
		c.sum.checks++
		if n.Lower > union.Rest {
			c.errorf("%s is not listed and has %+v; the rest is to have at most %d", topic, n, union.Rest)
		}
	}
	rows, certified, exact := rank.Merge(parts, k)
	ofNodes, n, same := rank.Merge([]*rank.Part{rank.Union(parts[1:], k), parts[0]}, k)
	if certified != n || exact != same || len(rows) > 0 && !reflect.DeepEqual(rows, ofNodes) {
		c.errorf("%d rows, %d certified, exact %v; united by two nodes %d, %d, %v", len(rows), certified, exact, len(ofNodes), n, same)
	}
}

// rank checks the interval of a topic's rank: between the rows that surely come
// before it and those that may, over all shards.
func (c *gathering) rank(topic string, truth *rank.Part) {
	ask := &window.CountAsk{Topics: []string{topic}, Window: c.window, E: c.e, Cell: c.cell}
	count := c.shards.tables[c.shards.home(topic)].Count(ask).Counts[0]
	c.within(count, c.brute.Count(ask).Counts[0], "count of %s", topic)
	place := slices.IndexFunc(truth.Rows, func(r rank.Row) bool { return r.Topic == topic })
	if place < 0 {
		return // it has no rank
	}
	surely, placed, possibly := 1, 1, 1
	for _, table := range c.shards.tables {
		around := func(n uint64) *window.AroundPart {
			return table.Around(&window.AroundAsk{Topic: topic, Count: messages.ExactCount(n), Window: c.window, E: c.e, Cell: c.cell, Around: 2})
		}
		least := around(count.Lower)
		placed += least.Sure
		possibly += least.Possible
		surely += around(count.Upper).Sure
	}
	c.sum.checks++
	if surely > place+1 || possibly < place+1 || placed < surely || placed > possibly {
		c.errorf("%s, %+v, is number %d; its place is %d, its rank %d to %d", topic, count, place+1, placed, surely, possibly)
	}
}
