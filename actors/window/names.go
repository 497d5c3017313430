package window

import (
	"maps"
	"slices"

	"github.com/crestdb/crest/messages"
)

// Names gives categories or regions their ids, first come in log order, up to
// a bound; a name past it counts in "other". Its content is a pure function of
// the log.
type Names struct {
	index map[string]NameID
	list  []name
	// folded: some name was sent to "other" because the bound was reached. From
	// then on a name that still gets an id (the bound was raised) may have
	// counts in "other" too, so it is not clean.
	folded bool
}

type name struct {
	text  string
	clean bool
}

// NamesDelta is what one flush adds to a shard's names.
type NamesDelta struct {
	Added  []AddedName // ids ascending, without gaps
	Folded bool        // some name has been folded so far
}

// AddedName is a name with its id.
type AddedName struct {
	ID    NameID
	Text  string
	Clean bool // everything of this name counts under its id
}

// NewNames holds "no name" and "other".
func NewNames() *Names {
	return &Names{
		index: map[string]NameID{"": NoName, messages.OtherName: OtherName},
		list:  []name{{"", true}, {messages.OtherName, true}},
	}
}

// Clone is a copy that Intern and Apply do not change.
func (n *Names) Clone() *Names {
	return &Names{index: maps.Clone(n.index), list: slices.Clone(n.list), folded: n.folded}
}

// Intern is the id of text, a new one while fewer than bound names have one.
// added tells that it is new.
func (n *Names) Intern(text []byte, bound int) (id NameID, added bool) {
	if id, ok := n.index[string(text)]; ok {
		return id, false
	}
	if n.Len() >= bound {
		n.folded = true
		return OtherName, false
	}
	id = NameID(len(n.list))
	s := string(text)
	n.index[s] = id
	n.list = append(n.list, name{s, !n.folded})
	return id, true
}

// Added is the entry of an id as a delta carries it.
func (n *Names) Added(id NameID) AddedName {
	return AddedName{ID: id, Text: n.list[id].text, Clean: n.list[id].clean}
}

// Apply takes over what a delta adds.
func (n *Names) Apply(d *NamesDelta) {
	for _, a := range d.Added {
		if a.ID != NameID(len(n.list)) {
			panic("window: names out of order")
		}
		n.index[a.Text] = a.ID
		n.list = append(n.list, name{a.Text, a.Clean})
	}
	n.folded = n.folded || d.Folded
}

// Len is the number of names without "no name" and "other".
func (n *Names) Len() int { return len(n.list) - int(firstName) }

// Folded tells whether some name counts in "other" because of the bound.
func (n *Names) Folded() bool { return n.folded }

// Text is the name of an id.
func (n *Names) Text(id NameID) string { return n.list[id].text }

// Find looks a name up. known: it has an id of its own. whole: everything of
// this name is under that id (or, unknown, does not exist); otherwise a part
// of "other" may be of this name.
func (n *Names) Find(text string) (id NameID, known, whole bool) {
	id, known = n.index[text]
	if !known {
		return OtherName, false, !n.folded
	}
	return id, true, n.list[id].clean
}

// Each calls f for every name with an id of its own, ids ascending.
func (n *Names) Each(f func(id NameID, text string)) {
	for i := firstName; i < NameID(len(n.list)); i++ {
		f(i, n.list[i].text)
	}
}
