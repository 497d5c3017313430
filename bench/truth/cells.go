package truth

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/crestdb/crest/messages"
)

// SomeCells draws what to ask about: the whole, n categories, n regions and n
// pairs, all of them in use, as far as there are so many.
func (e *Events) SomeCells(rng *rand.Rand, n int) []messages.Cell {
	var kinds [3]map[messages.Cell]bool
	for i := range kinds {
		kinds[i] = map[messages.Cell]bool{}
	}
	for _, v := range e.all {
		c := messages.Cell{Category: e.names.list[v.category], Region: e.names.list[v.region]}
		if c.Category != "" {
			kinds[0][messages.Cell{Category: c.Category}] = true
		}
		if c.Region != "" {
			kinds[1][messages.Cell{Region: c.Region}] = true
		}
		if c.Category != "" && c.Region != "" {
			kinds[2][c] = true
		}
	}
	cells := []messages.Cell{{}}
	for _, kind := range kinds {
		// Sorted first, so that the draw depends on rng alone.
		all := slices.SortedFunc(maps.Keys(kind), func(a, b messages.Cell) int {
			return cmp.Or(strings.Compare(a.Category, b.Category), strings.Compare(a.Region, b.Region))
		})
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cells = append(cells, all[:min(n, len(all))]...)
	}
	return cells
}

// SomeTopics draws n topics with repetition; one in twenty never came up.
func (e *Events) SomeTopics(rng *rand.Rand, n int) []string {
	topics := make([]string, n)
	for i := range topics {
		if topics[i] = "never seen"; rng.IntN(20) > 0 {
			topics[i] = e.topics.list[rng.IntN(len(e.topics.list))]
		}
	}
	return topics
}
