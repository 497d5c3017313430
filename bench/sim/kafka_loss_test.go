//go:build e2e

package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
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
	begin := ends[lost] - 1
	deleteBefore(ctx, t, admin, topic, lost, begin)
	addr := freeAddress(t) // it is never ready, so it does not print one
	s.flags = append(s.flags, "--http", addr)
	s.launch()
	status := awaitLoss(ctx, t, s, addr, lost, ends)
	for _, said := range []string{status.Partitions[lost].Failed, strings.Join(saying(s.node.Log(), "level=ERROR"), "\n")} {
		for _, words := range []string{"lost", fmt.Sprint(before[lost]), fmt.Sprint(begin)} {
			if !strings.Contains(said, words) {
				t.Errorf("partition %d goes on at %d, the topic begins with %d; it says %q", lost, before[lost], begin, said)
			}
		}
	}
	if at := status.Partitions[lost].AppliedOffset; int64(at) > begin {
		t.Errorf("partition %d goes on at %d, as if nothing was lost", lost, at)
	}
	if status.Ready {
		t.Error("a node that has lost a partition calls itself ready")
	}
	t.Log(status.Partitions[lost].Failed)
}

// awaitLoss waits until a launched node has stopped one partition and has counted
// all others.
func awaitLoss(ctx context.Context, t *testing.T, s *server, addr string, lost int, ends []int64) *api.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := client.New("http://" + addr)
	fail(t, err)
	defer c.Close()
	for {
		status, err := c.Status(ctx)
		done := err == nil && len(status.Partitions) == len(ends) && status.Partitions[lost].Failed != ""
		for p := range ends {
			done = done && (p == lost || int64(status.Partitions[p].AppliedOffset) >= ends[p])
		}
		if done {
			return status
		}
		if !pause(ctx, 20*time.Millisecond) {
			t.Fatalf("partition %d has to stop, and the others to go on: %+v, %v\n%s", lost, status, err, s.node.Log())
		}
	}
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

// TestKafkaTopicMadeAgain: a topic that is deleted and made again below a running
// node has other records under the same offsets. No partition goes on, the node
// says why, and takes nothing more.
func TestKafkaTopicMadeAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	admin := kgoClient(t, b.Addr())
	topic := foreignTopic(ctx, t, admin, kafkaPartitions)
	s := newServer(t, onKafka(b.Addr(), topic)...)
	s.start(ctx)
	c := s.client.Load()
	from := &sender{name: "again", rng: rng}
	var r record
	batch := from.next()
	if _, err := s.send(ctx, batch); err != nil {
		t.Fatal(err)
	}
	fail(t, r.add(batch))
	s.counted(ctx, &r)
	deleteTopic(ctx, t, admin, topic)
	makeTopic(ctx, t, admin, topic, kafkaPartitions)
	fresh := kgoClient(t, b.Addr(), kgo.DefaultProduceTopic(topic))
	if err := fresh.ProduceSync(ctx, each("", (*view).topicEvent)(someViews(rng, "again", 200))...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for {
		status, err := c.Status(ctx)
		failed := 0
		if err == nil {
			for _, p := range status.Partitions {
				if strings.Contains(p.Failed, "made again") {
					failed++
				}
			}
		}
		if failed == kafkaPartitions {
			break
		}
		if !pause(ctx, 20*time.Millisecond) {
			t.Fatalf("%d of %d partitions have stopped: %+v, %v\n%s", failed, kafkaPartitions, status, err, s.node.Log())
		}
	}
	if lines := saying(s.node.Log(), "made again"); len(lines) == 0 {
		t.Errorf("the log does not say why:\n%s", s.node.Log())
	}
	if err := c.Ready(ctx); err == nil {
		t.Error("a node without its topic calls itself ready")
	}
	if _, err := c.Ingest(ctx, from.next().events()); err == nil {
		t.Error("events are taken into another topic")
	}
	l, err := c.Ledger(ctx)
	if err == nil && l.Total.Counted != uint64(r.events.Len()) {
		t.Errorf("%d events counted, want the %d of the old topic", l.Total.Counted, r.events.Len())
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
