package workload_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

func newStream(t testing.TB, c workload.Config) *workload.Stream {
	t.Helper()
	s, err := workload.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mixOf(t testing.TB, name string) workload.Config {
	t.Helper()
	c, err := workload.Mix(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// take runs a stream over a stretch of its time and hands every event to f.
func take(t testing.TB, c workload.Config, d time.Duration, f func(*workload.Event)) {
	t.Helper()
	s := newStream(t, c)
	end := c.Start + messages.Micros(d/time.Microsecond)
	var e workload.Event
	for s.Next(&e); e.Time < end; s.Next(&e) {
		f(&e)
	}
}

func digest(t testing.TB, c workload.Config, n int) string {
	s, h := newStream(t, c), sha256.New()
	var e workload.Event
	var line []byte
	for range n {
		s.Next(&e)
		line = e.AppendJSON(line[:0])
		h.Write(line)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func TestSameSeedSameStream(t *testing.T) {
	for _, name := range workload.MixNames {
		t.Run(name, func(t *testing.T) {
			c := mixOf(t, name)
			c.IDs, c.MaxCount = true, 5
			first, second := digest(t, c, 20_000), digest(t, c, 20_000)
			if first != second {
				t.Errorf("two streams of seed %d differ: %s, %s", c.Seed, first, second)
			}
			c.Seed++
			if other := digest(t, c, 20_000); other == first {
				t.Errorf("seed %d gives the stream of seed %d", c.Seed, c.Seed-1)
			}
		})
	}
}

// A published figure names its workload and seed; whoever repeats it must get
// the same events from a later version of this package.
func TestStreamsStayWhatTheyWere(t *testing.T) {
	want := map[string]string{
		"steady":  "43873bea91765245",
		"flash":   "75e7c9e0bb3f3421",
		"diurnal": "fed9bf960e992f3f",
		"drift":   "ccc5b2c7beb638ee",
		"lively":  "de7b38c0d58e12ea",
	}
	for _, name := range workload.MixNames {
		c := mixOf(t, name)
		c.IDs = true
		c.Rate = 100 // far enough for the first crowd
		if got := digest(t, c, 10_000); got != want[name] {
			t.Errorf("%s, seed %d: the first 10,000 events have digest %s, want %s", name, c.Seed, got, want[name])
		}
	}
}

func TestTopicsFollowZipf(t *testing.T) {
	for _, exponent := range []float64{0, 0.8, 1, 1.3} {
		t.Run(fmt.Sprint("exponent=", exponent), func(t *testing.T) {
			const topics, events = 1000, 400_000
			c := workload.DefaultConfig()
			c.Topics, c.Exponent = topics, exponent
			counts := map[workload.Topic]int{}
			s := newStream(t, c)
			var e workload.Event
			for range events {
				s.Next(&e)
				counts[e.Topic]++
			}
			var got []int
			for _, n := range counts {
				got = append(got, n)
			}
			slices.SortFunc(got, func(a, b int) int { return b - a })
			norm := 0.0
			for k := 1; k <= topics; k++ {
				norm += math.Pow(float64(k), -exponent)
			}
			if exponent == 0 {
				if len(got) != topics || got[0] > 600 || got[topics-1] < 250 {
					t.Fatalf("seed %d: %d topics, from %d to %d events; want %d with about 400 each", c.Seed, len(got), got[topics-1], got[0], topics)
				}
				return
			}
			for k := 1; k <= 10; k++ {
				want := events * math.Pow(float64(k), -exponent) / norm
				if dev := math.Abs(float64(got[k-1]) - want); dev > 6*math.Sqrt(want) {
					t.Errorf("seed %d: rank %d has %d events, want %.0f", c.Seed, k, got[k-1], want)
				}
			}
		})
	}
}

func TestNamesAndShares(t *testing.T) {
	c := workload.DefaultConfig()
	c.Topics, c.Exponent = 2000, 0.5
	categories := map[workload.Topic]map[string]bool{}
	regions := map[string]int{}
	events := 0
	take(t, c, 20*time.Second, func(e *workload.Event) {
		events++
		if categories[e.Topic] == nil {
			categories[e.Topic] = map[string]bool{}
		}
		categories[e.Topic][e.Category] = true
		regions[e.Region]++
		if strings.ContainsAny(e.Topic.String(), "+/=\"\\") {
			t.Fatalf("topic %q is not URL-safe", e.Topic)
		}
	})
	two, used := 0, map[string]bool{}
	for _, set := range categories {
		if len(set) == 2 {
			two++
		} else if len(set) > 2 {
			t.Errorf("a topic has %d categories", len(set))
		}
		for name := range set {
			used[name] = true
		}
	}
	if share := float64(two) / float64(len(categories)); share < 0.003 || share > 0.02 {
		t.Errorf("seed %d: %.1f %% of the topics have two categories, want about 1 %%", c.Seed, share*100)
	}
	if len(used) != 20 || len(regions) != 200 {
		t.Errorf("seed %d: %d categories and %d regions in use, want 20 and 200", c.Seed, len(used), len(regions))
	}
	if in := float64(regions["IN"]) / float64(events); in < 0.12 || in > 0.25 {
		t.Errorf("seed %d: IN has %.0f %% of the events, want about 17 %%", c.Seed, in*100)
	}
}

func TestRegionNamesAreDistinctCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range workload.RegionNames {
		if len(name) != 2 || seen[name] {
			t.Errorf("region %q: want a code of two letters, once", name)
		}
		seen[name] = true
	}
}

func TestIDsAreDistinct(t *testing.T) {
	c := workload.DefaultConfig()
	c.IDs = true
	seen := map[uint64]bool{0: true}
	take(t, c, 10*time.Second, func(e *workload.Event) {
		if seen[e.ID] {
			t.Fatalf("seed %d: id %x twice", c.Seed, e.ID)
		}
		seen[e.ID] = true
	})
}

func TestCrowdRisesStaysAndDecays(t *testing.T) {
	c := mixOf(t, "flash") // breaks out at 60 s, peaks 70 s … 190 s, halves every 30 s
	c.Rate = 2000
	const bucket = 10 * time.Second
	perBucket := make([]map[workload.Topic]int, 30)
	totals := make([]int, len(perBucket))
	take(t, c, time.Duration(len(perBucket))*bucket, func(e *workload.Event) {
		i := int((e.Time - c.Start).Duration() / bucket)
		if perBucket[i] == nil {
			perBucket[i] = map[workload.Topic]int{}
		}
		perBucket[i][e.Topic]++
		totals[i]++
	})
	var viral workload.Topic
	for topic, n := range perBucket[10] {
		if n > perBucket[10][viral] {
			viral = topic
		}
	}
	share := func(i int) float64 { return float64(perBucket[i][viral]) / float64(totals[i]) }
	for i, want := range map[int]float64{0: 0, 5: 0, 6: 0.5 / 3, 8: 0.5, 18: 0.5, 22: 0.22, 28: 0.055} {
		if got := share(i); math.Abs(got-want) > 0.03 {
			t.Errorf("seed %d: from %v on the viral topic has %.3f of the stream, want %.3f", c.Seed, time.Duration(i)*bucket, got, want)
		}
	}
}

func TestLivelyBringsANewVideoEveryMinute(t *testing.T) {
	c := mixOf(t, "lively")
	c.Rate = 2000
	leaders := map[workload.Topic]bool{}
	counts, minute := map[workload.Topic]int{}, 0
	take(t, c, 5*time.Minute, func(e *workload.Event) {
		if m := int((e.Time - c.Start) / messages.Minute); m != minute {
			minute = m
			clear(counts)
		}
		counts[e.Topic]++
		if counts[e.Topic] == 12_000 { // a tenth of the minute
			leaders[e.Topic] = true
		}
	})
	if len(leaders) != 5 {
		t.Errorf("seed %d: %d videos went viral in 5 minutes, want 5", c.Seed, len(leaders))
	}
}

func TestDiurnalSwings(t *testing.T) {
	c := mixOf(t, "diurnal")
	c.Rate, c.Diurnal.Period = 1000, 80*time.Second
	perQuarter := make([]int, 4)
	take(t, c, 80*time.Second, func(e *workload.Event) {
		perQuarter[(e.Time-c.Start)/(20*messages.Second)]++
	})
	high, low := perQuarter[0]+perQuarter[1], perQuarter[2]+perQuarter[3]
	// Half a swing of depth d differs from the mean by 2d/π.
	if want := 40_000 * (1 + 1.6/math.Pi); math.Abs(float64(high)-want) > 0.03*want {
		t.Errorf("seed %d: %d events in the busy half, want %.0f", c.Seed, high, want)
	}
	if want := 40_000 * (1 - 1.6/math.Pi); math.Abs(float64(low)-want) > 0.05*want {
		t.Errorf("seed %d: %d events in the quiet half, want %.0f", c.Seed, low, want)
	}
}

func TestDriftChangesTheLeaders(t *testing.T) {
	leaders := func(c workload.Config) int {
		seen := map[workload.Topic]bool{}
		counts, part := map[workload.Topic]int{}, 0
		leader := func() (best workload.Topic) {
			for topic, n := range counts {
				if n > counts[best] {
					best = topic
				}
			}
			return best
		}
		take(t, c, time.Hour, func(e *workload.Event) {
			if p := int((e.Time - c.Start) / (5 * messages.Minute)); p != part {
				part = p
				seen[leader()] = true
				clear(counts)
			}
			counts[e.Topic]++
		})
		return len(seen)
	}
	c := mixOf(t, "drift")
	c.Rate = 100
	if n := leaders(c); n < 3 {
		t.Errorf("seed %d: %d different leaders in an hour of drift, want 3 or more", c.Seed, n)
	}
	c.Drift = workload.Drift{}
	if n := leaders(c); n != 1 {
		t.Errorf("seed %d: %d different leaders without drift, want 1", c.Seed, n)
	}
}

func TestTimesNeverGoBackAndKeepTheRate(t *testing.T) {
	c := mixOf(t, "lively")
	last, n := messages.Micros(0), 0
	take(t, c, 30*time.Second, func(e *workload.Event) {
		if e.Time < last {
			t.Fatalf("seed %d: event %d goes back from %d to %d", c.Seed, n, last, e.Time)
		}
		last = e.Time
		n++
	})
	if want := 30 * c.Rate; math.Abs(float64(n)-want) > 0.01*want {
		t.Errorf("seed %d: %d events in 30 s, want %.0f", c.Seed, n, want)
	}
}

func TestNextAndEncodersDoNotAllocate(t *testing.T) {
	s := newStream(t, mixOf(t, "lively"))
	buf := make([]byte, 0, 1024)
	var e workload.Event
	for range 1000 {
		s.Next(&e)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s.Next(&e)
		buf = e.AppendJSON(buf[:0])
		buf = e.AppendMsgpack(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations an event, want none", n)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, name := range workload.MixNames {
		b.Run("mix="+name, func(b *testing.B) {
			s := newStream(b, mixOf(b, name))
			var e workload.Event
			b.ReportAllocs()
			for b.Loop() {
				s.Next(&e)
			}
		})
	}
}
