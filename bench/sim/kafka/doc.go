// Package kafka runs a real broker: Apache Kafka in KRaft mode, one process that
// is broker and controller, on the loopback interface, with a folder of its own.
// It is killed and started again on that folder as a test wants it, and is reached
// plainly, through a proxy, or with TLS and SASL. Or several, as a cluster.
//
// Kafka's jars come with Maven, and are kept in a folder; Java and Maven are
// Debian's, installed if they are missing and we may.
package kafka
