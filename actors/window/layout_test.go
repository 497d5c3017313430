package window_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// tinySnapshot is small enough to be written down.
func tinySnapshot(t *testing.T) (window.Config, *kept) {
	t.Helper()
	cfg := window.Config{Hash: hashOf, Key: [2]uint64{1, 2}}
	b, table := newBatch(64, 64, hashOf), window.New(cfg)
	b.add(event{25 * messages.Second, "go", "", "", 1})
	table.Apply(b.flush(27 * messages.Second))
	b.add(event{30 * messages.Second, "go", "", "", 5_000_000_000})
	b.add(event{30 * messages.Second, "zig", "c", "r", 2})
	table.Apply(b.flush(32 * messages.Second))
	f := table.Freeze()
	defer f.Release()
	return cfg, save(t, f, nil)
}

// written is a block of what is written in hexadecimal.
func written(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

const (
	tinyTopics = "02 00 02676f 00 037a6967"
	tinyGo     = "03 00 00 00 8a80808018 40 81e497d012" // family 0: go, admitted at slice 5, clean and pristine
	tinyZig    = "05 00 00 02 8c80808018 40 02"         // family 1: zig, under c
	tinyZigR   = "07 00 00 02 8c80808018 40 02"         // family 2: zig, under c in r
	tinySlice  = "808ece1c 82e497d012 00 00 01" + "04 8002 ffffffff0f 00 81e497d002 8002 02 8002 02" + "00"
)

// TestSavedLayout holds the code to FORMAT.md.
func TestSavedLayout(t *testing.T) {
	_, k := tinySnapshot(t)
	for part, want := range map[string][]byte{
		"topics": written(t, tinyTopics),
		"rows":   written(t, "03"+tinyGo+tinyZig+tinyZigR),
		"slices": written(t, "80e1eb17 01 00 00 01"+"01 8002 01"+"00"+tinySlice),
		"hidden": nil,
	} {
		if got := k.parts[part]; !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", part, got, want)
		}
	}
}

// TestLoadRefusesContradictions: what is well written and cannot be.
func TestLoadRefusesContradictions(t *testing.T) {
	cfg, k := tinySnapshot(t)
	for _, x := range []struct {
		what, part, text string
		fine             bool
	}{
		{what: "a list", part: "slices", text: "80e1eb17 01 00 00 04 010102 00", fine: true},
		{what: "a list of a version that was not given", part: "slices", text: "80e1eb17 01 00 05 04 010102 00"},
		{what: "a list with dead bytes", part: "slices", text: "80e1eb17 01 00 00 06 0103020000 00", fine: true},
		{what: "a list with more behind its end", part: "slices", text: "80e1eb17 01 00 00 06 0103020002 00"},
		{what: "a list of a page that is not there", part: "slices", text: "80e1eb17 01 00 00 04 040102 00"},
		{what: "a list of a row that is not there", part: "slices", text: "80e1eb17 01 00 00 04 010104 00"},
		{what: "a list of page 0", part: "slices", text: "80e1eb17 01 00 00 04 000102 00"},
		{what: "a list with a count of 0", part: "slices", text: "80e1eb17 01 00 00 05 01020100 00"},
		{what: "a list cut off", part: "slices", text: "80e1eb17 01 00 00 04 010202 00"},
		{what: "a count of a row that is not there", part: "slices", text: "80e1eb17 01 00 00 01 01 8102 01 00"},
		{what: "a count of a page that is not there", part: "slices", text: "80e1eb17 01 00 00 01 01 8008 01 00"},
		{what: "a count of 0", part: "slices", text: "80e1eb17 01 00 00 01 01 8002 00 00"},
		{what: "counts without an end", part: "slices", text: "80e1eb17 01 00 00 01 01 8002 01"},
		{what: "the same slice twice", part: "slices", text: tinySlice + tinySlice},
		{what: "a slice between two", part: "slices", text: "82e1eb17 01 00 00 01 00"},
		{what: "a slice after the clock", part: "slices", text: "80bb9621 01 00 00 01 00"},
		{what: "a slice with a sketch that is not there", part: "slices", text: "80e1eb17 01 01 00 01 00"},
		{what: "another order of pages", part: "rows", text: "03" + tinyGo + tinyZigR + tinyZig, fine: true},
		{what: "fewer rows", part: "rows", text: "03" + tinyGo + tinyZig},
		{what: "a topic without its row", part: "rows", text: "02" + tinyGo + tinyZigR + "00"},
		{what: "a row twice", part: "rows", text: "04" + tinyGo + tinyZig + tinyZigR + tinyZigR},
		{what: "a topic's row twice", part: "rows", text: "04" + tinyGo + tinyZig + tinyZigR + tinyZig},
		{what: "a row of a topic that is not there", part: "rows", text: "03 03 00 00 04 8a80808018 40 02" + tinyZig + tinyZigR},
		{what: "a row of a family that is not there", part: "rows", text: "03" + tinyGo + tinyZig + "09 00 00 02 8c80808018 40 02"},
		{what: "places", part: "rows", text: "03 04 00 00 00 00 8a80808018 40 81e497d012" + tinyZig + tinyZigR, fine: true},
		{what: "a place twice", part: "rows", text: "04 04 01 0000 00 00 8a80808018 40 02 02 00 40 02" + tinyZigR + "00"},
		{what: "a ghost", part: "rows", text: "04" + tinyGo + tinyZig + tinyZigR + "01 00 00 04 00 40 02", fine: true},
		{what: "a family's ghost twice", part: "rows", text: "05" + tinyGo + tinyZig + tinyZigR + "01 01 00 04 00 40 02 00 00 40 02"},
		{what: "a ghost of no family", part: "rows", text: "04" + tinyGo + tinyZig + tinyZigR + "01 00 00 10 00 40 02"},
		{what: "two pages of ghosts with room", part: "rows", text: "05" + tinyGo + tinyZig + tinyZigR + "01 00 00 04 00 40 02" + "01 00 00 08 00 40 02"},
		{what: "a name twice", part: "topics", text: "02 00 02676f 00 02676f"},
		{what: "an empty name", part: "topics", text: "02 00 02676f 00 00"},
		{what: "more names than places", part: "topics", text: "02 00 02676f 8002 037a6967"},
	} {
		other := k.with(x.part, written(t, x.text))
		if x.part == "rows" { // their counts are not at issue
			other = other.with("slices", nil)
		}
		if _, err := window.Load(cfg, reading{other}); (err == nil) != x.fine {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}
