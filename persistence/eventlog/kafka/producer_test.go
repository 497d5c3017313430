package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

func newTestProducer(t *testing.T, b *broker, change func(*Config)) *Producer {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Logger = b.ListenAddrs(), brokerTopic, writerLogger()
	if change != nil {
		change(&cfg)
	}
	p, err := NewProducer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func keyed(from, to int) (list []Keyed) {
	for n := from; n < to; n++ {
		list = append(list, Keyed{Key: fmt.Appendf(nil, "k%d", n%50), Value: fmt.Appendf(nil, "%08d", n)})
	}
	return list
}

// What a broker has written and could not say so is sent again, and is there
// once, in order.
func TestAProducersRepeatsAreThereOnce(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(4, brokerTopic))
	p := newTestProducer(t, b, nil)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	swallowed := 0
	b.swallowIf(func(api int16) bool {
		mu.Lock()
		defer mu.Unlock()
		if api != apiProduce || rng.IntN(3) > 0 {
			return false
		}
		swallowed++
		return true
	})
	const writes, each = 20, 100
	for n := range writes {
		if err := p.Write(t.Context(), keyed(n*each, (n+1)*each)); err != nil {
			t.Fatal(err)
		}
	}
	b.swallowIf(nil)
	routes := messages.NewRoutes(&messages.LogIdentity{Partitions: 4, Routing: messages.RoutingMurmur2})
	total := 0
	for partition, list := range topicRecords(t, b, brokerTopic) {
		var last []byte
		for _, r := range list {
			if routes.Of(r.Key) != messages.Partition(partition) {
				t.Errorf("%s is in partition %d", r.Key, partition)
			}
			if bytes.Compare(last, r.Value) >= 0 {
				t.Fatalf("partition %d: %s comes behind %s", partition, r.Value, last)
			}
			last = r.Value
		}
		total += len(list)
	}
	if total != writes*each || swallowed == 0 {
		t.Errorf("%d records, want %d; %d answers were swallowed", total, writes*each, swallowed)
	}
}

func TestAProducerTellsWhetherAnythingWasWritten(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	p := newTestProducer(t, b, func(c *Config) { c.GiveUp = time.Second })
	if err := p.Write(t.Context(), keyed(0, 10)); err != nil {
		t.Fatal(err)
	}
	b.setDown(true)
	// On a connection that is cut a request may have been read before. On none it
	// was not.
	_ = p.Write(t.Context(), keyed(10, 11))
	err := p.Write(t.Context(), keyed(20, 30))
	if !errors.Is(err, ErrNotWritten) || Refused(err) {
		t.Errorf("no broker: got %v", err)
	}
	b.setDown(false)
	eventually(t, "the brokers answer", func() bool {
		_, err := p.client.metadata(t.Context(), brokerTopic)
		return err == nil
	})
	b.swallowIf(func(api int16) bool { return api == apiProduce })
	if err = p.Write(t.Context(), keyed(30, 40)); err == nil || errors.Is(err, ErrNotWritten) {
		t.Errorf("answers swallowed: got %v", err)
	}
	b.swallowIf(nil)
	// The next one must not pass for the one that was given up.
	if err := p.Write(t.Context(), keyed(40, 50)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range topicRecords(t, b, brokerTopic)[0] {
		seen[string(r.Value)]++
	}
	for n := range 50 {
		name := fmt.Sprintf("%08d", n)
		switch got := seen[name]; {
		case (n < 10 || n >= 30) && got != 1:
			t.Errorf("record %s is there %d times, want once", name, got)
		case n >= 20 && n < 30 && got != 0:
			t.Errorf("record %s is there, and was said not to be", name)
		}
	}
}

func TestAProducerOfWhatIsTooLarge(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	p := newTestProducer(t, b, func(c *Config) { c.Compression = "none" })
	var list []Keyed
	for n := range 20 {
		list = append(list, Keyed{Key: []byte("k"), Value: []byte(strings.Repeat(string(rune('a'+n)), 5000))})
	}
	if err := p.Write(t.Context(), list); err != nil { // in halves
		t.Fatal(err)
	}
	if n := len(topicRecords(t, b, brokerTopic)[0]); n != len(list) {
		t.Errorf("%d records, want %d", n, len(list))
	}
	err := p.Write(t.Context(), []Keyed{{Key: []byte("k"), Value: make([]byte, 30_000)}})
	if !errors.Is(err, ErrNotWritten) || !Refused(err) || len(err.Error()) > 400 {
		t.Errorf("one record: got %v", err)
	}
}

// answerOnce has the next produce request answered with an error, and not done.
func answerOnce(b *broker, code int16) (asked *atomic.Int32) {
	asked = new(atomic.Int32)
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		answer := req.ResponseKind().(*kmsg.ProduceResponse)
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = brokerTopic
		part := kmsg.NewProduceResponseTopicPartition()
		part.ErrorCode = code
		topic.Partitions = append(topic.Partitions, part)
		answer.Topics = append(answer.Topics, topic)
		asked.Add(1)
		return answer, nil, true
	})
	return asked
}

// A broker that does not know the producer any more, as after its records were
// deleted, is told of it again.
func TestAProducerBeginsAnotherSession(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	p := newTestProducer(t, b, nil)
	if err := p.Write(t.Context(), keyed(0, 1)); err != nil {
		t.Fatal(err)
	}
	was := p.session.id
	asked := answerOnce(b, int16(kafkago.UnknownProducerId))
	if err := p.Write(t.Context(), keyed(1, 2)); err != nil {
		t.Fatal(err)
	}
	if p.session.id == was || asked.Load() != 1 {
		t.Errorf("session %d goes on after %d refusals", was, asked.Load())
	}
	if n := len(topicRecords(t, b, brokerTopic)[0]); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// A broker that says it has a batch already has it.
func TestADuplicateOfAProducerIsWritten(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	p := newTestProducer(t, b, nil)
	answerOnce(b, int16(kafkago.DuplicateSequenceNumber))
	if err := p.Write(t.Context(), keyed(0, 1)); err != nil {
		t.Fatal(err)
	}
	if n := len(topicRecords(t, b, brokerTopic)[0]); n != 0 {
		t.Errorf("it was sent again, %d times", n)
	}
}

func TestAProducerNeedsItsTopic(t *testing.T) {
	b := newBroker(t)
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Logger = b.ListenAddrs(), brokerTopic, writerLogger()
	if p, err := NewProducer(t.Context(), cfg); err == nil {
		p.Close()
		t.Error("a topic that is not there is no error")
	}
	cfg.Brokers = nil
	if p, err := NewProducer(t.Context(), cfg); err == nil {
		p.Close()
		t.Error("no broker is no error")
	}
}
