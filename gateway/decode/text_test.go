package decode

import (
	"bytes"
	"testing"
)

// Every place in every length, for every byte.
func TestSpecialBytesAreFoundAnywhere(t *testing.T) {
	for n := range 40 {
		text := bytes.Repeat([]byte{'x'}, n)
		if !allPlain(text) || plain(text, 0) != n {
			t.Fatalf("%d plain bytes", n)
		}
		for at := range n {
			for c := range 256 {
				text[at] = byte(c)
				special := c < 0x20 || c >= 0x7f || c == '"' || c == '\\'
				if allPlain(text) == special || (plain(text, 0) == at) != special {
					t.Fatalf("byte %#x at %d of %d: special %v", c, at, n, special)
				}
				if solid(text) != (c > ' ') {
					t.Fatalf("byte %#x at %d of %d: solid", c, at, n)
				}
			}
			text[at] = 'x'
		}
	}
}
