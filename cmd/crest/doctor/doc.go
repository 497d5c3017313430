// Package doctor judges a topic of Kafka as a log for crest: what it finds, what
// each finding costs, and what to do about it.
//
// It is pure: Facts go in, findings come out, in a fixed order. Whoever calls it
// has asked the brokers, read a sample of the topic and looked into the store of
// snapshots.
package doctor
