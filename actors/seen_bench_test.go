package actors

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

// numberedID is the n-th id there is: any function that is one to one would do,
// this one spreads them evenly.
func numberedID(n uint64) eventID {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	return eventID{Hi: mix(n), Lo: uint32(mix(n ^ 0x9e3779b97f4a7c15))}
}

// residentNow is the process's resident memory in bytes, 0 where it cannot be
// told.
func residentNow() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// cpuTime is what the process has taken of all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSeen remembers ids at a rate for a window and a quarter of it, in
// virtual time, over 16 partitions in turns of 500 ids: then as many are alive
// as ever will be, since an id is kept for up to a window and a quarter. One in
// a hundred is one from anywhere in the window again. Every verdict is checked.
//
// The goroutines that make runs have as much time for one as patience, as if
// time were real: then the table that waits for one is stopped, with the clock.
// ns/id is the time of the goroutine that asks, cpu-ns/id that of all, so with
// making runs and collecting garbage.
func BenchmarkSeen(b *testing.B) {
	for _, rate := range []uint64{20_000, 200_000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			for range b.N {
				newSeenLoad(b, rate).run(b)
			}
		})
	}
}

const (
	seenPartitions = 16
	seenTurn       = 500
	seenWindow     = 10 * messages.Minute
	seenStart      = 1_700_000_100 * messages.Second
	seenLimit      = 310 << 20 // of Go's memory: 300 MiB, and 10 of the benchmark's
	patience       = 4 * messages.Second
)

type seenLoad struct {
	rate    uint64
	rng     *rand.Rand
	tables  [seenPartitions]*dedup
	sealing [seenPartitions]*sealing
	since   [seenPartitions]messages.Micros
	next    []eventID
	repeats uint64
	sealers *Sealers
}

func newSeenLoad(b *testing.B, rate uint64) *seenLoad {
	l := &seenLoad{rate: rate, rng: rand.New(rand.NewPCG(1, 1))}
	l.sealers = NewSealers(1)
	for p := range l.tables {
		folder := newFolder(b, b.TempDir())
		folder.sync = true
		l.tables[p] = newDedup(seenWindow, folder, l.sealers)
	}
	return l
}

func (l *seenLoad) at(n uint64) messages.Micros {
	return seenStart + messages.Micros(n)*messages.Second/messages.Micros(l.rate)
}

func (l *seenLoad) run(b *testing.B) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(seenLimit))
	perWindow := uint64(seenWindow/messages.Second) * l.rate
	total := perWindow + perWindow/4
	runtime.GC()
	debug.FreeOSMemory()
	before, cpu := residentNow(), cpuTime()
	var resident, tables int64
	turns := make([]time.Duration, 0, total/seenTurn)
	for n := uint64(0); n < total; n += seenTurn {
		p := int(n / seenTurn % seenPartitions)
		d := l.tables[p]
		if d.sealing == nil || d.sealing != l.sealing[p] {
			l.sealing[p], l.since[p] = d.sealing, l.at(n)
		} else if l.at(n)-l.since[p] > patience {
			<-d.sealing.done
		}
		begun := time.Now()
		l.turn(b, d, n, perWindow)
		turns = append(turns, time.Since(begun))
		if n/seenTurn%500 == 0 {
			now := int64(0)
			for _, d := range l.tables {
				held, _ := d.bytes()
				now += held
			}
			resident, tables = max(resident, residentNow()-before), max(tables, now)
		}
	}
	ids, sum := float64(total+l.repeats), time.Duration(0)
	for _, t := range turns {
		sum += t
	}
	slices.Sort(turns)
	runs := 0
	for _, d := range l.tables {
		runs += len(d.runs)
	}
	freezing, loading := l.again(b)
	b.ReportMetric(float64(sum.Nanoseconds())/ids, "ns/id")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/ids, "cpu-ns/id")
	b.ReportMetric(float64(turns[len(turns)/2].Nanoseconds())/seenTurn, "median-ns/id")
	b.ReportMetric(float64(turns[len(turns)-1].Microseconds())/1000, "longest-turn-ms")
	b.ReportMetric(float64(resident)/(1<<20), "resident-MiB")
	b.ReportMetric(float64(tables)/(1<<20), "tables-MiB")
	b.ReportMetric(float64(runs)/seenPartitions, "runs/partition")
	b.ReportMetric(float64(freezing.Microseconds()), "longest-freeze-µs")
	b.ReportMetric(float64(loading.Milliseconds()), "load-ms")
}

// again freezes all tables, each at most for as long as freezing says, and
// loads them one after the other beside their files.
func (l *seenLoad) again(b *testing.B) (freezing, loading time.Duration) {
	for p, d := range l.tables {
		begun := time.Now()
		frozen := d.freeze()
		freezing = max(freezing, time.Since(begun))
		snap := newSnapshot(nil)
		if err := frozen.save(local{snap}); err != nil {
			b.Fatal(err)
		}
		frozen.release()
		store, most := d.store, d.ordinal
		d.close()
		begun = time.Now()
		d, err := loadDedup(stored{snap}, store, l.sealers)
		if err != nil {
			b.Fatal(err)
		}
		loading += time.Since(begun)
		if d.ordinal != most {
			b.Errorf("partition %d: %d ids, want %d", p, d.ordinal, most)
		}
		d.close()
		l.tables[p] = nil
	}
	return freezing, loading
}

// local is a snapshot without the runs, which are in files.
type local struct{ *snapshot }

func (local) Shared(string, func(io.Writer) error) error { return nil }

// turn has d remember ids from n on, and asks for some again.
func (l *seenLoad) turn(b *testing.B, d *dedup, n, perWindow uint64) {
	at := l.at(n)
	if err := d.advance(at); err != nil {
		b.Fatal(err)
	}
	for i := uint64(0); i < seenTurn; i += ahead {
		l.next = l.next[:0]
		for j := i; j < min(i+ahead, seenTurn); j++ {
			l.next = append(l.next, numberedID(n+j))
		}
		fresh := len(l.next)
		// One of an earlier turn of this partition, from the window, one in a hundred.
		const round = seenTurn * seenPartitions
		if rounds := min(n, perWindow-round) / round; rounds > 0 && l.rng.IntN(100) < ahead {
			old := n - (1+l.rng.Uint64N(rounds))*round
			l.next = append(l.next, numberedID(old+l.rng.Uint64N(seenTurn)))
		}
		d.foresee(l.next)
		for j, id := range l.next {
			if repeated, err := d.seenID(id); err != nil || repeated != (j >= fresh) {
				b.Fatalf("id %d of those from %d on, %d of them new: %v, %v", j, n+i, fresh, repeated, err)
			}
		}
		l.repeats += uint64(len(l.next) - fresh)
	}
}
