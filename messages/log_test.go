package messages_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

func anySettings() *rapid.Generator[messages.Settings] {
	return rapid.Custom(func(t *rapid.T) messages.Settings {
		micros := func(name string, least, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(least.Microseconds(), most.Microseconds()).Draw(t, name)) * time.Microsecond
		}
		return messages.Settings{
			DedupWindow:   micros("dedup window", time.Second, 24*time.Hour),
			MaxAhead:      micros("max ahead", 0, time.Hour),
			MaxCategories: rapid.IntRange(1, 65_535).Draw(t, "categories"),
			MaxRegions:    rapid.IntRange(1, 65_535).Draw(t, "regions"),
		}
	})
}

func TestSettingsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySettings().Draw(t, "settings")
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := messages.ParseSettings(s.AppendTo(nil))
		if err != nil || got != s {
			t.Fatalf("got %+v, %v; want %+v", got, err, s)
		}
	})
}

// TestSettingsLayout holds a control record to the bytes of FORMAT.md.
func TestSettingsLayout(t *testing.T) {
	s := messages.Settings{DedupWindow: time.Second, MaxAhead: 300 * time.Microsecond, MaxCategories: 64, MaxRegions: 512}
	want := []byte{1, 0xc0, 0x84, 0x3d, 0xac, 0x02, 64, 0x80, 0x04}
	if got := s.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestSettingsRefused(t *testing.T) {
	good := messages.DefaultSettings()
	for field, s := range map[string]messages.Settings{
		"dedup-window":   {DedupWindow: time.Millisecond, MaxAhead: good.MaxAhead, MaxCategories: 1, MaxRegions: 1},
		"max-ahead":      {DedupWindow: good.DedupWindow, MaxAhead: 2 * time.Hour, MaxCategories: 1, MaxRegions: 1},
		"max-categories": {DedupWindow: good.DedupWindow, MaxAhead: good.MaxAhead, MaxCategories: 0, MaxRegions: 1},
		"max-regions":    {DedupWindow: good.DedupWindow, MaxAhead: good.MaxAhead, MaxCategories: 1, MaxRegions: 65_536},
	} {
		if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+" ") {
			t.Errorf("%+v: got %v, want an error that begins with %s", s, err, field)
		}
		if _, err := messages.ParseSettings(s.AppendTo(nil)); err == nil {
			t.Errorf("%+v was read from a control record", s)
		}
	}
	fine := messages.Settings{DedupWindow: time.Second + 1, MaxAhead: 0, MaxCategories: 1, MaxRegions: 1}
	if err := fine.Validate(); err == nil {
		t.Error("a dedup window that a control record would round was taken")
	}
}

// TestSettingsThatWrapAreRefused: 2^64 / 1000 + 2,000,000 microseconds are
// about 2 s in wrapped nanoseconds.
func TestSettingsThatWrapAreRefused(t *testing.T) {
	b := []byte{1}
	for _, v := range []uint64{18_446_744_073_709_552 + 2_000_000, 0, 1, 1} {
		b = binary.AppendUvarint(b, v)
	}
	if s, err := messages.ParseSettings(b); err == nil {
		t.Errorf("read as %+v", s)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add(messages.DefaultSettings().AppendTo(nil))
	f.Add([]byte{1})
	f.Add([]byte{2, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := messages.ParseSettings(data)
		if err != nil {
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if again, err := messages.ParseSettings(s.AppendTo(nil)); err != nil || again != s {
			t.Fatalf("read %+v, then %+v (%v)", s, again, err)
		}
	})
}

func TestClockNames(t *testing.T) {
	for _, c := range []messages.Clock{messages.ClockWall, messages.ClockEvent} {
		if got, err := messages.ParseClock(c.String()); err != nil || got != c {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
	for _, s := range []string{"", "Wall", "clock(3)"} {
		if c, err := messages.ParseClock(s); err == nil {
			t.Errorf("%q was read as %v", s, c)
		}
	}
}

// TestSubkeysDiffer: every purpose has its own key, and every bit of the
// secret matters.
func TestSubkeysDiffer(t *testing.T) {
	type key struct{ k0, k1 uint64 }
	of := func(id messages.LogIdentity, purpose string) key {
		k0, k1 := id.Subkey(purpose)
		return key{k0, k1}
	}
	seen := map[key]string{}
	add := func(k key, what string) {
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", what, other)
		}
		seen[k] = what
	}
	var id messages.LogIdentity
	add(of(id, "partition"), "partition")
	add(of(id, "dedup"), "dedup")
	for bit := range 8 * len(id.HashKey) {
		changed := id
		changed.HashKey[bit/8] ^= 1 << (bit % 8)
		add(of(changed, "partition"), "partition with another secret")
	}
}
