package window_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// TestSavedLayout holds the code to FORMAT.md: tables small enough to be written
// down.
func TestSavedLayout(t *testing.T) {
	b := newBatch(64, 64, hashOf)
	table := window.New(window.Config{Hash: hashOf, Key: [2]uint64{1, 2}})
	b.add(event{25 * messages.Second, "go", "", "", 1})
	table.Apply(b.flush(27 * messages.Second))
	b.add(event{30 * messages.Second, "go", "", "", 5_000_000_000})
	b.add(event{30 * messages.Second, "zig", "c", "r", 2})
	table.Apply(b.flush(32 * messages.Second))
	f := table.Freeze()
	k := save(t, f, nil)
	f.Release()
	for part, want := range map[string]string{
		"topics": "0a000000" + "02 00 02676f 00 037a6967",
		"rows": "26000000" + "03" + // so many rows
			"03 00 00 00 8a80808018 40 81e497d012" + // family 0: go, admitted at slice 5, clean and pristine
			"05 00 00 02 8c80808018 40 02" + // family 1: zig, under c
			"07 00 00 02 8c80808018 40 02", // family 2: zig, under c in r
		"slices": "2e000000" +
			"80e1eb17 01 00 00 01" + "01 8002 01" + "00" +
			"808ece1c 82e497d012 00 00 01" + "04 8002 ffffffff0f 00 81e497d002 8002 02 8002 02" + "00",
		"hidden": "",
	} {
		got, want := hex.EncodeToString(k.parts[part]), strings.ReplaceAll(want, " ", "")
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", part, got, want)
		}
	}
}
