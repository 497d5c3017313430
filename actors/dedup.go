package actors

import (
	"slices"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

// dedup remembers the event ids and Idempotency-Keys of one partition for the
// dedup window of log time. What it forgets, and when, is a pure function of
// the log: generations begin and end at arrivals, never at the wall clock.
//
// It never forgets early. When its share of memory is full, requests with ids
// are refused at the door (see Engine.Admit) until log time has moved on; what
// is in the log already is always remembered.
//
// The youngest ids are in memory, in the order in which they came. Full sets
// and ended generations are made into sorted runs (package seen) by a goroutine
// that dedup owns, one at a time; until a run is there its ids are looked up
// where they were. So when a run is made decides nothing but memory. An error
// is for good: no verdict is given without a run that cannot be read.
type dedup struct {
	window messages.Micros
	// generations of ids, oldest first; the last one takes new ids. An id is
	// remembered for at least the window and at most a generation more.
	generations []*generation
	ordinal     uint64 // how many ids were ever remembered: the next one's number
	keys        keyTable

	store   RunStore
	sealers *Sealers
	limits  dedupLimits
	sealing *sealing // under way, or nil
	err     error    // the first one
	// unneeded files are to be removed.
	unneeded []*runFile
	// What there is to be looked up, of all generations, youngest first.
	sets    []*seen.Set
	runs    []*run
	filters []seen.Filter // of runs
	block   [seen.BlockBytes]byte
	nothing uint64 // see seen.Touch
}

// generation holds the ids first seen at arrivals in [start, end): in runs,
// then in full sets, then in the open one, in the order of their numbers.
type generation struct {
	start, end messages.Micros
	runs       []*run
	full       []numbered // to be made into runs
	open       *seen.Set  // nil unless it takes new ids
	first      uint64     // the number of open's first id
	gone       bool       // forgotten
}

// numbered is a set that takes no more, and the number of its first id.
type numbered struct {
	*seen.Set
	first uint64
}

type eventID = seen.ID

// dedupLimits are how many ids go into a set, at most seen.MaxSet, and how many
// of an ended generation are too few to be worth a file: they stay in memory.
type dedupLimits struct{ set, resident int }

var defaultLimits = dedupLimits{set: seen.MaxSet, resident: 1 << 13}

const (
	// generationsPerWindow is how many generations one window spans.
	generationsPerWindow = 4
	// maxWaiting full sets wait for the goroutine, the one it has at hand
	// included; then whoever adds an id waits for it too.
	maxWaiting = 2
)

// newDedup is an empty table. Runs are kept in store, which must be the
// partition's own and empty, or in memory if it is nil.
func newDedup(window messages.Micros, store RunStore, sealers *Sealers) *dedup {
	if sealers == nil {
		sealers = NewSealers(1)
	}
	return &dedup{window: window, store: store, sealers: sealers, limits: defaultLimits}
}

// advance moves log time on to arrival: it opens the generation that arrival
// belongs to and forgets those that ended a window before it.
func (d *dedup) advance(arrival messages.Micros) error {
	if d.sealing != nil || d.err != nil {
		if err := d.poll(); err != nil {
			return err
		}
	}
	gone := 0
	for gone < len(d.generations) && d.generations[gone].end <= arrival-d.window {
		d.forget(d.generations[gone])
		gone++
	}
	if gone > 0 {
		d.generations = slices.Delete(d.generations, 0, gone)
		d.arrange()
		d.seal()
	}
	if n := len(d.generations); n == 0 || d.generations[n-1].end <= arrival {
		length := max(1, d.window/generationsPerWindow)
		start := arrival.Floor(length)
		if n > 0 {
			last := d.generations[n-1]
			start = max(start, last.end)
			d.end(last)
		}
		d.generations = append(d.generations, &generation{start: start, end: arrival.Floor(length) + length, open: new(seen.Set), first: d.ordinal})
		d.arrange()
		d.seal()
	}
	d.keys.drop(arrival, d.window)
	return d.err
}

// setWindow changes the window from arrival on.
func (d *dedup) setWindow(window, arrival messages.Micros) {
	if window == d.window {
		return
	}
	d.window = window
	// The open generation may be longer than the new window allows for: close
	// it here.
	if n := len(d.generations); n > 0 {
		last := d.generations[n-1]
		last.end = max(last.start+1, min(last.end, arrival+1))
	}
}

// seenID tells whether the id was there within the window, and remembers it.
// advance must have been called for the arrival. An error is one of a run, and
// names it; nothing is remembered then.
func (d *dedup) seenID(id eventID) (bool, error) {
	if d.err != nil {
		return false, d.err
	}
	// The filters first: their branches are foreseen, so that the waits for all
	// of them, and for the sets, overlap.
	p := seen.ProbeOf(id)
	for i := seen.Next(d.filters, &p, 0); i < len(d.filters); i = seen.Next(d.filters, &p, i+1) {
		switch found, err := d.runs[i].Has(id, d.runs[i].in, &d.block); {
		case err != nil:
			d.fail(err)
			return false, d.err
		case found:
			return true, nil
		}
	}
	for _, s := range d.sets {
		if s.Has(id) {
			return true, nil
		}
	}
	last := d.generations[len(d.generations)-1]
	if last.open.Len() >= d.limits.set {
		if err := d.fill(last); err != nil {
			return false, err
		}
	}
	last.open.Add(id)
	d.ordinal++
	return false, nil
}

// foresee has the ids that will be asked for next looked up together, as far as
// that is waiting for memory. It changes no verdict.
func (d *dedup) foresee(ids []eventID) {
	if len(d.filters) == 0 {
		return
	}
	d.nothing += seen.Touch(d.filters, ids)
	for _, s := range d.sets {
		d.nothing += s.Touch(ids)
	}
}

// fill puts the full open set aside and opens another.
func (d *dedup) fill(g *generation) error {
	g.close(d.ordinal)
	g.open = d.fullSet()
	d.arrange()
	d.seal()
	for d.err == nil && d.waiting() > maxWaiting {
		<-d.sealing.done
		d.take()
	}
	return d.err
}

// fullSet is an empty set, where the one before was full.
func (d *dedup) fullSet() *seen.Set {
	if d.limits.set < seen.MaxSet {
		return new(seen.Set)
	}
	return seen.NewSet()
}

// close puts the open set's ids among the full ones; first is the number of
// the next id.
func (g *generation) close(first uint64) {
	if g.open.Len() > 0 {
		g.full = append(g.full, numbered{g.open, g.first})
	}
	g.open, g.first = nil, first
}

// end makes the generation one that takes no more ids.
func (d *dedup) end(g *generation) {
	g.close(d.ordinal)
	if len(g.runs) == 0 && len(g.full) == 1 && g.full[0].Len() <= d.limits.resident {
		d.sealResident(g)
	}
}

// forget gives a generation's ids up. A run that is being made of them is given
// up when it is there.
func (d *dedup) forget(g *generation) {
	g.gone = true
	for _, r := range g.runs {
		d.drop(r)
	}
}

// drop lets go of a run. If it has a file, that is removed by the goroutine: the
// system may take its time to.
func (d *dedup) drop(r *run) {
	if r.store == nil {
		r.release()
		return
	}
	d.unneeded = append(d.unneeded, r.runFile)
}

// arrange notes anew what there is to be looked up.
func (d *dedup) arrange() {
	d.sets, d.runs, d.filters = d.sets[:0], d.runs[:0], d.filters[:0]
	for i := len(d.generations) - 1; i >= 0; i-- {
		g := d.generations[i]
		if g.open != nil {
			d.sets = append(d.sets, g.open)
		}
		for j := len(g.full) - 1; j >= 0; j-- {
			d.sets = append(d.sets, g.full[j].Set)
		}
		for j := len(g.runs) - 1; j >= 0; j-- {
			d.runs = append(d.runs, g.runs[j])
			d.filters = append(d.filters, g.runs[j].Filter())
		}
	}
	// What is not looked up any more must not be held.
	clear(d.sets[len(d.sets):cap(d.sets)])
	clear(d.runs[len(d.runs):cap(d.runs)])
	clear(d.filters[len(d.filters):cap(d.filters)])
}

// waiting is how many full sets there are.
func (d *dedup) waiting() int {
	n := 0
	for _, g := range d.generations {
		n += len(g.full)
	}
	return n
}

// findKey is the entry of a key as a frame with this stamp meets it, arrival being
// the largest so far.
func (d *dedup) findKey(key fingerprint, stamp, arrival messages.Micros) (keyEntry, bool) {
	e, ok := d.findFollowing(key, arrival)
	if !ok || e.end+d.window <= stamp {
		return keyEntry{}, false
	}
	return e, true
}

// findFollowing is the entry of a key as a block that follows its home's meets
// it: whatever the block's own stamp is, for as long as it is remembered.
func (d *dedup) findFollowing(key fingerprint, arrival messages.Micros) (keyEntry, bool) {
	e, ok := d.keys.find(key)
	if !ok || e.forgotten(arrival, d.window) {
		return keyEntry{}, false
	}
	return e, true
}

// keyEnd is the end of a quarter of a window, of the one that stamp is in.
func (d *dedup) keyEnd(stamp messages.Micros) messages.Micros {
	length := max(1, d.window/generationsPerWindow)
	return stamp.Floor(length) + length
}

// addKey remembers a key's block.
func (d *dedup) addKey(key fingerprint, e keyEntry) { d.keys.add(key, e) }

// bytes is what the table holds in memory, what is being made included;
// nextBytes what it holds after the next growth of the open set, if that is
// near: when it is full, that is another one, and a run in the making.
func (d *dedup) bytes() (now, next int64) {
	for _, g := range d.generations {
		for _, r := range g.runs {
			now += r.bytes()
		}
		for _, s := range g.full {
			n, _ := s.Bytes()
			now += n
		}
	}
	if d.sealing != nil {
		now += d.sealing.bytes(d.store == nil)
	}
	now += d.keys.bytes()
	next = now
	if n := len(d.generations); n > 0 {
		g := d.generations[n-1]
		open, grown := g.open.Bytes()
		if g.open.Len() >= d.limits.set*3/4 {
			merged := g.runs[len(g.runs)-equalRuns(g.runs, d.limits.set):]
			grown += seen.FullSetBytes + makingBytes(merged, d.limits.set, d.store == nil)
		}
		now, next = now+open, next+grown
	}
	return now, next
}
