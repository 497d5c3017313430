package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/gateway/client"
)

// lines is a file of n numbered events.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"topic\":\"t%06d\"}\n", i)
	}
	return b.String()
}

func write(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type run struct {
	totals   feed.Totals
	rejected []feed.Rejection
	err      error
}

// send feeds a file from where its progress file stands.
func send(t testing.TB, ctx context.Context, to feed.Ingester, path string, batch int, again bool, change func(*feed.Config)) run {
	t.Helper()
	print, err := feed.FingerprintOf(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := feed.OpenProgress(path+".progress", feed.Plan{File: print, Format: "ndjson", Batch: batch}, again)
	if err != nil {
		return run{err: err}
	}
	f, err := input.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r run
	cfg := feed.DefaultConfig()
	cfg.Rejected = func(x feed.Rejection) error {
		x.Event = slices.Clone(x.Event)
		r.rejected = append(r.rejected, x)
		return nil
	}
	if change != nil {
		change(&cfg)
	}
	r.totals, r.err = feed.Send(ctx, to, &feed.Cutter{File: f, Identity: p.Identity(), Events: p.Batch()}, p, cfg)
	return r
}

// wantOnce checks that each of n numbered events was counted once.
func wantOnce(t *testing.T, n *fakeNode, want int) {
	t.Helper()
	got := slices.Clone(n.order)
	slices.Sort(got)
	if len(got) != want {
		t.Fatalf("%d events counted, want %d", len(got), want)
	}
	for i, line := range got {
		if line != fmt.Sprintf("{\"topic\":\"t%06d\"}", i) {
			t.Fatalf("event %d is %s", i, line)
		}
	}
}

func TestAllBlocksAreSentOnce(t *testing.T) {
	path, node := write(t, lines(1003)), &fakeNode{}
	r := send(t, t.Context(), node, path, 10, false, nil)
	if r.err != nil || r.totals.Blocks != 101 || r.totals.Events != 1003 || r.totals.Rejected != 0 {
		t.Fatalf("got %+v", r)
	}
	wantOnce(t, node, 1003)

	var complete *feed.CompleteError
	if r := send(t, t.Context(), node, path, 10, false, nil); !errors.As(r.err, &complete) || complete.Events != 1003 {
		t.Errorf("a second run: got %+v", r)
	}
	if r := send(t, t.Context(), node, path, 0, true, nil); r.err != nil || len(node.order) != 2006 {
		t.Errorf("sent again on purpose: got %+v, %d events counted", r, len(node.order))
	}
}

func TestRefusedBlockStops(t *testing.T) {
	path, node := write(t, lines(100)), &fakeNode{before: func(int) error {
		return &client.Error{Status: http.StatusRequestEntityTooLarge, Detail: "Send less."}
	}}
	r := send(t, t.Context(), node, path, 10, false, func(c *feed.Config) { c.Parallel = 1 })
	if r.err == nil || !strings.Contains(r.err.Error(), "lines 1 to 10: ") || !strings.Contains(r.err.Error(), "Send less.") || node.attempts != 1 {
		t.Errorf("%d attempts, error %v", node.attempts, r.err)
	}
}

func TestRejectionsHaveTheirLines(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n")
	for i := range 250 {
		word := "good"
		if i >= 3 && i != 7 {
			word = "bad"
		}
		fmt.Fprintf(&b, "{\"topic\":%q}\n", word)
	}
	path := write(t, b.String()+strings.Repeat("x", 17<<20)+"\nbad\n")
	r := send(t, t.Context(), &fakeNode{}, path, 251, false, func(c *feed.Config) { c.Parallel = 1 })
	if r.err != nil || r.totals.Events != 252 || r.totals.Rejected != 248 {
		t.Fatalf("got %+v, %v", r.totals, r.err)
	}
	if len(r.rejected) != 103 {
		t.Fatalf("%d rejections reported", len(r.rejected))
	}
	for i, want := range map[int]feed.Rejection{
		0:   {Line: 252, Reason: "the line is longer than 16 MiB"},
		1:   {Line: 5, Reason: "bad word", Event: []byte("{\"topic\":\"bad\"}\n")},
		5:   {Line: 10, Reason: "bad word", Event: []byte("{\"topic\":\"bad\"}\n")},
		101: {Line: 106, LastLine: 251, More: 146},
		102: {Line: 253, Reason: "bad word", Event: []byte("bad\n")},
	} {
		got := r.rejected[i]
		if got.Line != want.Line || got.Reason != want.Reason || !bytes.Equal(got.Event, want.Event) || got.More != want.More || got.LastLine != want.LastLine {
			t.Errorf("rejection %d is %+v, want %+v", i, got, want)
		}
	}
}

func TestMsgpackBlocksAreArrays(t *testing.T) {
	f, err := input.Stream(strings.NewReader("\x81\xa1a\x01\x80\x81\xa1b\x02"), "-", input.Msgpack)
	if err != nil {
		t.Fatal(err)
	}
	c := &feed.Cutter{File: f, Identity: feed.RandomIdentity(), Events: 2}
	for _, want := range []string{"\xdd\x00\x00\x00\x02\x81\xa1a\x01\x80", "\xdd\x00\x00\x00\x01\x81\xa1b\x02"} {
		b, err := c.Next(t.Context())
		if err != nil || string(b.Body) != want {
			t.Fatalf("got %q, %v; want %q", b.Body, err, want)
		}
		if got := string(b.Event(len(b.Lines) - 1)); !strings.HasSuffix(want, got) || len(got) > 4 {
			t.Errorf("last event is %q", got)
		}
	}
}

func TestKeysFollowFromFileNumberAndContent(t *testing.T) {
	keys := func(content string, id feed.Identity) (keys []string) {
		f, err := input.Stream(strings.NewReader(content), "-", input.NDJSON)
		if err != nil {
			t.Fatal(err)
		}
		c := &feed.Cutter{File: f, Identity: id, Events: 1}
		for {
			b, err := c.Next(t.Context())
			if err != nil {
				return keys
			}
			keys = append(keys, b.Key)
		}
	}
	id := feed.RandomIdentity()
	a := keys("1\n1\n2\n", id)
	if b := keys("1\n1\n3\n", id); a[0] != b[0] || a[1] != b[1] || a[2] == b[2] || a[0] == a[1] {
		t.Errorf("got %v and %v", a, b)
	}
	if b := keys("1\n", feed.RandomIdentity()); b[0] == a[0] {
		t.Error("another file has the same keys")
	}
	if len(a[0]) > 128 {
		t.Errorf("key %q is too long", a[0])
	}
}
