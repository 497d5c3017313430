package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

// keysOf are Idempotency-Keys, one at home in each of two partitions.
func keysOf() (keys [2]string) {
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 2, Routing: messages.RoutingMurmur2})
	for i := 0; keys[0] == "" || keys[1] == ""; i++ {
		key := fmt.Sprintf("key-%d", i)
		keys[routes.Home(key)] = key
	}
	return keys
}

func lineOf(topic string) string { return `{"topic":"` + topic + `"}` + "\n" }

// TestANodeServesWithoutAPartitionThatHasLostItsLog, whether it finds that at its
// start or later; and with a snapshot of another node's, from which the log goes
// on, it is whole again.
func TestANodeServesWithoutAPartitionThatHasLostItsLog(t *testing.T) {
	for _, atStart := range []bool{true, false} {
		t.Run(fmt.Sprintf("at the start: %v", atStart), func(t *testing.T) { servesWithout(t, atStart) })
	}
}

func servesWithout(t *testing.T, atStart bool) {
	const lost, good = 0, 1
	topics := topicOfEach(2)
	both := lineOf(topics[0]) + lineOf(topics[1])
	cluster := brokers(t, 2)
	node := func(data string) Config {
		cfg := onKafka(t, cluster, data)
		cfg.Kafka.Keyed, cfg.HashKey = true, new([32]byte)
		return cfg
	}
	here, there := t.TempDir(), t.TempDir()
	n, other := run(t, node(here)), run(t, node(there))
	pos := n.send(t, both, "")
	n.count(t, topics[good], pos)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	held := &heldLog{held: make(chan struct{}), partition: lost}
	if !atStart {
		n = runOn(t, node(here), Ground{Engine: func(c *actors.Config) { held.Log, c.Log = c.Log, held }})
	}
	pos = other.send(t, both, "")
	if got := other.count(t, topics[lost], pos); got != 2 {
		t.Fatalf("the other node has counted %d", got)
	}
	cutOff(t, cluster, lost, 2)
	if atStart {
		cfg := node(here)
		categories := 7
		cfg.MaxCategories = &categories // which comes into force where it can
		n = run(t, cfg)
		awaitRight(t, func() string {
			if st, err := n.Status(t.Context()); err != nil || st.Settings.MaxCategories != categories {
				return fmt.Sprintf("settings %+v, %v", st.Settings, err)
			}
			return ""
		})
	}
	close(held.held)
	awaitRight(t, func() string {
		if h, err := n.Health(t.Context()); err != nil || h.Status != "degraded" || !strings.Contains(h.Reason, "partition 0: ") || !strings.Contains(h.Reason, "has lost what comes next") {
			return fmt.Sprintf("health %+v, %v", h, err)
		}
		return ""
	})

	n.eventually(t, topics[good], 2)
	pos = n.send(t, lineOf(topics[good]), "")
	if got := n.count(t, topics[good], pos); got != 3 {
		t.Errorf("%d counted, want 3", got)
	}
	pos = n.send(t, lineOf(topics[good]), keysOf()[good])
	if h, err := n.History(t.Context(), topics[good], "1h", client.Scope{Window: "1h", After: pos}); err != nil || h.Trend[0].Lower != 4 {
		t.Errorf("history %+v, %v", h, err)
	}
	pos = n.send(t, both, "") // which is durable, in both
	for name, ask := range map[string]func(context.Context) error{
		"readyz": n.Client.Ready,
		"count": func(ctx context.Context) error {
			_, err := n.Count(ctx, topics[lost], client.Scope{})
			return err
		},
		"the other's count, after what is lost": func(ctx context.Context) error {
			_, err := n.Count(ctx, topics[good], client.Scope{After: pos})
			return err
		},
		"board": func(ctx context.Context) error {
			_, err := n.Trending(ctx, client.TrendingQuery{})
			return err
		},
		"a key at home there": func(ctx context.Context) error {
			_, err := n.Ingest(ctx, &client.Events{Body: []byte(both), ContentType: client.NDJSON, Key: keysOf()[lost]})
			return err
		},
	} {
		var no *client.Error
		if err := ask(t.Context()); !errors.As(err, &no) || no.Status != 503 || no.Title != "Partition lost" || !strings.HasPrefix(no.Detail, "Partition 0: ") || !strings.Contains(no.Detail, "trimmed to 2") && !strings.Contains(no.Detail, "begins at 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if failed, ready := n.metric(t, `crest_partition_failed{partition="0"}`), n.metric(t, "crest_ready"); failed != 1 || ready != 0 {
		t.Errorf("metrics: failed %g, ready %g", failed, ready)
	}
	n.eventually(t, topics[good], 5)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	// The other one has counted everything, and what this one has taken too.
	other.eventually(t, topics[lost], 3)
	other.eventually(t, topics[good], 5)
	if err := other.stop(); err != nil {
		t.Fatal(err)
	}
	restoreFrom(t, there, here, other.core.log.Identity().ID, lost)
	cutOff(t, cluster, good, 5) // which the snapshot of the stop has
	n = run(t, node(here))
	if err := n.Client.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	n.eventually(t, topics[lost], 3)
	n.eventually(t, topics[good], 5)
	if b, err := n.Trending(t.Context(), client.TrendingQuery{}); err != nil || len(b.Topics) != 2 {
		t.Errorf("board %+v, %v", b, err)
	}
}

// restoreFrom copies a partition's snapshot from one node's store into another's,
// as crest snapshot restore --from does.
func restoreFrom(t *testing.T, from, to string, log messages.LogID, p messages.Partition) {
	t.Helper()
	var stores [2]objectstore.Store
	for i, data := range []string{from, to} {
		var err error
		if stores[i], err = objectstore.Open(t.Context(), "dir:"+filepath.Join(data, "store"), objectstore.DefaultConfig()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := snapshot.Copy(t.Context(), stores[0], stores[1], snapshot.Choice{Log: log, Partition: p, Owner: "test"}); err != nil {
		t.Fatal(err)
	}
}

// heldLog is a log of which one partition is read only once held is closed.
type heldLog struct {
	actors.Log
	held      chan struct{}
	partition messages.Partition
}

func (l *heldLog) Read(ctx context.Context, p messages.Partition, from messages.Offset, b *messages.Batch) error {
	if p == l.partition {
		select {
		case <-l.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l.Log.Read(ctx, p, from, b)
}
