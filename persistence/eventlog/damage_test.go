package eventlog_test

import (
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
	// More frames, which the side file does not know of.
	later := fs.Clone(1)
	cfg.FS, cfg.SegmentBytes = later, 1<<20
	rng := rand.New(rand.NewPCG(5, 6))
	l := mustOpen(t, cfg)
	for range 20 {
		mustAppend(t, l, past.newFrame(rng))
	}
	mustClose(t, l)
	whole := later.ReadFile(path)
	kept := map[int]bool{}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		broken := fs.Clone(seed)
		b := append([]byte(nil), whole...)
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

func otherLog(t testing.TB) *persistencetest.FS {
	fs := persistencetest.New(2)
	mustClose(t, mustOpen(t, testConfig(fs)))
	return fs
}
