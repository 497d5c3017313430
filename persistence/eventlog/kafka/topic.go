package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/crestdb/crest/messages"
)

const (
	// createTimeout is how long the brokers may take to make a topic.
	createTimeout = 30 * time.Second
	askAgain      = 200 * time.Millisecond
)

// topicOf is the configured topic, made if it is missing. It waits until every
// partition has a leader. What passes by itself is tried until ctx ends.
func topicOf(ctx context.Context, cfg *Config, c *client) (*topicMeta, error) {
	var last error
	told := false
	for {
		m, err := c.metadata(ctx, cfg.Topic)
		switch {
		case err == nil && m.partitions > messages.MaxPartitions:
			return nil, fmt.Errorf("the topic has %d partitions: crest takes up to %d", m.partitions, messages.MaxPartitions)
		case err == nil:
			p := leaderless(m)
			if p < 0 {
				return m, nil
			}
			err = fmt.Errorf("partition %d has no leader", p)
		case errors.Is(err, errNoTopic) && cfg.NoCreate:
			return nil, fmt.Errorf("there is no topic %q: make it, or leave out --kafka-no-create", cfg.Topic)
		case errors.Is(err, errNoTopic):
			if err := unused(ctx, cfg); err != nil {
				return nil, err
			}
			var made bool
			made, err = c.create(ctx, newTopic{
				name: cfg.Topic, partitions: cfg.Partitions, replication: cfg.Replication, retention: cfg.Retention,
				configs: map[string]string{"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete"},
			})
			if made {
				cfg.Logger.Info("kafka: topic made", "topic", cfg.Topic, "partitions", cfg.Partitions, "retention", cfg.Retention)
			}
			// In both cases metadata tells what there is now.
		}
		if err != nil {
			var refused *refusedTopicError
			switch {
			case errors.As(err, &refused):
				return nil, refused
			case !passes(err) || untrusted(err):
				return nil, explained(err)
			}
			// The end of ctx says less than what came before it.
			if ctx.Err() == nil || last == nil {
				last = err
			}
			if !told && ctx.Err() == nil {
				told = true
				cfg.Logger.Warn("kafka: the brokers are asked again until they answer", "brokers", cfg.Brokers, "error", brief(err))
			}
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return nil, fmt.Errorf("the brokers do not answer: %w", unreached(last))
		}
	}
}

// leaderless is the first partition without a leader, or -1.
func leaderless(m *topicMeta) int {
	for p, leader := range m.leaders {
		if leader < 0 {
			return p
		}
	}
	return -1
}

// explained is an error in brief, and what to do about it, where that is known.
func explained(err error) error {
	advice := ""
	switch {
	case errors.Is(err, kafkago.TopicAuthorizationFailed):
		advice = "the user needs Describe, Read and Write on the topic"
	case errors.Is(err, kafkago.ClusterAuthorizationFailed):
		advice = "the user needs Describe on the cluster"
	case errors.Is(err, kafkago.SASLAuthenticationFailed):
		advice = "check --kafka-user and its password"
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		advice = "check --kafka-sasl"
	case untrusted(err):
		advice = "check --kafka-ca"
	}
	return advised(err, advice)
}

// unreached is explained, for brokers that have never answered.
func unreached(err error) error {
	switch {
	case err == nil:
		return errors.New("they were not asked in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return advised(err, "nobody listens there; check the address")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return advised(err, "check the address, and whether the brokers want --kafka-tls")
	}
	return explained(err)
}

// untrusted tells whether a broker's certificate was refused. At a start somebody
// has to look at that; later it may pass, once the broker has another one.
func untrusted(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}

// newTopic is a topic to be made.
type newTopic struct {
	name                    string
	partitions, replication int // replication -1: the broker's default
	retention               time.Duration
	configs                 map[string]string
}

// refusedTopicError is a topic that will not be made however often it is asked
// for.
type refusedTopicError struct {
	name, advice string
	cause        error
}

func (e *refusedTopicError) Error() string {
	return fmt.Sprintf("make topic %q: %v: %s", e.name, brief(e.cause), e.advice)
}

func (e *refusedTopicError) Unwrap() error { return e.cause }

// create makes a topic, or finds that it is there; made tells which.
func (c *client) create(ctx context.Context, t newTopic) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	retention := int64(-1)
	if t.retention > 0 {
		retention = max(1, t.retention.Milliseconds())
	}
	configs := []createtopics.RequestConfig{{Name: "retention.ms", Value: strconv.FormatInt(retention, 10)}}
	for name, value := range t.configs {
		configs = append(configs, createtopics.RequestConfig{Name: name, Value: value})
	}
	answer, err := c.transport.RoundTrip(ctx, c.addr, &createtopics.Request{
		Topics: []createtopics.RequestTopic{{
			Name: t.name, NumPartitions: int32(t.partitions), ReplicationFactor: int16(t.replication), Configs: configs,
		}},
		TimeoutMs: int32(createTimeout / time.Millisecond),
	})
	if err != nil {
		return false, fmt.Errorf("make topic %q: %w", t.name, err)
	}
	r, ok := answer.(*createtopics.Response)
	if !ok || len(r.Topics) != 1 {
		return false, fmt.Errorf("make topic %q: the broker's answer cannot be read", t.name)
	}
	code := kafkago.Error(r.Topics[0].ErrorCode)
	if code == 0 || code == kafkago.TopicAlreadyExists {
		return code == 0, nil
	}
	err = error(code)
	if text := r.Topics[0].ErrorMessage; text != "" {
		err = fmt.Errorf("%w (%s)", code, text)
	}
	advice := ""
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
		advice = "have somebody who may make it, or grant the user Create"
	case kafkago.InvalidReplicationFactor:
		advice = fmt.Sprintf("there are not brokers enough for %d replicas: give a lower --kafka-replication", t.replication)
	case kafkago.InvalidPartitionNumber:
		advice = fmt.Sprintf("%d partitions cannot be: give another --partitions", t.partitions)
	case kafkago.InvalidTopic:
		advice = "a name has letters, digits, '.', '_' and '-', 249 at most"
	case kafkago.PolicyViolation, kafkago.InvalidConfiguration, kafkago.InvalidRequest, kafkago.UnsupportedVersion:
		advice = "make it by other means, with message.timestamp.type=LogAppendTime"
	default:
		return false, fmt.Errorf("make topic %q: %w", t.name, err)
	}
	return false, &refusedTopicError{t.name, advice, err}
}
