package actors

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/crestdb/crest/actors/seen"
	"github.com/crestdb/crest/messages"
)

// rememberAll is the table in its obvious form: a map of every id per
// generation, and one of keys.
type rememberAll struct {
	window      messages.Micros
	generations []*rememberedGeneration
	keys        map[fingerprint]keyEntry
	order       []keyRecord
}

type rememberedGeneration struct {
	start, end messages.Micros
	ids        map[eventID]bool
}

func (r *rememberAll) advance(arrival messages.Micros) {
	for len(r.generations) > 0 && r.generations[0].end <= arrival-r.window {
		r.generations = r.generations[1:]
	}
	if n := len(r.generations); n == 0 || r.generations[n-1].end <= arrival {
		length := max(1, r.window/4)
		start := arrival.Floor(length)
		if n > 0 {
			start = max(start, r.generations[n-1].end)
		}
		r.generations = append(r.generations, &rememberedGeneration{start, arrival.Floor(length) + length, map[eventID]bool{}})
	}
	for len(r.order) > 0 && r.order[0].end+r.window+keySlack <= arrival {
		if first := r.order[0]; r.keys[first.key].end == first.end {
			delete(r.keys, first.key)
		}
		r.order = r.order[1:]
	}
}

func (r *rememberAll) setWindow(window, arrival messages.Micros) {
	if window == r.window {
		return
	}
	r.window = window
	if n := len(r.generations); n > 0 {
		last := r.generations[n-1]
		last.end = max(last.start+1, min(last.end, arrival+1))
	}
}

func (r *rememberAll) seenID(id eventID) bool {
	for _, g := range r.generations {
		if g.ids[id] {
			return true
		}
	}
	r.generations[len(r.generations)-1].ids[id] = true
	return false
}

func (r *rememberAll) seenKey(key fingerprint, stamp messages.Micros, e keyEntry) (keyEntry, bool) {
	if old, ok := r.keys[key]; ok && old.end+r.window > stamp {
		return old, true
	}
	length := max(1, r.window/4)
	e.end = e.stamp.Floor(length) + length
	r.keys[key] = e
	r.order = append(r.order, keyRecord{key, e})
	return keyEntry{}, false
}

// step is what a record, or a block, asks of the table.
type step struct {
	arrival, window messages.Micros
	ids             []eventID
	key             fingerprint // zero: none
	stamp           messages.Micros
}

// take does a step and says what came of it.
func (s *step) take(d *dedup) (string, error) {
	if err := d.advance(s.arrival); err != nil {
		return "", err
	}
	d.setWindow(s.window, s.arrival)
	said := make([]byte, 0, len(s.ids))
	d.foresee(s.ids)
	for _, id := range s.ids {
		repeated, err := d.seenID(id)
		if err != nil {
			return "", err
		}
		said = fmt.Append(said, map[bool]int{true: 1}[repeated])
	}
	if s.key != (fingerprint{}) {
		e, ok := d.findKey(s.key, s.stamp, s.arrival)
		if !ok {
			e := s.entry()
			e.end = d.keyEnd(s.stamp)
			d.addKey(s.key, e)
		}
		said = fmt.Append(said, ok, e)
	}
	return string(said), nil
}

func (s *step) entry() keyEntry {
	return keyEntry{stamp: s.stamp, body: messages.BodyHash{byte(s.stamp)}, position: fmt.Append(nil, s.stamp)}
}

func (s *step) oracle(r *rememberAll) string {
	r.advance(s.arrival)
	r.setWindow(s.window, s.arrival)
	var said []byte
	for _, id := range s.ids {
		said = fmt.Append(said, map[bool]int{true: 1}[r.seenID(id)])
	}
	if s.key != (fingerprint{}) {
		e, ok := r.seenKey(s.key, s.stamp, s.entry())
		said = fmt.Append(said, ok, e)
	}
	return string(said)
}

// randomSteps are those of one partition: log time mostly creeps and now and
// then leaps; ids come again soon, late, or never; some are alike.
func randomSteps(rng *rand.Rand, n int) []step {
	arrival, window := messages.Hour, 40*messages.Second
	var steps []step
	var ids []eventID
	for range n {
		switch rng.IntN(60) {
		case 0:
			arrival += messages.Micros(rng.Int64N(int64(2 * window)))
		case 1:
			window = messages.Second * messages.Micros(1+rng.IntN(60))
		default:
			arrival += messages.Micros(rng.Int64N(int64(messages.Second)))
		}
		s := step{arrival: arrival, window: window, stamp: arrival - messages.Micros(rng.Int64N(int64(30*messages.Second)))}
		for range rng.IntN(40) {
			id := eventID{Hi: rng.Uint64(), Lo: rng.Uint32()}
			switch {
			case len(ids) > 0 && rng.IntN(3) == 0:
				id = ids[len(ids)-1-rng.IntN(min(len(ids), 2000))]
			case rng.IntN(10) == 0:
				id = eventID{Hi: rng.Uint64N(3), Lo: rng.Uint32N(100)}
			}
			ids = append(ids, id)
			s.ids = append(s.ids, id)
		}
		if rng.IntN(4) == 0 {
			s.key = fingerprint{1, 1 + rng.Uint64N(30)}
		}
		steps = append(steps, s)
	}
	return steps
}

// small limits, so that there are many runs of few ids.
var small = dedupLimits{set: 64, resident: 16}

// TestDedupIsAMapOfEverything: the table forgets and remembers as maps do,
// whenever its runs are made, in files and in memory; saved at a record,
// loaded beside the files of a later moment, in another folder or without one,
// and given the rest of the log, it says the same again.
func TestDedupIsAMapOfEverything(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			steps := randomSteps(rng, 600)
			oracle := &rememberAll{window: steps[0].window, keys: map[fingerprint]keyEntry{}}
			want := make([]string, len(steps))
			for i := range steps {
				want[i] = steps[i].oracle(oracle)
			}
			var store RunStore
			if seed%3 > 0 {
				store = newFolder(t, t.TempDir())
			}
			sealers := NewSealers(1)
			d := newDedup(steps[0].window, store, sealers)
			d.limits = small
			defer func() { d.close() }()
			var before *snapshot
			for i := 0; i < len(steps); i++ {
				got, err := steps[i].take(d)
				if err != nil || got != want[i] {
					t.Fatalf("step %d: %s, %v, want %s", i, got, err, want[i])
				}
				if rng.IntN(50) > 0 {
					continue
				}
				// Saved while it goes on for some steps, which are lost then.
				frozen, snap, saved := d.freeze(), newSnapshot(before), make(chan error, 1)
				go func() { saved <- frozen.save(snap) }()
				for j := i + 1; j < min(i+rng.IntN(100), len(steps)); j++ {
					if got, err := steps[j].take(d); err != nil || got != want[j] {
						t.Fatalf("step %d while saving: %s, %v, want %s", j, got, err, want[j])
					}
				}
				if err := <-saved; err != nil {
					t.Fatal(err)
				}
				frozen.release()
				d.close()
				if store != nil && rng.IntN(3) == 0 {
					store = newFolder(t, t.TempDir())
				}
				d = newDedup(0, store, sealers)
				d.limits = small
				if err := d.load(stored{snap}); err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				before = snap
			}
			if before == nil {
				t.Error("nothing was saved")
			}
		})
	}
}

// TestTheNextGrowthIsForeseen: what the door was told before an id is enough
// for what the table holds behind it.
func TestTheNextGrowthIsForeseen(t *testing.T) {
	for _, store := range []RunStore{nil, newFolder(t, t.TempDir())} {
		d := newDedup(messages.Hour, store, nil)
		if err := d.advance(messages.Day); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(5*seen.MaxSet + 10) {
			_, next := d.bytes()
			if _, err := d.seenID(numberedID(n)); err != nil {
				t.Fatal(err)
			}
			if now, _ := d.bytes(); now > next {
				t.Fatalf("%d bytes after id %d, foreseen were %d", now, n, next)
			}
			drain(t, d)
		}
		d.close()
	}
}

// TestDedupBytesAreExact: what the table says it holds is what the heap grew by.
func TestDedupBytesAreExact(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const window = messages.Hour
	for _, name := range []string{"ids in files", "ids in memory", "keys"} {
		t.Run(name, func(t *testing.T) {
			var store RunStore
			if name == "ids in files" {
				store = newFolder(t, t.TempDir())
			}
			sealers := NewSealers(1)
			before := heap()
			d := newDedup(window, store, sealers)
			at := messages.Day
			for n := range uint64(700_000) {
				at += window / 400_000
				if err := d.advance(at); err != nil {
					t.Fatal(err)
				}
				if name != "keys" {
					if _, err := d.seenID(numberedID(n)); err != nil {
						t.Fatal(err)
					}
				} else if n%4 == 0 {
					id := numberedID(n)
					d.addKey(fingerprint{id.Hi, n}, keyEntry{end: d.keyEnd(at), stamp: at, position: make([]byte, 32)})
				}
			}
			drain(t, d)
			// The room for making runs is the node's, not the table's.
			<-sealers.free
			sealers.free <- new(seen.Workspace)
			now, next := d.bytes()
			grown := heap() - before
			if grown < now*9/10 || grown > now*11/10 || next < now {
				t.Errorf("the heap grew by %d, the table says %d, then %d", grown, now, next)
			}
			d.close()
		})
	}
}
