package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// TestMain lets this binary be the broker of a profile: with brokerArg and a
// number of events it fills its topic, tells its address in a line, and ends when
// its input does.
func TestMain(m *testing.M) {
	if len(os.Args) != 3 || os.Args[1] != brokerArg {
		os.Exit(m.Run())
	}
	signal.Ignore(os.Interrupt) // of the terminal: who started it ends it
	if err := serveBroker(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}

func serveBroker(number string) error {
	events, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(backlogPartitions, backlogTopic))
	if err != nil {
		return err
	}
	defer c.Close()
	addr := c.ListenAddrs()[0]
	if err := fill(ctx, addr, events); err != nil {
		return fmt.Errorf("fill the topic: %w", err)
	}
	fmt.Println(addr)
	<-ctx.Done()
	return nil
}

// fillRate is how many events a second there were, by their own times. The last
// one is of now.
const fillRate = 50_000

// fill writes events as a producer of somebody else does: JSON of about 200
// bytes, keyed by topic, in batches with lz4.
func fill(ctx context.Context, addr string, events int) error {
	p, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(backlogTopic),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerBatchMaxBytes(64<<10), kgo.ProducerLinger(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer p.Close()
	w := workload.DefaultConfig()
	w.IDs, w.Rate = true, fillRate
	w.Start = messages.MicrosOf(time.Now().Add(-time.Duration(events) * time.Second / fillRate))
	stream, err := workload.New(w)
	if err != nil {
		return err
	}
	var once sync.Once
	var failed error
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			once.Do(func() { failed = err })
		}
	}
	var e workload.Event
	for range events {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		stream.Next(&e)
		p.Produce(ctx, &kgo.Record{Key: []byte(e.Topic.String()), Value: eventJSON(&e), Timestamp: time.UnixMicro(int64(e.Time))}, promise)
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	return failed
}

// eventJSON has beside what crest counts what it does not know.
func eventJSON(e *workload.Event) []byte {
	b := e.AppendJSON(make([]byte, 0, 256))
	b = b[:len(b)-len("}\n")]
	return fmt.Appendf(b, `,"watch_time_sec":%d,"session_id":"s-%08d","quality":"720p"}`, e.User%300, e.User*31%100_000_000)
}
