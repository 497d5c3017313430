package window

// saveRows writes the pages, row by row as they are stored.
func (f *Frozen) saveRows(w *blockWriter) {
	w.uvarint(uint64(f.rowCount))
	w.end()
	for i := range f.pages[1:] {
		savePage(w, &f.pages[1+i])
		w.end()
	}
}

func savePage(w *blockWriter, p *page) {
	n := len(p.rows)
	if n == 0 {
		w.uvarint(0)
		return
	}
	// noFamily is not among pages with rows, ghostFamily is.
	kind := uint64(0)
	if p.family != ghostFamily {
		kind = 1 + uint64(p.family)
	}
	w.uvarint(1 + (kind<<1 | bit(p.scattered != nil)))
	w.byte(uint8(n - 1))
	if p.scattered != nil {
		w.b = append(w.b, p.scattered.places...)
	}
	if p.oldest == maxMoment {
		w.byte(0)
	} else {
		w.byte(1)
		w.varint(int64(p.oldest))
	}
	var topic, since int64
	for i := range p.rows {
		r := &p.rows[i]
		key := int64(r.topic)
		if p.family == ghostFamily {
			key = int64(r.link)
		}
		w.varint(key - topic)
		w.varint(int64(p.since[i]) - since)
		topic, since = key, int64(p.since[i])
		saveTotals(w, &r.totals)
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// onlyOnes says that all the numbers that follow are 1, and left out.
const onlyOnes = 1 << 7

// saveTotals writes what lies between one window and the next longer one, in the
// longest first: most of it is 0.
func saveTotals(w *blockWriter, t *totals) {
	var parts [windows]uint64
	before := uint64(0)
	for i := range allWindow {
		out := t.out[allWindow-1-i]
		parts[i] = out - before
		before = out
	}
	parts[allWindow] = t.all - before
	mask, ones := byte(0), true
	for i, n := range parts {
		if n != 0 {
			mask |= 1 << i
			ones = ones && n == 1
		}
	}
	if ones {
		w.byte(mask | onlyOnes)
		return
	}
	w.byte(mask)
	for _, n := range parts {
		if n != 0 {
			w.uvarint(n)
		}
	}
}
