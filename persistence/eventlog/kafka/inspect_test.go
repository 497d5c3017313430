package kafka

import (
	"fmt"
	"strings"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore/faultstore"
)

func newTestInspector(t *testing.T, b *broker) *Inspector {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Logger = b.ListenAddrs(), brokerTopic, writerLogger()
	i, err := NewInspector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func TestATopicIsDescribed(t *testing.T) {
	b := newBroker(t)
	i := newTestInspector(t, b)
	if d, err := i.Describe(t.Context()); err != nil || d.Exists {
		t.Fatalf("a topic that is not there: %+v, %v", d, err)
	}
	cfg := writerConfig(b)
	l := openLog(t, cfg)
	mustAppend(t, l, frameOf(1, 3, 0, 2))
	d, err := i.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !d.Exists || d.ClusterID == "" || len(d.TopicID) != 32 || d.Partitions != 4 || len(d.Leaderless) > 0 || d.Copies != 1 || d.InSync != 1 {
		t.Errorf("got %+v", d)
	}
	if fmt.Sprint(d.Begins, d.Ends) != "[0 0 0 0] [1 0 1 0]" {
		t.Errorf("it goes from %v to %v", d.Begins, d.Ends)
	}
	if d.SettingsErr != nil || d.Settings["message.timestamp.type"] != "LogAppendTime" || d.Settings["retention.ms"] != "604800000" || d.Settings["cleanup.policy"] != "delete" {
		t.Errorf("its settings are %v, %v", d.Settings, d.SettingsErr)
	}
	kept, err := KeptIn(t.Context(), cfg.Objects, brokerTopic)
	if err != nil || kept.ClusterID != d.ClusterID || kept.TopicID != d.TopicID || kept.Partitions != 4 || kept.Clock != messages.ClockWall || kept.LogID != l.Identity().ID {
		t.Errorf("the store says %+v, %v", kept, err)
	}
	if kept, err := KeptIn(t.Context(), cfg.Objects, "other"); kept != nil || err != nil {
		t.Errorf("of another topic the store says %+v, %v", kept, err)
	}
	broken := faultstore.NewMemory()
	if _, err := broken.Put(t.Context(), knownKey(brokerTopic), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if kept, err := KeptIn(t.Context(), broken, brokerTopic); err == nil {
		t.Errorf("a store with something else says %+v", kept)
	}
}

func TestSettingsThatMayNotBeSeenAreNoError(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	b.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		answer := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ErrorCode, r.ResourceType, r.ResourceName = 29, kmsg.ConfigResourceTypeTopic, brokerTopic // TOPIC_AUTHORIZATION_FAILED
		answer.Resources = append(answer.Resources, r)
		return answer, nil, true
	})
	d, err := newTestInspector(t, b).Describe(t.Context())
	if err != nil || !d.Exists || d.SettingsErr == nil || d.Settings != nil {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestTheNewestRecordsAreSampled(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	c, err := kgo.NewClient(kgo.SeedBrokers(b.ListenAddrs()...), kgo.DefaultProduceTopic(brokerTopic), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range 30 {
		r := &kgo.Record{Key: []byte("k"), Value: fmt.Appendf(nil, "%d", n)}
		if n == 29 {
			r.Headers = []kgo.RecordHeader{{Key: headerKey, Value: []byte{1}}}
		}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	i := newTestInspector(t, b)
	for _, n := range []int{7, 30, 100} {
		var got []string
		own := 0
		err := i.Newest(t.Context(), 0, 0, 30, n, func(s *Sampled) {
			got = append(got, string(s.Value))
			if s.Own {
				own++
			}
			if (s.Wrong != nil) != s.Own { // its header is none that crest writes
				t.Errorf("own %v, wrong %v", s.Own, s.Wrong)
			}
			if string(s.Key) != "k" || s.AppendTime || s.Time == 0 || fmt.Sprint(s.Offset) != string(s.Value) {
				t.Errorf("got %+v", s)
			}
		})
		want := min(n, 30)
		if err != nil || len(got) != want || got[0] != fmt.Sprint(30-want) || got[want-1] != "29" || own != 1 {
			t.Errorf("the newest %d: got %v, %d of crest, %v", n, got, own, err)
		}
	}
}

// Right behind the making of a topic brokers may not know it all yet.
func TestATopicJustMadeIsAskedForAgain(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	asked := 0
	b.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if asked++; asked > 2 {
			return nil, nil, false
		}
		answer := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		of, part := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		part.ErrorCode = int16(kafkago.NotLeaderForPartition)
		of.Topic, of.Partitions = brokerTopic, append(of.Partitions, part)
		answer.Topics = append(answer.Topics, of)
		return answer, nil, true
	})
	d, err := newTestInspector(t, b).Describe(t.Context())
	if err != nil || len(d.Ends) != 1 || asked < 3 {
		t.Errorf("got %+v, %v; asked %d times", d, err, asked)
	}
}

func TestBrokersThatCannotBeReachedAreExplained(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Topic, cfg.Logger = []string{"127.0.0.1:1"}, brokerTopic, writerLogger()
	i, err := NewInspector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if _, err := i.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "check the address") {
		t.Errorf("nobody listens: %v", err)
	}
	b := newBroker(t, kfake.SeedTopics(1, brokerTopic))
	b.setDown(true) // takes connections and says nothing, as one that wants TLS
	if _, err := newTestInspector(t, b).Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("it hangs up: %v", err)
	}
}

// What a store says of a topic goes along with its snapshots, and never over
// what another store says.
func TestWhatIsKeptIsCopied(t *testing.T) {
	b, other := newBroker(t), newBroker(t)
	from, to, taken := writerConfig(b), faultstore.NewMemory(), writerConfig(other)
	l := openLog(t, from)
	openLog(t, taken)
	kept, err := KeptOf(t.Context(), from.Objects, l.Identity().ID)
	if err != nil || kept == nil || kept.Topic != brokerTopic {
		t.Fatalf("got %+v, %v", kept, err)
	}
	if kept, err := KeptOf(t.Context(), from.Objects, messages.LogID{1}); kept != nil || err != nil {
		t.Errorf("of another log: %+v, %v", kept, err)
	}
	for range 2 { // again does no harm
		if err := kept.Copy(t.Context(), from.Objects, to); err != nil {
			t.Fatal(err)
		}
	}
	if copied, err := KeptIn(t.Context(), to, brokerTopic); err != nil || copied.LogID != kept.LogID || len(copied.Begins) != kept.Partitions {
		t.Errorf("the copy says %+v, %v", copied, err)
	}
	if err := kept.Copy(t.Context(), from.Objects, taken.Objects); err == nil {
		t.Error("it is copied over that of another topic")
	}
}
