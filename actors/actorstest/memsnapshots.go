package actorstest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/crestdb/crest/messages"
)

// MemSnapshots keeps snapshots in memory, all of them.
type MemSnapshots struct {
	mu    sync.Mutex
	saved map[messages.Partition][]*memSnapshot
	// Before is called before a snapshot is stored; its error fails the save.
	Before func(messages.SnapshotInfo) error
}

type memSnapshot struct {
	info  messages.SnapshotInfo
	names []string
	parts map[string][]byte
}

// Save implements actors.Snapshots.
func (m *MemSnapshots) Save(_ context.Context, info messages.SnapshotInfo, write func(messages.PartWriter) error) error {
	m.mu.Lock()
	var before *memSnapshot
	if all := m.saved[info.Partition]; len(all) > 0 {
		before = all[len(all)-1]
	}
	m.mu.Unlock()
	w := &memWriter{memSnapshot{info: info, parts: make(map[string][]byte)}, before}
	if err := write(w); err != nil {
		return err
	}
	if m.Before != nil {
		if err := m.Before(info); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.saved == nil {
		m.saved = make(map[messages.Partition][]*memSnapshot)
	}
	m.saved[info.Partition] = append(m.saved[info.Partition], &w.memSnapshot)
	return nil
}

// Load implements actors.Snapshots.
func (m *MemSnapshots) Load(_ context.Context, p messages.Partition, read func(*messages.SnapshotInfo, messages.PartReader) error) (bool, error) {
	m.mu.Lock()
	all := slices.Clone(m.saved[p])
	m.mu.Unlock()
	var err error
	for _, s := range slices.Backward(all) {
		if err = read(&s.info, s); err == nil {
			return true, nil
		}
	}
	return len(all) > 0, err
}

// MoveOn implements actors.Snapshots.
func (m *MemSnapshots) MoveOn(_ context.Context, p messages.Partition, below messages.Offset) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.saved[p]
	for len(all) > 1 && all[0].info.Offset < below {
		all = all[1:]
	}
	m.saved[p] = all
	return nil
}

// Offsets are those of a partition's snapshots, as saved.
func (m *MemSnapshots) Offsets(p messages.Partition) (offsets []messages.Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.saved[p] {
		offsets = append(offsets, s.info.Offset)
	}
	return offsets
}

// Keep leaves a partition's first n snapshots.
func (m *MemSnapshots) Keep(p messages.Partition, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved[p] = m.saved[p][:n]
}

// Exchange puts the part of one snapshot of a partition into another one.
func (m *MemSnapshots) Exchange(p messages.Partition, from, to int, part string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := *m.saved[p][to]
	s.parts = maps.Clone(s.parts)
	s.parts[part] = m.saved[p][from].parts[part]
	m.saved[p][to] = &s
}

type memWriter struct {
	memSnapshot
	before *memSnapshot
}

func (w *memWriter) Part(name string, write func(io.Writer) error) error {
	if _, ok := w.parts[name]; ok {
		return fmt.Errorf("part %s is written twice", name)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	w.names, w.parts[name] = append(w.names, name), b.Bytes()
	return nil
}

// Shared also writes what it shares, and compares: a part that is not what it
// was under its name is an error.
func (w *memWriter) Shared(name string, write func(io.Writer) error) error {
	if err := w.Part(name, write); err != nil || w.before == nil {
		return err
	}
	if was, ok := w.before.parts[name]; ok && !bytes.Equal(was, w.parts[name]) {
		return fmt.Errorf("shared part %s has changed", name)
	}
	return nil
}

func (s *memSnapshot) Names() []string { return s.names }

func (s *memSnapshot) Part(name string, read func(io.Reader) error) error {
	b, ok := s.parts[name]
	if !ok {
		return fmt.Errorf("there is no part %s", name)
	}
	return read(bytes.NewReader(b))
}
