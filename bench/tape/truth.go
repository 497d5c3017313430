package tape

import (
	"cmp"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// Tally is what the first n events have in a cell, in [start, end).
func (t *Tape) Tally(n int, cell messages.Cell, start, end messages.Micros) *truth.Tally {
	category := uint8(1 + slices.Index(workload.CategoryNames, cell.Category))
	region := uint8(1 + slices.Index(workload.RegionNames, cell.Region))
	counts, total := make([]uint32, len(t.Topics)), uint64(0)
	for i := range t.Events[:n] {
		e := &t.Events[i]
		if e.At >= start && e.At < end && (category == 0 || e.Category == category) && (region == 0 || e.Region == region) {
			counts[e.Topic]++
			total++
		}
	}
	var ranked []truth.Row
	for topic, n := range counts {
		if n > 0 {
			ranked = append(ranked, truth.Row{Topic: t.Topics[topic], Count: uint64(n)})
		}
	}
	slices.SortFunc(ranked, func(a, b truth.Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Topic, b.Topic))
	})
	return truth.NewTally(func(topic string) uint64 {
		if number, ok := t.numbers[topic]; ok {
			return uint64(counts[number])
		}
		return 0
	}, ranked, total)
}
