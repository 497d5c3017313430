package actors

import (
	"bytes"
	"slices"
	"unsafe"

	"github.com/crestdb/crest/messages"
)

// writerMemory is how long a writer is remembered behind its last block, in log
// time. It gives a block up long before (it is sent again for minutes), and a
// new start of it is another writer.
const writerMemory = messages.Day

// writers are those whose blocks are numbered (messages.Sent) in one partition:
// a block that was sent again is told from a new one by its number. What is
// known of a writer, and when it is forgotten, is a pure function of the log.
// The zero value knows none.
type writers struct {
	last  map[messages.WriterID]lastSent
	swept messages.Micros // the arrival at which forgotten ones were last given back
}

// lastSent is the largest number of a writer, and the arrival at its last block.
type lastSent struct {
	sequence uint64
	arrival  messages.Micros
}

// forgotten tells whether a block at this arrival meets the entry no more.
func (l *lastSent) forgotten(arrival messages.Micros) bool { return l.arrival+writerMemory <= arrival }

// repeated tells whether the block was there before, and remembers it. arrival
// is the largest so far.
func (w *writers) repeated(s *messages.Sent, arrival messages.Micros) bool {
	if s.Sequence == 0 {
		return false // its writer sends nothing twice
	}
	l, known := w.last[s.Writer]
	if !known {
		w.makeRoom(arrival)
	}
	if known = known && !l.forgotten(arrival); !known {
		l.sequence = 0
	}
	repeated := s.Sequence <= l.sequence
	w.last[s.Writer] = lastSent{max(l.sequence, s.Sequence), arrival}
	return repeated
}

// makeRoom gives forgotten writers back before one comes, now and then.
func (w *writers) makeRoom(arrival messages.Micros) {
	if w.last == nil {
		w.last = make(map[messages.WriterID]lastSent)
	}
	if arrival < w.swept+messages.Hour {
		return
	}
	w.swept = arrival
	for id, l := range w.last {
		if l.forgotten(arrival) {
			delete(w.last, id)
		}
	}
}

// writer is one as filed.
type writer struct {
	id messages.WriterID
	lastSent
}

// records are those that are remembered at this arrival, by id. They are few: a
// start of a gateway each.
func (w *writers) records(arrival messages.Micros) []writer {
	var all []writer
	for id, l := range w.last {
		if !l.forgotten(arrival) {
			all = append(all, writer{id, l})
		}
	}
	slices.SortFunc(all, func(a, b writer) int { return bytes.Compare(a.id[:], b.id[:]) })
	return all
}

// bytes is about what the table takes.
func (w *writers) bytes() int64 {
	return int64(len(w.last)) * (8 + 8*int64(unsafe.Sizeof(writer{}))) * 2 / 7
}
