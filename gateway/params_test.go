package gateway

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
)

func TestParametersReachTheEngine(t *testing.T) {
	s := newTestServer(t)
	pos := messages.Position{3, 0}
	after := "after=" + pos.Token(s.identity.ID)
	for target, want := range map[string]any{
		"/api/v1/trending": &messages.BoardQuery{Window: messages.Window1h, K: 10},
		"/trending?window=10m&top=5&region=IN&category=sports&rank=count": &messages.BoardQuery{
			Window: messages.Window10m, K: 5, Cell: messages.Cell{Category: "sports", Region: "IN"}},
		"/api/v1/trending?window=37m&limit=1000":                            &messages.BoardQuery{Window: messages.Window(37 * messages.Minute), K: 1000},
		"/api/v1/trending?window=all&k=1&" + after:                          &messages.BoardQuery{Window: messages.WindowAll, K: 1, After: pos},
		"/api/v1/trending?exclude=b&exclude=a&exclude=b&max_per_category=2": &messages.BoardQuery{Window: messages.Window1h, K: 10, Exclude: []string{"a", "b"}, MaxPerCategory: 2},
		"/api/trending?window=24h&category=music&region=US&limit=50":        &messages.BoardQuery{Window: messages.Window24h, K: 50, Cell: messages.Cell{Category: "music", Region: "US"}},
		"/api/v1/topics/x/count":                                            &messages.CountQuery{Topics: []string{"x"}, Window: messages.Window5m},
		"/api/v1/count?topic=x&window=7d&region=IN&" + after:                &messages.CountQuery{Topics: []string{"x"}, Window: messages.Window7d, Cell: messages.Cell{Region: "IN"}, After: pos},
		"/api/v1/topics/x/history?window=1h&granularity=5m":                 &messages.SeriesQuery{Topics: []string{"x"}, Window: messages.Window1h, Granularity: 5 * messages.Minute},
		"/api/v1/history?topic=x&period=24h&granularity=1h":                 &messages.SeriesQuery{Topics: []string{"x"}, Window: messages.Window24h, Granularity: messages.Hour},
		"/api/v1/trending/history?window=1h&granularity=20m&top=2":          &messages.SeriesQuery{Topics: []string{""}, Top: 2, Window: messages.Window1h, Granularity: 20 * messages.Minute},
		"/api/v1/topics/x/rank":                                             &messages.RankQuery{Topic: "x", Window: messages.Window1h, Around: 5},
		"/api/v1/rank?topic=x&window=24h&around=0&category=c":               &messages.RankQuery{Topic: "x", Window: messages.Window24h, Cell: messages.Cell{Category: "c"}},
		"/api/v1/cells":                     &messages.CellsQuery{Window: messages.Window24h},
		"/api/v1/cells?window=5m&" + after:  &messages.CellsQuery{Window: messages.Window5m, After: pos},
		"/api/v1/topics?prefix=wor&limit=3": &messages.TopicsQuery{Prefix: "wor", Window: messages.Window24h, Limit: 3},
		"/api/v1/topics?prefix=":            &messages.TopicsQuery{Window: messages.Window24h, Limit: 10},
		"/api/v1/trending?category=" + url.QueryEscape(strings.Repeat("é", 127)+"x"):       &messages.BoardQuery{Window: messages.Window1h, K: 10, Cell: messages.Cell{Category: strings.Repeat("é", 127) + "x"}},
		"/api/v1/count?topic=" + url.QueryEscape(strings.Repeat("t", 512)) + "&window=10s": &messages.CountQuery{Topics: []string{strings.Repeat("t", 512)}, Window: messages.Window(10 * messages.Second)},
	} {
		if w := s.get(t, target); w.Code != http.StatusOK {
			t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
		} else if got := s.engine.last(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s asks %+v, want %+v", target, got, want)
		}
	}
}

func TestWrongParametersAreRefusedByName(t *testing.T) {
	s := newTestServer(t)
	other := messages.Position{1, 1}.Token(messages.LogID{9})
	for _, c := range []struct{ target, detail string }{
		{"/api/v1/trending?window=0s", `window="0s": want`},
		{"/api/v1/trending?window=31d", `window="31d"`},
		{"/api/v1/trending?window=abc", `window="abc"`},
		{"/api/v1/trending?window=9s", `from 10s to 30d`},
		{"/api/v1/trending?window=-5m", `window="-5m"`},
		{"/api/v1/trending?window=10s500ms", `whole seconds`},
		{"/api/v1/trending?window=", `window="": want a value`},
		{"/api/v1/trending?window=5m&window=5m", `window="5m": want it once`},
		{"/api/v1/trending?top=0", `top="0": want a whole number from 1 to 1000`},
		{"/api/v1/trending?top=1001", `top="1001"`},
		{"/api/v1/trending?limit=ten", `limit="ten"`},
		{"/api/v1/trending?k=1.5", `k="1.5"`},
		{"/api/v1/trending?k=99999999999999999999", `k=`},
		{"/api/v1/trending?top=5&limit=5", `one of top, limit, k`},
		{"/api/v1/trending?rank=growth", `count: the other rankings are not served by this version`},
		{"/api/v1/trending?rank=best", `rank="best": want count`},
		{"/api/v1/trending?require=proof", `certified or exact`},
		{"/api/v1/trending?at=2025-01-01T00:00:00Z", `at is not served by this version`},
		{"/api/v1/trending?from=1&to=2", `from is not served`},
		{"/api/v1/trending?metadata=true", `metadata is not served`},
		{"/api/v1/trending?explain=true", `explain is not served`},
		{"/api/v1/trending?half_life=1h", `half_life is not served`},
		{"/api/v1/trending?windows=5m", `"windows" is not known here; this address takes window, category, region, top, limit, k`},
		{"/api/v1/trending?Window=5m", `"Window" is not known`},
		{"/api/v1/trending?exclude=", `exclude=""`},
		{"/api/v1/trending?max_per_category=0", `max_per_category="0"`},
		{"/api/v1/trending?" + strings.Repeat("exclude=a&", 101), `at most 100`},
		{"/api/v1/trending?category=a%00", `no control character`},
		{"/api/v1/trending?region=%ff", `not UTF-8`},
		{"/api/v1/trending?region=" + strings.Repeat("r", 256), `at most 255 bytes, not 256`},
		{"/api/v1/trending?after=xyz", `Not a position of this log: malformed token`},
		{"/api/v1/trending?after=" + other, `it was given out by another log`},
		{"/api/v1/trending?a;b", `query string`},
		{"/api/v1/trending?window=%zz", `query string`},
		{"/api/v1/count", `topic="": want a topic`},
		{"/api/v1/count?topic=", `topic=""`},
		{"/api/v1/count?topic=a&topic=b", `topic="b": want it once`},
		{"/api/v1/count?topic=" + strings.Repeat("t", 513), `at most 512 bytes, not 513`},
		{"/api/v1/count?topic=a&top=5", `"top" is not known`},
		{"/api/v1/topics/x/count?topic=y", `"topic" is not known`},
		{"/api/v1/topics/x/rank?around=101", `around="101": want a whole number from 0 to 100`},
		{"/api/v1/topics/x/history?window=all", `window="all": want a length`},
		{"/api/v1/topics/x/history?window=1h&period=1h", `one of window, period`},
		{"/api/v1/topics/x/history?granularity=7s", `a multiple of 5s`},
		{"/api/v1/topics/x/history?granularity=0s", `a multiple of 5s`},
		{"/api/v1/topics/x/history?window=1h&granularity=7m", `divides the window of 1h evenly`},
		{"/api/v1/topics/x/history?window=11s", `a multiple of 5s`},
		{"/api/v1/trending/history?window=10h&granularity=5s&top=100", `makes 727200 points; want at most 100000`},
		{"/api/v1/topics?limit=0", `limit="0"`},
		{"/api/v1/topics?prefix=a&prefix=b", `prefix="b": want it once`},
		{"/api/v1/topics?prefix=%07", `no control character`},
		{"/api/v1/cells?category=a", `"category" is not known here; this address takes window, after`},
		{"/api/v1/health?x=1", `"x" is not known here; this address takes no parameters`},
		{"/api/v1/ledger?x=1", `"x" is not known`},
	} {
		p := problemAs(t, s.get(t, c.target), http.StatusBadRequest)
		if detail := p["detail"].(string); !strings.Contains(detail, c.detail) {
			t.Errorf("%s: detail %q, want in it %q", c.target, detail, c.detail)
		}
	}
	if s.engine.last() != nil {
		t.Errorf("a wrong parameter reached the engine: %+v", s.engine.last())
	}
	if p := problemAs(t, s.get(t, "/api/v1/trending?top=0"), 400); p["parameter"] != "top" || p["value"] != "0" || p["allowed"] == "" {
		t.Errorf("problem %v does not name parameter, value and what is allowed", p)
	}
}

func TestBodyOfCountsIsReadStrictly(t *testing.T) {
	s := newTestServer(t)
	many := func(n int) string { return `["` + strings.Repeat(`a","`, n-1) + `b"]` }
	ok := `{"topics":["..","a/b","héé"],"window":"1h","category":"c","region":null}`
	if w := s.do(t, "POST", "/api/v1/counts", ok, "Content-Type", "application/json; charset=utf-8"); w.Code != 200 {
		t.Fatalf("%s: %d %s", ok, w.Code, w.Body)
	}
	want := &messages.CountQuery{Topics: []string{"..", "a/b", "héé"}, Window: messages.Window1h, Cell: messages.Cell{Category: "c"}}
	if got := s.engine.last(); !reflect.DeepEqual(got, want) {
		t.Errorf("asks %+v, want %+v", got, want)
	}
	if w := s.do(t, "POST", "/api/v1/counts", `{"topics":`+many(1000)+`}`); w.Code != 200 {
		t.Errorf("1000 topics: %d %s", w.Code, w.Body)
	}
	for _, c := range []struct{ body, detail string }{
		{``, `ends too early`},
		{`{"topics":["a"]`, `ends too early`},
		{`[]`, `want one object`},
		{`{"topics":["a"]} x`, `behind the object`},
		{`{"topics":["a"]}{}`, `behind the object`},
		{`{"topics":["a"],"topics":["b"]}`, `has "topics" twice`},
		{`{"Topics":["a"]}`, `"Topics" is not known here; the body takes topics, window, category, region, after`},
		{`{"topics":["a"],"limit":1}`, `"limit" is not known`},
		{`{"topics":"a"}`, `an array of strings for topics, not string`},
		{`{"topics":[1]}`, `not number`},
		{`{"topics":[null]}`, `topics[0]="null": want a string`},
		{`{"topics":[]}`, `want 1 to 1000 topics`},
		{`{}`, `want 1 to 1000 topics`},
		{`{"topics":` + many(1001) + `}`, `"1001 topics": want 1 to 1000 topics`},
		{`{"topics":["a",""]}`, `topics[1]="": want a topic`},
		{`{"topics":["\u0000"]}`, `control character`},
		{"{\"topics\":[\"\xff\"]}", `not UTF-8`},
		{`{"topics":["a"],"window":"0s"}`, `window="0s"`},
		{`{"topics":["a"],"window":""}`, `window="": want a value`},
		{`{"topics":["a"],"window":5}`, `not number`},
		{`{"topics":["a"],"after":"zz"}`, `malformed token`},
		{`{"topics":[` + strings.Repeat("[", 20_000), `depth`},
	} {
		p := problemAs(t, s.do(t, "POST", "/api/v1/counts", c.body), http.StatusBadRequest)
		if detail := p["detail"].(string); !strings.Contains(detail, c.detail) {
			t.Errorf("%.60s: detail %q, want in it %q", c.body, detail, c.detail)
		}
	}
	problemAs(t, s.do(t, "POST", "/api/v1/counts", ok, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	problemAs(t, s.do(t, "POST", "/api/v1/counts", ok, "Content-Encoding", "gzip"), http.StatusUnsupportedMediaType)
	problemAs(t, s.do(t, "POST", "/api/v1/counts", `{"topics":["`+strings.Repeat("a", maxCountsBody)+`"]}`), http.StatusRequestEntityTooLarge)
	problemAs(t, s.do(t, "POST", "/api/v1/counts?window=1h", ok), http.StatusBadRequest)
}
