package node

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient lets what ends behind the last test end.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(testTimeout); goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return code
}

// testTimeout is how long anything is waited for that is to come: what is waited
// for longer does not come.
const testTimeout = time.Minute

func testConfig(data string) Config {
	c := DefaultConfig()
	c.Data, c.HTTP, c.Memory, c.MinFree = data, "127.0.0.1:0", 64<<20, 0
	c.Logger = slog.New(slog.DiscardHandler)
	return c
}

// running is a node that is stopped with the test, or before by stop.
type running struct {
	*Node
	*client.Client
	stop func() error
}

func run(t *testing.T, cfg Config) *running { return runOn(t, cfg, Ground{}) }

func runOn(t *testing.T, cfg Config, ground Ground) *running {
	t.Helper()
	n, err := newNode(context.Background(), cfg, ground)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	c := newClient(t, n.Addr())
	r := &running{Node: n, Client: c, stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		c.Close()
		cancel()
		return <-done
	}}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-n.Ready():
	case err := <-done:
		t.Fatalf("node ended: %v", err)
	case <-time.After(testTimeout):
		t.Fatalf("node is not ready after %v", testTimeout)
	}
	return r
}

func newClient(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.New("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *running) send(t *testing.T, ndjson, key string) string {
	t.Helper()
	got, err := r.Ingest(t.Context(), &client.Events{Body: []byte(ndjson), ContentType: client.NDJSON, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return got.Position
}

func (r *running) count(t *testing.T, topic, after string) uint64 {
	t.Helper()
	got, err := r.Count(t.Context(), topic, client.Scope{Window: "all", After: after})
	if err != nil {
		t.Fatal(err)
	}
	return got.Lower
}

func TestWhatWasAcknowledgedIsThereAfterARestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	n := run(t, cfg)
	const events = `{"topic":"a","category":"music","region":"IN","event_id":"1"}` + "\n" + `{"topic":"a","event_id":"2","count":4}` + "\n"
	pos := n.send(t, events, "k1")
	if got := n.count(t, "a", pos); got != 5 {
		t.Errorf("count %d, want 5", got)
	}
	if again := n.send(t, events, "k1"); again != pos {
		t.Errorf("a repeat's position is %q, the first one's %q", again, pos)
	}
	n.send(t, events, "k2") // the ids are known, too
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	n = run(t, cfg)
	if again := n.send(t, events, "k1"); again != pos {
		t.Errorf("after a restart a repeat's position is %q, the first one's %q", again, pos)
	}
	if got := n.count(t, "a", pos); got != 5 {
		t.Errorf("count after a restart %d, want 5", got)
	}
	ledger, err := n.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := ledger.Total; l.Logged != 4 || l.Counted != 2 || l.Duplicates != 2 || l.DeadLettered != 0 {
		t.Errorf("ledger %+v", l)
	}
	var conflict *client.Error
	if _, err := n.Ingest(t.Context(), &client.Events{Body: []byte(`{"topic":"b"}`), ContentType: client.NDJSON, Key: "k1"}); !errors.As(err, &conflict) || conflict.Status != 409 {
		t.Errorf("the key with another body: %v, want 409", err)
	}
}

func TestSettingsBelongToTheLog(t *testing.T) {
	cfg := testConfig(t.TempDir())
	four := 4
	cfg.MaxCategories = &four
	if err := run(t, cfg).stop(); err != nil {
		t.Fatal(err)
	}
	cfg.MaxCategories = nil
	window := time.Minute
	cfg.DedupWindow = &window
	n := run(t, cfg)
	got, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Settings.MaxCategories != 4 || got.Settings.DedupWindow != "1m" && got.Settings.DedupWindow != "1m0s" {
		t.Errorf("settings %+v, want 4 categories of the log and the new minute", got.Settings)
	}
}

func TestFixedSettingsOfAnExistingLogAreRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	if err := run(t, cfg).stop(); err != nil {
		t.Fatal(err)
	}
	event, seven := messages.ClockEvent, 7
	for name, change := range map[string]func(*Config){
		"clock":      func(c *Config) { c.Clock = &event },
		"partitions": func(c *Config) { c.Partitions = &seven },
		"hash key":   func(c *Config) { c.HashKey = &[32]byte{1} },
	} {
		c := cfg
		change(&c)
		n, err := New(c)
		if err == nil {
			t.Errorf("another %s is taken", name)
			_ = n.Close()
		}
	}
}

func TestASecondNodeOnTheSameFolderOrPortIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	first := run(t, cfg)
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), cfg.Data) {
		t.Errorf("same folder: %v, want an error that names it", err)
	}
	other := testConfig(t.TempDir())
	other.HTTP = first.Node.Addr()
	if _, err := New(other); err == nil || !strings.Contains(err.Error(), other.HTTP) {
		t.Errorf("same port: %v, want an error that names it", err)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	five := 5 * time.Millisecond
	for word, change := range map[string]func(*Config){
		"memory":       func(c *Config) { c.Memory = 1 },
		"dedup-memory": func(c *Config) { c.DedupMemory = c.Memory },
		"max-body":     func(c *Config) { c.MaxBody = c.Memory },
		"min-free":     func(c *Config) { c.MinFree = -1 },
		"partitions":   func(c *Config) { c.Partitions = new(int) },
		"clock":        func(c *Config) { c.Clock = new(messages.Clock) },
		"dedup-window": func(c *Config) { c.DedupWindow = &five },
		"http":         func(c *Config) { c.HTTP = "" },
		"data":         func(c *Config) { c.Data = "" },
	} {
		c := testConfig(t.TempDir())
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestSplitAddsUp(t *testing.T) {
	for _, memory := range []int64{32 << 20, 64 << 20, 1 << 30, 64 << 30} {
		c := testConfig("x")
		c.Memory = memory
		var sum int64
		c.Split().Each(func(part string, bytes int64) {
			if bytes <= 0 {
				t.Errorf("memory %d: %s has %d", memory, part, bytes)
			}
			sum += bytes
		})
		if sum > memory {
			t.Errorf("memory %d: the parts add up to %d", memory, sum)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("memory %d: %v", memory, err)
		}
	}
}
