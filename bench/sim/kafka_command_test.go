//go:build e2e

package sim

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// TestKafkaCommands: what crest ingest writes into a topic, through TLS and SASL,
// keyed as Kafka's own clients key it, is counted by a node whose producers all
// key by topic; what it has counted is committed to its group; and doctor says
// what is wrong with a topic.
func TestKafkaCommands(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	admin := kgoClient(t, b.Addr())
	topic := foreignTopic(ctx, t, admin, kafkaPartitions, "message.timestamp.type=LogAppendTime")
	s := newServer(t, onKafka(b.Addr(), topic, "--kafka-keyed", "--kafka-group", "dashboards", "--dedup-window", "2h")...)
	s.start(ctx)
	var r record
	from := &sender{name: "file", rng: rng, ids: true}
	var all bytes.Buffer
	for range 500 {
		batch := from.next()
		all.Write(batch.body)
		fail(t, r.add(batch))
	}
	file := filepath.Join(t.TempDir(), "events.ndjson")
	fail(t, os.WriteFile(file, all.Bytes(), 0o600))
	word := filepath.Join(t.TempDir(), "password")
	fail(t, os.WriteFile(word, []byte(kafka.Password), 0o600))
	command(ctx, t, "ingest", "--kafka", b.SecureAddr()+"/"+topic, "--kafka-ca", b.CAFile(), "--kafka-sasl", "scram-sha-256", "--kafka-user", kafka.User, "--kafka-password-file", word, file)
	c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic))
	r.produce(ctx, t, c, each("", (*view).topicEvent), someViews(rng, "another", 500))
	s.counted(ctx, &r)
	everything(ctx, s, &r, rng)

	where := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	ends := offsets(ctx, t, admin, topic, kafkaPartitions, true)
	total := 0
	for _, end := range ends {
		total += int(end)
	}
	for _, record := range readAll(ctx, t, b.Addr(), topic, func(all []*kgo.Record) bool { return len(all) >= total }) {
		if p := where.Partition(&kgo.Record{Key: record.Key}, kafkaPartitions); p != int(record.Partition) {
			t.Errorf("a record with key %q is in partition %d, other clients put it into %d", record.Key, record.Partition, p)
		}
	}
	for committed := []int64(nil); !slices.Equal(committed, ends); {
		if !pause(ctx, 100*time.Millisecond) {
			t.Fatalf("%v is committed to the group, want %v", committed, ends)
		}
		committed = committedTo(ctx, t, admin, "dashboards", topic)
	}

	risky := foreignTopic(ctx, t, admin, 3, "cleanup.policy=compact")
	out, err := exec.CommandContext(ctx, binary, "doctor", "--log", "kafka://"+b.Addr()+"/"+risky, "--data", t.TempDir()).CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 || !bytes.Contains(out, []byte("compact")) || !bytes.Contains(out, []byte("CreateTime")) {
		t.Errorf("doctor about a compacted topic with CreateTime: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	t.Logf("%s", command(ctx, t, "doctor", "--log", "kafka://"+b.Addr()+"/"+topic, "--data", t.TempDir()))
}

// committedTo are a group's offsets, nil while the broker has not made room for
// groups.
func committedTo(ctx context.Context, t *testing.T, c *kgo.Client, group, topic string) []int64 {
	t.Helper()
	of := kmsg.NewOffsetFetchRequestGroupTopic()
	of.Topic = topic
	for p := range kafkaPartitions {
		of.Partitions = append(of.Partitions, int32(p))
	}
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group, one.Topics = group, append(one.Topics, of)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Groups = append(req.Groups, one)
	resp, err := req.RequestWith(ctx, c)
	if errors.Is(err, kerr.CoordinatorNotAvailable) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	at := make([]int64, kafkaPartitions)
	for _, g := range resp.Groups {
		for _, topics := range g.Topics {
			for _, p := range topics.Partitions {
				at[p.Partition] = p.Offset
			}
		}
	}
	return at
}
