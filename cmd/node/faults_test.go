package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/persistence/eventlog"
)

// heard is what a node has logged.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(b)
}

// lines are the logged lines that contain a text.
func (h *heard) lines(text string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for line := range strings.Lines(h.b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func (h *heard) want(t *testing.T, n int, text string) {
	t.Helper()
	if got := h.lines(text); len(got) != n {
		t.Errorf("%d lines with %q, want %d:\n%s", len(got), text, n, h.b.String())
	}
}

// faulty is a configuration on a disk of its own, and what is logged there.
func faulty(t *testing.T, room int64) (Config, *badDisk, *heard) {
	cfg, h := testConfig(t.TempDir()), &heard{}
	d := newBadDisk(cfg.Data, room)
	cfg.FS, cfg.Reserve = d, 0
	two := 2
	cfg.Partitions = &two
	cfg.Logger = logTo(h)
	return cfg, d, h
}

func logTo(h *heard) *slog.Logger { return slog.New(slog.NewTextHandler(h, nil)) }

func smallSegments(c *eventlog.Config) { c.SegmentBytes = 4 << 10 }

// tries sends events with ids one by one and remembers what became of each.
type tries struct {
	*running
	next         int
	acked, other []int
}

func event(id int) string {
	return fmt.Sprintf(`{"topic":"t","event_id":"%d","region":"%s"}`+"\n", id, strings.Repeat("x", 100))
}

// one sends the next event; the error is the node's answer.
func (s *tries) one(t *testing.T) error {
	t.Helper()
	s.next++
	err := s.again(t, s.next)
	if err == nil {
		s.acked = append(s.acked, s.next)
	} else {
		s.other = append(s.other, s.next)
	}
	return err
}

func (s *tries) again(t *testing.T, id int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	_, err := s.Ingest(ctx, &client.Events{Body: []byte(event(id)), ContentType: client.NDJSON})
	return err
}

// until sends events until one is refused, and returns its answer.
func (s *tries) until(t *testing.T) *client.Error {
	t.Helper()
	for end := time.Now().Add(testTimeout); time.Now().Before(end); {
		if err := s.one(t); err != nil {
			var answer *client.Error
			if !errors.As(err, &answer) {
				t.Fatal(err)
			}
			return answer
		}
	}
	t.Fatalf("events are still taken after %v", testTimeout)
	return nil
}

// counted asks how often t was counted, of what is counted by now.
func (s *tries) counted(t *testing.T) int {
	t.Helper()
	got, err := s.Count(t.Context(), "t", client.Scope{Window: "all"})
	if err != nil {
		t.Fatalf("reads do not go on: %v", err)
	}
	return int(got.Lower)
}

// settle sends everything that was not acknowledged again, some of the rest as
// well, and wants each counted once.
func (s *tries) settle(t *testing.T) {
	t.Helper()
	for _, id := range append(s.other, s.acked[0], s.acked[len(s.acked)-1]) {
		if err := s.again(t, id); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all counted", func() bool {
		st, err := s.Status(t.Context())
		return err == nil && st.LagRecords == 0
	})
	if got := s.counted(t); got != s.next {
		t.Errorf("%d events counted of %d (%d were acknowledged at once)", got, s.next, len(s.acked))
	}
}

// await waits for a condition.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	awaitRight(t, func() string {
		if ok() {
			return ""
		}
		return what
	})
}

// awaitRight waits until nothing is wrong any more; wrong says what is.
func awaitRight(t *testing.T, wrong func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(testTimeout)
	for what := wrong(); what != ""; what = wrong() {
		if <-tick.C; time.Now().After(end) {
			t.Fatalf("not within %v: %s", testTimeout, what)
		}
	}
}

// metric is the value of a metric without labels.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	got, err := http.Get("http://" + r.Node.Addr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var v float64
		if n, _ := fmt.Sscanf(line, name+" %g", &v); n == 1 {
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// stopsWith stops a node whose log has failed: that its files could not be
// closed in good order is said, and no more.
func (r *running) stopsWith(t *testing.T, cause error) {
	t.Helper()
	if err := r.stop(); err != nil && !errors.Is(err, cause) {
		t.Errorf("stop: %v", err)
	}
}

// TestAFailingLogStopsEventsAndNothingElse has every kind of operation on the
// log's files fail, with either error, while events come.
func TestAFailingLogStopsEventsAndNothingElse(t *testing.T) {
	for _, f := range []struct{ ops, part string }{
		{"write", ".seg"}, {"sync", ".seg"}, {"write", "durable"}, {"sync", "durable"},
		{"create", ".seg.tmp"}, {"write", ".seg.tmp"}, {"sync", ".seg.tmp"}, {"rename", ".seg.tmp"}, {"syncdir", "log"}, {"open", ".seg"},
	} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprintf("%s of %s: %v", f.ops, f.part, cause), func(t *testing.T) {
				t.Parallel()
				cfg, disk, log := faulty(t, 0)
				s := &tries{running: runOn(t, cfg, Ground{Log: smallSegments})}
				for range 10 {
					if err := s.one(t); err != nil {
						t.Fatal(err)
					}
				}
				var first time.Time
				var once sync.Once
				rule := failing(cause, f.ops, f.part)
				disk.obey(func(op, path string) error {
					err := rule(op, filepath.Base(path))
					if err != nil && strings.HasPrefix(path, filepath.Join(cfg.Data, "log")) {
						once.Do(func() { first = time.Now() })
						return err
					}
					return nil
				})
				answer := s.until(t)
				if late := time.Since(first); late > 10*time.Second {
					t.Errorf("the first event is refused %v after the first failure", late)
				}
				if answer.Status != http.StatusServiceUnavailable || !strings.Contains(answer.Error(), cause.Error()) {
					t.Errorf("answer %v", answer)
				}
				for range 3 {
					if s.one(t) == nil {
						t.Error("events are taken again without a restart")
					}
				}
				await(t, "all that was acknowledged is counted", func() bool { return s.counted(t) >= len(s.acked) })
				if err := s.Client.Ready(t.Context()); err != nil {
					t.Errorf("readyz: %v", err)
				}
				if h, err := s.Health(t.Context()); err != nil || h.Status != "degraded" || !strings.Contains(h.Reason, cause.Error()) {
					t.Errorf("health %+v, %v", h, err)
				}
				if v := s.metric(t, "crest_log_writable"); v != 0 {
					t.Errorf("crest_log_writable %v", v)
				}
				log.want(t, 1, "no events are taken until a restart")
				s.stopsWith(t, cause)

				disk.obey(nil)
				s.running = runOn(t, cfg, Ground{Log: smallSegments})
				s.settle(t)
			})
		}
	}
}

// diskSpace has the log and the reserve ask a disk for its free space.
func diskSpace(d *badDisk) func(*eventlog.Config) {
	return func(c *eventlog.Config) { c.FreeSpace = func(string) (int64, error) { return d.free(), nil } }
}
