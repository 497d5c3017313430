package actors

import (
	"slices"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// The questions that are asked otherwise where a topic may have counts in
// several shards.

// spreadTop asks for the first rows of a cell.
type spreadTop struct {
	window.TopAsk
	*firsts
	answer *topAnswer
	named  []string // whose categories are asked for; nil: not yet
}

func newSpreadTop(q window.TopAsk, shards int) *spreadTop {
	t := &spreadTop{TopAsk: q}
	t.firsts = newFirsts(lists{top: &t.TopAsk}, q.K, shards)
	return t
}

func (q *spreadTop) several() bool { return true }

func (q *spreadTop) ask(_ int, p messages.Partition, e messages.Micros) any {
	if q.named != nil {
		return &window.CategoriesAsk{Topics: q.named, Window: q.Window, E: e}
	}
	return q.firsts.ask(p, e)
}

func (q *spreadTop) take(round int, g gathered) any {
	if round == 0 { // every shard is asked
		q.answer = &topAnswer{Moment: g.moment(q.Window), applied: g.applied}
	}
	q.answer.SketchError = g.SketchError
	if q.named != nil {
		q.fillCategories(g)
		return q.answer
	}
	if !q.firsts.take(&g) {
		return nil
	}
	q.answer.union = q.sum.Part()
	q.answer.depth, q.answer.vain = q.reach(), !q.sum.Settled()
	if !q.Categories || len(q.answer.union.Rows) == 0 {
		return q.answer
	}
	for i := range q.answer.union.Rows {
		q.named = append(q.named, q.answer.union.Rows[i].Topic)
	}
	return nil
}

// reach is how many rows shards should list when the same is asked again.
func (q *spreadTop) reach() int {
	if !q.sum.Settled() {
		return 0
	}
	n := q.sum.Reach(q.depth)
	return min(n+n/8+8, q.most)
}

// fillCategories sets the rows' leading categories, as window.Table does for
// what a shard has alone.
func (q *spreadTop) fillCategories(g gathered) {
	union := *q.answer.union
	union.Rows = slices.Clone(union.Rows)
	shards := partsOf[[]window.TopicCategories](g)
	var sums []window.CategoryCount
	for i := range union.Rows {
		r := &union.Rows[i]
		sums = sums[:0]
		unsure := uint64(0)
		for _, topics := range shards {
			unsure = addSaturating(unsure, topics[i].Unsure)
			for _, c := range topics[i].Counts {
				sums = addCategory(sums, c)
			}
		}
		var lead uint64
		r.Category, lead = leading(sums)
		r.Unsure = unsure > 0 && unsure >= lead
	}
	q.answer.union = &union
}

func addCategory(sums []window.CategoryCount, c window.CategoryCount) []window.CategoryCount {
	for i := range sums {
		if sums[i].Category == c.Category {
			sums[i].Count = addSaturating(sums[i].Count, c.Count)
			return sums
		}
	}
	return append(sums, c)
}

// leading is the category with the greatest count, of equals the first in byte
// order, and by how much it leads.
func leading(sums []window.CategoryCount) (category string, lead uint64) {
	var most, second uint64
	for _, c := range sums {
		switch {
		case c.Count > most || c.Count == most && c.Category < category:
			category, most, second = c.Category, c.Count, most
		case c.Count > second:
			second = c.Count
		}
	}
	return category, most - second
}

// spreadRank asks every shard for the topic's count and then finds the first
// topics, until it and its neighbours are among them. A topic that is not among
// the first messages.MaxK has a rank behind these, and at most one that what is
// left of the cell's total allows.
type spreadRank struct {
	*messages.RankQuery
	shards int
	moment messages.Moment
	count  messages.Count
	total  messages.Count
	*firsts
}

// firstLook is how many topics are found first, and the neighbours asked for.
const firstLook = 64

func (q *spreadRank) several() bool { return true }

func (q *spreadRank) ask(round int, p messages.Partition, e messages.Micros) any {
	if round == 0 {
		return &window.CountAsk{Topics: []string{q.Topic}, Window: q.Window, E: e, Cell: q.Cell}
	}
	return q.firsts.ask(p, e)
}

func (q *spreadRank) take(round int, g gathered) any {
	if round == 0 {
		q.moment = g.moment(q.Window)
		for _, part := range partsOf[*window.CountPart](g) {
			q.count, q.total = q.count.Add(part.Counts[0]), q.total.Add(part.Total)
		}
		q.look(firstLook + q.Around)
		return nil
	}
	if !q.firsts.take(&g) {
		return nil
	}
	r, found := q.placed()
	if !found && q.k < messages.MaxK {
		q.look(messages.MaxK)
		return nil
	}
	r.SketchError = g.SketchError
	return r
}

func (q *spreadRank) look(k int) {
	q.firsts = newFirsts(lists{top: &window.TopAsk{Window: q.Window, Cell: q.Cell}}, k, q.shards)
}

// placed is the topic's rank as far as the first rows tell it; found: they have
// it and its neighbours.
func (q *spreadRank) placed() (r *messages.Rank, found bool) {
	part := q.sum.Part()
	r = &messages.Rank{Moment: q.moment, Count: q.count, Total: q.total, Lower: 1, Upper: 1}
	self := rank.Row{Topic: q.Topic, Count: q.count}
	listed := q.count.Lower // what those that are known have of the total
	place := 0              // rows before it on a board
	rows := make([]rank.Row, 0, len(part.Rows))
	for i := range part.Rows {
		row := part.Rows[i]
		if row.Topic == q.Topic {
			continue
		}
		listed = addSaturating(listed, row.Count.Lower)
		if rank.SurelyPrecedes(&row, &self) {
			r.Lower++
		}
		if rank.MayPrecede(&row, &self) {
			r.Upper++
		}
		if rank.Compare(&row, &self) < 0 {
			place++
		}
		if i < q.k { // behind these there are gaps
			rows = append(rows, row)
		}
	}
	if part.UnseenMayPrecede(&self) {
		left := q.total.Upper - min(q.total.Upper, listed)
		r.Upper += int(min(left/max(1, q.count.Lower), maxRank-uint64(r.Upper)))
	}
	whole := part.Rest == 0 && len(part.Rows) <= q.k
	found = whole || place+q.Around < q.k
	r.Neighbours = []messages.Row{{Topic: q.Topic, Count: q.count}}
	if r.First = r.Lower; place <= len(rows) && (whole || place < q.k) {
		above, below := rows[max(0, place-q.Around):place], rows[place:min(len(rows), place+q.Around)]
		r.First = place + 1 - len(above)
		r.Neighbours = slices.Concat(neighbours(above), r.Neighbours, neighbours(below))
	}
	return r, found
}

// maxRank is as far as ranks are counted.
const maxRank = 1<<31 - 1

func neighbours(rows []rank.Row) []messages.Row {
	out := make([]messages.Row, len(rows))
	for i := range rows {
		out[i] = messages.Row{Topic: rows[i].Topic, Count: rows[i].Count}
	}
	return out
}

// spreadPrefix asks for tracked topics by prefix.
type spreadPrefix struct {
	*messages.TopicsQuery
	*firsts
	moment messages.Moment
}

func newSpreadPrefix(q *messages.TopicsQuery, shards int) *spreadPrefix {
	ask := &window.PrefixAsk{Prefix: q.Prefix, Window: q.Window}
	return &spreadPrefix{TopicsQuery: q, firsts: newFirsts(lists{prefix: ask}, q.Limit, shards)}
}

func (q *spreadPrefix) several() bool { return true }

func (q *spreadPrefix) ask(_ int, p messages.Partition, e messages.Micros) any {
	return q.firsts.ask(p, e)
}

func (q *spreadPrefix) take(round int, g gathered) any {
	if round == 0 {
		q.moment = g.moment(q.Window)
	}
	if !q.firsts.take(&g) {
		return nil
	}
	t := &messages.Topics{Moment: q.moment, SketchError: g.SketchError}
	rows := q.sum.Told()
	t.Rows = neighbours(rows[:min(len(rows), q.Limit)])
	return t
}
