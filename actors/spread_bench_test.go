package actors

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// BenchmarkBoard pulls boards from 64 shards: keyed as from a log that is keyed
// by topic, else of the same log and of one whose topics are everywhere, both
// asked as if nobody knew.
func BenchmarkBoard(b *testing.B) {
	const partitions, topics = 64, 200_000
	for _, log := range []string{"keyed", "everywhere"} {
		id := &messages.LogIdentity{Partitions: partitions, Settings: messages.DefaultSettings()}
		h := newHashes(id)
		w := &spreadWorld{clock: 1_700_000_000 * messages.Second, homes: homes{messages.NewRoutes(id), true}}
		for p := range partitions {
			w.shards = append(w.shards, &shardActor{partition: messages.Partition(p), core: window.New(window.Config{Hash: h.topic})})
			w.feeds = append(w.feeds, newFeed(1000, h.topic))
		}
		r := rand.New(rand.NewPCG(1, 1))
		zipf := rand.NewZipf(r, 1.1, 10, topics-1)
		for range 2_000_000 {
			e := event(fmt.Sprintf("topic-%d", zipf.Uint64()), "", "", 1)
			p := int(w.homes.routes.Of(e.Topic))
			if log == "everywhere" {
				p = r.IntN(partitions)
			}
			w.feeds[p].add(&e, w.clock.Floor(messages.SliceLength))
		}
		for p, f := range w.feeds {
			w.shards[p].core.Apply(f.flush(w.clock))
		}
		for _, k := range []int{10, 100, messages.MaxK} {
			ask := window.TopAsk{Window: messages.Window1h, K: k}
			if log == "keyed" {
				b.Run(fmt.Sprintf("log=%s/asked=keyed/k=%d", log, k), func(b *testing.B) {
					for w.t = new(testing.T); b.Loop(); {
						w.ask(&topQuestion{ask})
					}
				})
			}
			b.Run(fmt.Sprintf("log=%s/asked=spread/k=%d", log, k), func(b *testing.B) {
				a := &boardActor{spread: partitions}
				var got *topAnswer
				for w.t = new(testing.T); b.Loop(); {
					got = w.ask(a.question(ask)).(*topAnswer)
					a.learn(got)
				}
				if got.vain {
					b.Error("not settled")
				}
				b.ReportMetric(float64(got.depth), "depth")
			})
		}
	}
}
