package gateway

import (
	"fmt"
	"testing"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// TestBoardsAreEncodedAsEncodingJSONDoes: byte for byte, whatever is in them.
func TestBoardsAreEncodedAsEncodingJSONDoes(t *testing.T) {
	topics := []string{"plain", "<b>&", `"quoted"`, `back\slash`, "äöü", "line\u2028sep\u2029", "€", "日本語", "a/b"}
	for n := range 2 * len(topics) {
		b := &messages.Board{
			Window: messages.Window5m, Cell: messages.Cell{Category: `c"`, Region: "IN"}, K: 100,
			Moment: testMoment, Version: "abc", Total: messages.Count{Lower: 1, Estimate: 2, Upper: 3},
			Certified: n, Exact: n%2 == 0, SketchError: messages.SketchError{Epsilon: 0.001, Delta: 0.01},
		}
		for i := range n {
			b.Rows = append(b.Rows, messages.Row{
				Topic: fmt.Sprint(topics[i%len(topics)], i), Certified: i%3 == 0,
				Count: messages.Count{Lower: uint64(i), Estimate: uint64(10 * i), Upper: 1<<63 + uint64(i)},
			})
		}
		want, err := encode(api.NewBoard(b))
		if err != nil {
			t.Fatal(err)
		}
		got, err := encodeBoard(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%d rows:\n%s\nwant\n%s", n, got, want)
		}
	}
}
