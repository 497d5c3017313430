package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

func TestPartitionsOfOneBrokerShareARequest(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.Partitions = 16
	l := openLog(t, cfg)
	requests := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: brokerTopic, Observe: true, Count: -1})
	var all []messages.Partition
	for p := range messages.Partition(16) {
		all = append(all, p)
	}
	const n = 20
	for i := range n {
		mustAppend(t, l, frameOf(messages.Micros(i+1), 1, all...))
	}
	eventually(t, "all are seen", func() bool { return requests.Hits() > 0 })
	if hits := requests.Hits(); hits > 4*n {
		t.Errorf("%d requests for %d frames of 16 blocks", hits, n)
	}
	for p, records := range writtenTo(t, b) {
		if len(records) != n {
			t.Errorf("partition %d has %d records", p, len(records))
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
	s := newSender(c, brokerTopic, []int32{0})
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
	s := newSender(nil, brokerTopic, []int32{0, 1, 0, -1, 0})
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
