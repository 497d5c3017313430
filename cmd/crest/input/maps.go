package input

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maps reads msgpack: a stream of maps, or of arrays of maps. It takes values
// apart only as far as it must to find their ends; depth costs it nothing.
type maps struct {
	r      *bufio.Reader
	number int64  // of the last value
	left   int64  // values to come of the array that is open
	buf    []byte // the value being read
}

func newMaps(r *bufio.Reader) *maps { return &maps{r: r} }

func (m *maps) next() (Event, error) {
	for m.left == 0 {
		code, err := m.r.Peek(1)
		if err != nil {
			return Event{}, err // io.EOF: a value could begin here, so the end is a clean one
		}
		if !isArray(code[0]) {
			m.left = 1
			break
		}
		m.buf = m.buf[:0]
		head, err := m.head()
		if err != nil {
			return Event{}, m.at(err)
		}
		m.left = head.values
	}
	tooLong, err := m.value()
	if err != nil {
		return Event{}, m.at(err)
	}
	m.left--
	m.number++
	if tooLong {
		return Event{Line: m.number, Reason: fmt.Sprintf("the event is longer than %d MiB", maxEvent>>20)}, nil
	}
	return Event{Data: m.buf, Line: m.number}, nil
}

// at says behind which event reading ended. An end inside a value is never a
// clean one.
func (m *maps) at(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("behind event %d: %w", m.number, err)
}

func isArray(code byte) bool { return code>>4 == 0x9 || code == 0xdc || code == 0xdd }

// value reads one whole value into buf. It reads, but does not keep, one that
// is too long.
func (m *maps) value() (tooLong bool, err error) {
	m.buf = m.buf[:0]
	for left := int64(1); left > 0; left-- {
		if tooLong {
			m.buf = m.buf[:0]
		}
		head, err := m.head()
		if err != nil {
			return false, err
		}
		left += head.values
		if tooLong = tooLong || int64(len(m.buf))+head.bytes > maxEvent; tooLong {
			_, err = io.CopyN(io.Discard, m.r, head.bytes)
		} else {
			err = m.take(int(head.bytes))
		}
		if err != nil {
			return false, err
		}
	}
	return tooLong, nil
}

// head is what follows the first bytes of a value: payload, or further values.
type head struct{ bytes, values int64 }

// head reads a value's type and length into buf.
func (m *maps) head() (head, error) {
	if err := m.take(1); err != nil {
		return head{}, err
	}
	code := m.buf[len(m.buf)-1]
	s, ok := shapeOf(code)
	if !ok {
		return head{}, fmt.Errorf("byte 0x%02x begins no msgpack value", code)
	}
	if err := m.take(s.width); err != nil {
		return head{}, err
	}
	return s.head(m.buf[len(m.buf)-s.width:]), nil
}

// take appends the next n bytes to buf. It grows with what is really there,
// not with what a length promises.
func (m *maps) take(n int) error {
	for n > 0 {
		part, err := m.r.Peek(min(n, m.r.Size()))
		if len(part) == 0 {
			return err
		}
		m.buf = append(m.buf, part...)
		_, _ = m.r.Discard(len(part)) // peeked at: it is there
		n -= len(part)
	}
	return nil
}
