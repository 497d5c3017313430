package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

var testSnapshots = []messages.Snapshot{
	{Partition: 1, Offset: 1 << 40, Took: 1500 * time.Millisecond, Stall: 2500 * time.Microsecond},
	{Partition: 0, Offset: 3, Took: time.Millisecond},
}

func TestSnapshotsAreTakenWhenAskedFor(t *testing.T) {
	s := newTestServer(t)
	if got := s.do(t, "POST", "/api/v1/admin/snapshot", "").Body.String(); got != `{"snapshots":[]}`+"\n" {
		t.Errorf("nothing new: %s", got)
	}
	s.engine.set(func(e *fakeEngine) { e.taken = testSnapshots })
	got := decodeAs[api.SnapshotsTaken](t, s.do(t, "POST", "/api/v1/admin/snapshot", "")).Snapshots
	want := []api.Snapshot{{Partition: 1, Offset: 1 << 40, TookMS: 1500, StallMS: 2.5}, {Offset: 3, TookMS: 1}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if s.engine.last() != "snapshot" {
		t.Errorf("the engine was asked %v", s.engine.last())
	}
	if w := s.get(t, "/api/v1/admin/snapshot"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestSnapshotsThatFailSayWhyAndWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err   error
		title string
		texts []string
		taken bool // those that were taken are named
	}{
		{fmt.Errorf("%w: 3 of 8 million entries", messages.ErrNotReady), "Not ready", []string{"3 of 8", "readyz"}, false},
		{fmt.Errorf("snapshot of partition 3: %w", messages.ErrPartition), "Partition failed", []string{"partition 3", "restarted"}, true},
		{fmt.Errorf("snapshot of partition 3: %w", messages.ErrFenced), "Another owner", []string{"partition 3", "restart this node"}, true},
		{errors.New("snapshot of partition 3: put x: no space left on device"), "Snapshot failed", []string{"Snapshot of partition 3", "no space left", "Nothing is lost"}, true},
		{fmt.Errorf("put x: %w", context.DeadlineExceeded), "Snapshot failed", []string{"Put x", "Nothing is lost"}, true}, // the store's time, not ours
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.taken, e.err = testSnapshots[:1], c.err })
		w := s.do(t, "POST", "/api/v1/admin/snapshot", "")
		p := problemAs(t, w, 503)
		if p["title"] != c.title || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: title %v, Retry-After %q", c.err, p["title"], w.Header().Get("Retry-After"))
		}
		for _, text := range c.texts {
			if !strings.Contains(fmt.Sprint(p["detail"]), text) {
				t.Errorf("%v: %v does not say %q", c.err, p["detail"], text)
			}
		}
		if taken, ok := p["snapshots"].([]any); ok != c.taken || ok && len(taken) != 1 {
			t.Errorf("%v: snapshots %v", c.err, p["snapshots"])
		}
	}
}

func TestSnapshotsThatTakeTooLongAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, func(c *Config) { c.SnapshotTimeout = time.Minute })
		s.engine.set(func(e *fakeEngine) { e.block = make(chan struct{}) })
		began := time.Now()
		p := problemAs(t, s.do(t, "POST", "/api/v1/admin/snapshot", ""), 503)
		if waited := time.Since(began); waited != time.Minute || p["title"] != "Timed out" || !strings.Contains(fmt.Sprint(p["detail"]), "1m0s") {
			t.Errorf("after %v: %v", waited, p)
		}
	})
}

func TestFailingSnapshotsAreAWarningAndNoMore(t *testing.T) {
	s := newTestServer(t)
	if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.Warning != "" {
		t.Errorf("warning %q without a reason", h.Warning)
	}
	s.engine.set(func(e *fakeEngine) {
		e.snapshots = messages.SnapshotStatus{Taken: 2, Failed: 3, LastError: "put x: denied", Last: testSnapshots[0], LongestStall: 2500 * time.Microsecond, Uncovered: 1234}
	})
	h := decodeAs[api.Health](t, s.get(t, "/api/v1/health"))
	if h.Status != "ok" || h.Reason != "" || !strings.Contains(h.Warning, "put x: denied") || !strings.Contains(h.Warning, "1234") {
		t.Errorf("health %+v", h)
	}
	if w := s.get(t, "/readyz"); w.Code != 200 {
		t.Errorf("readyz %d", w.Code)
	}
	status := decodeAs[api.Status](t, s.get(t, "/api/v1/status"))
	if got := status.Snapshots; got.Taken != 2 || got.Failed != 3 || got.LastError != "put x: denied" || got.UncoveredEntries != 1234 ||
		got.LongestStallMS != 2.5 || got.Last == nil || got.Last.Offset != 1<<40 || !status.Ready {
		t.Errorf("status %+v", got)
	}
	exposition := s.get(t, "/metrics").Body.String()
	for _, line := range []string{
		"crest_snapshots_taken_total 2", "crest_snapshots_failed_total 3", "crest_snapshot_failing 1",
		"crest_snapshot_uncovered_entries 1234", "crest_snapshot_stall_seconds_max 0.0025", "crest_snapshot_last_seconds 1.5",
	} {
		if !strings.Contains(exposition, "\n"+line+"\n") {
			t.Errorf("/metrics does not say %q", line)
		}
	}
}

func TestHealthDoesNotWaitForAnEngineThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.block, e.snapshots.LastError = make(chan struct{}), "denied" })
		began := time.Now()
		h := decodeAs[api.Health](t, s.get(t, "/api/v1/health"))
		if waited := time.Since(began); waited > glanceWait || h.Status != "ok" || h.Warning != "" {
			t.Errorf("after %v: %+v", waited, h)
		}
	})
}
