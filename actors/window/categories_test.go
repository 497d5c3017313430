package window_test

import (
	"cmp"
	"slices"

	"github.com/crestdb/crest/actors/window"
)

// categories compares what topics have by category; in no particular order.
func (a *asker) categories() {
	q := &window.CategoriesAsk{Topics: a.s.someTopics(3), Window: a.window, E: a.e}
	sorted := func(topics []window.TopicCategories) []window.TopicCategories {
		for i := range topics {
			slices.SortFunc(topics[i].Counts, func(a, b window.CategoryCount) int { return cmp.Compare(a.Category, b.Category) })
		}
		return topics
	}
	a.same(*q, sorted(a.brute.Categories(q)), func(t *window.Table) any { return sorted(t.Categories(q)) })
}

// categories checks that what is not counted under a category is known to be
// unsure.
func (c *checker) categories() {
	q := &window.CategoriesAsk{Topics: c.s.someTopics(3), Window: c.window, E: c.e}
	got, want := c.table.Categories(q), c.brute.Categories(q)
	of := func(p *window.TopicCategories, category string) (n uint64) {
		for _, have := range p.Counts {
			if have.Category == category {
				n += have.Count
			}
		}
		return n
	}
	for i, topic := range q.Topics {
		missing := want[i].Unsure
		for _, true := range want[i].Counts {
			n := of(&got[i], true.Category)
			if c.sum.checks++; n > true.Count {
				c.errorf("%s has %d under %q, and is said to have %d", topic, true.Count, true.Category, n)
			}
			missing += true.Count - min(true.Count, n)
		}
		if missing > got[i].Unsure {
			c.errorf("%s has %d under other categories than told; at most %d are unsure", topic, missing, got[i].Unsure)
		}
	}
}
