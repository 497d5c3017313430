package window

import "github.com/crestdb/crest/messages"

// cell is a messages.Cell by ids.
type cell struct {
	any      bool // any category; category is NoName then
	category NameID
	region   NameID // NoName: any region
}

// cells is what a question about a named cell is answered from. What was
// counted in own is of the cell; what was counted in others, where values past
// the bound are, may be.
type cells struct {
	own    cell
	known  bool // own exists
	others []cell
}

// find resolves a cell's names.
func (t *Table) find(c messages.Cell) cells {
	var categories, regions []cell // own first, where known, and "other"
	categories, knownCategory := choices(t.categories, c.Category, cell{any: true}, func(id NameID) cell { return cell{category: id} })
	regions, knownRegion := choices(t.regions, c.Region, cell{}, func(id NameID) cell { return cell{region: id} })
	r := cells{known: knownCategory && knownRegion}
	for i, a := range categories {
		for j, b := range regions {
			c := cell{a.any, a.category, b.region}
			if i == 0 && j == 0 && r.known {
				r.own = c
				continue
			}
			r.others = append(r.others, c)
		}
	}
	return r
}

// choices are the ids under which events of a name may be counted: its own, if
// known, and "other" if not everything of it is under its own.
func choices(names *Names, name string, unnamed cell, of func(NameID) cell) (c []cell, known bool) {
	if name == "" {
		return []cell{unnamed}, true
	}
	id, known, whole := names.Find(name)
	if known {
		c = append(c, of(id))
	}
	if !whole {
		c = append(c, of(OtherName))
	}
	return c, known
}

// part is a family's rows as far as they are rows of a cell.
type part struct {
	family *family
	// unforked: the forked rows are not, their child rows are.
	unforked bool
}

// parts are where a cell's rows lie.
func (t *Table) parts(c cell) []part {
	if c.any {
		plain := t.rows.plain[c.region]
		parts := make([]part, len(plain))
		for i, f := range plain {
			parts[i] = part{f, false}
		}
		return parts
	}
	var parts []part
	if f := t.rows.family(false, c.category, c.region); f != nil {
		parts = append(parts, part{f, true})
	}
	if f := t.rows.family(true, c.category, c.region); f != nil {
		parts = append(parts, part{f, false})
	}
	return parts
}

// row is a topic's row of a cell; 0: none, nothing was counted.
func (t *Table) row(topic topicID, hash uint64, c cell) rowID {
	plain := t.topics.at(topic).row
	if c.region != NoName {
		plain = t.rows.findPlain(topic, hash, c.region)
	}
	if c.any || plain == 0 {
		return plain
	}
	if t.rows.at(plain).link != 0 {
		return t.rows.findChild(topic, hash, c.category, c.region)
	}
	if t.rows.familyOf(plain).category == c.category {
		return plain
	}
	return 0
}

// each calls f for every topic's row of a cell.
func (t *Table) each(c cell, f func(id rowID, r *row)) {
	for _, p := range t.parts(c) {
		t.eachOf(p, f)
	}
}

// eachOf calls f for every row of a part.
func (t *Table) eachOf(p part, f func(id rowID, r *row)) {
	for _, page := range p.family.pages {
		pg := &t.rows.pages[page]
		for i := range pg.rows {
			if r := &pg.rows[i]; !p.unforked || r.link == 0 {
				f(pg.id(page, i), r)
			}
		}
	}
}
