package kafka

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// moving is a topic of one partition whose first leader says to every write that
// it is not the leader, before it has been moved, too.
type moving struct {
	*broker
	first int32

	mu  sync.Mutex
	old []time.Time // writes that the first leader was asked for
	new []time.Time // and the other one
}

// newMoving has the other leader answer writes with a code, 0: take them.
func newMoving(t *testing.T, then int16) *moving {
	m := &moving{broker: newBroker(t, kfake.NumBrokers(2), kfake.SeedTopics(1, brokerTopic))}
	m.first = m.LeaderFor(brokerTopic, 0)
	m.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		m.KeepControl()
		m.mu.Lock()
		defer m.mu.Unlock()
		code := then
		if m.CurrentNode() == m.first {
			m.old = append(m.old, time.Now())
			code = kerr.NotLeaderForPartition.Code
		} else {
			m.new = append(m.new, time.Now())
		}
		return refusedWrite(req, code), nil, code != 0
	})
	return m
}

// refusedWrite answers a write to one partition with a code.
func refusedWrite(req kmsg.Request, code int16) kmsg.Response {
	asked := req.(*kmsg.ProduceRequest)
	resp := asked.ResponseKind().(*kmsg.ProduceResponse)
	topic, p := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
	topic.Topic, p.Partition, p.ErrorCode = asked.Topics[0].Topic, asked.Topics[0].Partitions[0].Partition, code
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	return resp
}

// move makes the other one the leader, of which nobody is told.
func (m *moving) move(t *testing.T) {
	t.Helper()
	if err := m.MoveTopicPartition(brokerTopic, 0, 1-m.first); err != nil {
		t.Fatal(err)
	}
}

func TestAWriteGoesToANewLeaderAtOnce(t *testing.T) {
	m := newMoving(t, 0)
	cfg := writerConfig(m.broker)
	cfg.Partitions = 1
	l := openLog(t, cfg)
	appended := make(chan error, 1)
	go func() { appended <- l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 1)) }()
	// Until the pause between two tries is the longest.
	eventually(t, "tries at the first leader", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.old) >= 5
	})
	m.move(t)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The first leader has said so, and it was asked who is.
	if took := m.new[0].Sub(slices.MaxFunc(m.old, time.Time.Compare)); took >= longestBackoff {
		t.Errorf("the new leader is asked %v behind the old one: that is a pause", took)
	}
}

// The first leader may have written it before it was none any more.
func TestARefusalByANewLeaderDoesNotSayThatNothingIsWritten(t *testing.T) {
	m := newMoving(t, kerr.InvalidRecord.Code)
	cfg := writerConfig(m.broker)
	cfg.Partitions = 1
	l := openLog(t, cfg)
	m.move(t)
	err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 1))
	if err == nil {
		t.Fatal("it is refused, and taken")
	}
	isErr(t, err, messages.ErrStopped, "may be in the log")
}
