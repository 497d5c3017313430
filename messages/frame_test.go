package messages_test

import (
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestSpans: a block takes an offset per record when it is written, and one
// without records; when it is read the log says how many.
func TestSpans(t *testing.T) {
	for records, want := range map[uint32]messages.Offset{0: 1, 1: 1, 7: 7} {
		written := messages.Block{Records: records}
		if written.Span() != want {
			t.Errorf("%d records span %d offsets, want %d", records, written.Span(), want)
		}
	}
	if read := (messages.ReadBlock{Offset: 5, End: 8, Records: 100}); read.Span() != 3 {
		t.Errorf("a block from 5 to 8 spans %d offsets, want 3", read.Span())
	}
	b := messages.Batch{Blocks: []messages.ReadBlock{{Records: 3}, {Kind: messages.FrameTick}, {Records: 4}}}
	if b.Records() != 7 {
		t.Errorf("the batch has %d records, want 7", b.Records())
	}
}

// TestFrameBytesCoverTheContent: a queue bounded by Bytes is bounded in memory.
func TestFrameBytesCoverTheContent(t *testing.T) {
	f := messages.Frame{Key: "key", Blocks: []messages.Block{{Data: make([]byte, 100)}, {Data: make([]byte, 50)}}}
	if got := f.Bytes(); got < 153 {
		t.Errorf("a frame with 153 bytes of content counts as %d", got)
	}
}
