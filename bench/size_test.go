package bench

import (
	"fmt"
	"testing"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64MiB": 64 << 20, "3KiB": 3 << 10, "1GiB": 1 << 30, "1025": 1025} {
		if n, err := ParseSize(text); err != nil || n != want || Size(n) != text {
			t.Errorf("%s: %d, %v, %s", text, n, err, Size(n))
		}
	}
	for _, text := range []string{"", "0", "-1", "MiB", "1.5GiB", "64MB", fmt.Sprint(1<<62) + "KiB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}
