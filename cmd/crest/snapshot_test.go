package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// snapshotRig is a data folder whose node is started and stopped as need be.
type snapshotRig struct {
	t    *testing.T
	data string
	node *running
}

func newSnapshotRig(t *testing.T, args ...string) *snapshotRig {
	r := &snapshotRig{t: t, data: filepath.Join(t.TempDir(), "data")}
	r.serve(append([]string{"--partitions", "4", "--clock", "event"}, args...)...)
	return r
}

func (r *snapshotRig) serve(args ...string) {
	r.t.Helper()
	r.node = serveNode(r.t, r.data, args...)
}

func (r *snapshotRig) stop() {
	r.t.Helper()
	r.node.stop().want(r.t, 0)
}

// send sends events of 100 topics, some for each partition, and has them snapshotted.
func (r *snapshotRig) send(weight int, snapshot bool) {
	r.t.Helper()
	c, err := client.New(r.node.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "{\"topic\":\"t%d\",\"event_id\":\"e\",\"count\":%d,\"timestamp\":%d,\"region\":\"r%d\"}\n", i, weight, 1_700_000_000+i, i%3)
	}
	body := strings.ReplaceAll(b.String(), `"e"`, fmt.Sprintf(`"e%d"`, weight)) // counted once each
	if _, err := c.Ingest(r.t.Context(), &client.Events{Body: []byte(body), ContentType: client.NDJSON}); err != nil {
		r.t.Fatal(err)
	}
	if snapshot {
		got, err := c.Snapshot(r.t.Context())
		if err != nil || len(got.Snapshots) != 4 {
			r.t.Fatalf("snapshots %+v, %v", got, err)
		}
	}
}

// ledger is that of the node at rest.
func (r *snapshotRig) ledger() (l *api.Ledger) {
	r.t.Helper()
	c, err := client.New(r.node.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	eventually(r.t, func() error {
		if l, err = c.Ledger(r.t.Context()); err == nil && l.Total.AppliedOffset < l.Total.NextOffset {
			err = fmt.Errorf("applied %d of %d", l.Total.AppliedOffset, l.Total.NextOffset)
		}
		return err
	})
	return l
}

// listed is crest snapshot ls as a program reads it.
func (r *snapshotRig) listed(args ...string) (all []partitionSnapshots) {
	r.t.Helper()
	got := crest(r.t, append([]string{"snapshot", "ls", "-o", "json"}, args...)...)
	got.want(r.t, 0)
	if err := json.Unmarshal([]byte(got.out), &all); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// objects are the files of the objects in a folder's store whose keys match.
func objects(t *testing.T, store, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store, "objects", strings.ReplaceAll(pattern, "/", "+")))
	if err != nil || len(found) == 0 {
		t.Fatalf("no object %s in %s (%v)", pattern, store, err)
	}
	return found
}

// damage flips a bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotsAreListedAndVerifiedBesideTheNode(t *testing.T) {
	r := newSnapshotRig(t)
	r.send(1, true)
	r.send(2, true)
	all := r.listed("--data", r.data)
	if len(all) != 4 {
		t.Fatalf("%d partitions", len(all))
	}
	ledger := r.ledger()
	for i, p := range all {
		if p.Partition != i || p.Partitions != 4 || p.Epoch == 0 || p.Owner == "" || len(p.Snapshots) != 2 || len(p.HashKey) != 32 || p.Log != all[0].Log {
			t.Errorf("partition %d: %+v", i, p)
			continue
		}
		if p.Snapshots[0].Offset != ledger.Partitions[i].NextOffset || p.Snapshots[1].Offset >= p.Snapshots[0].Offset || p.Snapshots[0].Bytes == 0 || p.Snapshots[0].Saved.IsZero() {
			t.Errorf("partition %d: %+v, the log ends at %d", i, p.Snapshots, ledger.Partitions[i].NextOffset)
		}
	}
	store := "dir:" + filepath.Join(r.data, "store")
	crest(t, "snapshot", "ls", "--store", store).want(t, 0, all[0].Log[:8], "8 snapshots of 4 partitions", all[3].Snapshots[1].Root)
	crestIn(t.Context(), "", []string{"CREST_STORE=" + store}, "snapshot", "ls", "-o", "csv", "--log", all[0].Log[:5]).want(t, 0, "log,partition,epoch", all[2].Snapshots[0].Root)
	crest(t, "snapshot", "ls", "--data", r.data, "--log", "ffff").want(t, 1, "no snapshots of a log ffff", all[0].Log)
	crest(t, "snapshot", "verify", "--data", r.data).want(t, 0, "8 snapshots", "sound")
	var v verified
	if got := crest(t, "snapshot", "verify", "--data", r.data, "--log", all[0].Log, "-o", "json"); json.Unmarshal([]byte(got.out), &v) != nil || !v.Sound || v.Snapshots != 8 || v.Objects == 0 {
		t.Errorf("verify: %+v", got)
	}
	crest(t, "status", "--addr", r.node.addr).want(t, 0, "snapshots", "8 taken, 0 entries in none yet")

	nowhere := t.TempDir()
	for _, command := range []string{"ls", "verify", "restore"} {
		crest(t, "snapshot", command, "--data", nowhere).want(t, 1, "no store of snapshots", "--data")
	}
	if left, err := os.ReadDir(nowhere); err != nil || len(left) != 0 {
		t.Errorf("asking for a store that is not there leaves %v, %v", left, err)
	}
}

func TestDamagedSnapshotsAreNamedWithWhatToDo(t *testing.T) {
	r := newSnapshotRig(t)
	r.send(1, true)
	r.send(2, true)
	r.stop()
	store := filepath.Join(r.data, "store")
	log := r.listed("--data", r.data)[0].Log
	folder := func(p int) string { return fmt.Sprintf("%s/%04d", log, p) }
	newest := r.listed("--data", r.data)[1].Snapshots[0].Root

	damage(t, objects(t, store, folder(1)+"/"+newest)[0])
	crest(t, "snapshot", "verify", "--data", r.data).want(t, 1, "damage: "+folder(1)+"/"+newest, "partition 1 at offset", folder(1)+": a start passes over", "OPERATIONS.md")
	for _, path := range objects(t, store, folder(2)+"/*.part") {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	damage(t, objects(t, store, folder(3)+"/manifest")[0])
	var v verified
	got := crest(t, "snapshot", "verify", "--data", r.data, "-o", "json")
	got.want(t, 1)
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Sound || len(v.Advice) != 3 {
		t.Fatalf("%+v, %v", v, err)
	}
	advice := map[string]string{}
	for _, a := range v.Advice {
		advice[a.Partition] = a.Do
	}
	if advice[folder(1)] != adviseSome || advice[folder(2)] != adviseNone || advice[folder(3)] != adviseManifest {
		t.Errorf("advice %q", advice)
	}
	crest(t, "snapshot", "verify", "--data", r.data, "-o", "csv").want(t, 1, "object,reason,partition,offset", folder(3)+"/manifest")
	crest(t, "snapshot", "ls", "--data", r.data).want(t, 1, folder(3)+"/manifest", "crest snapshot verify")
	// What it says of the manifest helps.
	crest(t, "serve", "--data", r.data, "--http", "127.0.0.1:0").want(t, 1, "snapshot restore")
	crest(t, "snapshot", "restore", "--data", r.data, "--partition", "3").want(t, 0, "1 partition restored")
	crest(t, "snapshot", "ls", "--data", r.data).want(t, 0)
}

// What the store itself notices, without looking into an object, is damage like
// any other: named, and got over in the same way.
func TestObjectsThatAreCutAreDamageLikeAnyOther(t *testing.T) {
	r := newSnapshotRig(t)
	r.send(1, true)
	r.send(2, true)
	want := r.ledger()
	r.stop()
	store := filepath.Join(r.data, "store")
	all := r.listed("--data", r.data)
	log := all[0].Log
	cut := func(pattern string) string {
		t.Helper()
		path := objects(t, store, log+pattern)[0]
		info, err := os.Stat(path)
		if err == nil {
			err = os.Truncate(path, info.Size()-5)
		}
		if err != nil {
			t.Fatal(err)
		}
		return "damage: " + strings.ReplaceAll(filepath.Base(path), "+", "/")
	}
	root, part, manifest := cut("/0001/"+all[1].Snapshots[0].Root), cut("/0002/*.part"), cut("/0003/manifest")
	rootOfLost := cut("/0003/" + all[3].Snapshots[0].Root)
	crest(t, "snapshot", "verify", "--data", r.data).want(t, 1, root, part, manifest, "bytes of")
	crest(t, "snapshot", "ls", "--data", r.data).want(t, 1, log[:8], "crest snapshot verify")
	crest(t, "serve", "--data", r.data, "--http", "127.0.0.1:0").want(t, 1, "`crest snapshot restore` makes a manifest")
	crest(t, "snapshot", "restore", "--data", r.data).want(t, 0, "4 partitions restored")
	after := r.listed("--data", r.data)
	if after[3].Snapshots[0].Root != all[3].Snapshots[1].Root || after[1].Snapshots[0].Root != all[1].Snapshots[1].Root {
		t.Errorf("restored %+v and %+v; of the damaged %s the one before is wanted", after[1].Snapshots, after[3].Snapshots, rootOfLost)
	}
	r.serve()
	if got := r.ledger().Total; got.StateDigest != want.Total.StateDigest || got.Counted != want.Total.Counted {
		t.Errorf("ledger %+v, want %+v", got, want.Total)
	}
}

// Flags and environment reach the S3 server: where it is, the bucket in the
// path, and the region that requests are signed for.
func TestStoresInS3AreAskedAsTold(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	var mu sync.Mutex
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path+" "+r.URL.Query().Get("prefix")+" "+r.Header.Get("Authorization"))
		mu.Unlock()
		fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>snaps</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}))
	defer srv.Close()
	for _, c := range []struct {
		args, environ []string
	}{
		{args: []string{"--store", "s3://snaps/crest", "--s3-endpoint", srv.URL, "--s3-region", "eu-test"}},
		{environ: []string{"CREST_STORE=s3://snaps/crest", "CREST_S3_ENDPOINT=" + srv.URL, "CREST_S3_REGION=eu-test"}},
	} {
		mu.Lock()
		asked = nil
		mu.Unlock()
		crestIn(t.Context(), "", c.environ, append([]string{"snapshot", "ls"}, c.args...)...).want(t, 0, "s3://snaps/crest: 0 snapshots of 0 partitions")
		mu.Lock()
		if len(asked) != 1 || !strings.HasPrefix(asked[0], "/snaps crest/") && !strings.HasPrefix(asked[0], "/snaps/ crest/") || !strings.Contains(asked[0], "/eu-test/s3/") {
			t.Errorf("asked %q", asked)
		}
		mu.Unlock()
	}
}
