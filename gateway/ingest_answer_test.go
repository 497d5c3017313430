package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/crestdb/crest/gateway/api"
)

// TestPlainAnswersAreThoseOfEncodingJSON: the shortcut says what the long way
// says.
func TestPlainAnswersAreThoseOfEncodingJSON(t *testing.T) {
	one, zero := 1, 0
	for _, topic := range []string{"a", "b/c d", "ä€😀", `say "x"`, `a\b`, "line\u2028end", "\u2029", "â", "<&>"} {
		for _, batch := range []bool{false, true} {
			o := &outcome{batch: batch, topic: topic, accepted: 1, position: "AbCd_-9"}
			want := api.Ingested{Status: "success", Accepted: &one, Rejected: &zero, Position: o.position}
			if batch {
				want.Errors = []api.Rejection{}
			} else {
				want.Message, want.Topic = "Event ingested", topic
			}
			body, err := encode(want)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := o.write(w); err != nil {
				t.Fatal(err)
			}
			if w.Code != 200 || w.Body.String() != string(body) || w.Header().Get("Content-Type") != jsonType {
				t.Errorf("topic %q, batch %t:\n%d %s\nwant\n%s", topic, batch, w.Code, w.Body, body)
			}
		}
	}
}
