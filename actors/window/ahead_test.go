package window

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestNoRowIsChosenAheadOfNeed: what is measured before memory is short lets no
// row wait to leave. By the time it left, it could have children, or its topic
// rows in regions, that nobody had chosen.
func TestNoRowIsChosenAheadOfNeed(t *testing.T) {
	hash := func(topic []byte) uint64 {
		return uint64(binary.LittleEndian.Uint32(topic)) * 0x9e3779b97f4a7c15
	}
	delta := func(topics int) *Delta {
		d := &Delta{Clock: messages.Hour}
		for i := range topics {
			r := DeltaRow{Slice: d.Clock, Count: 1, TopicAt: uint32(len(d.Topics)), TopicLen: 10, Hash: 0}
			if i%10 == 0 {
				r.Count = 50
			}
			d.Topics = binary.LittleEndian.AppendUint32(d.Topics, uint32(i))
			d.Topics = fmt.Appendf(d.Topics, "%06d", i)
			r.Hash = hash(d.Topic(&r))
			d.Rows = append(d.Rows, r)
		}
		return d
	}
	ready := 0
	for topics := 2_000; topics < 10_000; topics += 500 {
		table := New(Config{Hash: hash, Memory: 1 << 20, Epsilon: 0.01, Delta: 0.01})
		table.Apply(delta(topics))
		if table.sweep.left == 0 && table.sweep.rounds > 0 {
			ready++
		}
		if n := len(table.sweep.batch.rows); n > 0 {
			t.Errorf("%d topics: %d rows wait to leave", topics, n)
		}
	}
	if ready == 0 {
		t.Error("nothing was measured ahead of need")
	}
}
