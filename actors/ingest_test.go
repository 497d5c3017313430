package actors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/crestdb/crest/actors/actorstest"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

func testIdentity(clock messages.Clock) *messages.LogIdentity {
	s := messages.DefaultSettings()
	s.MaxCategories, s.MaxRegions = 3, 4
	return &messages.LogIdentity{ID: messages.LogID{1}, Partitions: 1, Clock: clock, HashKey: [32]byte{2}, Settings: s}
}

// randomLog is a partition's log with everything in it that decides what a
// record counts.
func randomLog(rng *rand.Rand, blocks int) []messages.ReadBlock {
	var log []messages.ReadBlock
	stamp, offset := 1_700_000_000*messages.Second, messages.Offset(0)
	settings := testIdentity(messages.ClockWall).Settings
	for range blocks {
		switch rng.IntN(20) {
		case 0:
			stamp += messages.Micros(rng.Int64N(int64(20 * messages.Minute)))
		case 1:
			stamp -= messages.Micros(rng.Int64N(int64(messages.Minute))) // another gateway's clock
		default:
			stamp += messages.Micros(rng.Int64N(int64(20 * messages.Second)))
		}
		b := messages.ReadBlock{Offset: offset, Kind: messages.FrameEvents, Stamp: stamp}
		switch rng.IntN(30) {
		case 0:
			b.Kind = messages.FrameTick
		case 1:
			b.Kind = messages.FrameControl
			settings.MaxCategories, settings.MaxRegions = 1+rng.IntN(6), 1+rng.IntN(8)
			b.Data = settings.AppendTo(nil)
		default:
			if rng.IntN(3) == 0 {
				b.Key = fmt.Sprintf("key-%d", rng.IntN(1+blocks/4))
				b.BodyHash = messages.BodyHash{byte(rng.IntN(2))}
				b.Position = []byte{1, 2, 3}
			}
			for range rng.IntN(8) {
				r := randomRecord(rng, stamp)
				b.Data = r.AppendTo(b.Data)
				b.Records++
			}
		}
		offset += max(1, messages.Offset(b.Records))
		b.End = offset
		log = append(log, b)
	}
	return log
}

func randomRecord(rng *rand.Rand, stamp messages.Micros) messages.Record {
	r := messages.Record{Topic: fmt.Appendf(nil, "t%d", rng.IntN(6)), Count: 1 + rng.Uint64N(3)}
	if n := rng.IntN(8); n > 0 {
		r.Category = fmt.Appendf(nil, "c%d", n)
	}
	if n := rng.IntN(8); n > 1 {
		r.Region = fmt.Appendf(nil, "r%d", n)
	} else if n == 1 {
		r.Region = []byte(messages.OtherName)
	}
	if rng.IntN(2) == 0 {
		r.ID = fmt.Appendf(nil, "id%d", rng.IntN(40))
	}
	if rng.IntN(2) == 0 {
		r.HasTime = true
		r.Time = stamp - messages.Micros(rng.Int64N(int64(messages.Hour))) + 5*messages.Minute
	}
	return r
}

// runIngest takes the log with flushes at random moments, saves the state and
// loads it at some of them, and adds up what the deltas say.
func runIngest(t *testing.T, id *messages.LogIdentity, log []messages.ReadBlock, rng *rand.Rand) (messages.Ledger, map[actorstest.Entry]uint64) {
	t.Helper()
	g, names := newIngest(id), [2]*window.Names{window.NewNames(), window.NewNames()}
	counts := make(map[actorstest.Entry]uint64)
	d := new(window.Delta)
	flush := func() {
		g.seal(d)
		names[0].Apply(&d.Categories)
		names[1].Apply(&d.Regions)
		for i := range d.Rows {
			r := &d.Rows[i]
			if i > 0 && r.Slice < d.Rows[i-1].Slice {
				t.Fatal("rows of a delta are not grouped by slice")
			}
			counts[actorstest.Entry{Slice: r.Slice, Topic: string(d.Topic(r)), Category: names[0].Text(r.Category), Region: names[1].Text(r.Region)}] += r.Count
		}
		d.Reset()
	}
	for i := range log {
		if err := g.take(&log[i], d); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(5) == 0 {
			flush()
			if rng.IntN(5) == 0 {
				g = reload(t, g, id)
			}
		}
	}
	flush()
	if l := g.ledger; l.Logged != l.Counted+l.Duplicates+l.DeadLettered {
		t.Fatalf("the ledger does not balance: %+v", l)
	}
	return g.ledger, counts
}

// reload is the state as a snapshot keeps it.
func reload(t *testing.T, g *ingest, id *messages.LogIdentity) *ingest {
	t.Helper()
	f, snap := g.freeze(), newSnapshot(nil)
	err := f.save(snap)
	f.dedup.release()
	g.dedup.close()
	if err != nil {
		t.Fatal(err)
	}
	info := &messages.SnapshotInfo{Offset: g.next, Arrival: g.arrival, Format: snapshotFormat}
	if g, err = loadIngest(id, info, stored{snap}, nil, nil); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestIngestCountsWhatTheRecountCounts(t *testing.T) {
	for name, makeLog := range map[string]func(*rand.Rand, int) []messages.ReadBlock{"frames": randomLog, "blocks": randomBlocks} {
		t.Run(name, func(t *testing.T) { countsWhatTheRecountCounts(t, makeLog) })
	}
}

func countsWhatTheRecountCounts(t *testing.T, makeLog func(*rand.Rand, int) []messages.ReadBlock) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		id := testIdentity([]messages.Clock{messages.ClockWall, messages.ClockEvent}[seed%2])
		log := makeLog(rng, 20+rng.IntN(150))
		want := actorstest.NewRecount(id)
		for i := range log {
			want.Take(&log[i])
		}
		wantCounts := make(map[actorstest.Entry]uint64)
		for _, e := range want.Entries {
			n := e.Count
			e.Count = 0
			wantCounts[e] += n
		}
		for run := range uint64(2) {
			ledger, counts := runIngest(t, id, log, rand.New(rand.NewPCG(seed, run)))
			if ledger != want.Ledger {
				t.Fatalf("seed %d: ledger\n%+v, want\n%+v", seed, ledger, want.Ledger)
			}
			if !maps.Equal(counts, wantCounts) {
				t.Fatalf("seed %d: counts differ: %v, want %v", seed, counts, wantCounts)
			}
		}
	}
}

func TestIngestRefusesAGapInTheLog(t *testing.T) {
	log := randomLog(rand.New(rand.NewPCG(1, 1)), 5)
	g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
	if err := g.take(&log[2], d); err == nil {
		t.Error("a block that does not continue the log was taken")
	}
}

func TestDedupForgetsByLogTimeOnly(t *testing.T) {
	d := newDedup(10*messages.Minute, nil, nil)
	var at messages.Micros
	id := eventID{Hi: 1, Lo: 2}
	see := func(after messages.Micros, want bool) {
		t.Helper()
		at += after
		if err := d.advance(at); err != nil {
			t.Fatal(err)
		}
		if got, err := d.seenID(id); err != nil || got != want {
			t.Errorf("at %v: seen %v, %v, want %v", at.Duration(), got, err, want)
		}
	}
	see(messages.Hour, false)
	see(10*messages.Minute, true)                    // the whole window
	see(2*messages.Minute+messages.Second*30, false) // window and a generation later
	see(messages.Day, false)
}

func TestDedupBytesFallWhenLogTimeMovesOn(t *testing.T) {
	d := newDedup(messages.Minute, nil, nil)
	advance := func(at messages.Micros) {
		t.Helper()
		if err := d.advance(at); err != nil {
			t.Fatal(err)
		}
	}
	advance(messages.Hour)
	for i := range uint64(100_000) {
		if _, err := d.seenID(eventID{Hi: i * 0x9e3779b97f4a7c15, Lo: uint32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := d.bytes(); now < 12*100_000 || now > 32*100_000 {
		t.Errorf("100,000 ids take %d bytes", now)
	}
	advance(messages.Hour + 2*messages.Minute)
	if now, _ := d.bytes(); now != 0 {
		t.Errorf("an empty table takes %d bytes", now)
	}
}

func TestKeyVerdicts(t *testing.T) {
	g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
	b := messages.ReadBlock{End: 1, Kind: messages.FrameEvents, Stamp: messages.Hour, Key: "k", BodyHash: messages.BodyHash{1}, Position: []byte{9}}
	if err := g.take(&b, d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		query messages.KeyQuery
		want  messages.KeyState
	}{
		{messages.KeyQuery{Key: "other", BodyHash: b.BodyHash}, messages.KeyNew},
		{messages.KeyQuery{Key: "k", BodyHash: b.BodyHash}, messages.KeySeen},
		{messages.KeyQuery{Key: "k", BodyHash: messages.BodyHash{2}}, messages.KeyConflict},
	} {
		got := g.verdict(&c.query, b.Stamp)
		if got.State != c.want {
			t.Errorf("%+v: %v, want %v", c.query, got.State, c.want)
		}
		if c.want == messages.KeySeen && (got.Stamp != b.Stamp || string(got.Position) != string(b.Position)) {
			t.Errorf("the first answer's stamp and position are lost: %+v", got)
		}
	}
}

func TestIngestAllocatesNothingPerRecord(t *testing.T) {
	g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
	rng := rand.New(rand.NewPCG(3, 3))
	b := messages.ReadBlock{Kind: messages.FrameEvents, Stamp: 1_700_000_000 * messages.Second, Sent: &messages.Sent{}}
	for range 1000 {
		r := randomRecord(rng, b.Stamp)
		b.Data = r.AppendTo(b.Data)
		b.Records++
	}
	take := func() {
		b.Sent.Sequence++
		b.Offset, b.End = g.next, g.next+1000
		if err := g.take(&b, d); err != nil {
			t.Fatal(err)
		}
		g.seal(d)
		d.Reset()
	}
	take()
	if n := testing.AllocsPerRun(20, take); n > 0 {
		t.Errorf("%v allocations for 1,000 records", n)
	}
}

func BenchmarkIngest(b *testing.B) {
	for _, topics := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
			rng := rand.New(rand.NewPCG(3, 3))
			zipf := rand.NewZipf(rng, 1.07, 1, uint64(topics-1))
			block := messages.ReadBlock{Kind: messages.FrameEvents, Stamp: 1_700_000_000 * messages.Second}
			for range 10_000 {
				r := messages.Record{Topic: fmt.Appendf(nil, "topic-%05d", zipf.Uint64()), Category: []byte("music"), Region: fmt.Appendf(nil, "R%d", rng.IntN(4)), Count: 1}
				block.Data = r.AppendTo(block.Data)
				block.Records++
			}
			b.ReportAllocs()
			start := time.Now()
			n := 0
			for b.Loop() {
				block.Offset, block.End = g.next, g.next+10_000
				if err := g.take(&block, d); err != nil {
					b.Fatal(err)
				}
				g.seal(d)
				d.Reset()
				n += int(block.Records)
			}
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n), "ns/event")
		})
	}
}

// TestPartitionsAgreeOnAKey: a frame reaches two partitions whose arrivals have
// come differently far; both must forget its key at the same later frame.
func TestPartitionsAgreeOnAKey(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		id := testIdentity(messages.ClockWall)
		var cores [2]*ingest
		for i := range cores {
			cores[i] = newIngest(id)
		}
		d := new(window.Delta)
		now := 1_700_000_000 * messages.Second
		for range 200 {
			now += messages.Micros(rng.Int64N(int64(2 * messages.Minute)))
			b := messages.ReadBlock{Kind: messages.FrameEvents, Stamp: now - messages.Micros(rng.Int64N(int64(20*messages.Second)))}
			only := rng.IntN(3) // a frame of one partition alone moves its arrival
			if only == 2 {
				b.Key, b.BodyHash = fmt.Sprintf("key-%d", rng.IntN(4)), messages.BodyHash{byte(rng.IntN(2))}
			}
			var seen [2]bool
			for i, g := range cores {
				if only != 2 && only != i {
					continue
				}
				b.Offset, b.End = g.next, g.next+1
				if b.Key != "" {
					_, seen[i] = g.dedup.findKey(g.hashes.key(b.Key), b.Stamp, max(g.arrival, b.Stamp))
				}
				if err := g.take(&b, d); err != nil {
					t.Fatal(err)
				}
			}
			if b.Key != "" && seen[0] != seen[1] {
				t.Fatalf("seed %d: one partition knows %s at %v, the other does not", seed, b.Key, b.Stamp.Time())
			}
		}
	}
}
