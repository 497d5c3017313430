package messages_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

var aLog = messages.LogID{1, 2, 3, 4, 5}

func anyPosition(partitions int) *rapid.Generator[messages.Position] {
	return rapid.Custom(func(t *rapid.T) messages.Position {
		p := make(messages.Position, partitions)
		for i := range p {
			if rapid.Bool().Draw(t, "named") {
				p[i] = messages.Offset(rapid.Uint64().Draw(t, "offset"))
			}
		}
		return p
	})
}

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, messages.MaxPartitions).Draw(t, "partitions")
		p := anyPosition(n).Draw(t, "position")
		got, err := messages.ParsePosition(p.Token(aLog), aLog, n)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, p) {
			t.Fatalf("got %v, want %v", got, p)
		}
	})
}

// TestPositionLayout holds the token to the bytes of FORMAT.md.
func TestPositionLayout(t *testing.T) {
	p := messages.Position{0, 300, 0, 7}
	want := []byte{1, 1, 2, 3, 4, 1, 0xac, 0x02, 3, 7}
	if got := p.AppendTo(nil, aLog); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got, want := p.Token(aLog), base64.RawURLEncoding.EncodeToString(want); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPositionRefused(t *testing.T) {
	token := func(b ...byte) string {
		return base64.RawURLEncoding.EncodeToString(append([]byte{1, 1, 2, 3, 4}, b...))
	}
	for name, s := range map[string]string{
		"empty":                    "",
		"no base64":                "a+/=",
		"too short":                "AQ",
		"another version":          base64.RawURLEncoding.EncodeToString([]byte{2, 1, 2, 3, 4}),
		"another log":              messages.Position{1}.Token(messages.LogID{9}),
		"a partition out of range": token(4, 1),
		"partitions out of order":  token(2, 1, 1, 1),
		"a partition twice":        token(1, 1, 1, 1),
		"offset 0":                 token(1, 0),
		"offset missing":           token(1),
		"offset beyond 64 bits":    token(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := messages.ParsePosition(s, aLog, 4)
			if !errors.Is(err, messages.ErrPosition) {
				t.Errorf("%q gave %v, %v; want ErrPosition", s, p, err)
			}
		})
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add(messages.Position{0, 300, 0, 7}.Token(aLog), 4)
	f.Add("", 1)
	f.Fuzz(func(t *testing.T, token string, partitions int) {
		if partitions < 1 || partitions > messages.MaxPartitions {
			return
		}
		p, err := messages.ParsePosition(token, aLog, partitions)
		if err != nil {
			if !errors.Is(err, messages.ErrPosition) {
				t.Fatalf("%v is no ErrPosition", err)
			}
			return
		}
		again, err := messages.ParsePosition(p.Token(aLog), aLog, partitions)
		if err != nil || !slices.Equal(p, again) {
			t.Fatalf("read %v, then %v (%v)", p, again, err)
		}
	})
}

// TestPositionOrder: Raise is the least position that covers both, and Covers
// is the order it belongs to, also for positions of different length.
func TestPositionOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "partitions")
		a, b := anyPosition(n).Draw(t, "a"), anyPosition(n).Draw(t, "b")
		both := slices.Clone(a)
		both.Raise(b)
		if !both.Covers(a) || !both.Covers(b) {
			t.Fatalf("%v does not cover %v and %v", both, a, b)
		}
		for i := range both {
			if both[i] != max(a[i], b[i]) {
				t.Fatalf("partition %d: got %d of %v and %v", i, both[i], a, b)
			}
		}
		if a.Covers(b) != slices.Equal(both, a) {
			t.Fatalf("%v covers %v: %v", a, b, a.Covers(b))
		}
	})
	if !(messages.Position{1}).Covers(messages.Position{1, 0}) || (messages.Position{1}).Covers(messages.Position{1, 1}) {
		t.Error("a position that is too short covers exactly what names none of the rest")
	}
	if !(messages.Position{}).Covers(nil) {
		t.Error("nothing does not cover nothing")
	}
}
