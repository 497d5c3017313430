package window

// resolved is what a row of a delta is counted under, as far as it was found
// at the first look; 0 where it was not.
type resolved struct {
	topic    uint32 // id + 1
	plain    rowID  // T row
	inRegion rowID  // TR row
	family   uint32 // of the TR row to be made, where there is none: index + 1
	// unknown: there was no such topic, nor another with the same tag; alone: no
	// such TR row.
	unknown, alone bool
}

// resolveRows is how many rows are looked up together.
const resolveRows = 64

// resolve finds topics and plain rows of up to resolveRows rows. One after the
// other they would wait for main memory five times each; in stages, first all
// index slots, then all topics, and so on, the waits overlap. What is new, or
// stands behind another with the same tag, is left to the caller.
func (t *Table) resolve(d *Delta, rows []DeltaRow, out *[resolveRows]resolved) {
	for i := range rows {
		topic := t.topics.index.peek(rows[i].Hash)
		out[i] = resolved{topic: topic, unknown: topic == 0}
	}
	var names [resolveRows][]byte
	for i := range rows {
		if r := &out[i]; r.topic != 0 {
			topic := t.topics.at(r.topic - 1)
			if topic.hash != rows[i].Hash || topic.size != rows[i].TopicLen {
				r.topic = 0
				continue
			}
			r.plain = topic.row
			names[i] = t.topics.nameOf(topic)
		}
	}
	for i := range rows {
		r := &out[i]
		if r.topic != 0 && string(names[i]) != string(d.Topic(&rows[i])) {
			r.topic = 0
		}
		if r.topic != 0 && rows[i].Region != NoName {
			r.inRegion = t.rows.index.peek(rowHash(rows[i].Hash, false, NoName, rows[i].Region))
			if r.alone = r.inRegion == 0; r.alone {
				key := familyKey{category: rows[i].Category, region: rows[i].Region}
				r.family = t.rows.byKey[t.rows.byKey.find(&key, t.rows.families)]
			}
		}
	}
	var waited uint64
	for i := range rows {
		if r := &out[i]; r.topic != 0 {
			waited += t.rows.at(r.plain).all
			if r.inRegion == 0 {
				if r.family != 0 {
					waited += t.rows.filled(t.rows.families[r.family-1])
				}
				continue
			}
			if r.inRegion--; !t.rows.isPlain(r.inRegion, r.topic-1, rows[i].Region) {
				r.inRegion = 0
				continue
			}
			waited += t.rows.familyOf(r.inRegion).all
		}
	}
	t.scratch.waited = waited // or the compiler leaves the reading of totals out
}

// peek is the first id that may be a hash's, plus 1; 0: there is none.
func (x *index) peek(hash uint64) uint32 {
	p := x.probe(hash)
	id, ok := p.next()
	if !ok {
		return 0
	}
	return id + 1
}
