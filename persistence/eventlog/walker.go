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
}

// next is the frame at w.at, whose slices are valid until the next call. It is
// io.EOF at the limit, one of corrupt.go's errors if no valid frame is there,
// or a read error. w.at moves only past valid frames.
func (w *walker) next() (frame, error) {
	room := w.limit - w.at
	if room == 0 {
		return frame{}, io.EOF
	}
	if room < frameFixed {
		return frame{}, errPastEnd
	}
	if err := w.hold(frameFixed); err != nil {
		return frame{}, err
	}
	n, err := frameLength(w.held, room)
	if err != nil {
		return frame{}, err
	}
	if err := w.hold(n); err != nil {
		return frame{}, err
	}
	f, err := parseFrame(w.held[:n], w.seed, w.partitions)
	if err != nil {
		return frame{}, err
	}
	w.held, w.at = w.held[n:], w.at+int64(n)
	return f, nil
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
		if errors.Is(err, errShort) {
			err = errPastEnd
		}
		return err
	}
	w.held = buf
	return nil
}

// damaged tells errors that the bytes are at fault for from read errors.
func damaged(err error) bool {
	for _, e := range []error{errLength, errPastEnd, errChecksum, errShape, errGap} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
