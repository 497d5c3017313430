package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxEvent bounds one event, in bytes: what no server takes in one request
// need not be held in memory.
const maxEvent = 16 << 20

// byteOrderMark is what some programs put in front of a text.
var byteOrderMark = []byte("\xef\xbb\xbf")

// lines reads NDJSON.
type lines struct {
	r    *bufio.Reader
	line int64
	buf  []byte // of a line longer than the reader's buffer, or one without line feed
}

func newLines(r *bufio.Reader) *lines {
	skipByteOrderMark(r)
	return &lines{r: r}
}

func skipByteOrderMark(r *bufio.Reader) {
	if head, err := r.Peek(len(byteOrderMark)); err == nil && bytes.Equal(head, byteOrderMark) {
		_, _ = r.Discard(len(byteOrderMark)) // it was peeked at: it is there
	}
}

func (l *lines) next() (Event, error) {
	for {
		data, tooLong, err := l.readLine()
		if err != nil {
			return Event{}, err
		}
		l.line++
		switch {
		case tooLong:
			return Event{Line: l.line, Reason: fmt.Sprintf("the line is longer than %d MiB", maxEvent>>20)}, nil
		case len(bytes.Trim(data, " \t\r\n")) > 0:
			return Event{Data: data, Line: l.line}, nil
		}
	}
}

// readLine reads a line with its line feed, which it appends if the last line
// lacks one. It reads, but does not keep, a line that is too long.
func (l *lines) readLine() (line []byte, tooLong bool, err error) {
	line, err = l.r.ReadSlice('\n')
	if err == nil {
		return line, false, nil
	}
	l.buf = append(l.buf[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.r.ReadSlice('\n')
		if tooLong = tooLong || len(l.buf)+len(line) > maxEvent; !tooLong {
			l.buf = append(l.buf, line...)
		}
	}
	if errors.Is(err, io.EOF) && len(l.buf) > 0 {
		return append(l.buf, '\n'), tooLong, nil
	}
	return l.buf, tooLong, err
}
