package window_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/window"
)

// kept is a snapshot in memory: the parts, and those of the ones before that they
// share with.
type kept struct {
	names []string
	parts map[string][]byte
	older map[string][]byte
}

func (k *kept) Part(name string, write func(io.Writer) error) error {
	if _, twice := k.parts[name]; twice {
		return fmt.Errorf("part %s is written twice", name)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if k.parts == nil {
		k.parts = make(map[string][]byte)
	}
	k.names, k.parts[name] = append(k.names, name), b.Bytes()
	return nil
}

// Shared writes what an older snapshot has all the same, and compares.
func (k *kept) Shared(name string, write func(io.Writer) error) error {
	if err := k.Part(name, write); err != nil {
		return err
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(name, "list-"), "-")
	if b, ok := k.older[version]; ok && !bytes.Equal(b, k.parts[name]) {
		return fmt.Errorf("list %s has had other bytes", version)
	}
	if k.older != nil {
		k.older[version] = k.parts[name]
	}
	return nil
}

func (k *kept) bytes() (n int) {
	for _, b := range k.parts {
		n += len(b)
	}
	return n
}

// reading reads what was kept.
type reading struct{ *kept }

func (r reading) Names() []string { return r.names }

func (r reading) Part(name string, read func(io.Reader) error) error {
	b, ok := r.parts[name]
	if !ok {
		return fmt.Errorf("there is no part %s", name)
	}
	return read(bytes.NewReader(b))
}

// different says which parts of two snapshots are not the same.
func (k *kept) different(o *kept) string {
	for _, name := range k.names {
		if a, b := k.parts[name], o.parts[name]; !bytes.Equal(a, b) {
			i := 0
			for i < len(a) && i < len(b) && a[i] == b[i] {
				i++
			}
			return fmt.Sprintf("part %s: %d bytes, not %d, and other ones from %d on", name, len(b), len(a), i)
		}
	}
	if len(k.names) != len(o.names) {
		return fmt.Sprintf("parts %v, not %v", o.names, k.names)
	}
	return ""
}

func save(t *testing.T, f *window.Frozen, older map[string][]byte) *kept {
	t.Helper()
	k := &kept{older: older}
	if err := f.Save(k); err != nil {
		t.Fatal(err)
	}
	return k
}

func restored(t *testing.T, cfg window.Config, k *kept) *window.Table {
	t.Helper()
	table, err := window.Load(cfg, reading{k})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// life is what happens to a table, so that it can happen to another one.
type life struct {
	cfg   window.Config
	table *window.Table
	done  []func(*window.Table)
	older map[string][]byte // lists by version
	// While it is frozen: the state, and what was saved of it at once.
	frozen *window.Frozen
	saved  *kept
	froze  int
}

func newLife(cfg window.Config) *life {
	return &life{cfg: cfg, table: window.New(cfg), older: make(map[string][]byte)}
}

func (l *life) do(what func(*window.Table)) {
	l.done = append(l.done, what)
	what(l.table)
}

func (l *life) apply(d *window.Delta) {
	d = &window.Delta{
		Rows: slices.Clone(d.Rows), Topics: slices.Clone(d.Topics), Clock: d.Clock,
		Categories: window.NamesDelta{Added: slices.Clone(d.Categories.Added), Folded: d.Categories.Folded},
		Regions:    window.NamesDelta{Added: slices.Clone(d.Regions.Added), Folded: d.Regions.Folded},
	}
	l.do(func(t *window.Table) { t.Apply(d) })
}

// again is another table with the same life.
func (l *life) again() *window.Table {
	t := window.New(l.cfg)
	for _, what := range l.done {
		what(t)
	}
	return t
}

// freeze freezes the table. What is saved must be what is saved of a table that has
// had the same life without ever being frozen, and what is saved of one that is
// loaded from it.
func (l *life) freeze(t *testing.T, compare bool) (twin *window.Table) {
	t.Helper()
	l.frozen = l.table.Freeze()
	l.froze++
	l.saved = save(t, l.frozen, l.older)
	if compare {
		twin = l.again()
		f := twin.Freeze()
		if d := l.saved.different(save(t, f, nil)); d != "" {
			t.Errorf("a table that was never frozen: %s", d)
		}
		f.Release()
	}
	f := restored(t, l.cfg, l.saved).Freeze()
	if d := l.saved.different(save(t, f, nil)); d != "" {
		t.Errorf("loaded and saved again: %s", d)
	}
	return twin
}

// check saves what is frozen once more.
func (l *life) check(t *testing.T) {
	t.Helper()
	if d := l.saved.different(save(t, l.frozen, nil)); d != "" {
		t.Errorf("what is frozen has changed: %s", d)
	}
}

func (l *life) release(t *testing.T) {
	t.Helper()
	l.check(t)
	l.frozen.Release()
	l.frozen = nil
}
