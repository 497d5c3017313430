//go:build e2e

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// weather is a toxiproxy between a node and the broker: connections that are
// reset behind the broker's write, answers that are cut off, and slow ones.
type weather struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	stop  context.CancelFunc
	wg    sync.WaitGroup
	did   map[string]int // by kind of toxic
}

// toxic is what happens to answers of the broker on a share of the connections.
type toxic struct {
	kind, attributes string
	share            float64
}

// newWeather is fair at first.
func newWeather(t *testing.T, b *kafka.Broker) *weather {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &weather{t: t, proxy: toxiproxy.NewProxy(server, t.Name(), b.ProxyAddr(), b.ProxiedAddr()), stop: func() {}, did: map[string]int{}}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.calm()
		w.proxy.Stop()
	})
	return w
}

// addr is what a node is told of the broker.
func (w *weather) addr() string { return w.proxy.Listen }

// reset has the broker do what it is asked, and nobody hear of it.
var reset = toxic{"reset_peer", `{"timeout":0}`, 1}

// storm does something every few hundred milliseconds, until calm. Without
// choices it is one thing or another.
func (w *weather) storm(rng *rand.Rand, choices ...toxic) {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	rng = rand.New(rand.NewPCG(rng.Uint64(), 3))
	w.wg.Go(func() {
		for pause(ctx, between(rng, 100*time.Millisecond, 600*time.Millisecond)) {
			bad := someToxic(rng)
			if len(choices) > 0 {
				bad = choices[rng.IntN(len(choices))]
			}
			w.add(bad)
			pause(ctx, between(rng, 20*time.Millisecond, 400*time.Millisecond))
			w.proxy.Toxics.ResetToxics(context.Background())
		}
	})
}

func someToxic(rng *rand.Rand) toxic {
	switch rng.IntN(4) {
	case 0:
		return toxic{"limit_data", fmt.Sprintf(`{"bytes":%d}`, 1+rng.IntN(3000)), 0.7}
	case 1:
		return toxic{"latency", fmt.Sprintf(`{"latency":%d,"jitter":%d}`, 100+rng.IntN(300), rng.IntN(100)), 0.8}
	}
	return toxic{reset.kind, reset.attributes, 0.7}
}

func (w *weather) add(bad toxic) {
	text := fmt.Sprintf(`{"name":%q,"type":%q,"stream":"downstream","toxicity":%v,"attributes":%s}`, bad.kind, bad.kind, bad.share, bad.attributes)
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		w.t.Errorf("%s: %v", text, err)
	}
	w.did[bad.kind]++
}

// calm ends a storm.
func (w *weather) calm() {
	w.stop()
	w.wg.Wait()
	w.proxy.Toxics.ResetToxics(context.Background())
}
