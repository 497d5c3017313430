package actors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/crestdb/crest/actors/seen"
)

// Sealers bounds how many partitions of a node make runs of ids at a time, and
// has the room that this takes: about 2.5 MiB each.
type Sealers struct{ free chan *seen.Workspace }

// NewSealers lets n partitions make runs at a time.
func NewSealers(n int) *Sealers {
	s := &Sealers{make(chan *seen.Workspace, n)}
	for range n {
		s.free <- new(seen.Workspace)
	}
	return s
}

// sealing is a run in the making: of a full set, if there is one, and of the
// last runs of its generation. Before it, files that nobody needs any more are
// removed; there may be nothing else to do, and no generation then. All fields
// but made and err are set before its goroutine starts; those may be read once
// done is closed.
type sealing struct {
	unneeded   []*runFile
	generation *generation
	set        numbered // Set is nil if it merges only
	runs       []*run   // held
	stop, done chan struct{}
	made       *run
	err        error
}

var errStopped = errors.New("stopped")

// equals are merged when there are this many beside the one that comes: so each
// id is written about as often as its generation has ids in powers of 4, in
// full sets, and there are at most 3 runs for each such power.
const equals = 3

// seal starts making the next run, if one is to be made and none is under way:
// first of what is in memory, then of the runs of an ended generation, which
// become one. All partitions end a generation together: so the short work, which
// gives memory back, comes before the long.
func (d *dedup) seal() {
	if d.sealing != nil || d.err != nil {
		return
	}
	for _, g := range d.generations {
		if len(g.full) > 0 {
			d.start(g, g.full[0], equalRuns(g.runs, g.full[0].Len()))
			return
		}
	}
	for _, g := range d.generations {
		if ended := g.open == nil; ended && len(g.runs) > 1 {
			d.start(g, numbered{}, len(g.runs))
			return
		}
	}
	if len(d.unneeded) > 0 {
		d.start(nil, numbered{}, 0)
	}
}

// equalRuns is how many of the last runs go into one with n more ids.
func equalRuns(runs []*run, n int) int {
	total, taken := uint64(n), 0
	for left := len(runs); left >= equals; left -= equals {
		sum := uint64(0)
		for _, r := range runs[left-equals : left] {
			if 2*r.Count > 3*total {
				return taken
			}
			sum += r.Count
		}
		total, taken = total+sum, taken+equals
	}
	return taken
}

// start has a run made of a set and the n last runs of a generation, if there
// is one, and files removed.
func (d *dedup) start(g *generation, set numbered, n int) {
	s := &sealing{unneeded: d.unneeded, generation: g, set: set, stop: make(chan struct{}), done: make(chan struct{})}
	d.unneeded, d.sealing = nil, s
	if g != nil {
		for _, r := range g.runs[len(g.runs)-n:] {
			s.runs = append(s.runs, r.hold())
		}
	}
	go func() {
		defer close(s.done)
		if s.err = removeAll(s.unneeded); s.err != nil || g == nil {
			return
		}
		select {
		case <-s.stop:
			s.err = errStopped
		case room := <-d.sealers.free:
			s.made, s.err = s.make(room, d.store)
			d.sealers.free <- room
		}
	}()
}

// removeAll removes files and lets go of them.
func removeAll(files []*runFile) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.remove())
		f.release()
	}
	return err
}

// make is the goroutine's work.
func (s *sealing) make(room *seen.Workspace, store RunStore) (*run, error) {
	var h seen.Header
	var sources []seen.Source
	if len(s.runs) > 0 {
		h = s.runs[0].Header
		sources = append(sources, seen.Source{Run: s.runs[0].Run, In: s.runs[0].in})
		for _, r := range s.runs[1:] {
			h = h.Join(r.Header)
			sources = append(sources, seen.Source{Run: r.Run, In: r.in})
		}
	}
	if s.set.Set != nil {
		ids := s.set.IDs()
		of := seen.HeaderOf(s.set.first, ids)
		if len(s.runs) > 0 {
			of = h.Join(of)
		}
		h = of
		sources = append(sources, seen.Source{IDs: ids})
	}
	halt := func() error {
		select {
		case <-s.stop:
			return errStopped
		default:
			return nil
		}
	}
	if store == nil {
		return makeResident(room, h, sources, halt)
	}
	var made *seen.Run
	err := store.Create(h.Name(), func(w io.Writer) (err error) {
		made, err = room.Make(h, sources, w, halt)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make run of ids %s: %w", h.Name(), err)
	}
	file, err := openFile(store, h.Name())
	if err != nil {
		return nil, fmt.Errorf("open run of ids %s: %w", h.Name(), err)
	}
	return &run{made, file}, nil
}

func makeResident(room *seen.Workspace, h seen.Header, sources []seen.Source, halt func() error) (*run, error) {
	data := bytes.NewBuffer(make([]byte, 0, h.Size()))
	made, err := room.Make(h, sources, data, halt)
	if err != nil {
		return nil, fmt.Errorf("make run of ids %s: %w", h.Name(), err)
	}
	return &run{made, residentFile(h.Name(), data.Bytes())}, nil
}

// sealResident makes a run of an ended generation's few ids at once.
func (d *dedup) sealResident(g *generation) {
	ids := g.full[0].IDs()
	h := seen.HeaderOf(g.full[0].first, ids)
	made, err := makeResident(new(seen.Workspace), h, []seen.Source{{IDs: ids}}, func() error { return nil })
	if err != nil {
		panic(err) // nothing but memory was written to
	}
	g.runs, g.full = append(g.runs, made), nil
}

// poll takes the run under way if it is there.
func (d *dedup) poll() error {
	if d.sealing != nil {
		select {
		case <-d.sealing.done:
			d.take()
		default:
		}
	}
	return d.err
}

// take puts the run that is there where its ids were, and starts the next.
func (d *dedup) take() {
	s := d.sealing
	d.sealing = nil
	for _, r := range s.runs {
		r.release()
	}
	if s.err != nil {
		d.fail(s.err)
		return
	}
	switch g := s.generation; {
	case g == nil:
	case g.gone:
		d.drop(s.made)
	default:
		kept := len(g.runs) - len(s.runs)
		for _, r := range g.runs[kept:] {
			d.drop(r)
		}
		g.runs = append(g.runs[:kept:kept], s.made)
		if s.set.Set != nil {
			g.full = slices.Delete(g.full, 0, 1) // which lets go of the set
		}
		d.arrange()
	}
	d.seal()
}

// fail notes an error of a run, if it is the first one.
func (d *dedup) fail(err error) {
	if d.err != nil {
		return
	}
	if errors.Is(err, seen.ErrDamaged) && d.store != nil {
		err = fmt.Errorf("%w; remove that file and start the node again: it is made anew from the snapshot and the log", err)
	}
	d.err = err
}

// close ends the goroutine, waits for it, and closes the files. They stay: a
// table that is loaded from a snapshot that names them reads them again.
func (d *dedup) close() {
	if s := d.sealing; s != nil {
		close(s.stop)
		<-s.done
		d.sealing = nil
		for _, r := range s.runs {
			r.release()
		}
		if s.made != nil {
			s.made.release()
		}
	}
	for _, f := range d.unneeded {
		f.release()
	}
	d.unneeded = nil
	for _, g := range d.generations {
		for _, r := range g.runs {
			r.release()
		}
		g.runs = nil
	}
	if d.err == nil {
		d.err = errStopped
	}
}

// bytes is what the run in the making takes, beside its sources.
func (s *sealing) bytes(resident bool) int64 {
	switch {
	case s.generation == nil:
		return 0
	case s.set.Set == nil:
		return makingBytes(s.runs, 0, resident)
	}
	return makingBytes(s.runs, s.set.Len(), resident)
}

// makingBytes is what a run of the runs' ids and n more takes.
func makingBytes(runs []*run, n int, resident bool) int64 {
	total := uint64(n)
	for _, r := range runs {
		total += r.Count
	}
	b := runBytes + seen.IndexBytes(total)
	if resident {
		b += seen.Header{Count: total}.Size()
	}
	return b
}
