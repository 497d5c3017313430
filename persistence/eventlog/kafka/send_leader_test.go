package kafka

import (
	"context"
	"sync"
	"testing"

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
	old int // writes that the first leader was asked for
	new int // and the other one
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
			m.old++
			code = kerr.NotLeaderForPartition.Code
		} else {
			m.new++
		}
		return refusedWrite(req, code), nil, code != 0
	})
	return m
}

// asked is how many writes each was asked for.
func (m *moving) asked() (old, new int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.old, m.new
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

// TestAWriteGoesToANewLeaderAtOnce: a sender has no pauses, so what one of its sends
// does is done at once. No watch hears of the new leader before the old one is asked.
func TestAWriteGoesToANewLeaderAtOnce(t *testing.T) {
	m := newMoving(t, 0)
	s := newSender(leadersKnown(t, m.broker), brokerTopic)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.run(ctx, &running) })
	m.move(t)
	if _, err := s.send(ctx, 0, batchOf(t, "batch")); err != nil {
		t.Fatal(err)
	}
	if old, new := m.asked(); old != 1 || new != 1 {
		t.Errorf("the first leader is asked %d times and the other one %d times: want once each", old, new)
	}
}

// The first leader may have written it before it was none any more.
func TestARefusalByANewLeaderDoesNotSayThatNothingIsWritten(t *testing.T) {
	m := newMoving(t, kerr.InvalidRecord.Code)
	cfg := writerConfig(m.broker)
	cfg.Partitions = 1
	l := openLog(t, cfg)
	for {
		m.move(t)
		err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 1))
		if err == nil {
			t.Fatal("it is refused, and taken")
		}
		if old, _ := m.asked(); old > 0 {
			isErr(t, err, messages.ErrStopped, "may be in the log")
			return
		}
		// The watch has heard of the move before the write.
		if err := m.MoveTopicPartition(brokerTopic, 0, m.first); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first one leads", func() bool { return l.client.leaders.of(0) == m.first })
	}
}
