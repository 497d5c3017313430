package eventlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// writtenLog is a cleanly closed log of so many segments at least, and what is
// in it.
func writtenLog(t testing.TB, fs *persistencetest.FS, segments int) (eventlog.Config, *history) {
	t.Helper()
	cfg := testConfig(fs)
	cfg.SegmentBytes = 8 << 10
	past := newHistory()
	rng := rand.New(rand.NewPCG(1, 2))
	l := mustOpen(t, cfg)
	for l.Stats().Segments < segments {
		f := past.newFrame(rng)
		past.ack(f, mustAppend(t, l, f))
	}
	for range 10 { // some in the last segment too
		f := past.newFrame(rng)
		past.ack(f, mustAppend(t, l, f))
	}
	mustClose(t, l)
	return cfg, past
}

func segmentFiles(t testing.TB, fs *persistencetest.FS) []string {
	t.Helper()
	names, err := fs.List("/log")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			files = append(files, n)
		}
	}
	return files
}

// damage does something to one of the files, or two, and says which.
func damage(rng *rand.Rand, fs *persistencetest.FS, files []string) (what string, hit []string) {
	i := rng.IntN(len(files))
	name := files[i]
	path := filepath.Join("/log", name)
	b := fs.ReadFile(path)
	at := rng.IntN(len(b))
	switch rng.IntN(6) {
	case 0:
		b[at] ^= 1 << rng.IntN(8)
		what = fmt.Sprintf("bit flipped at %d of %s", at, name)
	case 1:
		end := at + 1 + rng.IntN(len(b)-at)
		if string(b[at:end]) == string(make([]byte, end-at)) {
			b[at] ^= 0x80
		}
		clear(b[at:end])
		what = fmt.Sprintf("zeros from %d to %d of %s", at, end, name)
		if string(b) == string(fs.ReadFile(path)) {
			b[at] = 0x80
		}
	case 2:
		b = b[:at]
		what = fmt.Sprintf("%s cut off at %d", name, at)
	case 3:
		b = nil
		what = name + " deleted"
	case 4:
		n := min(len(b)-at, 1+rng.IntN(4096))
		for k := range n {
			b[at+k] = byte(rng.Uint32())
		}
		b[at] = ^fs.ReadFile(path)[at]
		what = fmt.Sprintf("%d random bytes from %d of %s", n, at, name)
	case 5:
		other := files[(i+1+rng.IntN(len(files)-1))%len(files)]
		theirs := fs.ReadFile(filepath.Join("/log", other))
		fs.WriteFile(filepath.Join("/log", other), b)
		b = theirs
		what, hit = fmt.Sprintf("%s and %s swapped", name, other), []string{other}
	}
	fs.WriteFile(path, b)
	return what, append(hit, name)
}

func TestDamageBelowTheDurableLengthIsRefusedByName(t *testing.T) {
	fs := persistencetest.New(1)
	cfg, past := writtenLog(t, fs, 14)
	files := segmentFiles(t, fs)
	behind := 0 // damaged with at least 10 segments behind the place
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		cfg := cfg
		broken := fs.Clone(seed)
		cfg.FS = broken
		what, hit := damage(rng, broken, files)
		l, err := eventlog.Open(cfg)
		if err == nil {
			_ = l.Close()
			t.Fatalf("seed %d: %s: opened", seed, what)
		}
		var corrupt *eventlog.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), corrupt.File) {
			t.Fatalf("seed %d: %s: %v", seed, what, err)
		}
		if corrupt.File != hit[0] && corrupt.File != hit[len(hit)-1] {
			t.Fatalf("seed %d: %s: another file is named: %v", seed, what, err)
		}
		if hit[0] <= files[len(files)-11] {
			behind++
		}
		checkReport(t, past, cfg, seed, what, hit)
	}
	if behind < 100 {
		t.Fatalf("only %d with 10 segments behind", behind)
	}
}

// checkReport checks what Verify and Scan make of a damaged log: the file is
// named, and what they still show is true.
func checkReport(t *testing.T, past *history, cfg eventlog.Config, seed uint64, what string, hit []string) {
	t.Helper()
	r, err := eventlog.Verify(cfg.FS, cfg.Dir)
	if err != nil {
		t.Fatalf("seed %d: %s: verify: %v", seed, what, err)
	}
	if len(r.Damage) == 0 || len(r.Lost) == 0 {
		t.Fatalf("seed %d: %s: verify found damage %v, lost %v", seed, what, r.Damage, r.Lost)
	}
	for _, d := range r.Damage {
		if d.File != hit[0] && d.File != hit[len(hit)-1] {
			t.Fatalf("seed %d: %s: verify names another file: %v", seed, what, d)
		}
	}
	lost := func(p messages.Partition, o messages.Offset) bool {
		for _, l := range r.Lost {
			if l.Partition == p && o >= l.From && (l.ToEnd || o < l.To) {
				return true
			}
		}
		return false
	}
	for data, end := range past.acked {
		s := past.submitted[data]
		if first := end - max(1, messages.Offset(s.records)); end > r.Ends[s.partition] && !lost(s.partition, first) {
			t.Fatalf("seed %d: %s: frame %d is neither within the ends nor lost", seed, what, s.frame)
		}
	}
	err = eventlog.Scan(cfg.FS, cfg.Dir, func(f eventlog.FrameInfo) error {
		for _, b := range f.Blocks {
			s, ok := past.submitted[string(b.Data)]
			if !ok || s.partition != b.Partition || past.acked[string(b.Data)] != b.Offset+max(1, messages.Offset(b.Records)) {
				return fmt.Errorf("%.40q was never appended there", b.Data)
			}
		}
		return nil
	})
	var corrupt *eventlog.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("seed %d: %s: scan: %v", seed, what, err)
	}
}

func TestASoundLogIsReportedSound(t *testing.T) {
	fs := persistencetest.New(1)
	cfg, past := writtenLog(t, fs, 5)
	r, err := eventlog.Verify(fs, cfg.Dir)
	if err != nil || len(r.Damage) > 0 || len(r.Lost) > 0 || r.TailFrames > 0 || r.TornBytes > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	frames := 0
	for _, s := range r.Segments {
		frames += s.Frames
	}
	if frames != past.frames || len(r.Segments) < 5 || r.LastStamp != messages.Micros(past.frames) {
		t.Fatalf("%d frames in %d segments, last stamp %d; want %d frames", frames, len(r.Segments), r.LastStamp, past.frames)
	}
	l := mustOpen(t, cfg)
	ends := make(messages.Position, testPartitions)
	l.Ends(ends)
	mustClose(t, l)
	if fmt.Sprint(ends) != fmt.Sprint(r.Ends) {
		t.Fatalf("ends %v, want %v", r.Ends, ends)
	}
	scanned := 0
	err = eventlog.Scan(fs, cfg.Dir, func(f eventlog.FrameInfo) error { scanned++; return nil })
	if err != nil || scanned != frames {
		t.Fatalf("scanned %d: %v", scanned, err)
	}
}

// Without the durable length, damage in the last segment passes for the torn
// end of a write: the harness must see that frames are gone.
func TestDamageIsOnlyNoticedThanksToTheDurableLength(t *testing.T) {
	fs := persistencetest.New(1)
	fs.IgnoreWrites = func(name string) bool { return filepath.Base(name) == "durable" }
	cfg, past := writtenLog(t, fs, 3)
	files := segmentFiles(t, fs)
	noticed := 0
	const seeds = 50
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 4))
		broken := fs.Clone(seed)
		path := filepath.Join("/log", files[len(files)-1])
		b := broken.ReadFile(path)
		b[200+rng.IntN(len(b)-200)] ^= 1
		broken.WriteFile(path, b)
		cfg.FS = broken
		l := mustOpen(t, cfg)
		past := past.fork()
		if past.check(l) != nil {
			noticed++
		}
		mustClose(t, l)
	}
	if noticed < seeds {
		t.Fatalf("%d of %d losses noticed", noticed, seeds)
	}
}

// What lies behind the durable length may be anything: whole frames are kept
// up to the first that is not, and the rest is dropped.
func TestDamageAboveTheDurableLengthIsATornTail(t *testing.T) {
	fs := persistencetest.New(1)
	cfg, past := writtenLog(t, fs, 3)
	files := segmentFiles(t, fs)
	path := filepath.Join("/log", files[len(files)-1])
	durable := len(fs.ReadFile(path))
	rng := rand.New(rand.NewPCG(5, 6))
	var more []*messages.Frame
	for range 20 {
		more = append(more, past.newFrame(rng))
	}
	whole := extended(t, fs, cfg, more...).ReadFile(path)
	kept := map[int]bool{}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		broken := fs.Clone(seed)
		b := bytes.Clone(whole)
		at := durable + rng.IntN(len(b)-durable)
		switch rng.IntN(4) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			clear(b[at:])
		case 2:
			b = b[:at]
		case 3:
			for range 100 {
				b = append(b, byte(rng.Uint32()))
			}
		}
		broken.WriteFile(path, b)
		cfg.FS = broken
		past := past.fork()
		for start := range 3 { // and again, and again
			l, err := eventlog.Open(cfg)
			if err != nil {
				t.Fatalf("seed %d: start %d: %v", seed, start, err)
			}
			if err := past.check(l); err != nil {
				t.Fatalf("seed %d: start %d: %v", seed, start, err)
			}
			kept[int(l.Stats().Frames)] = true
			mustAppend(t, l, past.newFrame(rng))
			mustClose(t, l)
		}
	}
	if len(kept) < 20 {
		t.Fatalf("only %d different tails", len(kept))
	}
}

func TestAMissingOrDamagedSideFileIsRefused(t *testing.T) {
	fs := persistencetest.New(1)
	cfg, past := writtenLog(t, fs, 3)
	for _, name := range []string{"log.meta", "durable"} {
		for what, change := range map[string]func([]byte) []byte{
			"missing":   func([]byte) []byte { return nil },
			"empty":     func([]byte) []byte { return []byte{} },
			"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
			"cut off":   func(b []byte) []byte { return b[:20] },
			"other log": func(b []byte) []byte { return otherLog(t).ReadFile("/log/" + name) },
		} {
			broken := fs.Clone(1)
			broken.WriteFile("/log/"+name, change(fs.ReadFile("/log/"+name)))
			cfg.FS = broken
			_, err := eventlog.Open(cfg)
			var corrupt *eventlog.CorruptError
			if !errors.As(err, &corrupt) || what != "other log" && corrupt.File != name {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	// One slot alone is enough: both are written at a clean stop.
	for _, at := range []int{10, 4096 + 10} {
		broken := fs.Clone(1)
		b := fs.ReadFile("/log/durable")
		b[at] ^= 1
		broken.WriteFile("/log/durable", b)
		cfg.FS = broken
		l := mustOpen(t, cfg)
		if s := l.Stats(); s.Frames != uint64(past.frames) || len(segmentFiles(t, broken)) != len(segmentFiles(t, fs)) {
			t.Errorf("slot at %d: %+v", at, s)
		}
		mustClose(t, l)
	}
}

// A frame whose checksum is right, at the place of another one of the same
// size, is found out by its offsets.
func TestFramesInTheWrongOrderAreRefused(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	l := mustOpen(t, cfg)
	for n := range 3 {
		mustAppend(t, l, testFrame(n, 50, 0))
	}
	mustClose(t, l)
	var at []int64
	err := eventlog.Scan(fs, cfg.Dir, func(f eventlog.FrameInfo) error { at = append(at, f.Byte); return nil })
	if err != nil || len(at) != 3 {
		t.Fatal(at, err)
	}
	path := "/log/" + segmentFiles(t, fs)[0]
	b := fs.ReadFile(path)
	third := bytes.Clone(b[at[2]:])
	copy(b[at[2]:], b[at[1]:at[2]])
	copy(b[at[1]:], third)
	fs.WriteFile(path, b)
	var corrupt *eventlog.CorruptError
	if _, err := eventlog.Open(cfg); !errors.As(err, &corrupt) || corrupt.Byte != at[1] {
		t.Fatalf("want damage at %d: %v", at[1], err)
	}
}

// extended is fs's log, cleanly closed, with more frames that its side file
// does not know of.
func extended(t testing.TB, fs *persistencetest.FS, cfg eventlog.Config, frames ...*messages.Frame) *persistencetest.FS {
	t.Helper()
	files := segmentFiles(t, fs)
	path := "/log/" + files[len(files)-1]
	later, cut := fs.Clone(1), fs.Clone(2)
	cfg.FS, cfg.SegmentBytes = later, 1<<20
	l := mustOpen(t, cfg)
	for _, f := range frames {
		mustAppend(t, l, f)
	}
	mustClose(t, l)
	cut.WriteFile(path, later.ReadFile(path))
	return cut
}

// Behind a torn frame there may be a whole one. A new frame of the torn one's
// size, written in its place, must not bring it back.
func TestAFrameBehindATornOneStaysAway(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	l := mustOpen(t, cfg)
	mustAppend(t, l, testFrame(0, 50, 0))
	mustClose(t, l)
	path := "/log/" + segmentFiles(t, fs)[0]
	durable := len(fs.ReadFile(path))
	cfg.FS = extended(t, fs, cfg, testFrame(1, 50, 0), testFrame(2, 50, 0))
	torn := cfg.FS.(*persistencetest.FS)
	b := torn.ReadFile(path)
	b[durable+30] ^= 1
	torn.WriteFile(path, b)
	for start := range 3 {
		l := mustOpen(t, cfg)
		for _, k := range readAll(t, l, 0) {
			if strings.HasPrefix(string(k.Data), "frame 2") {
				t.Fatalf("start %d: the frame behind the torn one is in the log", start)
			}
		}
		mustAppend(t, l, testFrame(3, 50, 0))
		mustClose(t, l)
	}
}

// Frames that a start has moved were durable before their segment got its
// name, also if the side file never came to say so.
func TestDamageToMovedFramesIsRefused(t *testing.T) {
	fs := persistencetest.New(1)
	cfg := testConfig(fs)
	l := mustOpen(t, cfg)
	mustAppend(t, l, testFrame(0, 50, 0))
	mustClose(t, l)
	moved := extended(t, fs, cfg, testFrame(1, 50, 0), testFrame(2, 50, 0))
	before := moved.ReadFile("/log/durable")
	cfg.FS = moved
	mustClose(t, mustOpen(t, cfg))
	files := segmentFiles(t, moved)
	if len(files) != 2 {
		t.Fatalf("segments %v", files)
	}
	moved.WriteFile("/log/durable", before)
	path := "/log/" + files[1]
	b := moved.ReadFile(path)
	b[len(b)-1] ^= 1
	moved.WriteFile(path, b)
	var corrupt *eventlog.CorruptError
	if _, err := eventlog.Open(cfg); !errors.As(err, &corrupt) || corrupt.File != files[1] {
		t.Fatal(err)
	}
}

func otherLog(t testing.TB) *persistencetest.FS {
	fs := persistencetest.New(2)
	mustClose(t, mustOpen(t, testConfig(fs)))
	return fs
}
