package eventlog

import (
	"errors"
	"io"

	"github.com/crestdb/crest/persistence"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// walkBytes is how much a walker reads at once.
const walkBytes = 1 << 20

// walker reads frames one after the other.
type walker struct {
	f          persistence.File
	seed       uint32
	partitions int
	at         int64 // file position of the next frame
	limit      int64 // frames end here at the latest
	buf        []byte
	held       []byte // part of buf that holds the bytes from at on
	frame      frame  // the last one
}

// next is the frame at w.at; it is valid until the next call. The error is
// io.EOF at the limit, one of corrupt.go's if no valid frame is there, or a
// read error. w.at moves only past valid frames.
func (w *walker) next() (*frame, error) {
	room := w.limit - w.at
	if room == 0 {
		return nil, io.EOF
	}
	if room < frameFixed {
		return nil, errPastEnd
	}
	if err := w.hold(frameFixed); err != nil {
		return nil, err
	}
	n, err := frameLength(w.held, room)
	if err != nil {
		return nil, err
	}
	if err := w.hold(n); err != nil {
		return nil, err
	}
	if err := w.frame.parse(w.held[:n], w.seed, w.partitions); err != nil {
		return nil, err
	}
	w.held, w.at = w.held[n:], w.at+int64(n)
	return &w.frame, nil
}

// hold sees to it that n bytes from w.at on are held.
func (w *walker) hold(n int) error {
	if len(w.held) >= n {
		return nil
	}
	want := int(min(w.limit-w.at, int64(max(n, walkBytes))))
	buf := w.buf
	if cap(buf) < want {
		buf = make([]byte, want)
		w.buf = buf
	}
	buf = buf[:want]
	kept := copy(buf, w.held)
	if err := readFull(w.f, buf[kept:], w.at+int64(kept)); err != nil {
		if err == errShort {
			return errEnds
		}
		return err
	}
	w.held = buf
	return nil
}

// damaged tells errors that the bytes are at fault for, which are never
// wrapped, from read errors.
func damaged(err error) bool {
	switch err {
	case errLength, errPastEnd, errEnds, errChecksum, errShape, errGap:
		return true
	}
	return false
}
