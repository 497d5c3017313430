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
	cells := []messages.Cell{{}}
	for _, kind := range e.cellsInUse() {
		// Sorted first, so that the draw depends on rng alone.
		all := slices.SortedFunc(maps.Keys(kind), byName)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cells = append(cells, all[:min(n, len(all))]...)
	}
	return cells
}

// LargestCells are the whole and the n categories, regions and pairs with the
// most events, as far as there are so many.
func (e *Events) LargestCells(n int) []messages.Cell {
	cells := []messages.Cell{{}}
	for _, kind := range e.cellsInUse() {
		all := slices.SortedFunc(maps.Keys(kind), func(a, b messages.Cell) int {
			return cmp.Or(cmp.Compare(kind[b], kind[a]), byName(a, b))
		})
		cells = append(cells, all[:min(n, len(all))]...)
	}
	return cells
}

func byName(a, b messages.Cell) int {
	return cmp.Or(strings.Compare(a.Category, b.Category), strings.Compare(a.Region, b.Region))
}

// cellsInUse are the categories, the regions and the pairs of both, with how
// many events each has.
func (e *Events) cellsInUse() (kinds [3]map[messages.Cell]int) {
	type numbers struct{ category, region uint32 }
	events := map[numbers]int{}
	for _, v := range e.all {
		events[numbers{v.category, v.region}]++
	}
	for i := range kinds {
		kinds[i] = map[messages.Cell]int{}
	}
	for at, n := range events {
		c := messages.Cell{Category: e.names.list[at.category], Region: e.names.list[at.region]}
		if c.Category != "" {
			kinds[0][messages.Cell{Category: c.Category}] += n
		}
		if c.Region != "" {
			kinds[1][messages.Cell{Region: c.Region}] += n
		}
		if c.Category != "" && c.Region != "" {
			kinds[2][c] += n
		}
	}
	return kinds
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
