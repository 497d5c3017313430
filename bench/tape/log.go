package tape

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/crestdb/crest/messages"
)

// Layout says how a tape's events lie in a log.
type Layout struct {
	Partitions int
	// Request is how many events one frame has: a request's.
	Request int
	// Flush is how many events come in between two flushes of a busy engine, 50
	// to 100 ms apart. A Read brings no more of a partition than it has of
	// those, however fast the engine is: what it combines in one delta is then
	// what it would combine at that rate.
	Flush int
	// Keys: every frame has an Idempotency-Key.
	Keys bool
	// Rate is how many events arrive per second. They then have no time of their
	// own and count at their arrival. 0: each has its time on the tape.
	Rate float64
	// Loops is how often the tape comes, one after another; 0 means once. It
	// wants a Rate, and no Keys.
	Loops int
}

// Log is a tape as an event log in memory: encoded records in frames, as a node
// has them behind its gateway. It implements the log that actors.Engine reads.
// Only what was released can be read.
type Log struct {
	Layout
	identity   messages.LogIdentity
	events     int // of one loop
	start      messages.Micros
	partitions []partition
	frames     []messages.Position // ends behind every frame of a loop

	mu       sync.Mutex
	released messages.Position
	changed  chan struct{} // closed at the next release
}

// partition is the blocks of one in one loop; frame numbers the frame of each.
type partition struct {
	blocks []messages.ReadBlock
	frame  []uint32
}

// Log encodes the tape; nothing of it is released yet.
func (t *Tape) Log(l Layout) *Log {
	id := messages.LogIdentity{
		ID: messages.LogID{1}, Partitions: l.Partitions, Clock: messages.ClockEvent,
		HashKey: [32]byte{1, 2, 3}, Settings: messages.DefaultSettings(),
	}
	if l.Loops = max(1, l.Loops); l.Loops > 1 && (l.Rate == 0 || l.Keys) {
		panic("tape: a loop would repeat times or keys")
	}
	g := &Log{
		Layout: l, identity: id, partitions: make([]partition, l.Partitions),
		events: len(t.Events), start: t.Events[0].At,
		released: make(messages.Position, l.Partitions), changed: make(chan struct{}),
	}
	routes, end := messages.NewRoutes(&id), make(messages.Position, l.Partitions)
	route := make([]messages.Partition, len(t.Topics))
	for i, name := range t.Topics {
		route[i] = routes.Of([]byte(name))
	}
	frame := make([]messages.Block, l.Partitions)
	for events := range slices.Chunk(t.Events, l.Request) {
		for p := range frame {
			frame[p] = messages.Block{Partition: messages.Partition(p)}
		}
		for i := range events {
			e := &events[i]
			b := &frame[route[e.Topic]]
			b.Data = t.record(e, l.Rate == 0).AppendTo(b.Data)
			b.Records++
		}
		head := messages.ReadBlock{Kind: messages.FrameEvents, Stamp: events[len(events)-1].At}
		home := messages.Partition(l.Partitions) // nobody's
		if l.Keys {
			head.Key = fmt.Sprintf("request-%d", len(g.frames))
			head.BodyHash = messages.BodyHash{byte(len(g.frames)), byte(len(g.frames) >> 8), byte(len(g.frames) >> 16)}
			home = routes.Home(head.Key)
		}
		g.append(frame, head, home, end)
	}
	return g
}

// append adds a frame; end is what is behind the last, and moves on.
func (g *Log) append(frame []messages.Block, head messages.ReadBlock, home messages.Partition, end messages.Position) {
	start := slices.Clone(end)
	written := func(b *messages.Block) bool { return b.Records > 0 || b.Partition == home }
	for i := range frame {
		if b := &frame[i]; written(b) {
			end[b.Partition] += b.Span()
		}
	}
	number := uint32(len(g.frames))
	g.frames = append(g.frames, slices.Clone(end))
	if head.Key != "" {
		head.Position = end.AppendTo(nil, g.identity.ID)
	}
	for i := range frame {
		b := &frame[i]
		if !written(b) {
			continue
		}
		block := head
		block.Offset, block.End = start[b.Partition], end[b.Partition]
		block.Records, block.Data = b.Records, slices.Clone(b.Data)
		p := &g.partitions[b.Partition]
		p.blocks, p.frame = append(p.blocks, block), append(p.frame, number)
	}
}

func (t *Tape) record(e *Event, timed bool) *messages.Record {
	return &messages.Record{
		Topic: []byte(t.Topics[e.Topic]), Category: []byte(CategoryName(e.Category)), Region: []byte(RegionName(e.Region)),
		HasTime: timed, Time: e.At, Count: 1,
	}
}

// Total is the number of events in all loops.
func (g *Log) Total() int { return g.events * g.Loops }

// Identity is the log's.
func (g *Log) Identity() messages.LogIdentity { return g.identity }

// Release lets the first n events be read, rounded up to whole frames, and
// returns the position behind them.
func (g *Log) Release(n int) messages.Position {
	n = min(n, g.Total())
	loops, rest := n/g.events, n%g.events
	end := make(messages.Position, g.Partitions)
	for p := range end {
		end[p] = messages.Offset(loops) * g.loop(p)
		if rest > 0 {
			end[p] += g.frames[(rest-1)/g.Request][p]
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	copy(g.released, end)
	close(g.changed)
	g.changed = make(chan struct{})
	return end
}

// loop is how many offsets of a partition one loop takes.
func (g *Log) loop(p int) messages.Offset { return g.frames[len(g.frames)-1][p] }

// Ends implements the log.
func (g *Log) Ends(pos messages.Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	copy(pos, g.released)
}

// Append implements the log: nothing comes to what is on a tape.
func (g *Log) Append(context.Context, *messages.Frame, messages.Position) error {
	return errors.New("append: a tape takes nothing")
}

// Read implements the log.
func (g *Log) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	for {
		g.mu.Lock()
		end, changed := g.released[p], g.changed
		g.mu.Unlock()
		if from < end {
			g.read(p, from, end, b)
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read fills b with what there is of one flush.
func (g *Log) read(number messages.Partition, from, end messages.Offset, b *messages.Batch) {
	p, length := &g.partitions[number], g.loop(int(number))
	loop := from / length
	base := loop * length
	first := sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].Offset >= from-base })
	flush := func(i int) int { return (int(loop)*g.events + int(p.frame[i])*g.Request) / g.Flush }
	b.Partition, b.Blocks, b.Next = number, b.Blocks[:0], from
	for i := first; i < len(p.blocks) && flush(i) == flush(first) && base+p.blocks[i].Offset < end; i++ {
		block := p.blocks[i]
		if g.Rate > 0 {
			behind := int(loop)*g.events + (int(p.frame[i])+1)*g.Request
			block.Stamp = g.start + messages.Micros(float64(behind)/g.Rate*1e6)
		}
		block.Offset, block.End = base+block.Offset, base+block.End
		b.Next = block.End
		b.Blocks = append(b.Blocks, block)
	}
}
