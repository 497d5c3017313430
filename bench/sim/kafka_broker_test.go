//go:build e2e

package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// broker is the real Kafka that all tests share, each with topics of its own;
// nil until the first of them wants one.
var (
	broker    *kafka.Broker
	brokerDir string
	topics    atomic.Int64 // made so far, for names
)

// realKafka is the broker, running.
func realKafka(ctx context.Context, t *testing.T) *kafka.Broker {
	t.Helper()
	if broker == nil {
		broker = newBroker(ctx, t)
	}
	if broker.Running() {
		return broker
	}
	began := time.Now()
	if err := broker.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("the broker answers after %v", time.Since(began).Round(time.Millisecond))
	return broker
}

func newBroker(ctx context.Context, t *testing.T) *kafka.Broker {
	t.Helper()
	cache, err := filepath.Abs("../../.cache/kafka")
	if err != nil {
		t.Fatal(err)
	}
	libs, err := kafka.Install(ctx, cache)
	if err != nil {
		t.Fatal(err)
	}
	if brokerDir, err = os.MkdirTemp("", "crest-kafka"); err != nil {
		t.Fatal(err)
	}
	b, err := kafka.New(ctx, libs, brokerDir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// endBroker ends what realKafka started.
func endBroker() {
	if broker != nil {
		broker.Kill()
	}
	if brokerDir != "" {
		os.RemoveAll(brokerDir)
	}
}

// restart starts a broker again that was killed.
func restart(ctx context.Context, t *testing.T, b *kafka.Broker) {
	t.Helper()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// newTopicName is one that is not there yet.
func newTopicName(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s-%d", name, topics.Add(1))
}

// onKafka are the flags of a node whose log is a topic.
func onKafka(addr, topic string, flags ...string) []string {
	return append([]string{"--log", "kafka://" + addr + "/" + topic, "--partitions", fmt.Sprint(kafkaPartitions)}, flags...)
}

// kafkaPartitions are those of the tests' topics.
const kafkaPartitions = 8

// kgoClient is a client that is not ours: franz-go's.
func kgoClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.MetadataMinAge(100 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// foreignTopic makes a topic as somebody else would, with settings NAME=VALUE.
func foreignTopic(ctx context.Context, t *testing.T, c *kgo.Client, partitions int, settings ...string) string {
	t.Helper()
	name := newTopicName(t)
	makeTopic(ctx, t, c, name, partitions, settings...)
	return name
}

func makeTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string, partitions int, settings ...string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, int32(partitions), 1
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: kmsg.StringPtr(value)})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatalf("make topic %s: %v", name, err)
	}
}

// deleteTopic deletes a topic and waits until it is gone.
func deleteTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string) {
	t.Helper()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 30_000
	req.Topics, req.TopicNames = append(req.Topics, topic), []string{name}
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatalf("delete topic %s: %v", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Topics[0].ErrorCode == kerr.UnknownTopicOrPartition.Code {
			return
		}
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("topic %s stays", name)
		}
	}
}

// offsets asks for the partitions' first offsets, or their ends.
func offsets(ctx context.Context, t *testing.T, c *kgo.Client, topic string, partitions int, ends bool) []int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	of := kmsg.NewListOffsetsRequestTopic()
	of.Topic = topic
	for p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = int32(p), -2
		if ends {
			one.Timestamp = -1
		}
		of.Partitions = append(of.Partitions, one)
	}
	req.Topics = append(req.Topics, of)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	at := make([]int64, partitions)
	for _, p := range resp.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatalf("offsets of %s/%d: %v", topic, p.Partition, err)
		}
		at[p.Partition] = p.Offset
	}
	return at
}

// deleteBefore deletes a partition's records below an offset, as retention does.
func deleteBefore(ctx context.Context, t *testing.T, c *kgo.Client, topic string, partition int, offset int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 30_000
	of, one := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	of.Topic, one.Partition, one.Offset = topic, int32(partition), offset
	of.Partitions = append(of.Partitions, one)
	req.Topics = append(req.Topics, of)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatalf("delete records of %s/%d: %v", topic, partition, err)
	}
}

// readAll reads a topic from its begin until enough says so.
func readAll(ctx context.Context, t *testing.T, addr, topic string, enough func([]*kgo.Record) bool) (all []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := kgoClient(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	defer c.Close()
	for !enough(all) {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s has %d records, want more", topic, len(all))
		}
		f.EachRecord(func(r *kgo.Record) { all = append(all, r) })
	}
	return all
}
