package main

import (
	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/cmd/node"
)

// nodeKafka is the node's log in Kafka, nil if it is the embedded one.
func nodeKafka(s *settings.Settings) (*node.Kafka, error) {
	if err := s.CheckKafka(); err != nil {
		return nil, err
	}
	url, ok := s.InKafka()
	if !ok {
		return nil, nil
	}
	k := node.DefaultKafka()
	k.Brokers, k.Topic = url.Brokers, url.Topic
	k.Partitions, k.Replication, k.Retention, k.NoCreate = s.KafkaPartitions, s.KafkaReplication, s.KafkaRetention, s.KafkaNoCreate
	k.Keyed, k.Format, k.WriteEvents = s.KafkaKeyed, s.KafkaFormat, s.KafkaWrite == "event"
	k.Compression, k.Group, k.DeadLetters = s.KafkaCompression, s.KafkaGroup, s.DeadLetters
	k.SASL, k.User = s.KafkaSASL, s.KafkaUser
	var err error
	if k.TLS, err = s.KafkaTLS(); err != nil {
		return nil, err
	}
	if k.Password, err = s.KafkaPassword(); err != nil {
		return nil, err
	}
	return &k, nil
}
