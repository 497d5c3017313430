package feed_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/gateway/client"
)

func TestProgressBelongsToItsFile(t *testing.T) {
	interrupted := func(t *testing.T) string {
		path := write(t, lines(100))
		node := &fakeNode{before: func(attempt int) error {
			if attempt > 3 {
				return &client.Error{Status: http.StatusBadRequest}
			}
			return nil
		}}
		send(t, t.Context(), node, path, 10, false, nil)
		return path
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, path string) (batch int)
		want   string
	}{
		"file grew": {func(t *testing.T, path string) int {
			if err := os.WriteFile(path, []byte(lines(101)), 0o600); err != nil {
				t.Fatal(err)
			}
			return 0
		}, "changed since"},
		"other batch":    {func(*testing.T, string) int { return 11 }, "--batch 10"},
		"same batch":     {func(*testing.T, string) int { return 10 }, ""},
		"batch not said": {func(*testing.T, string) int { return 0 }, ""},
		"no progress file": {func(t *testing.T, path string) int {
			if err := os.WriteFile(path+".progress", []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			return 0
		}, "not a progress file"},
		"newer version": {func(t *testing.T, path string) int {
			if err := os.WriteFile(path+".progress", []byte(`{"version":2}`), 0o600); err != nil {
				t.Fatal(err)
			}
			return 0
		}, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := interrupted(t)
			batch := c.change(t, path)
			r := send(t, t.Context(), &fakeNode{}, path, batch, false, nil)
			if c.want == "" {
				if r.err != nil || r.totals.ResumedEvents != 30 {
					t.Errorf("got %+v", r)
				}
			} else if r.err == nil || !strings.Contains(r.err.Error(), c.want) {
				t.Errorf("got error %v, want %q", r.err, c.want)
			}
		})
	}
}

// TestChangedFileIsNotSentWholeSilently: what is in both would count twice.
func TestChangedFileIsNotSentWholeSilently(t *testing.T) {
	path, node := write(t, lines(50)), &fakeNode{}
	if r := send(t, t.Context(), node, path, 10, false, nil); r.err != nil {
		t.Fatal(r.err)
	}
	if err := os.WriteFile(path, []byte(lines(60)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := send(t, t.Context(), node, path, 0, false, nil); r.err == nil || !strings.Contains(r.err.Error(), "--again") {
		t.Errorf("a file that grew: %+v", r)
	}
	if r := send(t, t.Context(), node, path, 0, true, nil); r.err != nil || r.totals.Events != 60 {
		t.Errorf("sent on purpose: %+v", r)
	}
}

func TestProgressThatCannotBeWrittenStopsAtOnce(t *testing.T) {
	print, err := feed.FingerprintOf(write(t, lines(1)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "none", "x.progress")
	if _, err := feed.OpenProgress(path, feed.Plan{File: print}, false); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestProgressFileIsReadable(t *testing.T) {
	path := write(t, lines(25))
	if r := send(t, t.Context(), &fakeNode{}, path, 10, false, nil); r.err != nil {
		t.Fatal(r.err)
	}
	content, err := os.ReadFile(path + ".progress")
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	if state["done_blocks"] != 3.0 || state["events"] != 25.0 || state["complete"] != true || state["batch"] != 10.0 {
		t.Errorf("got %s", content)
	}
}
