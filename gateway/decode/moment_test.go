package decode

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/crestdb/crest/messages"
)

func TestMomentOfNumber(t *testing.T) {
	const second = messages.Second
	for _, c := range []struct {
		literal string
		want    messages.Micros
		ok      bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"0.0", 0, true}, {"0e99999999999999999999", 0, true}, {"-1", 0, false}, {"-0.1", 0, false},
		{"1", second, true}, {"1.5", 1_500_000, true}, {"0.0000019", 1, true}, {"1e-9", 0, true}, {"15e-1", 1_500_000, true},
		{"99999999999", 99_999_999_999 * second, true}, {"99999999999.9999999", 99_999_999_999_999_999, true},
		{"100000000000", 100_000_000 * second, true}, {"1e11", 100_000_000 * second, true}, {"1761999000123", 1_761_999_000_123_000, true}, {"1761999000123.4567", 1_761_999_000_123_456, true},
		{"99999999999999", 99_999_999_999*second + 999_000, true}, {"100000000000000", 100_000_000 * second, true}, {"99999999999999999", 99_999_999_999_999_999, true},
		{"100000000000000000", 0, false}, {"1e17", 0, false}, {"99999999999999999.9", 99_999_999_999_999_999, true}, {"1e999999999999999999999", 0, false},
		{"1e-999999999999999999999", 0, true}, {"12345678901234567890", 0, false}, {"0.00000000000000000000000000000001e40", 100 * second * 1_000_000, true},
	} {
		got, ok := momentOfNumber([]byte(c.literal))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %d %v, want %d %v", c.literal, got, ok, c.want, c.ok)
		}
	}
}

func TestMomentOfTextLikeTime(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		at := time.Unix(rng.Int64N(253_402_300_800), rng.Int64N(1e9)).In(time.FixedZone("", 60*(rng.IntN(24*60*2-1)-24*60+1)))
		s := at.Format(time.RFC3339Nano)
		if at.Year() > 9999 {
			continue
		}
		got, ok := momentOfText([]byte(s))
		if !ok || got != messages.MicrosOf(at) {
			t.Fatalf("seed %d: %s: %d %v, want %d", seed, s, got, ok, at.UnixMicro())
		}
	}
}

func TestMomentOfTextIsStrict(t *testing.T) {
	for s, ok := range map[string]bool{
		"2024-02-29T00:00:00Z": true, "2023-02-29T00:00:00Z": false, "2000-02-29T00:00:00Z": true, "1900-02-29T00:00:00Z": false,
		"2024-01-01t00:00:00z": true, "2024-01-01 00:00:00Z": false, "2024-01-01T00:00:00": false, "2024-01-01T00:00Z": false, "2024-01-01": false, "": false,
		"2024-01-01T24:00:00Z": false, "2024-01-01T23:60:00Z": false, "2024-13-01T00:00:00Z": false, "2024-00-01T00:00:00Z": false, "2024-01-00T00:00:00Z": false, "2024-04-31T00:00:00Z": false,
		"2016-12-31T23:59:60Z": true, "2017-01-01T05:29:60+05:30": true, "2016-12-31T23:59:60+01:00": false, "2016-12-31T23:58:60Z": false, "2016-12-31T23:59:61Z": false,
		"2024-01-01T00:00:00.Z": false, "2024-01-01T00:00:00,5Z": false, "2024-01-01T00:00:00.123456789012Z": true, "2024-01-01T00:00:00.5": false,
		"2024-01-01T00:00:00+24:00": false, "2024-01-01T00:00:00+01:60": false, "2024-01-01T00:00:00+0100": false, "2024-01-01T00:00:00-00:00": true, "2024-01-01T00:00:00ZZ": false,
		"２024-01-01T00:00:00Z": false, "+024-01-01T00:00:00Z": false, "2024-1-01T00:00:00Z": false, "1761999000": false,
	} {
		if _, got := momentOfText([]byte(s)); got != ok {
			t.Errorf("%q: %v, want %v", s, got, ok)
		}
	}
}

func TestSmallInteger(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		n := rng.Uint64() % 1_000_000_000_000_000_000 >> rng.IntN(60)
		s := fmt.Sprintf("%0*d", rng.IntN(19), n)
		got, ok := smallInteger([]byte(s))
		if want, _ := strconv.ParseUint(s, 10, 64); !ok || got != want {
			t.Fatalf("seed %d: %s: %d %v", seed, s, got, ok)
		}
		b := []byte(s)
		i := rng.IntN(len(b))
		if b[i] = byte(rng.UintN(256)); b[i] >= '0' && b[i] <= '9' {
			continue
		}
		if got, ok := smallInteger(b); ok {
			t.Fatalf("seed %d: %q: %d", seed, b, got)
		}
	}
}

func TestSpecialMarksTheFirstSpecialByte(t *testing.T) {
	isSpecial := func(c byte) bool { return c == '"' || c == '\\' || c < 0x20 || c >= 0x7f }
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200_000 {
		src := make([]byte, 8+rng.IntN(4))
		for i := range src {
			if src[i] = byte(' ' + rng.IntN(95)); rng.IntN(4) == 0 {
				src[i] = byte(rng.UintN(256))
			}
		}
		want := 0
		for want < len(src) && !isSpecial(src[want]) {
			want++
		}
		if got := plain(src, 0); got != want {
			t.Fatalf("seed %d: %q: %d, want %d (%x)", seed, src, got, want, special(binary.LittleEndian.Uint64(src)))
		}
	}
}
