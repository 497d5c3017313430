// Package kafka is the event log in a topic of Apache Kafka: what its gateway
// writes and what any other producer writes, read by explicit offsets.
//
// It guarantees that a partition is read in order, each record once, from the
// offset asked for; that records of aborted transactions and control records are
// passed over; that an append that returned nil is on all in-sync replicas; and
// that a block which had to be sent again can be told from a new one (messages.Sent).
// What cannot be an event is put aside as a dead letter and never holds a
// partition up. An offset that the topic has lost is an error (messages.ErrLost),
// never skipped.
//
// It uses no consumer group: who owns a partition is the snapshots' to say.
// Offsets are committed to a group only for dashboards, if one is named.
//
// segmentio/kafka-go connects, authenticates and finds leaders. Record batches are
// read and written here: its own readers take the producer's time for that of a
// topic with LogAppendTime, and hand out aborted transactions.
package kafka
