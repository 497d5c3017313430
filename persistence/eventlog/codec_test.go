package eventlog

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/persistencetest"
)

func encoded(f *messages.Frame, next []messages.Offset, seed uint32) []byte {
	b := make([]byte, frameSize(f))
	encodeFrame(b, f)
	placeFrame(b, f, next, make(messages.Position, len(next)))
	sealFrame(b, seed)
	return b
}

func sampleFrames() []*messages.Frame {
	return []*messages.Frame{
		{Kind: messages.FrameTick, Stamp: -5, Blocks: []messages.Block{{Partition: 0}, {Partition: 1}}},
		{Kind: messages.FrameEvents, Stamp: 1_700_000_000_000_000, Key: "a key", BodyHash: messages.BodyHash{1, 2, 3},
			Blocks: []messages.Block{{Partition: 1, Records: 2, Data: []byte("two records")}, {Partition: 2}}},
		{Kind: messages.FrameControl, Stamp: math.MaxInt64, Blocks: []messages.Block{{Partition: 3, Data: messages.DefaultSettings().AppendTo(nil)}}},
	}
}

// FORMAT.md shows these bytes; they must stay what version 1 means.
func TestTheFormatIsTheDocumentedOne(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(doc)), "")
	log := messages.LogID{0xaa, 1: 0xbb, 15: 0xcc}
	h := header{log: log, number: 3, previousEnd: 9000, synced: 112, stamp: 77, salt: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
		base: []messages.Offset{10, 20, 30, 40}}
	id := messages.LogIdentity{ID: log, Partitions: 4, Clock: messages.ClockWall, HashKey: [32]byte{9}, Settings: messages.DefaultSettings()}
	mark := durableMark{sequence: 5, first: 1, last: 3, length: 4096}
	headBytes := h.encode()
	for what, b := range map[string][]byte{
		"header":   headBytes,
		"frame":    encoded(sampleFrames()[1], []messages.Offset{10, 20, 30, 40}, h.seed),
		"identity": encodeMeta(&id),
		"mark":     mark.encode(log),
	} {
		if !strings.Contains(text, hex.EncodeToString(b)) {
			t.Errorf("FORMAT.md lacks the %s's bytes: %x", what, b)
		}
	}
}

func TestMarksAreWholeOrNothing(t *testing.T) {
	log := messages.LogID{1, 2}
	m := durableMark{sequence: 5, first: 1, last: 3, length: 4096}
	b := m.encode(log)
	if got, ok := decodeMark(b, log); !ok || got != m {
		t.Fatalf("%+v %v", got, ok)
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x10
		if _, ok := decodeMark(c, log); ok && (i < 12 || i > 15) {
			t.Errorf("byte %d changed: still a mark", i)
		}
		if _, ok := decodeMark(b[:i], log); ok {
			t.Errorf("cut off at %d: still a mark", i)
		}
	}
	if _, ok := decodeMark(b, messages.LogID{3}); ok {
		t.Error("another log's mark")
	}
}

// FuzzFrame: no bytes make the decoder panic or read outside of them, and what
// it accepts says the same when encoded again.
func FuzzFrame(f *testing.F) {
	next := []messages.Offset{10, 20, 30, 40}
	for _, s := range sampleFrames() {
		f.Add(encoded(s, append([]messages.Offset(nil), next...), 1), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, seal bool) {
		if len(raw) < frameFixed {
			return
		}
		n, err := frameLength(raw, int64(len(raw)))
		if err != nil {
			return
		}
		raw = raw[:n:n]
		if seal {
			sealFrame(raw, 1)
		}
		var got frame
		if err := got.parse(raw, 1, len(next)); err != nil {
			return
		}
		again := &messages.Frame{Kind: got.kind, Stamp: got.stamp, Key: string(got.key), BodyHash: got.hash}
		place := append([]messages.Offset(nil), next...)
		for b := range got.blocks() {
			again.Blocks = append(again.Blocks, messages.Block{Partition: b.partition, Records: b.records, Data: b.data})
			place[b.partition] = b.offset
		}
		if err := checkFrame(again, len(next)); err != nil {
			t.Fatalf("decoded what cannot be encoded: %v", err)
		}
		if b := encoded(again, place, 1); !bytes.Equal(b, raw) {
			t.Fatalf("\n got %x\nfrom %x", b, raw)
		}
	})
}

// FuzzFiles: no identity, side file or segment makes Open panic, and an opened
// log can be verified.
func FuzzFiles(f *testing.F) {
	fs := persistencetest.New(1)
	key := [32]byte{1}
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Partitions, cfg.HashKey, cfg.MinFree = "/log", fs, 4, &key, 0
	l, err := Open(cfg)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range sampleFrames() {
		if err := l.Append(f.Context(), s, make(messages.Position, 4)); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	files := []string{metaName, durableName, segmentName(0)}
	for which, name := range files {
		f.Add(fs.ReadFile("/log/"+name), uint8(which), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8, seal bool) {
		if b == nil {
			return
		}
		name := files[int(which)%len(files)]
		if seal {
			sealFile(name, b)
		}
		fs := fs.Clone(1)
		fs.WriteFile("/log/"+name, b)
		cfg := cfg
		cfg.FS, cfg.Partitions, cfg.HashKey = fs, 0, nil
		_, verr := Verify(fs, cfg.Dir)
		l, err := Open(cfg)
		if err != nil {
			return
		}
		if verr != nil {
			t.Errorf("opened, but not verified: %v", verr)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if r, err := Verify(fs, cfg.Dir); err != nil || len(r.Damage) > 0 {
			t.Errorf("opened and closed, then: %+v, %v", r, err)
		}
	})
}

// sealFile puts right checksums where they belong, so that fuzzing gets past
// them.
func sealFile(name string, b []byte) {
	seal := func(b []byte) {
		if len(b) >= 4 {
			le.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
		}
	}
	switch name {
	case metaName:
		seal(b)
	case durableName:
		seal(b[:min(len(b), slotBytes)])
		if len(b) > slotStride {
			seal(b[slotStride:min(len(b), slotStride+slotBytes)])
		}
	default:
		n := int(headerSize(4))
		if len(b) < n {
			return
		}
		seal(b[:n])
		seed := le.Uint32(b[n-4:])
		for b = b[n:]; len(b) >= frameFixed; {
			k, err := frameLength(b, int64(len(b)))
			if err != nil {
				return
			}
			sealFrame(b[:k], seed)
			b = b[k:]
		}
	}
}
