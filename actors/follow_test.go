package actors

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/messages"
)

// door is what a gateway does in front of a log that takes blocks one by one: the
// home of a key first, what its verdict says, then the rest, whoever was first.
type door struct {
	*rig
	writer *actorstest.Writer
}

var errOtherBody = errors.New("the key was used for another body")

func (d *door) take(key string, body byte, records []messages.Record) error {
	f := d.frame(records...)
	f.Key, f.BodyHash = key, messages.BodyHash{body}
	at := d.routes.Home(key)
	home, rest := *f, *f
	home.Blocks, rest.Blocks = []messages.Block{{Partition: at}}, nil
	for _, b := range f.Blocks {
		if b.Partition == at {
			home.Blocks[0] = b
		} else {
			rest.Blocks = append(rest.Blocks, b)
		}
	}
	pos := make(messages.Position, d.id.Partitions)
	if err := d.writer.Append(d.ctx(), &home, pos); err != nil {
		return err
	}
	if err := d.Await(d.ctx(), pos); err != nil {
		return err
	}
	v, err := d.Seen(d.ctx(), &messages.KeyQuery{Key: key, BodyHash: f.BodyHash, Applied: true})
	switch {
	case err != nil:
		return err
	case v.State == messages.KeyConflict:
		return errOtherBody
	case v.State != messages.KeySeen:
		return fmt.Errorf("a key that was applied is in state %v", v.State)
	}
	first, err := messages.ParsePosition(base64.RawURLEncoding.EncodeToString(v.Position), d.id.ID, d.id.Partitions)
	if err != nil {
		return err
	}
	rest.Follows = &messages.Followed{Home: first[at], Until: v.Until}
	return d.writer.Append(d.ctx(), &rest, pos)
}

// TestAKeyedRequestCountsOnce, all of it, though its blocks land one by one and
// more than once, its gateways die between them, two of them have it at the same
// time, and another body comes under its key.
func TestAKeyedRequestCountsOnce(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { keyedRequestsCountOnce(t, seed) })
	}
}

func keyedRequestsCountOnce(t *testing.T, seed uint64) {
	const keys, bodies, events = 12, 2, 6
	r := newRig(t, messages.ClockWall, nil)
	topic := func(key, body, event int) string { return fmt.Sprintf("%d-%d-%d", key, body, event) }
	var mu sync.Mutex
	acknowledged := map[[2]int]int{}
	var clients sync.WaitGroup
	for client := range uint64(2 * bodies) {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(seed, client))
			var writers []*actorstest.Writer
			open := func() *door {
				w := actorstest.NewWriter(r.log, rng.Uint64(), r.EngineTime)
				w.Dies = func() bool { return rng.IntN(6) == 0 }
				writers = append(writers, w)
				return &door{r, w}
			}
			d := open()
			for _, key := range rng.Perm(keys) {
				body := int(client) % bodies
				var records []messages.Record
				for i := range events {
					records = append(records, event(topic(key, body, i), "", "", 1))
				}
				for {
					r.now.Add(rng.Int64N(int64(messages.Second))) // two minutes in all: less than a window
					err := d.take(fmt.Sprint("key-", key), byte(body), records)
					// What was on its way may land at any time.
					writers[rng.IntN(len(writers))].Late()
					if errors.Is(err, actorstest.ErrDied) {
						d = open()
						continue
					}
					if err == nil {
						mu.Lock()
						acknowledged[[2]int{key, body}]++
						mu.Unlock()
					} else if !errors.Is(err, errOtherBody) {
						t.Error(err)
					}
					break
				}
			}
			for range 20 {
				writers[rng.IntN(len(writers))].Late()
			}
		})
	}
	clients.Wait()
	ends := make(messages.Position, r.id.Partitions)
	r.log.Ends(ends)
	for key := range keys {
		taken := 0
		for body := range bodies {
			want := messages.Count{}
			if acknowledged[[2]int{key, body}] > 0 {
				want = messages.ExactCount(1)
				taken++
			}
			q := &messages.CountQuery{Window: messages.WindowAll, After: ends}
			for i := range events {
				q.Topics = append(q.Topics, topic(key, body, i))
			}
			got, err := r.Counts(r.ctx(), q)
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range got.Counts {
				if n != want {
					t.Errorf("key %d, body %d, event %d: counted %+v, want %+v", key, body, i, n, want)
				}
			}
		}
		if taken != 1 {
			t.Errorf("%d bodies were acknowledged under key %d", taken, key)
		}
	}
	for p := range messages.Partition(r.id.Partitions) {
		recount := actorstest.NewRecount(r.id)
		for _, b := range r.log.Blocks(p) {
			recount.Take(&b)
		}
		recount.Ledger.NextOffset, recount.Ledger.Epoch = ends[p], 1
		if l, _ := r.Ledger(r.ctx()); l[p] != recount.Ledger {
			t.Errorf("partition %d: ledger\n%+v, want\n%+v", p, l[p], recount.Ledger)
		}
	}
}
