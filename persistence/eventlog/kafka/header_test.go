package kafka

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

func anyHeader(t *rapid.T) blockHeader {
	h := blockHeader{
		kind:    messages.FrameKind(rapid.IntRange(1, 3).Draw(t, "kind")),
		records: rapid.Uint32().Draw(t, "records"),
		part:    rapid.Uint32().Draw(t, "part"),
	}
	copy(h.sent.Writer[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "writer"))
	h.sent.Sequence = rapid.Uint64Min(1).Draw(t, "sequence")
	h.sent.Stamp = messages.Micros(rapid.Int64().Draw(t, "stamp"))
	if rapid.Bool().Draw(t, "keyed") {
		h.key = rapid.StringMatching(`[ -~]{1,128}`).Draw(t, "key")
		copy(h.hash[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "hash"))
		if rapid.Bool().Draw(t, "follows") {
			h.sent.Follows = &messages.Followed{
				Home: messages.Offset(rapid.Uint64().Draw(t, "home")), Until: messages.Micros(rapid.Int64().Draw(t, "until")),
			}
		}
	}
	if h.records > 0 && rapid.Bool().Draw(t, "event") {
		h.event = true
		h.index = rapid.Uint32Range(0, h.records-1).Draw(t, "index")
		h.record = rapid.SliceOf(rapid.Byte()).Draw(t, "record")
	}
	return h
}

func TestAHeaderComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := anyHeader(t)
		b := h.appendTo([]byte("before"))[len("before"):]
		got, err := parseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.record) == 0 {
			got.record, h.record = nil, nil
		}
		if !reflect.DeepEqual(got, h) {
			t.Fatalf("got %+v\nwant %+v", got, h)
		}
		if h.event { // the record takes what there is
			return
		}
		for n := range len(b) {
			if _, err := parseHeader(b[:n]); err == nil {
				t.Fatalf("%d bytes of %d pass", n, len(b))
			}
		}
		if _, err := parseHeader(append(b, 0)); err == nil {
			t.Fatal("a byte more passes")
		}
	})
}

func TestHeadersThatAreRefused(t *testing.T) {
	good := blockHeader{kind: messages.FrameEvents, records: 2, sent: messages.Sent{Sequence: 1}}
	change := func(f func(b []byte)) []byte {
		b := good.appendTo(nil)
		f(b)
		return b
	}
	follower := good
	follower.sent.Follows = &messages.Followed{Home: 1}
	beyond := good
	beyond.event, beyond.index = true, 2
	for name, b := range map[string][]byte{
		"empty":            {},
		"another version":  change(func(b []byte) { b[0] = 2 }),
		"kind 0":           change(func(b []byte) { b[1] = 0 }),
		"a gap":            change(func(b []byte) { b[1] = byte(messages.FrameGap) }),
		"an unknown flag":  change(func(b []byte) { b[2] = 8 }),
		"sequence 0":       change(func(b []byte) { b[headerFixed] = 0 }),
		"follows, no key":  follower.appendTo(nil),
		"index past end":   beyond.appendTo(nil),
		"key of no bytes":  append(change(func(b []byte) { b[2] = flagKeyed }), make([]byte, 17)...),
		"key of 129 bytes": append(append(change(func(b []byte) { b[2] = flagKeyed }), 129), make([]byte, 129+16)...),
	} {
		if h, err := parseHeader(b); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if _, err := parseHeader(change(func(b []byte) { b[0] = 9 })); !errors.Is(err, errHeaderVersion) {
		t.Errorf("a newer version: %v", err)
	}
}

// TestHeaderExample holds the layout to the example in FORMAT.md.
func TestHeaderExample(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "```\n")
	if !ok {
		t.Fatal("FORMAT.md has no example")
	}
	example, _, _ = strings.Cut(example, "```")
	var want []byte
	for _, line := range strings.Split(example, "\n") {
		digits := regexp.MustCompile(`^(?:[0-9a-f]{2} ?)+`).FindString(line)
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b...)
	}
	h := blockHeader{kind: messages.FrameEvents, records: 2, part: 1, key: "order"}
	h.sent = messages.Sent{Stamp: 1_000_000_000_000_000, Sequence: 300,
		Follows: &messages.Followed{Home: 42, Until: 1_000_000_150_000_000}}
	for i := range 16 {
		h.sent.Writer[i], h.hash[i] = byte(i), byte(16+i)
	}
	if got := h.appendTo(nil); !bytes.Equal(got, want) || len(got) != 62 {
		t.Errorf("%d bytes\n got %x\nwant %x", len(got), got, want)
	}
}

func FuzzParseHeader(f *testing.F) {
	h := blockHeader{kind: messages.FrameEvents, records: 2, part: 1, key: "order", sent: messages.Sent{Sequence: 7, Follows: &messages.Followed{Home: 3}}}
	f.Add(h.appendTo(nil))
	h.event, h.record = true, []byte("record")
	f.Add(h.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		again, err := parseHeader(h.appendTo(nil))
		if err != nil || !reflect.DeepEqual(h, again) {
			t.Fatalf("%+v, then %+v, %v", h, again, err)
		}
	})
}
