package node

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway"
	"github.com/crestdb/crest/gateway/decode"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// openKafka opens the store of snapshots, which keeps what the log is, and then
// the log. Nothing else locks a data folder without a log.
func (c *Core) openKafka(ctx context.Context) error {
	fsys := c.cfg.fs()
	if err := fsys.MkdirAll(c.cfg.Data); err != nil {
		return err
	}
	var err error
	if c.lock, err = fsys.Lock(filepath.Join(c.cfg.Data, "lock")); err != nil {
		return err
	}
	if err := c.cfg.usedEmbedded(); err != nil {
		return err
	}
	if err := c.openObjects(ctx); err != nil {
		return err
	}
	k, err := c.kafkaConfig()
	if err != nil {
		return err
	}
	if c.kafka, err = kafka.Open(ctx, k); err != nil {
		return err
	}
	c.log = c.kafka
	if have := c.log.Identity().Partitions; c.cfg.Partitions != nil && *c.cfg.Partitions != have {
		return fmt.Errorf("the topic %s has %d partitions, not %d: that cannot be changed here", k.Topic, have, *c.cfg.Partitions)
	}
	return nil
}

func (c *Core) kafkaConfig() (kafka.Config, error) {
	from := c.cfg.Kafka
	key, keep, err := c.cfg.secret()
	if err != nil {
		return kafka.Config{}, err
	}
	k := kafka.DefaultConfig()
	k.Brokers, k.Topic, k.ClientID = from.Brokers, from.Topic, "crest-"+c.cfg.Name
	k.TLS, k.SASL, k.User, k.Password = from.TLS, from.SASL, from.User, from.Password
	k.Partitions, k.Retention, k.NoCreate = c.cfg.topicPartitions(), from.Retention, from.NoCreate
	if from.Replication > 0 {
		k.Replication = from.Replication
	}
	if from.WriteEvents {
		k.Write = kafka.WriteEvents
	}
	k.Compression, k.Group = from.Compression, from.Group
	k.DeadTopic, k.DeadFile = from.DeadLetters, filepath.Join(c.cfg.Data, "dead-letters.jsonl")
	if from.DeadLetters == "file" {
		k.DeadTopic = "-"
	}
	k.MaxWaiting = c.cfg.Split().LogGroup * 4
	k.FetchMemory = c.cfg.fetchMemory()
	k.Now, k.Objects, k.Logger = c.clock.Now, c.objects, c.cfg.Logger
	k.HashKey, k.FirstUse, k.Keyed = key, keep, from.Keyed
	k.Settings = c.cfg.settings(messages.DefaultSettings())
	if c.cfg.Clock != nil {
		k.Clock = *c.cfg.Clock
	}
	if k.Decoder, err = c.decoders(key); err != nil {
		return kafka.Config{}, fmt.Errorf("kafka %w", err)
	}
	if c.ground.Kafka != nil {
		c.ground.Kafka(&k)
	}
	return k, nil
}

// decoders make what reads records that others wrote; users are hashed as the
// gateway does.
func (c *Core) decoders(key [32]byte) (func() kafka.Decoder, error) {
	format, err := decode.ParseFormat(c.cfg.Kafka.Format)
	if err != nil {
		return nil, err
	}
	id := messages.LogIdentity{HashKey: key}
	d := decode.MessageConfig{Format: format, KeepUserIDs: c.cfg.KeepUserIDs}
	d.UserKey[0], d.UserKey[1] = id.Subkey("user")
	return func() kafka.Decoder { return decode.NewMessageDecoder(d) }, nil
}

// commitEvery is how often counted offsets are committed to the group.
const commitEvery = 5 * time.Second

// commit tells the group what is counted, until ctx ends. Nobody reads it here, so that it fails is logged once until it succeeds.
func (c *Core) commit(ctx context.Context) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	failed := 0 // in a row
	counted := make(messages.Position, c.log.Identity().Partitions)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.engine.Applied(counted)
		err := c.kafka.Commit(ctx, counted)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if failed > 1 {
				c.cfg.Logger.Info("counted offsets are committed to the group again", "group", c.cfg.Kafka.Group)
			}
			failed = 0
		default:
			if failed++; failed == 2 { // once is nothing: the group may have moved
				c.cfg.Logger.Warn("counted offsets are not committed to the group; lag dashboards are behind", "group", c.cfg.Kafka.Group, "error", err)
			}
		}
	}
}

// logStatus is the log for its operator.
func (c *Core) logStatus() gateway.LogStatus {
	k := c.cfg.Kafka
	s := gateway.LogStatus{Kind: "kafka", Brokers: strings.Join(k.Brokers, ","), Topic: k.Topic, DeadLetters: c.kafka.DeadLetters()}
	err := c.kafka.Err()
	if err == nil {
		err = c.kafka.ReadErr()
	}
	if err != nil {
		s.Error = err.Error()
	}
	if s.Strays = c.kafka.Strays(); s.Strays > 0 {
		s.Warning = fmt.Sprintf("%d events were not in the partition of their topic, though --kafka-keyed says that all are: counts and boards are wrong. Leave it out, or have all producers key by topic", s.Strays)
	}
	n := c.log.Identity().Partitions
	begins, ends, unread := make(messages.Position, n), make(messages.Position, n), make([]bool, n)
	c.kafka.Unread(unread)
	c.log.Begins(begins)
	c.log.Ends(ends)
	s.Partitions = make([]gateway.LogPartition, n)
	for p := range s.Partitions {
		s.Partitions[p] = gateway.LogPartition{Begin: begins[p], End: ends[p], Unread: unread[p]}
	}
	return s
}
