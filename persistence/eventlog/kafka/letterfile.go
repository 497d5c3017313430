package kafka

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"unicode/utf8"
)

// letterFile is a file of dead letters, a line of JSON each. It is made when the
// first one comes.
type letterFile struct {
	name  string
	topic string // where they came from

	mu   sync.Mutex
	file *os.File
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

// append writes letters and returns when they are on the disk.
func (f *letterFile) append(batch []letter) error {
	var lines []byte
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
			return err
		}
		lines = append(append(lines, b...), '\n')
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		f.file = file
	}
	if _, err := f.file.Write(lines); err != nil {
		return err
	}
	return f.file.Sync()
}

// close closes the file. A nil letterFile has none.
func (f *letterFile) close() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close the dead letters: %w", err)
	}
	return nil
}
