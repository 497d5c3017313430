package kafka

import (
	"context"
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// errNoTopic: the brokers do not know the topic.
var errNoTopic = errors.New("the topic is not there")

// topicMeta is what the brokers say of a topic.
type topicMeta struct {
	clusterID string
	// topicID is given to a topic when it is made; zero from brokers that give
	// none (before Kafka 2.8).
	topicID    [16]byte
	partitions int
	leaders    []int32 // per partition; -1: none now
	epochs     []int32 // of those; they rise with each election
	brokers    []int32 // that are there
	// copies and inSync are of the partition that has the fewest.
	copies, inSync int
}

// metadata asks any broker, past kafka-go's cache, which keeps what it had
// while the brokers are away.
func (c *client) metadata(ctx context.Context, topic string) (*topicMeta, error) {
	m, err := c.askMetadata(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("ask about topic %s: %w", topic, err)
	}
	if topic == c.cfg.Topic {
		c.topic.CompareAndSwap(nil, &m.topicID)
		c.leaders.learn(m)
	}
	c.brokers.Store(&m.brokers)
	return m, nil
}

func (c *client) askMetadata(ctx context.Context, topic string) (*topicMeta, error) {
	s, err := c.versions(ctx)
	if err != nil {
		return nil, err
	}
	x, err := c.askAny(ctx, func() *exchange { return metadataRequest(s, topic) })
	if err != nil {
		if ctx.Err() == nil {
			c.forgetVersions()
		}
		return nil, err
	}
	return parseMetadata(x)
}

func metadataRequest(s *spoken, topic string) *exchange {
	x := &exchange{api: apiMetadata, version: 8}
	if s.metadata >= 10 {
		x.version, x.flexible = 10, true
	}
	w := wireWriter{flexible: x.flexible}
	w.array(1)
	if x.version >= 10 {
		w.uuid([16]byte{})
	}
	w.str(topic)
	w.tags()
	w.bool(false) // make the topic
	w.bool(false) // tell what is allowed in the cluster
	w.bool(false) // and in the topic
	w.tags()
	x.body = w.b
	return x
}

func parseMetadata(x *exchange) (*topicMeta, error) {
	r, m := x.reader(), new(topicMeta)
	r.int32() // throttled for
	for n := r.array(); n > 0 && !r.bad; n-- {
		m.brokers = append(m.brokers, r.int32())
		r.str()   // host
		r.int32() // port
		r.str()   // rack
		r.tags()
	}
	m.clusterID = r.str()
	r.int32() // controller
	code := kafkago.UnknownTopicOrPartition
	for n := r.array(); n > 0 && !r.bad; n-- {
		code = kafkago.Error(r.int16())
		r.str()
		if x.version >= 10 {
			m.topicID = r.uuid()
		}
		r.int8() // internal
		m.partitions = r.array()
		m.leaders, m.epochs = make([]int32, m.partitions), make([]int32, m.partitions)
		for i := range m.leaders {
			m.leaders[i], m.epochs[i] = -1, -1
		}
		for i := range m.partitions {
			if r.bad {
				break
			}
			m.parsePartition(&r, i == 0)
		}
		r.int32() // allowed
		r.tags()
	}
	switch {
	case r.bad:
		return nil, errors.New("the broker's answer cannot be read")
	case code == kafkago.UnknownTopicOrPartition:
		return nil, errNoTopic
	case code != 0:
		return nil, code
	}
	return m, nil
}

func (m *topicMeta) parsePartition(r *wireReader, first bool) {
	r.int16() // error: there is no leader then
	p, leader, epoch := r.int32(), r.int32(), r.int32()
	var brokers [3]int
	for list := range brokers { // replicas, in sync, offline
		brokers[list] = r.array()
		for n := brokers[list]; n > 0 && !r.bad; n-- {
			r.int32()
		}
	}
	r.tags()
	if p >= 0 && int(p) < len(m.leaders) {
		m.leaders[p], m.epochs[p] = leader, epoch
	}
	if first || brokers[0] < m.copies {
		m.copies = brokers[0]
	}
	if first || brokers[1] < m.inSync {
		m.inSync = brokers[1]
	}
}
