//go:build e2e

package sim

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestRestoreIntoAnEmptyFolder: the program's snapshots in S3 and a copy of the
// log's identity are enough for a new data folder. It counts what was there
// when the snapshots were taken, exactly, knows the ids of that time, and goes
// on from there; what came later is lost with its log, and may be sent again.
func TestRestoreIntoAnEmptyFolder(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	g := newGateway(ctx, t)
	g.up(ctx)
	old := newServer(t, g.flags()...)
	old.start(ctx)
	j := &judged{server: old, rng: rng, exact: true}
	known := j.bulk(ctx, "known", 100)
	j.feed(ctx, 3000, 300)
	j.compare(ctx)
	taken, err := old.client.Load().Snapshot(ctx)
	if err != nil || len(taken.Snapshots) == 0 {
		t.Fatalf("snapshots on demand: %+v, %v", taken, err)
	}
	want, then, after := j.look(ctx), j.events, j.after
	later := &judged{server: old, rng: rng}
	lost := later.bulk(ctx, "lost", 100)
	old.kill()

	s := newServer(t, "--dedup-window", "2h")
	out := command(ctx, t, "snapshot", "restore", "--data", s.data, "--from", s3Store, "--s3-endpoint", g.endpoint(), "--identity", filepath.Join(old.data, "log", "log.meta"))
	t.Log(out)
	g.down() // what was copied is enough
	s.start(ctx)
	j.server, j.events, j.after = s, then, after
	if got := j.look(ctx); got != want {
		t.Fatalf("restored, the node says\n%s\nwanted\n%s", got, want)
	}
	j.compare(ctx)

	// An id of before the snapshot is known; one of behind it is new.
	j.take(ctx, known)
	j.take(ctx, lost)
	j.add(lost)
	j.compare(ctx)
	s.kill()
	s.start(ctx)
	j.compare(ctx)
	command(ctx, t, "snapshot", "verify", "--data", s.data)
}

// bulk sends a batch of n events with ids, and returns it.
func (j *judged) bulk(ctx context.Context, name string, n int) *batch {
	j.t.Helper()
	b := (&sender{name: name, rng: j.rng}).bulk(n)
	j.take(ctx, b)
	j.add(b)
	return b
}

// take sends a batch, and has later answers cover it.
func (j *judged) take(ctx context.Context, b *batch) {
	j.t.Helper()
	answer, err := j.send(ctx, b)
	if err != nil {
		j.t.Fatal(err)
	}
	j.after = answer.Position
}

// add writes down an acknowledged batch.
func (j *judged) add(b *batch) {
	j.t.Helper()
	for _, l := range b.lines {
		if err := j.events.AddLine(l); err != nil {
			j.t.Fatal(err)
		}
	}
}
