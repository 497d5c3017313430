package main

import (
	"context"
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/sketch"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// tables is the engine without a node around it: the shards' tables in this
// process, each with an equal part of the memory. A node plans with its memory
// for much else and takes no less than 32 MiB; here all of it is the tables'.
type tables struct {
	events *truth.Events
	hasher sketch.Hasher
	shards []*shard
	sent   int // of events
	e      messages.Micros
	held   messages.Memory // when it was most so far
}

// shard is a table with the delta that is filled for it.
type shard struct {
	table               *window.Table
	delta               window.Delta
	categories, regions *window.Names
	clock               messages.Micros
}

// A shard's names are unbounded here: what counts in "other" is measured on
// nodes.
const (
	tableNames   = 1 << 16
	tableEpsilon = 0.001
	tableDelta   = 0.001
)

// newTables makes empty ones with so many bytes in all, 0: as many as they
// take.
func newTables(events *truth.Events, shards int, memory int64) *tables {
	t := &tables{events: events, hasher: sketch.NewHasher(1, 2)}
	for range shards {
		t.shards = append(t.shards, &shard{
			table: window.New(window.Config{
				Hash:   func(topic []byte) uint64 { return t.hasher.Topic(topic).A },
				Memory: memory / int64(shards), Epsilon: tableEpsilon, Delta: tableDelta, Key: [2]uint64{3, 4},
			}),
			categories: window.NewNames(), regions: window.NewNames(),
		})
	}
	return t
}

// send counts the events that have been added since the last time; the lines
// say the same.
func (t *tables) send(context.Context, [][]byte) error {
	for t.sent < t.events.Len() {
		for range min(requestEvents, t.events.Len()-t.sent) {
			e := t.events.At(t.sent)
			k := t.hasher.Topic([]byte(e.Topic))
			t.shards[k.B%uint64(len(t.shards))].add(&e, k.A)
			t.e = max(t.e, e.Time)
			t.sent++
		}
		var held messages.Memory
		for _, s := range t.shards {
			s.flush()
			held.Sum(s.table.Stats().Memory)
		}
		if held.Engine() > t.held.Engine() {
			t.held = held
		}
	}
	return nil
}

func (s *shard) add(e *truth.Event, hash uint64) {
	s.clock = max(s.clock, e.Time)
	d := &s.delta
	name := func(names *window.Names, text string, to *window.NamesDelta) window.NameID {
		id, added := names.Intern([]byte(text), tableNames)
		if added {
			to.Added = append(to.Added, names.Added(id))
		}
		return id
	}
	d.Rows = append(d.Rows, window.DeltaRow{
		Slice: e.Time.Floor(messages.SliceLength), Count: e.Count, Hash: hash,
		TopicAt: uint32(len(d.Topics)), TopicLen: uint16(len(e.Topic)),
		Category: name(s.categories, e.Category, &d.Categories), Region: name(s.regions, e.Region, &d.Regions),
	})
	d.Topics = append(d.Topics, e.Topic...)
}

func (s *shard) flush() {
	slices.SortStableFunc(s.delta.Rows, func(a, b window.DeltaRow) int { return int(a.Slice - b.Slice) })
	s.delta.Clock = s.clock
	s.table.Apply(&s.delta)
	s.delta.Reset()
}

// moment slides all tables to the engine time, and is the stretch of a window.
func (t *tables) moment(w messages.Window) messages.Moment {
	i := window.Resolve(w, t.e)
	first := t.e.Floor(messages.SliceLength)
	for _, s := range t.shards {
		s.table.Slide(t.e)
		if at, ok := s.table.First(); ok {
			first = min(first, at)
		}
	}
	if w == messages.WindowAll {
		i.Start = first
	}
	return messages.Moment{Start: i.Start, End: i.End, AsOf: t.e}
}

func (t *tables) board(_ context.Context, scope client.Scope, k int) (*api.Board, error) {
	w, err := messages.ParseWindow(scope.Window)
	if err != nil {
		return nil, err
	}
	b := &messages.Board{Window: w, Cell: messages.Cell{Category: scope.Category, Region: scope.Region}, K: k, Moment: t.moment(w)}
	var parts []*rank.Part
	for _, s := range t.shards {
		parts = append(parts, s.table.Top(&window.TopAsk{Window: w, E: t.e, Cell: b.Cell, K: k}))
	}
	b.Total = rank.Union(parts, k).Total
	b.Rows, b.Certified, b.Exact = rank.Merge(parts, k)
	return api.NewBoard(b), nil
}

func (t *tables) counts(_ context.Context, topics []string, scope client.Scope) (*api.Counts, error) {
	w, err := messages.ParseWindow(scope.Window)
	if err != nil {
		return nil, err
	}
	q := &messages.CountQuery{Topics: topics, Window: w, Cell: messages.Cell{Category: scope.Category, Region: scope.Region}}
	c := &messages.Counts{Moment: t.moment(w), Counts: make([]messages.Count, len(topics))}
	for i, s := range t.shards {
		ask := &window.CountAsk{Window: w, E: t.e, Cell: q.Cell}
		var at []int
		for j, topic := range topics {
			if k := t.hasher.Topic([]byte(topic)); k.B%uint64(len(t.shards)) == uint64(i) {
				ask.Topics, at = append(ask.Topics, topic), append(at, j)
			}
		}
		part := s.table.Count(ask)
		c.Total = c.Total.Add(part.Total)
		for j, n := range part.Counts {
			c.Counts[at[j]] = n
		}
	}
	return api.NewCounts(q, c), nil
}

func (t *tables) close() {}

// need is the memory that tables take which keep everything of a stream: what
// the engine accounts for, in as many shards, when it was most along the way.
type need struct {
	bytes int64
	held  messages.Memory
}

func needOf(ctx context.Context, lines [][]byte, shards int) (need, error) {
	var events truth.Events
	for _, l := range lines {
		if err := events.AddLine(l); err != nil {
			return need{}, err
		}
	}
	t := newTables(&events, shards, 0)
	err := t.send(ctx, nil)
	return need{t.held.Engine(), t.held}, err
}
