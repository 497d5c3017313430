package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

func TestBoardHasTheShapeOfTheContract(t *testing.T) {
	s := newTestServer(t)
	w := s.get(t, "/api/v1/trending?window=1h&top=2&region=IN")
	const want = `{"window":"1h","region":"IN","category":null,"rank":"count","top":2,` +
		`"window_start":"2023-11-14T22:13:20Z","window_end":"2023-11-14T23:13:20Z","as_of":"2023-11-14T23:13:19.123456Z","version":"v1",` +
		`"total_estimate":60,"total_lower_bound":60,"total_upper_bound":60,"certified":2,"exact":true,"error_bound":"±0%","epsilon":0,"delta":0,` +
		`"topics":[{"rank":1,"topic":"a/b","count_estimate":30,"lower_bound":30,"upper_bound":30,"score":30,"certified":true},` +
		`{"rank":2,"topic":"<b>&","count_estimate":20,"lower_bound":20,"upper_bound":20,"score":20,"certified":true}]}` + "\n"
	if w.Body.String() != want {
		t.Errorf("board\n%swant\n%s", w.Body, want)
	}
	w = s.get(t, "/api/trending?limit=1")
	const video = `{"trending":[{"video_id":"a/b","title":null,"channel":null,"thumbnail":null,"views":30,"rank":1},` +
		`{"video_id":"<b>&","title":null,"channel":null,"thumbnail":null,"views":20,"rank":2}]}` + "\n"
	if w.Body.String() != video {
		t.Errorf("video board\n%swant\n%s", w.Body, video)
	}
	s.engine.set(func(e *fakeEngine) { e.board.Rows = nil })
	if w := s.get(t, "/api/v1/trending?top=7"); !strings.Contains(w.Body.String(), `"topics":[]`) {
		t.Errorf("empty board %s, want topics to be an empty array", w.Body)
	}
}

func TestErrorBoundFollowsEpsilon(t *testing.T) {
	s := newTestServer(t)
	s.engine.set(func(e *fakeEngine) {
		e.board.Exact, e.board.SketchError = false, messages.SketchError{Epsilon: 0.001, Delta: 0.01}
	})
	b := decodeAs[api.Board](t, s.get(t, "/api/v1/trending"))
	if b.ErrorBound != "±0.1%" || b.Epsilon != 0.001 || b.Delta != 0.01 || b.Exact {
		t.Errorf("board %+v", b)
	}
}

func TestRequiredCertaintyIsRefusedWithConflict(t *testing.T) {
	for _, c := range []struct {
		certified int
		exact     bool
		require   string
		status    int
	}{
		{2, true, "exact", 200}, {2, true, "certified", 200}, {2, false, "certified", 200},
		{2, false, "exact", 409}, {1, false, "certified", 409}, {1, false, "exact", 409},
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.board.Certified, e.board.Exact = c.certified, c.exact })
		w := s.get(t, "/api/v1/trending?top=2&require="+c.require)
		if w.Code != c.status {
			t.Errorf("%+v: status %d: %s", c, w.Code, w.Body)
		}
		if c.status == 409 {
			problemAs(t, w, 409)
		}
	}
}

// TestShortBoardIsNoCertainOne: a board of all that is known of a cell may lack
// topics that belong on it.
func TestShortBoardIsNoCertainOne(t *testing.T) {
	for _, c := range []struct {
		rows  int
		total messages.Count
		exact bool
		want  int
	}{
		{rows: 0, total: messages.Count{Upper: 9}, want: 409},
		{rows: 0, total: messages.ExactCount(0), exact: true, want: 200},
		{rows: 2, total: messages.ExactCount(51), want: 409},
		{rows: 2, total: messages.ExactCount(50), want: 200}, // 30 + 20: nothing is left
		{rows: 2, total: messages.ExactCount(50), exact: true, want: 200},
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) {
			e.board.K, e.board.Rows, e.board.Certified = 10, e.board.Rows[:c.rows], c.rows
			e.board.Total, e.board.Exact = c.total, c.exact
		})
		w := s.get(t, "/api/v1/trending?require=certified")
		if w.Code != c.want {
			t.Errorf("%+v: status %d: %s", c, w.Code, w.Body)
		}
		if w.Code == 409 && !strings.Contains(problemAs(t, w, 409)["detail"].(string), "may follow") {
			t.Errorf("%+v: %s does not say what is missing", c, w.Body)
		}
	}
}

func TestUnchangedBoardIsNotSentAgain(t *testing.T) {
	s := newTestServer(t)
	const target = "/api/v1/trending?window=1h"
	tag := s.get(t, target).Header().Get("ETag")
	if !strings.HasPrefix(tag, `W/"v1-`) {
		t.Fatalf("ETag %q", tag)
	}
	for _, header := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
		w := s.get(t, target, "If-None-Match", header)
		if w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
			t.Errorf("If-None-Match %s: status %d, ETag %q, body %q", header, w.Code, w.Header().Get("ETag"), w.Body)
		}
	}
	for _, other := range []string{"/api/v1/trending?window=1h&top=9", "/api/v1/trending?window=10m", "/api/trending?window=1h", target + "&exclude=q", target + "&region=IN", target + "&category=IN"} {
		if w := s.get(t, other, "If-None-Match", tag); w.Code != http.StatusOK {
			t.Errorf("%s has the ETag of another question", other)
		}
	}
	s.engine.set(func(e *fakeEngine) { e.board.Version = "v2" })
	if w := s.get(t, target, "If-None-Match", tag); w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
		t.Errorf("a changed board: status %d, ETag %q", w.Code, w.Header().Get("ETag"))
	}
}

func TestBoardIsEncodedOncePerVersion(t *testing.T) {
	c := newBoardCache(1000)
	b := &messages.Board{Version: "v1", Moment: testMoment}
	encoded := 0
	body := func(key string) string {
		t.Helper()
		got, err := c.encoded(key, b, func() ([]byte, error) { encoded++; return fmt.Appendf(nil, "%s %d", key, encoded), nil })
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	if body("k"); body("k") != "k 1" || encoded != 1 {
		t.Errorf("encoded %d times", encoded)
	}
	if body("other"); encoded != 2 {
		t.Error("another question has the same body")
	}
	b.AsOf++
	if got := body("k"); got != "k 3" {
		t.Errorf("a later moment has the old body %q", got)
	}
	b.Version = "v2"
	if got := body("k"); got != "k 4" {
		t.Errorf("another version has the old body %q", got)
	}
	for i := range 1000 {
		body(fmt.Sprint(i))
		size := 0
		for k, e := range c.entries {
			size += len(k) + len(e.body)
		}
		if size != c.bytes || size > c.limit {
			t.Fatalf("the cache holds %d bytes, says %d, may hold %d", size, c.bytes, c.limit)
		}
	}
}

func BenchmarkTrending(b *testing.B) {
	s := newTestServer(b)
	for i := range 100 {
		s.engine.board.Rows = append(s.engine.board.Rows, messages.Row{Topic: fmt.Sprintf("topic-%06d", i), Count: messages.ExactCount(uint64(1000 - i))})
	}
	for name, moves := range map[string]bool{"cached": false, "changed": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if moves {
					s.engine.board.AsOf++
				}
				s.get(b, "/api/v1/trending?top=100")
			}
		})
	}
}
