package feed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/cmd/crest/feed"
	"github.com/crestdb/crest/cmd/crest/input"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// fakeNode counts topics once per key and rejects events with the word bad.
// before and after may break an attempt, before or after it counted.
type fakeNode struct {
	before, after func(attempt int) error

	mu       sync.Mutex
	attempts int
	keys     map[string]string // body by key
	order    []string          // topics in the order they were counted
	took     time.Duration     // how long an answer takes
}

func (n *fakeNode) Ingest(ctx context.Context, e *client.Events) (*api.Ingested, error) {
	if n.took > 0 {
		select {
		case <-time.After(n.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attempts++
	if n.before != nil {
		if err := n.before(n.attempts); err != nil {
			return nil, err
		}
	}
	accepted, errs := 0, []api.Rejection{}
	lines := strings.Split(strings.TrimSuffix(string(e.Body), "\n"), "\n")
	rejected := 0
	for i, line := range lines {
		switch {
		case !strings.Contains(line, "bad"):
			accepted++
		case len(errs) < 100:
			errs = append(errs, api.Rejection{Index: i, Reason: "bad word"})
			fallthrough
		default:
			rejected++
		}
	}
	if n.keys == nil {
		n.keys = map[string]string{}
	}
	if body, seen := n.keys[e.Key]; !seen {
		n.keys[e.Key] = string(e.Body)
		for _, line := range lines {
			if !strings.Contains(line, "bad") {
				n.order = append(n.order, line)
			}
		}
	} else if body != string(e.Body) {
		return nil, &client.Error{Status: http.StatusConflict, Title: "Conflict"}
	}
	if n.after != nil {
		if err := n.after(n.attempts); err != nil {
			return nil, err
		}
	}
	if accepted == 0 {
		return nil, &client.Error{Status: http.StatusUnprocessableEntity, Errors: errs}
	}
	return &api.Ingested{Status: "success", Accepted: &accepted, Rejected: &rejected, Errors: errs}, nil
}

var (
	errDial  = fmt.Errorf("ask: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
	errReset = fmt.Errorf("ask: %w", &net.OpError{Op: "read", Err: errors.New("connection reset")})
	errFull  = &client.Error{Status: http.StatusTooManyRequests, Title: "Too many", RetryAfter: time.Second}
	errDown  = &client.Error{Status: http.StatusServiceUnavailable, Title: "Stopped"}
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

func TestFailuresInBetweenCountNothingTwice(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			fail := func(errs ...error) func(int) error {
				return func(int) error {
					if rng.IntN(3) == 0 {
						return errs[rng.IntN(len(errs))]
					}
					return nil
				}
			}
			path := write(t, lines(200))
			node := &fakeNode{before: fail(errDial, errFull, errDown, errReset), after: fail(errReset, errDown)}
			r := send(t, t.Context(), node, path, 7, false, nil)
			if r.err != nil || r.totals.Events != 200 {
				t.Fatalf("seed %d: got %+v", seed, r)
			}
			wantOnce(t, node, 200)
		})
	}
}

// A kill is simulated by copying the progress file as it is in the middle of a
// run and going on from the copy.
func TestKilledAnywhereAndResumed(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			path, node := write(t, lines(200)), &fakeNode{}
			for round := 0; ; round++ {
				if round > 200 {
					t.Fatalf("seed %d: no end in sight after %d kills", seed, round)
				}
				kill := node.attempts + 1 + rng.IntN(12)
				var left []byte
				freeze := func(attempt int) error {
					if attempt == kill {
						var err error
						if left, err = os.ReadFile(path + ".progress"); err != nil {
							t.Error(err)
						}
					}
					if attempt >= kill {
						return errReset
					}
					return nil
				}
				node.before, node.after = nil, freeze
				if rng.IntN(2) == 0 {
					node.before, node.after = freeze, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				r := send(t, ctx, node, path, 5, false, func(c *feed.Config) {
					c.Waiting = func(string) { cancel() }
				})
				cancel()
				if left == nil { // it came to its end before the kill
					if r.err != nil {
						t.Fatalf("seed %d: %v", seed, r.err)
					}
					break
				}
				if err := os.WriteFile(path+".progress", left, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			wantOnce(t, node, 200)
		})
	}
}

func TestInterruptionLeavesNothingUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(1000)), &fakeNode{took: 2 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		r := send(t, ctx, node, path, 10, false, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) || r.totals.Blocks != 8 {
			t.Fatalf("got %+v, want the two rounds of four requests answered", r)
		}
		if state, err := os.ReadFile(path + ".progress"); err != nil || !strings.Contains(string(state), `"unresolved": []`) {
			t.Errorf("%v\n%s", err, state)
		}
		time.Sleep(24 * time.Hour) // far beyond the dedup window
		if r := send(t, t.Context(), node, path, 0, false, nil); r.err != nil || r.totals.ResumedEvents != 80 || r.totals.Blocks != 92 {
			t.Errorf("resumed: got %+v", r)
		}
		wantOnce(t, node, 1000)
	})
}

func TestNodeThatDoesNotAnswerIsLeftAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(100)), &fakeNode{took: 24 * time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		r := send(t, ctx, node, path, 10, false, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) || time.Since(began) != 11*time.Second {
			t.Errorf("ended after %v with %v", time.Since(began), r.err)
		}
	})
}

func TestUnresolvedBlockBehindTheDedupWindow(t *testing.T) {
	for _, c := range []struct {
		policy  feed.Policy
		after   time.Duration
		stops   bool
		counted int // events of the unresolved block
	}{
		{feed.Stop, 5 * time.Minute, false, 10},
		{feed.Stop, 10 * time.Minute, true, 10},
		{feed.Resend, 10 * time.Minute, false, 20}, // the fake node forgets below
		{feed.Skip, 10 * time.Minute, false, 10},
	} {
		t.Run(fmt.Sprint(c.policy, " after ", c.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, node := write(t, lines(40)), &fakeNode{}
				node.after = func(attempt int) error {
					if attempt >= 3 {
						return errReset // counted, but who knows
					}
					return nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				send(t, ctx, node, path, 10, false, func(cfg *feed.Config) {
					cfg.Parallel = 1
					cfg.Waiting = func(string) { cancel() }
				})
				time.Sleep(c.after)
				if c.after >= 10*time.Minute {
					clear(node.keys)
				}
				node.after = nil
				r := send(t, t.Context(), node, path, 0, false, func(cfg *feed.Config) { cfg.Unresolved = c.policy })
				var unresolved *feed.UnresolvedError
				if errors.As(r.err, &unresolved) != c.stops || (r.err != nil) != c.stops {
					t.Fatalf("got %+v", r)
				}
				if c.stops {
					if unresolved.Block != 2 || unresolved.First != 21 || unresolved.Last != 30 || !strings.Contains(r.err.Error(), "lines 21 to 30") {
						t.Errorf("got %+v", unresolved)
					}
					return
				}
				n := 0
				for _, line := range node.order {
					if line >= `{"topic":"t000020"}` && line < `{"topic":"t000030"}` {
						n++
					}
				}
				if n != c.counted {
					t.Errorf("%d events of the unresolved block counted, want %d", n, c.counted)
				}
				if (r.totals.Skipped == 1) != (c.policy == feed.Skip) {
					t.Errorf("skipped %d blocks", r.totals.Skipped)
				}
			})
		})
	}
}

// What was under way at a kill must be known to the next run, however late it
// comes.
func TestKilledAndResumedBehindTheDedupWindowStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(40)), &fakeNode{}
		var left []byte
		node.before = func(int) (err error) {
			if left == nil {
				left, err = os.ReadFile(path + ".progress")
			}
			return err
		}
		if r := send(t, t.Context(), node, path, 10, false, nil); r.err != nil {
			t.Fatal(r.err)
		}
		if err := os.WriteFile(path+".progress", left, 0o600); err != nil {
			t.Fatal(err)
		}
		clear(node.keys) // the node has forgotten them
		time.Sleep(time.Hour)
		var unresolved *feed.UnresolvedError
		if r := send(t, t.Context(), node, path, 0, false, nil); !errors.As(r.err, &unresolved) {
			t.Errorf("got %+v", r)
		}
	})
}

func TestRetriesEndBeforeTheKeyIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, node := write(t, lines(10)), &fakeNode{after: func(int) error { return errReset }}
		began := time.Now()
		r := send(t, t.Context(), node, path, 10, false, func(c *feed.Config) { c.Patience = time.Hour })
		var unresolved *feed.UnresolvedError
		if !errors.As(r.err, &unresolved) {
			t.Fatalf("got %v", r.err)
		}
		if took := time.Since(began); took < 9*time.Minute || took > 9*time.Minute+30*time.Second {
			t.Errorf("gave up after %v", took)
		}
		wantOnce(t, node, 10)
	})
}

func TestSilentNodeIsGivenUp(t *testing.T) {
	for name, err := range map[string]error{"unreachable": errDial, "full": errFull} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, node := write(t, lines(100)), &fakeNode{before: func(attempt int) error {
					if attempt > 3 {
						return err
					}
					return nil
				}}
				began := time.Now()
				r := send(t, t.Context(), node, path, 10, false, nil)
				if !errors.Is(r.err, err) || !strings.Contains(r.err.Error(), "2m0s") {
					t.Errorf("got %v", r.err)
				}
				if took := time.Since(began); took < 2*time.Minute || took > 2*time.Minute+15*time.Second {
					t.Errorf("gave up after %v", took)
				}
				time.Sleep(time.Hour)
				node.before = nil
				if r := send(t, t.Context(), node, path, 0, false, nil); r.err != nil {
					t.Errorf("what was surely not counted could not be sent later: %v", r.err)
				}
				wantOnce(t, node, 100)
			})
		})
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
