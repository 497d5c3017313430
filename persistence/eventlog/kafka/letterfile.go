package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// letterFile is a file of dead letters, a line of JSON each. It is made when the
// first one comes.
type letterFile struct {
	name     string
	topic    string        // where they came from
	patience time.Duration // filePatience

	began   atomic.Int64  // when the write under way began, in nanoseconds since 1970; 0: none is
	writing chan struct{} // cap 1: held by the write under way, which owns file
	file    *os.File
}

// filePatience is how long a write to the file may take before nobody waits for it
// any more: a disk that hangs must not hold partitions up, nor the end.
const filePatience = 5 * time.Second

var errFileHangs = errors.New("the disk does not answer")

func newLetterFile(name, topic string) *letterFile {
	return &letterFile{name: name, topic: topic, patience: filePatience, writing: make(chan struct{}, 1)}
}

// letterLine is a line of it. Key and KeyBase64 are alternatives, and so are Value
// and ValueBase64: what is text is written as it is.
type letterLine struct {
	Topic       string         `json:"topic"`
	Partition   uint32         `json:"partition"`
	Offset      int64          `json:"offset"`
	Index       int            `json:"index"`
	Events      int            `json:"events,omitempty"` // that it stands for, if more than one
	Reason      string         `json:"reason"`
	ValueIn     *int           `json:"value_in,omitempty"` // index of the line with the record's key, headers and value, if not this one
	Headers     []letterHeader `json:"headers,omitempty"`  // in their order; a key may be there twice
	Key         string         `json:"key,omitempty"`
	KeyBase64   []byte         `json:"key_base64,omitempty"`
	Value       string         `json:"value,omitempty"`
	ValueBase64 []byte         `json:"value_base64,omitempty"`
}

// letterHeader is a header of the record.
type letterHeader struct {
	Key         string `json:"key,omitempty"`
	KeyBase64   []byte `json:"key_base64,omitempty"`
	Value       string `json:"value,omitempty"`
	ValueBase64 []byte `json:"value_base64,omitempty"`
}

// hold puts in what the record holds.
func (l *letterLine) hold(r *record) {
	l.Key, l.KeyBase64 = textOr(r.key)
	l.Value, l.ValueBase64 = textOr(r.value)
	for i := range r.headers {
		var h letterHeader
		h.Key, h.KeyBase64 = textOr(r.headers[i].Key)
		h.Value, h.ValueBase64 = textOr(r.headers[i].Value)
		l.Headers = append(l.Headers, h)
	}
}

// textOr is b as text, or as bytes if it is none.
func textOr(b []byte) (text string, bytes []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return "", b
}

// append writes letters and returns when they are on the disk. errFileHangs: they
// may be written still, or not; while the disk hangs that is said at once.
func (f *letterFile) append(batch []letter) error {
	lines, err := f.lines(batch)
	if err != nil {
		return err
	}
	return f.do(func() error { return f.write(lines) })
}

// do calls what owns the file, one at a time, and waits no longer than patience for
// it or for the one before.
func (f *letterFile) do(what func() error) error {
	if began := f.began.Load(); began != 0 && time.Now().UnixNano()-began > int64(f.patience) {
		return errFileHangs
	}
	patience := time.NewTimer(f.patience)
	defer patience.Stop()
	select {
	case f.writing <- struct{}{}:
	case <-patience.C:
		return errFileHangs
	}
	f.began.Store(time.Now().UnixNano())
	done := make(chan error, 1)
	go func() { // which a disk that hangs keeps
		err := what()
		f.began.Store(0)
		<-f.writing
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return errFileHangs
	}
}

func (f *letterFile) lines(batch []letter) (lines []byte, err error) {
	for i := range batch {
		at := &batch[i]
		line := letterLine{Topic: f.topic, Partition: uint32(at.partition), Offset: at.offset, Index: at.index, Reason: at.reason}
		if at.events > 1 {
			line.Events = at.events
		}
		if at.record == nil {
			line.ValueIn = &at.first
		} else {
			line.hold(at.record)
		}
		b, err := json.Marshal(line)
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, b...), '\n')
	}
	return lines, nil
}

func (f *letterFile) write(lines []byte) error {
	if f.file == nil {
		file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		f.file = file
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if _, err = f.file.Write(lines); err == nil {
		err = f.file.Sync()
	}
	if err != nil && info.Mode().IsRegular() {
		// All of them are written again, and not behind half a line.
		err = errors.Join(err, f.file.Truncate(info.Size()))
	}
	return err
}

// close closes the file. A nil letterFile has none.
func (f *letterFile) close() error {
	if f == nil {
		return nil
	}
	err := f.do(func() error {
		if f.file == nil {
			return nil
		}
		file := f.file
		f.file = nil
		return file.Close()
	})
	if err != nil {
		return fmt.Errorf("close the dead letters: %w", err)
	}
	return nil
}
