package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// units of sizes, as crest's flags write them.
var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// ParseSize reads a number of bytes, such as 64MiB or 1048576.
func ParseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = rest, u.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > (1<<62)/unit {
		return 0, fmt.Errorf("size %q: want bytes, such as 64MiB", text)
	}
	return n * unit, nil
}

// Size writes a number of bytes in the largest unit that takes no fraction.
func Size(bytes int64) string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; bytes > 0 && bytes%u.bytes == 0 {
			return fmt.Sprintf("%d%s", bytes/u.bytes, u.suffix)
		}
	}
	return strconv.FormatInt(bytes, 10)
}
