package actors

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// randomBlocks is a partition's log in Kafka: stamped where its blocks land, which
// come from some writers, in part more than once, and from others who number
// nothing; with offsets that hold nothing, events that cannot be records, and
// blocks that follow the home of their key elsewhere.
func randomBlocks(rng *rand.Rand, blocks int) []messages.ReadBlock {
	var log, sent []messages.ReadBlock
	var sequences [3]uint64
	clock, offset := 1_700_000_000*messages.Second, messages.Offset(0)
	settings := testIdentity(messages.ClockWall).Settings
	for range blocks {
		switch rng.IntN(60) {
		case 0:
			clock += messages.Micros(rng.Int64N(int64(30 * messages.Hour))) // writers are forgotten
		case 1, 2, 3:
			clock += messages.Micros(rng.Int64N(int64(20 * messages.Minute)))
		case 4:
			clock -= messages.Micros(rng.Int64N(int64(messages.Minute))) // another leader's clock
		default:
			clock += messages.Micros(rng.Int64N(int64(20 * messages.Second)))
		}
		stamp := clock
		if rng.IntN(20) == 0 {
			stamp -= messages.Micros(rng.Int64N(int64(5 * messages.Minute))) // a producer's own
		}
		var b messages.ReadBlock
		if len(sent) > 0 && rng.IntN(6) == 0 {
			b = sent[len(sent)-1-rng.IntN(min(len(sent), 6))] // again
		} else {
			b = randomBlock(rng, &settings, stamp)
			if b.Key != "" || rng.IntN(2) == 0 {
				w := rng.IntN(len(sequences))
				sequences[w] += 1 + rng.Uint64N(2)
				if b.Sent == nil {
					b.Sent = new(messages.Sent)
				}
				b.Sent.Stamp = stamp - messages.Micros(rng.Int64N(int64(messages.Minute)))
				b.Sent.Writer, b.Sent.Sequence = messages.WriterID{byte(w)}, sequences[w]
				sent = append(sent, b)
			}
		}
		b.Offset, b.Stamp = offset, stamp
		if offset += 1; rng.IntN(3) == 0 {
			offset += messages.Offset(rng.IntN(5))
		}
		b.End = offset
		log = append(log, b)
	}
	return log
}

func randomBlock(rng *rand.Rand, settings *messages.Settings, stamp messages.Micros) messages.ReadBlock {
	b := messages.ReadBlock{Kind: messages.FrameEvents}
	switch rng.IntN(30) {
	case 0:
		b.Kind = messages.FrameTick
		return b
	case 1:
		b.Kind = messages.FrameControl
		settings.MaxCategories, settings.MaxRegions = 1+rng.IntN(6), 1+rng.IntN(8)
		b.Data = settings.AppendTo(nil)
		return b
	case 2, 3:
		b.Kind = messages.FrameGap
		return b
	}
	if rng.IntN(2) == 0 {
		b.Key, b.BodyHash = fmt.Sprintf("key-%d", rng.IntN(8)), messages.BodyHash{byte(rng.IntN(2))}
		b.Position = []byte{1, 2, 3}
		if rng.IntN(2) == 0 {
			home := messages.Offset(rng.IntN(3))
			b.Key, b.Position = fmt.Sprintf("%s@%d", b.Key, home), nil
			b.Sent = &messages.Sent{Follows: &messages.Followed{Home: home, Until: stamp - messages.Micros(rng.Int64N(int64(30*messages.Minute)))}}
			if rng.IntN(20) == 0 {
				b.Sent.Follows.Until = [2]messages.Micros{0, 1<<63 - 1}[rng.IntN(2)] // who wrote this lies
			}
		}
	} else if rng.IntN(4) == 0 {
		b.Refused = rng.Uint32N(4)
	}
	for range rng.IntN(8) {
		r := randomRecord(rng, stamp)
		b.Data = r.AppendTo(b.Data)
		b.Records++
	}
	return b
}

// TestAGapMovesNothing but the offset: it has no stamp, and is nobody's.
func TestAGapMovesNothing(t *testing.T) {
	g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
	g.next = 7
	if err := g.take(&messages.ReadBlock{Kind: messages.FrameGap, Offset: 7, End: 12, Stamp: messages.Hour}, d); err != nil {
		t.Fatal(err)
	}
	if g.next != 12 || g.arrival != 0 || g.ledger != (messages.Ledger{}) {
		t.Errorf("next %d, arrival %v, ledger %+v", g.next, g.arrival, g.ledger)
	}
	for _, b := range []messages.ReadBlock{
		{Kind: messages.FrameGap, Offset: 12, End: 12},
		{Kind: messages.FrameEvents, Offset: 12, End: 11},
		{Kind: messages.FrameTick, Offset: 11, End: 13},
	} {
		if err := g.take(&b, d); err == nil {
			t.Errorf("offsets %d to %d were taken behind %d", b.Offset, b.End, g.next)
		}
	}
}

// TestTheFormatBeforeIsRead: testdata/ingest-v1 is what the version before this
// one wrote, of a log without writers in which each event has an offset.
func TestTheFormatBeforeIsRead(t *testing.T) {
	part, err := os.ReadFile("testdata/ingest-v1")
	if err != nil {
		t.Fatal(err)
	}
	g := newIngest(testIdentity(messages.ClockWall))
	if err := g.decode(&decoder{r: bufio.NewReader(bytes.NewReader(part))}); err != nil {
		t.Fatal(err)
	}
	want := messages.Ledger{
		Logged: 210, Counted: 194, Duplicates: 13, DeadLettered: 3, Late: 82, Clamped: 10, AppliedOffset: 222, Controls: 12,
		Digest: messages.Digest{Hi: 0x58db772e36aaf35b, Lo: 0xb1fcd8b4ac2673b7},
	}
	if g.ledger != want || g.next != 222 || g.arrival != 1_700_002_560_687_830 || g.settings.MaxCategories != 5 || g.categories.Len() != 5 || g.regions.Len() != 6 {
		t.Errorf("it is read as %+v, next %d, arrival %d, settings %+v", g.ledger, g.next, g.arrival, g.settings)
	}
	again := newIngest(testIdentity(messages.ClockWall))
	if err := again.decode(&decoder{r: bufio.NewReader(bytes.NewReader(g.freeze().encode()))}); err != nil || again.ledger != want {
		t.Errorf("saved again and loaded: %+v, %v", again.ledger, err)
	}
	part[8]++ // and no logged events, no writers
	if err := newIngest(testIdentity(messages.ClockWall)).decode(&decoder{r: bufio.NewReader(bytes.NewReader(part))}); err == nil {
		t.Error("it was read as another version")
	}
}

// TestAForgottenWriterTakesNoRoom: of a writer a day, only those of the last day
// are kept.
func TestAForgottenWriterTakesNoRoom(t *testing.T) {
	var w writers
	for n := range uint64(1000) {
		id := messages.WriterID{byte(n), byte(n >> 8)}
		at := messages.Micros(n) * messages.Hour
		if w.repeated(&messages.Sent{Writer: id, Sequence: n + 1}, at) {
			t.Fatal("a new writer's block was there before")
		}
		if !w.repeated(&messages.Sent{Writer: id, Sequence: n + 1}, at) || !w.repeated(&messages.Sent{Writer: id, Sequence: 1}, at) {
			t.Fatal("a block was not there before, or one before it")
		}
		if n > 24 && (len(w.last) != 24 || len(w.records(at)) != 24) {
			t.Fatalf("%d writers are kept, %d are remembered", len(w.last), len(w.records(at)))
		}
	}
	// Also its repeats keep it remembered.
	last := writers{}
	for n := range messages.Micros(10) {
		if again := last.repeated(&messages.Sent{Sequence: 7}, n*20*messages.Hour); again != (n > 0) {
			t.Errorf("block %d was there before: %v", n, again)
		}
	}
	if w.bytes() < 24*40 || w.bytes() > 24*300 {
		t.Errorf("24 writers take %d bytes", w.bytes())
	}
}

// TestABlockThatFollowsIsCountedOnce, however often and by whom it is written, and
// however late: while the home of its key says that the key was seen, the
// other partitions know whether they have what belongs to it. And in the end
// they forget it.
func TestABlockThatFollowsIsCountedOnce(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 13))
		id := testIdentity(messages.ClockWall)
		home, other, d := newIngest(id), newIngest(id), new(window.Delta)
		take := func(g *ingest, b messages.ReadBlock) {
			b.Kind, b.Offset, b.End = messages.FrameEvents, g.next, g.next+1
			if b.Key != "" && b.Sent.Follows == nil {
				b.Position = fmt.Append(nil, b.End)
			}
			if err := g.take(&b, d); err != nil {
				t.Fatal(err)
			}
		}
		one := event("t", "", "", 1)
		clock, counted := 1_700_000_000*messages.Second, map[string]bool{}
		for range 200 {
			clock += messages.Micros(rng.Int64N(int64(3 * messages.Minute)))
			key := fmt.Sprintf("key-%d", rng.IntN(3))
			take(home, messages.ReadBlock{Stamp: clock, Key: key, Sent: &messages.Sent{Stamp: clock - messages.Second}})
			v := home.verdict(&messages.KeyQuery{Key: key, Applied: true}, clock+messages.Day)
			if v.State != messages.KeySeen {
				t.Fatalf("seed %d: the home has applied the key, and says %v", seed, v.State)
			}
			if rng.IntN(4) == 0 {
				continue // whoever wrote it dies here
			}
			// The other partition's clock may be ahead, by others' events.
			behind := clock + messages.Micros(rng.Int64N(int64(8*messages.Minute)))
			if rng.IntN(3) == 0 {
				ahead := messages.Micros(rng.Int64N(int64(5 * messages.Minute)))
				take(other, messages.ReadBlock{Stamp: behind + ahead, Records: 1, Data: one.AppendTo(nil)})
			}
			first := fmt.Sprintf("%s@%s", key, v.Position)
			before := other.ledger
			take(other, messages.ReadBlock{
				Stamp: behind, Key: first, Records: 1, Data: one.AppendTo(nil),
				Sent: &messages.Sent{Follows: &messages.Followed{Until: v.Until}},
			})
			if again := other.ledger.Duplicates > before.Duplicates; again != counted[first] {
				t.Fatalf("seed %d: the block that follows %s was there: %v, and is taken for a repeat: %v", seed, first, counted[first], again)
			}
			counted[first] = true
		}
		take(other, messages.ReadBlock{Stamp: clock + messages.Hour})
		if n := len(other.dedup.keys.records()); n > 0 {
			t.Fatalf("seed %d: %d keys are remembered for ever", seed, n)
		}
	}
}

// TestTheVerdictOnWhatWasApplied is the first block's, whatever its age; on what
// is to come it goes by time.
func TestTheVerdictOnWhatWasApplied(t *testing.T) {
	g, d := newIngest(testIdentity(messages.ClockWall)), new(window.Delta)
	start := messages.Day
	for i, position := range []string{"first", "second"} {
		b := messages.ReadBlock{
			Kind: messages.FrameEvents, Offset: messages.Offset(i), End: messages.Offset(i + 1), Stamp: start + messages.Micros(i)*messages.Minute,
			Key: "k", BodyHash: messages.BodyHash{1}, Position: []byte(position), Sent: &messages.Sent{Stamp: start - messages.Second + messages.Micros(i)},
		}
		if err := g.take(&b, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		query messages.KeyQuery
		want  messages.KeyState
	}{
		{messages.KeyQuery{Key: "k", BodyHash: messages.BodyHash{1}}, messages.KeyNew},
		{messages.KeyQuery{Key: "k", BodyHash: messages.BodyHash{1}, Applied: true}, messages.KeySeen},
		{messages.KeyQuery{Key: "k", BodyHash: messages.BodyHash{2}, Applied: true}, messages.KeyConflict},
		{messages.KeyQuery{Key: "other", Applied: true}, messages.KeyNew},
	} {
		v := g.verdict(&c.query, start+messages.Hour)
		if v.State != c.want {
			t.Errorf("%+v: %v, want %v", c.query, v.State, c.want)
		}
		if v.State == messages.KeySeen && (v.Stamp != start-messages.Second || string(v.Position) != "first" || v.Until <= start || v.Until > start+150*messages.Second) {
			t.Errorf("the first block is told as %+v", v)
		}
	}
}
