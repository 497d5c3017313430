package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Names of the listeners that a broker has.
const (
	plain   = "PLAIN"      // for whoever just wants in, and the broker itself
	proxied = "PROXIED"    // advertises a proxy's address
	secure  = "SECURE"     // TLS, and SASL with any of the mechanisms below
	control = "CONTROLLER" // of the quorum
)

// User and Password open the secure listener, with SASL PLAIN or SCRAM.
const (
	User     = "crest"
	Password = "not a secret"
)

// ports are where a broker listens, the same after each restart.
type ports struct{ plain, proxied, secure, control int }

// properties is the broker's server.properties. Tests wait for what happens
// behind its timeouts, so those are short.
func (b *Broker) properties() string {
	jaas := func(module, rest string) string {
		return fmt.Sprintf("org.apache.kafka.common.security.%s required %s;", module, rest)
	}
	p := map[string]string{
		"process.roles":             "broker,controller",
		"node.id":                   strconv.Itoa(b.id),
		"controller.quorum.voters":  b.quorum,
		"controller.listener.names": control,
		"listeners": fmt.Sprintf("%s://127.0.0.1:%d,%s://127.0.0.1:%d,%s://127.0.0.1:%d,%s://127.0.0.1:%d",
			plain, b.ports.plain, proxied, b.ports.proxied, secure, b.ports.secure, control, b.ports.control),
		"advertised.listeners": fmt.Sprintf("%s://%s,%s://%s,%s://%s",
			plain, b.Addr(), proxied, b.ProxyAddr(), secure, b.SecureAddr()),
		"listener.security.protocol.map": fmt.Sprintf("%s:PLAINTEXT,%s:PLAINTEXT,%s:SASL_SSL,%s:PLAINTEXT", plain, proxied, secure, control),
		"inter.broker.listener.name":     plain,
		"log.dirs":                       b.dir + "/log",

		"sasl.enabled.mechanisms":                             "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.secure.plain.sasl.jaas.config":         jaas("plain.PlainLoginModule", fmt.Sprintf("user_%s=%q", User, Password)),
		"listener.name.secure.scram-sha-256.sasl.jaas.config": jaas("scram.ScramLoginModule", ""),
		"listener.name.secure.scram-sha-512.sasl.jaas.config": jaas("scram.ScramLoginModule", ""),
		"ssl.keystore.type":                                   "PEM",
		"ssl.keystore.location":                               b.dir + "/broker.pem",

		"auto.create.topics.enable":                "false",
		"offsets.topic.replication.factor":         strconv.Itoa(b.replicas),
		"offsets.topic.num.partitions":             "2",
		"transaction.state.log.replication.factor": strconv.Itoa(b.replicas),
		"transaction.state.log.min.isr":            "1",
		"transaction.state.log.num.partitions":     "2",
		"num.recovery.threads.per.data.dir":        "4",
		"log.initial.task.delay.ms":                "500",
		"log.retention.check.interval.ms":          "500",
		"log.segment.delete.delay.ms":              "100",
		// A broker that was killed is let in again once its old session is over.
		"broker.session.timeout.ms":    "2500",
		"broker.heartbeat.interval.ms": "500",
	}
	if b.replicas > 1 {
		maps.Copy(p, replicated)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&text, "%s=%s\n", name, p[name])
	}
	return text.String()
}

// replicated are settings of brokers that are not alone. Who leads a partition
// changes when a leader is gone, or when a test says so.
var replicated = map[string]string{
	"default.replication.factor":                "3",
	"min.insync.replicas":                       "2",
	"unclean.leader.election.enable":            "false",
	"auto.leader.rebalance.enable":              "false",
	"replica.lag.time.max.ms":                   "3000",
	"replica.fetch.backoff.ms":                  "200",
	"controller.quorum.fetch.timeout.ms":        "1500",
	"controller.quorum.election.timeout.ms":     "500",
	"controller.quorum.election.backoff.max.ms": "500",
}

// How Java runs a broker: one alone is measured, those of a cluster share a
// machine and are started often.
var (
	alone = []string{"-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:TieredStopAtLevel=4"}
	oneOf = []string{"-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
)

// logging has the broker say that it has started, and what goes wrong.
const logging = `log4j.rootLogger=WARN, out
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss,SSS} %p %c: %m%n
`
