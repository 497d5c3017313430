package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// leadersKnown is a client that has been told who leads what.
func leadersKnown(t *testing.T, b *broker) *client {
	t.Helper()
	cfg := writerConfig(b)
	c, err := newClient(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	if _, err := c.metadata(t.Context(), brokerTopic); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPartitionsOfOneBrokerShareARequest(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(16, brokerTopic))
	c := leadersKnown(t, b)
	sizes := make(chan int, 100)
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		sizes <- len(req.(*kmsg.ProduceRequest).Topics[0].Partitions)
		return nil, nil, false
	})
	s := newSender(c, brokerTopic)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	var running, writers sync.WaitGroup
	for p := range 16 {
		writers.Go(func() {
			e, err := newBatchEncoder("lz4")
			if err != nil {
				t.Error(err)
				return
			}
			e.add(1, nil, fmt.Appendf(nil, "for %d", p), nil)
			batch, err := e.seal()
			if err != nil {
				t.Error(err)
				return
			}
			if base, err := s.send(ctx, messages.Partition(p), batch); err != nil || base != 0 {
				t.Errorf("partition %d: at %d, %v", p, base, err)
			}
		})
	}
	eventually(t, "all wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting) == 16
	})
	running.Go(func() { s.run(ctx, &running) })
	writers.Wait()
	cancel()
	running.Wait()
	if size := <-sizes; size != 16 || len(sizes) > 0 {
		t.Errorf("%d more requests than the first, of %d batches", len(sizes), size)
	}
	for p, records := range topicRecords(t, b, brokerTopic) {
		if len(records) != 1 || string(records[0].Value) != fmt.Sprintf("for %d", p) {
			t.Errorf("partition %d: %d records", p, len(records))
		}
	}
}

// One partition that cannot be written leaves those that share its request alone.
func TestAPartitionThatFailsDoesNotFailItsNeighbours(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: brokerTopic, Partitions: []int32{2}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 3})
	mustAppend(t, l, frameOf(1, 1, 0, 1, 2, 3))
	if hits := fault.Hits(); hits != 3 {
		t.Errorf("%d of 3 faults", hits)
	}
	for p, records := range writtenTo(t, b) {
		kept, repeats := once(records)
		// After the append: it was there each time.
		if want := map[messages.Partition]int{2: 3}[p]; len(kept) != 1 || repeats != want {
			t.Errorf("partition %d: %d records and %d repeats", p, len(kept), repeats)
		}
	}
}

func TestABatchThatNobodyWaitsForIsNotSent(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	c, err := newClient(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	s := newSender(c, brokerTopic)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.send(ctx, 0, []byte("batch")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if groups := s.take(); len(groups) != 0 {
		t.Errorf("%d requests", len(groups))
	}
}

func TestRequestsAreByLeaderAndBounded(t *testing.T) {
	s := newSender(new(client), brokerTopic)
	s.client.leaders.learn(&topicMeta{leaders: []int32{0, 1, 0, -1, 0}, epochs: make([]int32, 5)})
	for p, bytes := range []int{10, 10, maxRequest - 5, 10, 10, 10} {
		s.waiting = append(s.waiting, &sending{partition: int32(p), batch: make([]byte, bytes)})
	}
	got := ""
	for _, g := range s.take() {
		got += fmt.Sprintf("broker %d:", g.leader)
		for _, one := range g.list {
			got += fmt.Sprintf(" %d", one.partition)
		}
		got += "\n"
	}
	if want := "broker 0: 0\nbroker 1: 1\nbroker 0: 2\nbroker -1: 3 5\nbroker 0: 4\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := s.ask(t.Context(), -1, s.waiting); !errors.Is(err, kafkago.LeaderNotAvailable) {
		t.Error(err)
	}
}

func TestAWriteAsksForAllReplicas(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	acks := make(chan int16, 1)
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		acks <- req.(*kmsg.ProduceRequest).Acks
		return nil, nil, false
	})
	mustAppend(t, l, frameOf(1, 1, 0))
	if got := <-acks; got != -1 {
		t.Errorf("acks %d, want all (-1)", got)
	}
}

// TestWhatIsWrittenDoesNotWaitForTheOthers of its request, of which the brokers are
// asked.
func TestWhatIsWrittenDoesNotWaitForTheOthers(t *testing.T) {
	b := newBroker(t, kfake.SeedTopics(2, brokerTopic))
	c := leadersKnown(t, b)
	c.learning = testTimeout / 4
	before := c.asked
	held := make(chan struct{})
	open := sync.OnceFunc(func() { close(held) })
	defer open()
	b.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		b.SleepControl(func() { <-held })
		return nil, nil, false
	})
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = brokerTopic
		for _, x := range req.(*kmsg.ProduceRequest).Topics[0].Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			if p.Partition = x.Partition; p.Partition == 0 {
				p.ErrorCode, p.BaseOffset = kerr.NotEnoughReplicas.Code, -1
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	s := newSender(c, brokerTopic)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	var running sync.WaitGroup
	refused, written := make(chan error, 1), make(chan error, 1)
	for p, told := range []chan error{refused, written} {
		go func() {
			_, err := s.send(ctx, messages.Partition(p), fmt.Appendf(nil, "for %d", p))
			told <- err
		}()
	}
	eventually(t, "both wait", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiting) == 2
	})
	running.Go(func() { s.run(ctx, &running) })
	if err := <-written; err != nil {
		t.Errorf("what is written: %v", err)
	}
	if c.asking.TryLock() { // else the brokers are asked by now
		if !c.asked.Equal(before) {
			t.Error("the brokers had to say who leads before it was told")
		}
		c.asking.Unlock()
	}
	select {
	case err := <-refused:
		t.Errorf("the other one is told %v before anybody was asked who leads", err)
		refused <- err
	default:
	}
	open()
	if err := <-refused; !errors.Is(err, kafkago.NotEnoughReplicas) {
		t.Errorf("what is not: %v", err)
	}
	cancel()
	running.Wait()
}
