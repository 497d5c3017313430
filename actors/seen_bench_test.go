package actors

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
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

// BenchmarkSeen remembers a rate of ids for a window and a quarter of it, in
// virtual time, over 16 partitions in turns of 500 ids. One id in a hundred is
// one from anywhere in the window again. Every verdict is checked.
//
// After the first window the most that is alive at a time is there: an id is
// kept for up to a window and a quarter. ns/id is the time of the one goroutine
// that asks, cpu-ns/id that of all (sorting, merging and writing runs, and the
// collector, included); heap limits are those of a node (debug.SetMemoryLimit).
func BenchmarkSeen(b *testing.B) {
	for _, rate := range []int{20_000, 200_000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			for range b.N {
				benchmarkSeen(b, uint64(rate))
			}
		})
	}
}

func benchmarkSeen(b *testing.B, rate uint64) {
	const (
		partitions = 16
		turn       = 500
		window     = 10 * messages.Minute
		start      = 1_700_000_100 * messages.Second
		limit      = 350 << 20
	)
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	sealers := NewSealers(1)
	var tables [partitions]*dedup
	for p := range tables {
		tables[p] = newDedup(window, newFolder(b, b.TempDir()), sealers)
		defer tables[p].close()
	}
	runtime.GC()
	debug.FreeOSMemory()
	before := residentNow()
	var most, mostTables int64
	var worst time.Duration
	rng := rand.New(rand.NewPCG(1, 1))
	arrivals := make([]messages.Micros, 0, 1<<20) // of each turn
	perWindow := uint64(window/messages.Second) * rate
	total := perWindow + perWindow/4
	begun, cpu := time.Now(), cpuTime()
	repeats := uint64(0)
	for n := uint64(0); n < total; n += turn {
		p := n / turn % partitions
		d := tables[p]
		at := start + messages.Micros(n)*messages.Second/messages.Micros(rate)
		arrivals = append(arrivals, at)
		since := time.Now()
		if err := d.advance(at); err != nil {
			b.Fatal(err)
		}
		for i := range uint64(turn) {
			if repeated, err := d.seenID(numberedID(n + i)); err != nil || repeated {
				b.Fatalf("id %d the first time: %v, %v", n+i, repeated, err)
			}
			if i%100 != 0 || n < turn*partitions {
				continue
			}
			// One of an earlier turn of this partition, from the window.
			turns := min(n, perWindow) / (turn * partitions)
			back := (1 + rng.Uint64N(turns)) * turn * partitions
			old := n - min(back, n) + rng.Uint64N(turn)
			if n < back || arrivals[(n-back)/turn] <= at-window {
				continue
			}
			if repeated, err := d.seenID(numberedID(old)); err != nil || !repeated {
				b.Fatalf("id %d again: %v, %v", old, repeated, err)
			}
			repeats++
		}
		worst = max(worst, time.Since(since))
		if n/turn%1000 == 0 {
			var tablesNow int64
			for _, d := range tables {
				now, _ := d.bytes()
				tablesNow += now
			}
			most, mostTables = max(most, residentNow()-before), max(mostTables, tablesNow)
		}
	}
	ids := float64(total + repeats)
	b.ReportMetric(float64(time.Since(begun).Nanoseconds())/ids, "ns/id")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/ids, "cpu-ns/id")
	b.ReportMetric(float64(most)/(1<<20), "resident-MiB")
	b.ReportMetric(float64(mostTables)/(1<<20), "tables-MiB")
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-turn-ms")
	var runs, alive uint64
	for _, d := range tables {
		runs += uint64(len(d.runs))
		alive += uint64(len(d.generations))
	}
	b.ReportMetric(float64(runs)/partitions, "runs/partition")
	b.ReportMetric(float64(bits.Len64(total)), "log2-ids")
}
