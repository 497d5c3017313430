package node

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// A request whose gateway dies when a part of it is in the topic is completed by
// its repeat, at another gateway.
func TestATornRequestIsCompletedByItsRepeat(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for p := range int32(2) { // a broker each, so that writes to them are apart
		if err := cluster.MoveTopicPartition("events", p, p); err != nil {
			t.Fatal(err)
		}
	}
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 2, Routing: messages.RoutingMurmur2})
	const key = "key-1"
	home := routes.Home(key)
	var names [2]string // of a topic in the home partition, and of one elsewhere
	for i := 0; names[0] == "" || names[1] == ""; i++ {
		name := fmt.Sprintf("t%d", i)
		if routes.Of([]byte(name)) == home {
			names[0] = name
		} else {
			names[1] = name
		}
	}
	body := fmt.Sprintf(`{"topic":"%s"}`+"\n"+`{"topic":"%s"}`+"\n", names[0], names[1])
	first := runOn(t, onKafka(t, cluster, t.TempDir()), Ground{Kafka: func(c *kafka.Config) { c.GiveUp = 6 * time.Second }})
	first.send(t, `{"topic":"before"}`, "") // it has its connections
	second := run(t, onKafka(t, cluster, t.TempDir()))

	var closed atomic.Bool
	closed.Store(true)
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return shut(req.(*kmsg.ProduceRequest), int32(1-home), &closed)
	})
	if _, err := first.Ingest(t.Context(), &client.Events{Body: []byte(body), ContentType: client.NDJSON, Key: key}); err == nil {
		t.Fatal("it was acknowledged")
	}
	second.eventually(t, names[0], 1)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	closed.Store(false)
	if got := second.count(t, names[1], ""); got != 0 {
		t.Fatalf("the request was not torn: %s is counted %d times", names[1], got)
	}
	for range 2 {
		pos := second.send(t, body, key)
		for _, name := range names {
			if got := second.count(t, name, pos); got != 1 {
				t.Errorf("%s is counted %d times, want once", name, got)
			}
		}
	}
}

// shut refuses what a request has for a partition, and lets the rest be written
// where there is none of that.
func shut(req *kmsg.ProduceRequest, partition int32, closed *atomic.Bool) (kmsg.Response, error, bool) {
	if !closed.Load() {
		return nil, nil, false
	}
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			if p.Partition != partition {
				continue
			}
			answer := req.ResponseKind().(*kmsg.ProduceResponse)
			of := kmsg.NewProduceResponseTopic()
			of.Topic = topic.Topic
			for _, p := range topic.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, 7 // REQUEST_TIMED_OUT
				of.Partitions = append(of.Partitions, part)
			}
			answer.Topics = append(answer.Topics, of)
			return answer, nil, true
		}
	}
	return nil, nil, false
}

// A request is cut into parts that its key tells apart. Whoever repeats it at a
// gateway that writes otherwise must cut it alike, or its parts count again, or
// are taken for ones that are there.
func TestARepeatAtANodeThatWritesOtherwiseCountsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		events int
		event  string // with a number in it
		change func(*Config)
	}{
		"events in place of blocks": {20_000, `{"topic":"hot","session_id":"%d"}`, func(c *Config) { c.Kafka.WriteEvents = true }},
		"users as they are":         {12_000, `{"topic":"hot","user_id":"%0150d"}`, func(c *Config) { c.KeepUserIDs = true }},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := brokers(t, 4)
			cfg := onKafka(t, cluster, t.TempDir())
			cfg.Memory = 1 << 30
			var b strings.Builder
			for i := range c.events {
				fmt.Fprintf(&b, c.event+"\n", i)
			}
			n := run(t, cfg)
			pos := n.send(t, b.String(), "key-1")
			if got := n.count(t, "hot", pos); got != uint64(c.events) {
				t.Fatalf("%d counted of %d", got, c.events)
			}
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg)
			n = run(t, cfg)
			pos = n.send(t, b.String(), "key-1")
			if got := n.count(t, "hot", pos); got != uint64(c.events) {
				t.Errorf("%d counted after a repeat, want %d", got, c.events)
			}
		})
	}
}

// An event that the topic does not take is the client's to make smaller.
func TestAnEventLargerThanTheTopicTakesIsNoInternalError(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	if err := cluster.CreateTopic("events", 4, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	n := run(t, onKafka(t, cluster, t.TempDir()))
	rng := rand.New(rand.NewPCG(1, 2))
	note := make([]byte, 60_000)
	for i := range note {
		note[i] = 'a' + byte(rng.IntN(26))
	}
	for _, key := range []string{"", "key-1"} {
		body := fmt.Sprintf(`{"topic":"big","note":"%s"}`, note)
		_, err := n.Ingest(t.Context(), &client.Events{Body: []byte(body), ContentType: client.NDJSON, Key: key})
		if err == nil || !strings.Contains(err.Error(), "413") || !strings.Contains(err.Error(), "max.message.bytes") {
			t.Errorf("key %q: %v", key, err)
		}
	}
	var b strings.Builder
	for range 20_000 { // of one partition, and more than one record takes
		fmt.Fprintf(&b, `{"topic":"hot","session_id":"%x"}`+"\n", rng.Uint64())
	}
	for _, key := range []string{"", "key-2"} {
		before := n.count(t, "hot", "")
		if got := n.count(t, "hot", n.send(t, b.String(), key)); got != before+20_000 {
			t.Errorf("key %q: %d counted, want %d", key, got-before, 20_000)
		}
	}
}
