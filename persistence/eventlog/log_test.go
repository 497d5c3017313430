package eventlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPartitions = 4

// testConfig is a small log in fs: segments and groups are short, so that all
// their boundaries are met.
func testConfig(fs *persistencetest.FS) eventlog.Config {
	cfg := eventlog.DefaultConfig()
	cfg.Dir = "/log"
	cfg.FS = fs
	cfg.Partitions = testPartitions
	cfg.SegmentBytes = 16 << 10
	cfg.FreeSpace = func(string) (int64, error) { return math.MaxInt64, nil }
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return cfg
}

func mustOpen(t testing.TB, cfg eventlog.Config) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustClose(t testing.TB, l *eventlog.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// testFrame is frame number n, recognisable by what is in it: one block with
// records for each partition named.
func testFrame(n int, size int, partitions ...messages.Partition) *messages.Frame {
	f := &messages.Frame{Kind: messages.FrameEvents, Stamp: messages.Micros(1000 + n)}
	for i, p := range partitions {
		data := fmt.Appendf(nil, "frame %d partition %d ", n, p)
		data = append(data, bytes.Repeat([]byte{'x'}, size)...)
		f.Blocks = append(f.Blocks, messages.Block{Partition: p, Records: uint32(1 + i), Data: data})
	}
	return f
}

func mustAppend(t testing.TB, l *eventlog.Log, f *messages.Frame) messages.Position {
	t.Helper()
	pos := make(messages.Position, l.Identity().Partitions)
	if err := l.Append(t.Context(), f, pos); err != nil {
		t.Fatal(err)
	}
	return pos
}

// readAll reads partition p up to its durable end.
func readAll(t testing.TB, l *eventlog.Log, p messages.Partition) []messages.ReadBlock {
	t.Helper()
	ends := make(messages.Position, l.Identity().Partitions)
	l.Ends(ends)
	var blocks []messages.ReadBlock
	var b messages.Batch
	for from := messages.Offset(0); from < ends[p]; from = b.Next {
		if err := l.Read(t.Context(), p, from, &b); err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b.Blocks...)
	}
	return blocks
}

func TestWhatIsAppendedIsReadBackNowAndAfterReopening(t *testing.T) {
	fs := persistencetest.New(1)
	l := mustOpen(t, testConfig(fs))
	var frames []*messages.Frame
	for n := range 300 {
		f := testFrame(n, n%500, messages.Partition(n%testPartitions))
		if n%3 == 0 {
			f = testFrame(n, n%500, 0, 1, 3)
			f.Key, f.BodyHash = fmt.Sprintf("key-%d", n), messages.BodyHash{byte(n)}
		}
		if n%17 == 0 {
			f = &messages.Frame{Kind: messages.FrameTick, Stamp: messages.Micros(1000 + n),
				Blocks: []messages.Block{{Partition: 0}, {Partition: 1}, {Partition: 2}, {Partition: 3}}}
		}
		mustAppend(t, l, f)
		frames = append(frames, f)
	}
	checkContents(t, l, frames)
	mustClose(t, l)
	for start := range 4 {
		l = mustOpen(t, testConfig(fs))
		if start%2 == 0 { // else the first read comes after an append
			checkContents(t, l, frames)
		}
		if got, want := l.LastStamp(), messages.Micros(1299); got != want {
			t.Errorf("last stamp %d, want %d", got, want)
		}
		f := testFrame(0, 10, 0, 2)
		mustAppend(t, l, f)
		frames = append(frames, f)
		checkContents(t, l, frames)
		mustClose(t, l)
	}
}

// checkContents checks that the log holds just these frames, in this order.
func checkContents(t *testing.T, l *eventlog.Log, frames []*messages.Frame) {
	t.Helper()
	id := l.Identity()
	var want [testPartitions][]messages.ReadBlock
	next := make(messages.Position, testPartitions)
	for _, f := range frames {
		var pos messages.Position
		if f.Key != "" {
			pos = make(messages.Position, testPartitions)
		}
		first := map[messages.Partition]messages.Offset{}
		for i := range f.Blocks {
			p := f.Blocks[i].Partition
			first[p] = next[p]
			next[p] += f.Blocks[i].Span()
			if pos != nil {
				pos[p] = next[p]
			}
		}
		for i := range f.Blocks {
			b := &f.Blocks[i]
			r := messages.ReadBlock{Offset: first[b.Partition], End: first[b.Partition] + b.Span(), Kind: f.Kind, Stamp: f.Stamp, Key: f.Key,
				BodyHash: f.BodyHash, Records: b.Records, Data: b.Data}
			if pos != nil {
				r.Position = pos.AppendTo(nil, id.ID)
			}
			want[b.Partition] = append(want[b.Partition], r)
		}
	}
	for p := range messages.Partition(testPartitions) {
		got := readAll(t, l, p)
		if len(got) != len(want[p]) {
			t.Fatalf("partition %d: %d blocks, want %d", p, len(got), len(want[p]))
		}
		for i := range got {
			if g, w := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[p][i]); g != w && !(len(got[i].Data) == 0 && len(want[p][i].Data) == 0) {
				t.Fatalf("partition %d block %d:\n got %s\nwant %s", p, i, g, w)
			}
		}
	}
}

func TestConcurrentAppendsGetConsecutiveOffsets(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	defer mustClose(t, l)
	const clients, each = 32, 50
	type ack struct {
		pos   messages.Position
		frame *messages.Frame
	}
	acks := make(chan ack, clients*each)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				f := testFrame(c*each+i, 10, messages.Partition(c%testPartitions))
				pos := make(messages.Position, testPartitions)
				if err := l.Append(t.Context(), f, pos); err != nil {
					t.Error(err)
					return
				}
				ends := make(messages.Position, testPartitions)
				l.Ends(ends)
				if !ends.Covers(pos) {
					t.Errorf("acknowledged %v but durable ends are %v", pos, ends)
				}
				acks <- ack{pos, f}
			}
		})
	}
	wg.Wait()
	close(acks)
	byOffset := [testPartitions]map[messages.Offset]string{}
	for p := range byOffset {
		byOffset[p] = map[messages.Offset]string{}
	}
	for a := range acks {
		p := a.frame.Blocks[0].Partition
		byOffset[p][a.pos[p]-1] = string(a.frame.Blocks[0].Data)
	}
	for p := range messages.Partition(testPartitions) {
		blocks := readAll(t, l, p)
		if len(blocks) != clients*each/testPartitions {
			t.Fatalf("partition %d has %d blocks", p, len(blocks))
		}
		for i, b := range blocks {
			if b.Offset != messages.Offset(i) {
				t.Fatalf("partition %d block %d has offset %d", p, i, b.Offset)
			}
			if want := byOffset[p][b.Offset]; want != string(b.Data) {
				t.Fatalf("partition %d offset %d is %q, acknowledged was %q", p, b.Offset, b.Data, want)
			}
		}
	}
}

func TestReadWaitsForAnAppendAndForTheContext(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	got := make(chan error)
	var b messages.Batch
	go func() { got <- l.Read(t.Context(), 2, 0, &b) }()
	mustAppend(t, l, testFrame(1, 10, 1)) // of another partition
	mustAppend(t, l, testFrame(2, 10, 2))
	if err := <-got; err != nil || len(b.Blocks) != 1 || b.Next != 1 {
		t.Fatalf("read %+v, %v", b, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() { got <- l.Read(ctx, 2, b.Next, &b) }()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Fatalf("read after the context's end: %v", err)
	}

	go func() { got <- l.Read(t.Context(), 2, 1, &b) }()
	mustClose(t, l)
	if err := <-got; !errors.Is(err, messages.ErrStopped) {
		t.Fatalf("read of a closed log: %v", err)
	}
	if err := l.Append(t.Context(), testFrame(3, 1, 0), make(messages.Position, testPartitions)); !errors.Is(err, messages.ErrStopped) {
		t.Fatalf("append to a closed log: %v", err)
	}
}

func TestReadStopsAtMaxBytesAndResumesAtNext(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	defer mustClose(t, l)
	for n := range 100 {
		mustAppend(t, l, testFrame(n, 1000, 0, 1))
	}
	b := messages.Batch{MaxBytes: 5000}
	blocks := 0
	for from := messages.Offset(0); from < 100; from = b.Next {
		if err := l.Read(t.Context(), 0, from, &b); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, k := range b.Blocks {
			size += len(k.Data)
		}
		if len(b.Blocks) == 0 || size > 5000+1100 {
			t.Fatalf("%d blocks, %d bytes", len(b.Blocks), size)
		}
		blocks += len(b.Blocks)
	}
	if blocks != 100 {
		t.Fatalf("%d blocks", blocks)
	}
}

func TestAnOffsetInsideABlockReadsThatBlock(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	defer mustClose(t, l)
	f := testFrame(1, 1, 0)
	f.Blocks[0].Records = 10
	mustAppend(t, l, f)
	var b messages.Batch
	if err := l.Read(t.Context(), 0, 7, &b); err != nil || b.Blocks[0].Offset != 0 || b.Next != 10 {
		t.Fatalf("%+v, %v", b, err)
	}
}

func TestImpossibleFramesAreRefused(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	defer mustClose(t, l)
	block := messages.Block{Records: 1, Data: []byte("x")}
	for name, f := range map[string]*messages.Frame{
		"kind":       {Kind: 9, Blocks: []messages.Block{block}},
		"no blocks":  {Kind: messages.FrameEvents},
		"partition":  {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: testPartitions}}},
		"descending": {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: 1}, {Partition: 0}}},
		"twice":      {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: 1}, {Partition: 1}}},
		"key":        {Kind: messages.FrameEvents, Key: strings.Repeat("k", messages.MaxKeyBytes+1), Blocks: []messages.Block{block}},
	} {
		if err := l.Append(t.Context(), f, make(messages.Position, testPartitions)); err == nil || errors.Is(err, messages.ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustAppend(t, l, testFrame(1, 1, 0))
}

func TestAFrameMayBeAppendedAgainWithOtherContents(t *testing.T) {
	l := mustOpen(t, testConfig(persistencetest.New(1)))
	defer mustClose(t, l)
	f := testFrame(1, 300<<10, 0) // one that gets memory of its own
	g := testFrame(1, 30, 0)
	for i := range 10 {
		for _, f := range []*messages.Frame{f, g} {
			f.Blocks[0].Data[0] = byte('0' + i)
			mustAppend(t, l, f)
		}
	}
	for i, b := range readAll(t, l, 0) {
		if b.Data[0] != byte('0'+i/2) {
			t.Fatalf("block %d begins with %q", i, b.Data[0])
		}
	}
}

func TestWhatAReaderHoldsNeverChanges(t *testing.T) {
	cfg := testConfig(persistencetest.New(1))
	cfg.SegmentBytes, cfg.TailBytes, cfg.CacheBytes = 1<<20, 0, 0
	l := mustOpen(t, cfg)
	defer mustClose(t, l)
	var held []messages.Batch
	for n := range 5 * 16 {
		mustAppend(t, l, testFrame(n, 64<<10, 0))
		var b messages.Batch
		if err := l.Read(t.Context(), 0, messages.Offset(n), &b); err != nil {
			t.Fatal(err)
		}
		held = append(held, b)
	}
	for n, b := range held {
		if want := testFrame(n, 64<<10, 0).Blocks[0].Data; !bytes.Equal(b.Blocks[0].Data, want) {
			t.Fatalf("block %d has become %.40q", n, b.Blocks[0].Data)
		}
	}
}

func TestReadersMemoryIsBounded(t *testing.T) {
	cfg := testConfig(persistencetest.New(1))
	cfg.SegmentBytes, cfg.TailBytes, cfg.CacheBytes = 32<<10, 100<<10, 80<<10
	l := mustOpen(t, cfg)
	defer mustClose(t, l)
	for n := range 1000 {
		mustAppend(t, l, testFrame(n, 1000, messages.Partition(n%testPartitions)))
	}
	const chunk = 40 << 10 // a segment with its index
	for p := range messages.Partition(testPartitions) {
		readAll(t, l, p)
		if s := l.Stats(); s.TailBytes > cfg.TailBytes+chunk || s.CacheBytes > cfg.CacheBytes+chunk || s.Loads == 0 {
			t.Fatalf("%+v", s)
		}
	}
}

// Readers of all partitions at the same pace read the files once.
func TestPartitionsShareWhatIsReadBack(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	l := mustOpen(t, cfg)
	for n := range 500 {
		mustAppend(t, l, testFrame(n, 300, 0, 1, 2, 3))
	}
	mustClose(t, l)
	l = mustOpen(t, cfg)
	defer mustClose(t, l)
	ends := make(messages.Position, testPartitions)
	l.Ends(ends)
	var wg sync.WaitGroup
	for p := range messages.Partition(testPartitions) {
		wg.Go(func() {
			var b messages.Batch
			for from := messages.Offset(0); from < ends[p]; from = b.Next {
				if err := l.Read(t.Context(), p, from, &b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := l.Stats(); s.LoadedBytes > s.Bytes {
		t.Errorf("%d bytes read of %d", s.LoadedBytes, s.Bytes)
	}
}
