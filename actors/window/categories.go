package window

// Categories is what topics have by category. With the parts of several shards
// added up it tells the leading category where no shard alone can.
func (t *Table) Categories(q *CategoriesAsk) []TopicCategories {
	v := t.look(q.Window, q.E)
	out := make([]TopicCategories, len(q.Topics))
	for i, name := range q.Topics {
		topic, _, known := t.findTopic(name)
		if !known {
			text := []byte(name)
			out[i].Unsure = t.hiddenOf(&v, text, NoName, t.unknown(text, NoName), 0)
			continue
		}
		plain := t.topics.at(topic).row
		out[i].Unsure = t.hiddenOfRow(&v, plain, 0)
		t.eachCategory(&v, plain, out[i].add(t.categories))
	}
	return out
}

// add is a function that adds what was counted under an id.
func (c *TopicCategories) add(names *Names) func(NameID, uint64) {
	return func(id NameID, n uint64) {
		switch {
		case n == 0:
		case id == OtherName && names.Folded():
			c.Unsure = addSaturating(c.Unsure, n)
		default:
			c.Counts = append(c.Counts, CategoryCount{names.Text(id), n})
		}
	}
}

// eachCategory calls f with what the topic of a T row has under each category.
func (t *Table) eachCategory(v *view, plain rowID, f func(category NameID, n uint64)) {
	none, link := t.countOf(v, plain), t.rows.at(plain).link
	if link == 0 {
		f(t.rows.familyOf(plain).category, none)
		return
	}
	for ; link != 0; link = t.rows.at(link).link {
		n := t.countOf(v, link)
		none -= n
		f(t.rows.familyOf(link).category, n)
	}
	f(NoName, none)
}
