package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// brokers are a cluster in this process, with topic "events" if partitions is
// above 0.
func brokers(t *testing.T, partitions int32) *kfake.Cluster {
	t.Helper()
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	if partitions > 0 {
		opts = append(opts, kfake.SeedTopics(partitions, "events"))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// onKafka is a node's configuration on topic "events".
func onKafka(t *testing.T, c *kfake.Cluster, data string) Config {
	cfg := testConfig(data)
	cfg.Reserve = 0
	k := DefaultKafka()
	k.Brokers, k.Topic, k.Partitions = c.ListenAddrs(), "events", 4
	cfg.Kafka = &k
	return cfg
}

// foreign writes records as anybody else might, keyed by topic; "" as topic
// means without a key.
func foreign(t *testing.T, c *kfake.Cluster, records ...[2]string) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, r := range records {
		rec := &kgo.Record{Value: []byte(r[1])}
		if r[0] != "" {
			rec.Key = []byte(r[0])
		}
		if err := p.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until a count in the window all is what it is to be.
func (r *running) eventually(t *testing.T, topic string, want uint64) {
	t.Helper()
	awaitRight(t, func() string {
		if got := r.count(t, topic, ""); got != want {
			return fmt.Sprintf("%s is counted %d times, want %d", topic, got, want)
		}
		return ""
	})
}

func TestANodeOnKafkaCountsWhatAnybodyWrites(t *testing.T) {
	for _, events := range []bool{false, true} {
		t.Run(fmt.Sprintf("events=%v", events), func(t *testing.T) { countsWhatAnybodyWrites(t, events) })
	}
}

func countsWhatAnybodyWrites(t *testing.T, events bool) {
	cluster := brokers(t, 0)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.WriteEvents = events
	ground := Ground{Kafka: func(k *kafka.Config) { k.DeadFile = "" }} // dead letters wait for a topic that is slow
	n := runOn(t, cfg, ground)                                         // makes the topic
	pos := n.send(t, `{"topic":"a","region":"IN"}`+"\n"+`{"topic":"b","count":4}`+"\n", "")
	if got := n.count(t, "b", pos); got != 4 {
		t.Errorf("b is counted %d times, want 4", got)
	}
	foreign(t, cluster, [2]string{"a", `{"video_id":"a","userId":"u1","ts":` + fmt.Sprint(time.Now().UnixMilli()) + `}`}, [2]string{"a", `{"topic":"a"`}, [2]string{"", `{"topic":"a"}`})
	n.eventually(t, "a", 3)
	board, err := n.Trending(t.Context(), client.TrendingQuery{Scope: client.Scope{Window: "1h"}})
	if err != nil || len(board.Topics) != 2 || board.Topics[0].Topic != "b" || board.Topics[0].Lower != 4 || board.Topics[1].Lower != 3 || !board.Exact {
		t.Errorf("board %+v, %v", board, err)
	}
	n.inLedger(t, 5, 4, 1)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	foreign(t, cluster, [2]string{"b", `{"topic":"b"}`}) // while nobody reads
	n = runOn(t, cfg, ground)
	n.eventually(t, "b", 5)
	n.inLedger(t, 6, 5, 1)
	pos = n.send(t, `{"topic":"b"}`, "")
	if got := n.count(t, "b", pos); got != 6 {
		t.Errorf("b is counted %d times, want 6", got)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	letters := deadLetters(t, cluster)
	if len(letters) == 0 {
		t.Error("no dead letter")
	}
	for _, l := range letters { // at least once
		if string(l.Key) != string(letters[0].Key) || string(l.Value) != `{"topic":"a"` {
			t.Errorf("dead letter %s: %s, want the broken event alone", l.Key, l.Value)
		}
	}
}

// inLedger waits until the ledger is what it is to be.
func (r *running) inLedger(t *testing.T, logged, counted, dead uint64) {
	t.Helper()
	awaitRight(t, func() string {
		l, err := r.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Total; got.Logged != logged || got.Counted != counted || got.DeadLettered != dead {
			return fmt.Sprintf("ledger: %d logged, %d counted, %d dead letters; want %d, %d, %d", got.Logged, got.Counted, got.DeadLettered, logged, counted, dead)
		}
		return ""
	})
}

// deadLetters are all that were put aside.
func deadLetters(t *testing.T, c *kfake.Cluster) []*kgo.Record {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("events-dead-letters"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	left := int64(0)
	for _, p := range c.PartitionInfos("events-dead-letters") {
		left += p.HighWatermark - p.LogStartOffset
	}
	var all []*kgo.Record
	for int64(len(all)) < left { // a fetch may hold some of them only
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// Two nodes on one topic with a store and a secret of their own each count
// everything, whichever gateway it came through.
func TestASecondNodeCountsTheSame(t *testing.T) {
	cluster := brokers(t, 4)
	foreign(t, cluster, [2]string{"a", `{"topic":"a"}`}, [2]string{"b", `{"topic":"b"}`})
	first, second := run(t, onKafka(t, cluster, t.TempDir())), run(t, onKafka(t, cluster, t.TempDir()))
	const body = `{"topic":"a","event_id":"1"}` + "\n" + `{"topic":"c","count":3}` + "\n"
	first.send(t, body, "key-1")
	second.send(t, body, "key-1") // the same request again, at the other gateway
	second.send(t, `{"topic":"a","event_id":"1"}`, "")
	for _, n := range []*running{first, second} {
		n.eventually(t, "a", 2)
		n.eventually(t, "b", 1)
		n.eventually(t, "c", 3)
	}
}

// What is counted is committed to the group, where dashboards look.
func TestCountedOffsetsAreCommittedToTheGroup(t *testing.T) {
	cluster := brokers(t, 1)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.Group = "crest-lag"
	n := run(t, cfg)
	n.send(t, `{"topic":"a"}`, "")
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	await(t, "the offset is committed", func() bool { return committedTo(t, reader, "crest-lag") == 1 })
}

// committedTo is what a group has of partition 0.
func committedTo(t *testing.T, c *kgo.Client, group string) int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = "events", []int32{0}
	req.Topics = append(req.Topics, topic)
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = group
	ofTopic := kmsg.NewOffsetFetchRequestGroupTopic()
	ofTopic.Topic, ofTopic.Partitions = "events", []int32{0}
	of.Topics = append(of.Topics, ofTopic)
	req.Groups = append(req.Groups, of)
	answer, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range answer.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				return p.Offset
			}
		}
	}
	return -1
}

var _ Log = (*kafka.Log)(nil)

// With --kafka-keyed an event that is not in the partition of its topic is
// counted where nobody looks for it: somebody has to be told.
func TestStrayEventsOfAKeyedTopicAreTold(t *testing.T) {
	cluster := brokers(t, 4)
	cfg := onKafka(t, cluster, t.TempDir())
	cfg.Kafka.Keyed = true
	var log heard
	cfg.Logger = logTo(&log)
	n := run(t, cfg)
	n.send(t, `{"topic":"b"}`, "")
	foreign(t, cluster, [2]string{"a", `{"topic":"a"}`})
	n.eventually(t, "a", 1)
	if h, err := n.Health(t.Context()); err != nil || strings.Contains(h.Warning, "--kafka-keyed") {
		t.Errorf("keyed as it should be: warning %+v, %v", h, err)
	}
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 4, Routing: messages.RoutingMurmur2})
	stray := "k0"
	for i := 1; routes.Of([]byte(stray)) == routes.Of([]byte("a")); i++ {
		stray = fmt.Sprintf("k%d", i)
	}
	foreign(t, cluster, [2]string{stray, `{"topic":"a"}`}, [2]string{stray, `{"topic":"a"}`})
	awaitRight(t, func() string {
		h, err := n.Health(t.Context())
		if err != nil || !strings.Contains(h.Warning, "2 events were not in the partition of their topic") {
			return fmt.Sprintf("health %+v, %v", h, err)
		}
		return ""
	})
	if told := log.lines("an event is not in the partition of its topic"); len(told) != 1 {
		t.Errorf("told %d times: %q", len(told), told)
	}
}
