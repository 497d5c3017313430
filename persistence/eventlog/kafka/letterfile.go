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

// letterLine is a line of it. Value and ValueBase64 are alternatives: a value
// that is text is written as it is.
type letterLine struct {
	Topic       string `json:"topic"`
	Partition   uint32 `json:"partition"`
	Offset      int64  `json:"offset"`
	Index       int    `json:"index"`
	Events      int    `json:"events,omitempty"` // that it stands for, if more than one
	Reason      string `json:"reason"`
	ValueIn     *int   `json:"value_in,omitempty"` // index of the line with the record's key and value, if not this one
	Key         string `json:"key,omitempty"`
	Value       string `json:"value,omitempty"`
	ValueBase64 []byte `json:"value_base64,omitempty"`
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
		switch r := at.record; {
		case r == nil:
			line.ValueIn = &at.first
		case utf8.Valid(r.value):
			line.Key, line.Value = string(r.key), string(r.value)
		default:
			line.Key, line.ValueBase64 = string(r.key), r.value
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
