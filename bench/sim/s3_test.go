//go:build e2e

package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/persistence/objectstore"
)

const (
	// versity is a real server of S3's API, which keeps objects in a folder.
	versity = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
	bucket  = "crest-snapshots"
	s3Store = "s3://" + bucket + "/a/prefix"
)

// gateway is a versitygw of our own on the loopback interface.
type gateway struct {
	t    *testing.T
	bin  string
	dir  string // objects; a bucket is a folder in it
	addr string
	cmd  *exec.Cmd // nil while it is down
}

// newGateway is not started yet, and down again at the end of the test.
func newGateway(ctx context.Context, t *testing.T) *gateway {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "crest", "AWS_SECRET_ACCESS_KEY": "not a secret", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
	g := &gateway{t: t, bin: installed(ctx, t, versity), dir: t.TempDir(), addr: freeAddress(t)}
	if err := os.Mkdir(filepath.Join(g.dir, bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.down)
	return g
}

// freeAddress is one that nobody listens on. It is none of those that the
// system gives to connections and to listeners that have no wishes, so nobody
// is given it before it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no address is free")
	return ""
}

func (g *gateway) endpoint() string { return "http://" + g.addr }

// up starts the gateway and waits until it answers.
func (g *gateway) up(ctx context.Context) {
	g.t.Helper()
	g.cmd = exec.Command(g.bin, "--quiet", "--port", g.addr, "--access", os.Getenv("AWS_ACCESS_KEY_ID"), "--secret", os.Getenv("AWS_SECRET_ACCESS_KEY"), "posix", g.dir)
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.endpoint(), nil)
		if err != nil {
			g.t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close() // whatever it says to somebody without a signature
			return
		}
		if !pause(ctx, 10*time.Millisecond) {
			g.t.Fatal("versitygw does not answer")
		}
	}
}

// down kills the gateway, if it runs.
func (g *gateway) down() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill() // an error means that it is gone already
	_ = g.cmd.Wait()         // killed
	g.cmd = nil
}

// store is the node's place there, in the test's hands.
func (g *gateway) store() *store {
	cfg := objectstore.DefaultConfig()
	cfg.Endpoint, cfg.PathStyle = g.endpoint(), true
	return newStore(g.t, s3Store, cfg)
}

func (g *gateway) flags() []string {
	return []string{"--store", s3Store, "--s3-endpoint", g.endpoint(), "--dedup-window", "2h"}
}

// TestSnapshotsInS3: with a real server of S3's API, a node that is killed and
// restarted, and whose store is emptied, or put back to an older state, says the
// same as before.
func TestSnapshotsInS3(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	g := newGateway(ctx, t)
	g.up(ctx)
	s := newChild(t, 2000, g.flags()...)
	s.start(ctx)
	spoiled(ctx, t, s, g.store(), 300)
}

// TestStoreOutOfReach: a store that is down when a node starts is refused, in
// one line that names it. One that goes down while the node runs costs the
// snapshots alone: events are taken and counted, boards answered, the log is
// kept, and the node says what fails. Once the store is back so are the
// snapshots, and nothing is missing after a kill -9 during all that.
func TestStoreOutOfReach(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	g := newGateway(ctx, t)
	s := newChild(t, 200, g.flags()...)
	g.up(ctx)
	s.start(ctx)
	l := begin(ctx, t, rng, 4, 5*time.Millisecond, acknowledge(s))
	until(ctx, t, l, "a snapshot is taken", func() bool { return s.sample(ctx, "crest_snapshots_taken_total") > 0 })

	g.down()
	until(ctx, t, l, "a snapshot has failed", func() bool { return s.sample(ctx, "crest_snapshots_failed_total") > 0 })
	accepted := s.sample(ctx, "crest_events_accepted_total")
	until(ctx, t, l, "more events are taken", func() bool { return s.sample(ctx, "crest_events_accepted_total") > accepted+1000 })
	if _, err := s.client.Load().Trending(ctx, client.TrendingQuery{}); err != nil {
		t.Errorf("a board while the store is down: %v", err)
	}
	if ready := s.sample(ctx, "crest_ready"); ready != 1 {
		t.Errorf("crest_ready is %v while the store is down", ready)
	}
	uncovered := s.sample(ctx, "crest_snapshot_uncovered_entries")
	if uncovered < 1000 {
		t.Errorf("%v entries have no snapshot, after more than 1000 events without a store", uncovered)
	}
	lines := saying(s.node.Log(), "a snapshot failed")
	if len(lines) == 0 || len(lines) > 10 || !strings.Contains(lines[0], bucket) || !strings.Contains(lines[0], "the log is kept") {
		t.Errorf("want a few lines that name %s and say what becomes of the log:\n%s", bucket, s.node.Log())
	}
	warned(ctx, t, s, true)
	s.kill()
	refused(ctx, t, s, g)

	g.up(ctx)
	s.start(ctx)
	g.down()
	until(ctx, t, l, "a snapshot has failed again", func() bool { return s.sample(ctx, "crest_snapshots_failed_total") > 0 })
	g.up(ctx)
	taken := s.sample(ctx, "crest_snapshots_taken_total")
	until(ctx, t, l, "snapshots go on", func() bool { return s.sample(ctx, "crest_snapshots_taken_total") > taken+1 })
	// The partition that failed has its turn again, if behind the others.
	until(ctx, t, l, "nothing fails any more", func() bool { return s.sample(ctx, "crest_snapshot_failing") == 0 })
	warned(ctx, t, s, false)
	l.end(t)
	everything(ctx, s, &l.record, rng)
	s.stop(ctx)
	s.start(ctx)
	everything(ctx, s, &l.record, rng)
	s.kill()
	g.store().sound(ctx)
}

// warned looks whether a node's health names snapshots that fail, or does not.
// Either way the node is well, but for that.
func warned(ctx context.Context, t *testing.T, s *server, want bool) {
	t.Helper()
	h, err := s.client.Load().Health(ctx)
	if err != nil || h.Status != "ok" || strings.Contains(h.Warning, "snapshot") != want {
		t.Errorf("health says %+v, %v; want ok, and a warning of snapshots: %v", h, err, want)
	}
	if failing := s.sample(ctx, "crest_snapshot_failing"); (failing == 1) != want {
		t.Errorf("crest_snapshot_failing is %v, want it at 1: %v", failing, want)
	}
}

// refused starts a node that must not start, since its store is down.
func refused(ctx context.Context, t *testing.T, s *server, g *gateway) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	n, err := bench.Start(s.bin, s.data, s.flags...)
	if err != nil {
		t.Fatal(err)
	}
	code, err := n.Wait(ctx)
	if err != nil {
		n.Kill()
		t.Fatal(err)
	}
	last := saying(n.Log(), "crest:")
	if code != 1 || len(last) != 1 || !strings.Contains(last[0], s3Store) || !strings.Contains(last[0], g.addr) {
		t.Errorf("with its store down the node ended with %d; want 1, and one line with %s and %s:\n%s", code, s3Store, g.addr, n.Log())
	}
	t.Logf("refused after %v: %s", time.Since(began).Round(time.Millisecond), strings.Join(last, "\n"))
}
