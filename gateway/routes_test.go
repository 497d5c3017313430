package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
)

func TestTopicsInPathsAreNamesLikeAnyOther(t *testing.T) {
	s := newTestServer(t)
	for path, want := range map[string]string{
		"x":                      "x",
		"..":                     "..",
		".":                      ".",
		"%2E%2e":                 "..",
		"a%2Fb":                  "a/b",
		"%2F":                    "/",
		"a%2F..%2Fb":             "a/../b",
		"%F0%9F%94%A5":           "🔥",
		"a%20b+c":                "a b+c",
		"%3Fwindow=1h%23x":       "?window=1h#x",
		"100%25":                 "100%",
		"count":                  "count",
		"a%2Fb\"x":               "a/b\"x", // a byte that is not escaped everywhere does not spoil the rest
		"%E2%80%8B":              "\u200b", // a format character, not a control character
		strings.Repeat("t", 512): strings.Repeat("t", 512),
	} {
		for _, action := range []string{"count", "history", "rank"} {
			target := "/api/v1/topics/" + path + "/" + action
			w := s.get(t, target)
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
				continue
			}
			var got string
			switch q := s.engine.last().(type) {
			case *messages.CountQuery:
				got = q.Topics[0]
			case *messages.SeriesQuery:
				got = q.Topics[0]
			case *messages.RankQuery:
				got = q.Topic
			}
			if got != want {
				t.Errorf("%s asks for %q, want %q", target, got, want)
			}
		}
	}
	for path, detail := range map[string]string{
		"%00":                    "no control character",
		"a%7Fb":                  "no control character",
		"%C2%85":                 "no control character",
		"":                       "a topic of 1 to 512 bytes",
		"%ff":                    "not UTF-8",
		strings.Repeat("t", 513): "at most 512 bytes, not 513",
	} {
		p := problemAs(t, s.get(t, "/api/v1/topics/"+path+"/count"), http.StatusBadRequest)
		if !strings.Contains(p["detail"].(string), detail) {
			t.Errorf("topic %q: detail %q, want in it %q", path, p["detail"], detail)
		}
	}
}

func TestUnknownPathsAreNotFoundAndNeverRedirected(t *testing.T) {
	s := newTestServer(t)
	for _, path := range []string{
		"/nothing", "//", "/api", "/api/v1", "/api/v1/trending/", "/api/v1//trending", "/api/v1/../v1/trending", "/API/v1/trending",
		"/api/v1/topics/x", "/api/v1/topics/x/", "/api/v1/topics/x/counts", "/api/v1/topics/", "/api/v1/topics/a/b/count",
		"/livez/", "/api/v1/%74rending", "/api/v1/analytics/growth",
	} {
		problemAs(t, s.get(t, path), http.StatusNotFound)
	}
	p := problemAs(t, s.get(t, "/api/v1/topics/a/b/rank"), http.StatusNotFound)
	if want := "%2F, or use /api/v1/rank?topic="; !strings.Contains(p["detail"].(string), want) {
		t.Errorf("detail %q, want in it %q", p["detail"], want)
	}
}

func TestWrongMethodNamesTheRightOnes(t *testing.T) {
	s := newTestServer(t)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/api/v1/trending", "GET, HEAD"},
		{"DELETE", "/api/v1/topics/x/count", "GET, HEAD"},
		{"GET", "/api/v1/counts", "POST"},
		{"OPTIONS", "/api/v1/health", "GET, HEAD"},
		{"BREW", "/", "GET, HEAD"},
	} {
		w := s.do(t, c.method, c.path, "")
		problemAs(t, w, http.StatusMethodNotAllowed)
		if got := w.Header().Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.path, got, c.allow)
		}
	}
	if w := s.do(t, "HEAD", "/api/v1/trending", ""); w.Code != http.StatusOK || w.Header().Get("ETag") == "" || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: status %d, header %v", w.Code, w.Header())
	}
}
