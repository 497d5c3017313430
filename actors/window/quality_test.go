package window_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestQuality compares a table of little memory with one of enough: which of
// the first 100 it finds, and how many it is sure of.
func TestQuality(t *testing.T) {
	topics, events, memory := 8_000, 200_000, int64(5<<18)
	if os.Getenv("CREST_SEEDS") != "" {
		topics, events, memory = 40_000, 2_000_000, 2<<20
	}
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.07, 1, uint64(topics-1))
	where := rand.NewZipf(r, 1.3, 3, 199)
	whole := window.New(window.Config{Hash: hashOf})
	table := window.New(window.Config{Hash: hashOf, Memory: memory, Epsilon: 0.001, Delta: 0.001, Key: [2]uint64{1, 2}})
	b := newBatch(64, 512, hashOf)
	clock := 1_700_000_000 * messages.Second
	for n := range events {
		topic := zipf.Uint64()
		b.add(event{clock.Floor(messages.SliceLength), fmt.Sprint("topic/", topic), fmt.Sprint("c", topic%20), fmt.Sprint("r", where.Uint64()), 1})
		if n%500 == 499 {
			d := b.flush(clock)
			whole.Apply(d)
			table.Apply(d)
			clock += 40 * messages.Day * 500 / messages.Micros(events)
		}
	}
	need := whole.Stats()
	have := table.Stats()
	t.Logf("need %d MiB, memory %d MiB, holds %d KiB; %d of %d rows, %d of %d topics; %s; %+v", need.Memory.Engine()>>20, memory>>20, have.Memory.Engine()>>10, have.Rows, need.Rows, have.Topics, need.Topics, table.Sweep(), have.Memory)
	for _, region := range []string{"", "r0", "r5", "r19"} {
		for _, w := range messages.StandardWindows {
			q := &window.TopAsk{Window: w, E: table.Clock(), Cell: messages.Cell{Region: region}, K: 100}
			want, part := whole.Top(q), table.Top(q)
			rows, certified, _ := rank.Merge([]*rank.Part{part}, 100)
			on := make(map[string]uint64)
			for _, row := range want.Rows {
				on[row.Topic] = row.Count.Lower
			}
			found, sure := 0, 0
			for _, row := range rows {
				if _, ok := on[row.Topic]; ok || row.Count.Upper >= want.Rest && row.Count.Lower == want.Rest {
					found++
				}
				if row.Certified {
					sure++
				}
			}
			t.Logf("%q %v: recall %d of %d, certified %d, first %d; rest %d; last counts %d", region, w, found, len(want.Rows), sure, certified, part.Rest, want.Rest)
			if region == "" && found < len(want.Rows) {
				t.Errorf("%v: %d of the first %d are missing", w, len(want.Rows)-found, len(want.Rows))
			}
		}
	}
}
