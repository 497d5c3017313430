package actors

import "github.com/crestdb/crest/actors/window"

// names are the categories or regions of one partition. In front of the map
// stand the ids last found, by a cheap hash of their text: events have one of a
// few hundred names, and two look-ups in a map were a tenth of what an ingest
// actor does for an event.
type names struct {
	*window.Names
	recent [recentNames]window.NameID
}

const recentNames = 512

// intern is the id of text. A new one is added to d.
func (n *names) intern(text []byte, bound int, d *window.NamesDelta) window.NameID {
	if len(text) == 0 {
		return window.NoName
	}
	slot := &n.recent[nameSlot(text)]
	// Ids never change their text. "Other" is not kept: it stands for names that
	// have no id yet.
	if n.Text(*slot) == string(text) {
		return *slot
	}
	id, added := n.Intern(text, bound)
	if added {
		d.Added = append(d.Added, n.Added(id))
	}
	if id != window.OtherName {
		*slot = id
	}
	return id
}

// nameSlot spreads texts that differ in their last characters, as numbered ones
// do.
func nameSlot(text []byte) uint32 {
	h := uint32(len(text))
	for _, c := range text[max(0, len(text)-8):] {
		h = h*31 + uint32(c)
	}
	return h % recentNames
}
