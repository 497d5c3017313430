package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/crestdb/crest/cmd/node"
	"github.com/crestdb/crest/gateway/client"
)

// backlog is a topic of Kafka that others have filled.
type backlog struct {
	events int
	read   time.Duration // how long it is read at least, from its beginning again and again
}

// backlogTopic and backlogPartitions are what the broker makes.
const (
	backlogTopic      = "events"
	backlogPartitions = 16
)

// run fills the topic and has it read.
func (b *backlog) run(ctx context.Context, bin string, cfg *node.Config, f use) error {
	broker, err := startBroker(ctx, bin, b.events)
	if err != nil {
		return err
	}
	defer broker.stop()
	return b.readFrom(ctx, broker, cfg, f)
}

// readFrom has one fresh node after the other count the whole topic, and f use
// the last one.
func (b *backlog) readFrom(ctx context.Context, broker *broker, cfg *node.Config, f use) error {
	ctx, cancel := broker.during(ctx)
	defer cancel()
	k := node.DefaultKafka()
	k.Brokers, k.Topic, k.Keyed, k.NoCreate = []string{broker.addr}, backlogTopic, true, true
	began, data := time.Now(), cfg.Data
	for pass, last := 1, false; !last; pass++ {
		cfg.Data, cfg.Kafka = filepath.Join(data, fmt.Sprint(pass)), &k
		opened := time.Now()
		err := with(ctx, cfg, func(ctx context.Context, addr string) error {
			if err := b.counted(ctx, addr); err != nil {
				return err
			}
			fmt.Printf("a topic of %d events, counted in %v\n", b.events, time.Since(opened).Round(time.Millisecond))
			if last = time.Since(began) >= b.read; !last {
				return nil
			}
			return f(ctx, addr)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// counted is an error unless each event was: a node that puts events aside spends
// its time on something else.
func (b *backlog) counted(ctx context.Context, addr string) error {
	c, err := client.New(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.Ledger(ctx)
	if err != nil {
		return err
	}
	if l.Total.Counted != uint64(b.events) {
		return fmt.Errorf("of the topic's %d events %d were counted, %d were put aside", b.events, l.Total.Counted, l.Total.DeadLettered)
	}
	return nil
}
