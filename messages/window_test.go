package messages_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

func TestParseWindow(t *testing.T) {
	const s = messages.Second
	for text, want := range map[string]messages.Micros{
		"5m": 300 * s, "10m": 600 * s, "1h": 3600 * s, "24h": 86_400 * s, "7d": 7 * messages.Day,
		"30d": 30 * messages.Day, "all": 0, "10s": 10 * s, "37m": 37 * 60 * s, "1h30m": 5400 * s,
		"1d12h": 36 * 3600 * s, "720h": 30 * messages.Day, "1d": messages.Day, "29d23h59m59s": 30*messages.Day - s,
	} {
		if got, err := messages.ParseWindow(text); err != nil || messages.Micros(got) != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "abc", "0s", "9s", "31d", "30d1s", "-5m", "+1d", "-1d", "5", "0", "all ", "ALL", " 5m", "1.5d", "d",
		"1d1d", "10s500ms", "10.000001s", "10.0000001s", "9223372036854775807h", "100001d", "4294967296d", "5m\n",
	} {
		if got, err := messages.ParseWindow(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestWindowNames(t *testing.T) {
	names := []string{"5m", "10m", "1h", "24h", "7d", "30d", "all"}
	for i, w := range messages.StandardWindows {
		if w.String() != names[i] {
			t.Errorf("window %d is called %q, want %q", i, w, names[i])
		}
		if i > 0 && w != messages.WindowAll && w <= messages.StandardWindows[i-1] {
			t.Errorf("%v does not come behind %v", w, messages.StandardWindows[i-1])
		}
	}
	for text, m := range map[string]messages.Micros{
		"2d": 2 * messages.Day, "36h": 36 * messages.Hour, "1h0m10s": messages.Hour + 10*messages.Second,
		"1h30m": 90 * messages.Minute, "10s": 10 * messages.Second, "1m40.5s": 100*messages.Second + 500*messages.Millisecond,
		"100000d": 100_000 * messages.Day,
	} {
		if got := messages.FormatLength(m); got != text {
			t.Errorf("%d is written %q, want %q", m, got, text)
		}
	}
}

// TestFormatLengthRoundTrip over the whole range that ParseLength reads.
func TestFormatLengthRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]messages.Micros{
			1, messages.Millisecond, messages.Second, messages.Minute, messages.Hour, messages.Day}).Draw(t, "unit")
		m := unit * messages.Micros(rapid.Int64Range(1, int64(100_000*messages.Day/unit)).Draw(t, "number"))
		got, err := messages.ParseLength(messages.FormatLength(m))
		if err != nil || got != m {
			t.Fatalf("%d is written %q and read %d, %v", m, messages.FormatLength(m), got, err)
		}
	})
}

func FuzzParseLength(f *testing.F) {
	for _, s := range []string{"5m", "1d12h", "7d", "1h0m0.5s", "0d", "100000d292y", "1d-1h", "1e3s", "µs", "9999999h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := messages.ParseLength(s)
		if err != nil {
			if _, err := messages.ParseWindow(s); err == nil && s != "all" {
				t.Fatalf("%q is a window but no length", s)
			}
			return
		}
		if m <= 0 || m > 100_000*messages.Day {
			t.Fatalf("%q was read as %d", s, m)
		}
		text := messages.FormatLength(m)
		if again, err := messages.ParseLength(text); err != nil || again != m {
			t.Fatalf("%q is %d, written %q, read %d (%v)", s, m, text, again, err)
		}
	})
}

func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"5m", "all", "37m", "30d", "31d", "9s", "1h0.5s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := messages.ParseWindow(s)
		if err != nil {
			return
		}
		d := messages.Micros(w).Duration()
		if w != messages.WindowAll && (d < 10*time.Second || d > 30*24*time.Hour || d%time.Second != 0) {
			t.Fatalf("%q was read as %v", s, d)
		}
		if again, err := messages.ParseWindow(w.String()); err != nil || again != w {
			t.Fatalf("%q is called %q, which is read as %v (%v)", s, w, again, err)
		}
	})
}
