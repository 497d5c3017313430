package actors

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/messages"
)

// rig is an engine over a log in memory, with a node clock the test moves.
type rig struct {
	*Engine
	t      *testing.T
	id     *messages.LogIdentity
	log    *actorstest.MemLog
	now    *atomic.Int64
	routes messages.Routes
}

func newRig(t *testing.T, clock messages.Clock, change func(*Config)) *rig {
	t.Helper()
	id := &messages.LogIdentity{ID: messages.LogID{7}, Partitions: 4, Clock: clock, HashKey: [32]byte{3}, Settings: messages.DefaultSettings()}
	r := &rig{t: t, id: id, log: actorstest.NewMemLog(id), now: new(atomic.Int64), routes: messages.NewRoutes(id)}
	r.now.Store(int64(1_700_000_000 * messages.Second))
	r.start(change)
	return r
}

// start runs an engine over the rig's log until the test ends.
func (r *rig) start(change func(*Config)) {
	r.t.Helper()
	r.open(change)
	if err := r.WaitReady(r.ctx()); err != nil {
		r.t.Fatal(err)
	}
}

// open is start for an engine that does not become ready.
func (r *rig) open(change func(*Config)) {
	r.t.Helper()
	cfg := DefaultConfig()
	cfg.Log, cfg.Identity, cfg.Logger = r.log, *r.id, slog.New(slog.DiscardHandler)
	cfg.Now = func() messages.Micros { return messages.Micros(r.now.Load()) }
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Engine = e
	r.t.Cleanup(e.Close)
}

// testTimeout is how long anything is waited for that is to come: what is waited
// for longer does not come.
const testTimeout = time.Minute

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	r.t.Cleanup(cancel)
	return ctx
}

// frame is a request with these records.
func (r *rig) frame(records ...messages.Record) *messages.Frame {
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: messages.Micros(r.now.Load())}
	blocks := make([]messages.Block, r.id.Partitions)
	for i := range records {
		b := &blocks[r.routes.Of(records[i].Topic)]
		b.Data = records[i].AppendTo(b.Data)
		b.Records++
	}
	for p, b := range blocks {
		if b.Partition = messages.Partition(p); b.Records > 0 {
			f.Blocks = append(f.Blocks, b)
		}
	}
	return f
}

// send appends the records and returns their position.
func (r *rig) send(records ...messages.Record) messages.Position {
	r.t.Helper()
	pos := make(messages.Position, r.id.Partitions)
	if err := r.log.Append(context.Background(), r.frame(records...), pos); err != nil {
		r.t.Fatal(err)
	}
	return pos
}

func event(topic, category, region string, count uint64) messages.Record {
	return messages.Record{Topic: []byte(topic), Category: []byte(category), Region: []byte(region), Count: count}
}
