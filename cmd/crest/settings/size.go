package settings

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// units of a size; the binary ones first, so that FormatSize prefers them.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3},
	{"B", 1},
}

// ParseSize reads a number of bytes: "512MiB", "1.5GiB", "16MB", "4096".
func ParseSize(s string) (int64, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	if strings.Trim(number, "0123456789.") == "" { // no sign, exponent or other notation
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n <= math.MaxInt64/factor {
			return n * factor, nil
		}
		if f, err := strconv.ParseFloat(number, 64); err == nil && f*float64(factor) < 1<<62 {
			return int64(f * float64(factor)), nil
		}
	}
	return 0, errors.New("want a size such as 512MiB, 1GiB or a number of bytes")
}

// FormatSize is the size as ParseSize reads it, in the largest binary unit
// that leaves no remainder.
func FormatSize(n int64) string {
	for _, u := range units[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
