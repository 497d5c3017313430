package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// TestSnapshotsDoNotWaitForATopicThatTakesNoDeadLetters, where there is no file
// for them: the partition that has some says why it cannot be saved, at once, the
// other one is, and so is a stop not held up. Behind a restart the letters are
// there again, and then they are written.
func TestSnapshotsDoNotWaitForATopicThatTakesNoDeadLetters(t *testing.T) {
	cluster := brokers(t, 2)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.SnapshotPolicy.Lag = 1 // one that is asked for meets those that are taken anyway
	var log heard
	cfg.Logger = logTo(&log)
	ground := Ground{Kafka: func(k *kafka.Config) { k.DeadFile = "" }}
	topics := topicOfEach(2)
	denied := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "events-dead-letters", Err: kerr.TopicAuthorizationFailed, Count: -1})
	n := runOn(t, cfg, ground)
	foreign(t, cluster, [2]string{topics[0], `{"topic":`}, [2]string{topics[0], `{"topic":"` + topics[0] + `"}`}, [2]string{topics[1], `{"topic":"` + topics[1] + `"}`})
	n.inLedger(t, 3, 2, 1)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err := n.core.engine.Snapshot(ctx)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "snapshot of partition 0") || !strings.Contains(err.Error(), "wait for topic events-dead-letters") {
		t.Errorf("a snapshot that was asked for: %v", err)
	}
	saved := func(p int) int { return len(n.core.kept.partitions[p].Roots()) }
	await(t, "the other partition is saved", func() bool { return saved(1) > 0 })
	if saved(0) > 0 {
		t.Error("there is a snapshot of what has dead letters that are nowhere")
	}
	awaitRight(t, func() string {
		st, err := n.Status(t.Context())
		if err != nil || !strings.Contains(st.Snapshots.LastError, "events-dead-letters") {
			return fmt.Sprintf("status %+v, %v", st, err)
		}
		return ""
	})
	n.send(t, `{"topic":"`+topics[0]+`"}`, "") // counting goes on
	n.eventually(t, topics[0], 2)
	began := time.Now()
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > cfg.StopTimeout/2 {
		t.Errorf("the stop took %v", took)
	}

	denied.Remove()
	n = runOn(t, cfg, ground)
	awaitRight(t, func() string { // the letters may wait for a topic that is slow
		if _, err := n.core.engine.Snapshot(ctx); err != nil {
			return fmt.Sprintf("a snapshot: %v", err)
		}
		return ""
	})
	await(t, "it is saved", func() bool { return saved(0) > 0 })
	letters := deadLetters(t, cluster)
	if len(letters) == 0 {
		t.Error("no dead letter")
	}
	for _, l := range letters { // at least once: the first node may have written it without hearing of it
		if string(l.Key) != "0/0/0" || string(l.Value) != `{"topic":` {
			t.Errorf("dead letter %s: %s", l.Key, l.Value)
		}
	}
}

// topicOfEach is a topic for each partition.
func topicOfEach(partitions int) []string {
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: partitions, Routing: messages.RoutingMurmur2})
	topics := make([]string, partitions)
	for i, left := 0, partitions; left > 0; i++ {
		name := fmt.Sprintf("t%d", i)
		if p := routes.Of([]byte(name)); topics[p] == "" {
			topics[p] = name
			left--
		}
	}
	return topics
}
