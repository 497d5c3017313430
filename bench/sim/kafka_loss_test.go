//go:build e2e

package sim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/bench"
)

// refusal is the one line with which a node that does not start ends.
func refusal(ctx context.Context, t *testing.T, n *bench.Node) string {
	t.Helper()
	last := saying(n.Log(), "crest:")
	if code, err := n.Wait(ctx); code != 1 || err != nil || len(last) != 1 || len(last[0]) > 900 {
		t.Fatalf("it ended with %d, %v; want 1, and one line:\n%s", code, err, n.Log())
	}
	t.Log(last[0])
	return last[0]
}

// TestKafkaLoss: what comes next in a partition is not in the topic any more, at
// the start or while a node counts. It says so, with partition and offset, and
// counts on in the others; nothing is skipped in silence.
func TestKafkaLoss(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	admin := kgoClient(t, b.Addr())
	topic := newTopicName(t)
	s := newServer(t, onKafka(b.Addr(), topic)...)
	s.start(ctx)
	c := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic))
	var r record
	r.produce(ctx, t, c, each("", (*view).topicEvent), someViews(rng, "before", 400))
	s.counted(ctx, &r)
	s.stop(ctx) // with snapshots

	const lost = 3
	before := offsets(ctx, t, admin, topic, kafkaPartitions, true)
	r.produce(ctx, t, c, each("", (*view).topicEvent), someViews(rng, "behind", 400))
	ends := offsets(ctx, t, admin, topic, kafkaPartitions, true)
	deleteBefore(ctx, t, admin, topic, lost, ends[lost]-1)
	s.launch()
	others := int64(0)
	for p, end := range ends {
		if p != lost {
			others += end
		}
	}
	found := s.awaitLoss(ctx, lost, others)
	for _, words := range []string{"partition", fmt.Sprint(before[lost]), fmt.Sprint(ends[lost] - 1)} {
		if !strings.Contains(found, words) {
			t.Errorf("want a line that names partition %d, offset %d and the begin %d:\n%s", lost, before[lost], ends[lost]-1, found)
		}
	}
}

// awaitLoss waits until a launched node has counted everything but one partition,
// and returns its errors. It must not call itself ready.
func (s *server) awaitLoss(ctx context.Context, lost int, others int64) string {
	s.t.Helper()
	ready, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := s.ready(ready); err != nil {
		s.t.Fatalf("the other partitions do not go on: %v", err)
	}
	for {
		l, err := s.client.Load().Ledger(ctx)
		if err != nil {
			s.t.Fatalf("ledger: %v\n%s", err, s.node.Log())
		}
		applied := uint64(0)
		for p, one := range l.Partitions {
			if p != lost {
				applied += uint64(one.AppliedOffset)
			}
		}
		if applied >= uint64(others) {
			break
		}
		if !pause(ready, 20*time.Millisecond) {
			s.t.Fatalf("the other partitions do not go on: %+v\n%s", l, s.node.Log())
		}
	}
	resp, err := http.Get(s.node.Addr() + "/readyz")
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		s.t.Error("a node that has lost a partition calls itself ready")
	}
	return strings.Join(saying(s.node.Log(), "level=ERROR"), "\n")
}

// TestKafkaAnotherTopic: a topic that was deleted and made again under its name,
// or got more partitions, is not the one that the snapshots are of. A node does
// not start on it, and says which it wants and what to do.
func TestKafkaAnotherTopic(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	admin := kgoClient(t, b.Addr())
	for _, c := range []struct {
		name   string
		change func(topic string)
		words  string
	}{
		{"made again", func(topic string) {
			deleteTopic(ctx, t, admin, topic)
			makeTopic(ctx, t, admin, topic, kafkaPartitions)
		}, "made again"},
		{"of more partitions", func(topic string) { growTopic(ctx, t, admin, topic, 2*kafkaPartitions) }, "partitions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic := foreignTopic(ctx, t, admin, kafkaPartitions)
			s := newServer(t, onKafka(b.Addr(), topic)...)
			s.start(ctx)
			from := &sender{name: "topic", rng: rng}
			if _, err := s.send(ctx, from.next()); err != nil {
				t.Fatal(err)
			}
			s.stop(ctx)
			c.change(topic)
			n, ready := s.tryStart(ctx)
			if ready {
				t.Fatalf("the node starts on another topic:\n%s", n.Log())
			}
			if said := refusal(ctx, t, n); !strings.Contains(said, c.words) || !strings.Contains(said, topic) {
				t.Errorf("want a line with %q", c.words)
			}
		})
	}
}

func growTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string, partitions int) {
	t.Helper()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = name, int32(partitions)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 30_000
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatalf("grow topic %s: %v", name, err)
	}
}
