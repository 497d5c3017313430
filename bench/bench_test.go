package bench

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	table := Table{Title: "read", Head: []string{"what", "p99 ms", "span"}}
	table.Add("board", "1.5", "1.2–1.9")
	table.Add("count of one", "0.25", "0.1–0.4")
	var b strings.Builder
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	const want = "read\n" +
		"what          p99 ms     span\n" +
		"------------  ------  -------\n" +
		"board            1.5  1.2–1.9\n" +
		"count of one    0.25  0.1–0.4\n\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// TestDashesStandAmongNumbers: a cell without a value does not move the column
// to the left.
func TestDashesStandAmongNumbers(t *testing.T) {
	table := Table{Head: []string{"what", "width"}}
	table.Add("board", "12")
	table.Add("count", "–")
	var b strings.Builder
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	const want = "what   width\n-----  -----\nboard     12\ncount      –\n\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{3, 1, 2}, Spread{1, 2, 3}},
		{[]float64{4, 1, 3, 2}, Spread{1, 2.5, 4}},
	} {
		if got := SpreadOf(c.values); got != c.want {
			t.Errorf("%v: got %v, want %v", c.values, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.01234: "0.0123", 12.345: "12.3", 99.96: "100", 123.4: "123", 999.6: "1,000", 1234567: "1,234,567", -4321: "-4,321",
	} {
		if got := Number(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestReadyLine(t *testing.T) {
	if addr, ok := readyAddr("crest ready http=127.0.0.1:8080 version=1"); !ok || addr != "http://127.0.0.1:8080" {
		t.Errorf("got %q, %v", addr, ok)
	}
	for _, line := range []string{"", "crest ready", "crest ready version=1", "ready http=127.0.0.1:1"} {
		if addr, ok := readyAddr(line); ok {
			t.Errorf("%q was read as %q", line, addr)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	for range 100 {
		if _, err := out.Write([]byte(strings.Repeat("x", 999) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); len(got) != tailBytes || !strings.HasSuffix(got, "\nthe end") {
		t.Errorf("%d bytes are kept, ending in %q", len(got), got[len(got)-10:])
	}
}
