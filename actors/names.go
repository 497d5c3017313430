package actors

import "github.com/crestdb/crest/actors/window"

// names are the categories or regions of one partition. In front of the map
// stand those last found, by a cheap hash of their text and with the text beside
// the id: events have one of a few hundred names, and looking up two in a map
// was a tenth of what an ingest actor does for an event.
type names struct {
	*window.Names
	recent [256]recentName
}

// recentName is a name as it was found. Ids never change their text.
type recentName struct {
	id   window.NameID
	size uint8
	text [recentText]byte
}

// recentText is how long a name may be to be kept beside its id.
const recentText = 27

// intern is the id of text. A new one is added to d.
func (n *names) intern(text []byte, bound int, d *window.NamesDelta) window.NameID {
	if len(text) == 0 {
		return window.NoName
	}
	slot := &n.recent[nameSlot(text)]
	if string(slot.text[:slot.size]) == string(text) {
		return slot.id
	}
	id, added := n.Intern(text, bound)
	if added {
		d.Added = append(d.Added, n.Added(id))
	}
	// "Other" is not kept: it stands for names that have no id yet.
	if id != window.OtherName && len(text) <= recentText {
		slot.id, slot.size = id, uint8(len(text))
		copy(slot.text[:], text)
	}
	return id
}

// nameSlot spreads texts by their length and their last characters, in which
// codes and numbered names differ.
func nameSlot(text []byte) uint8 {
	h := uint32(len(text))
	for _, c := range text[max(0, len(text)-4):] {
		h = h*31 + uint32(c)
	}
	return uint8(h ^ h>>8)
}
