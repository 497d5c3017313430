//go:build e2e

package kafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// TestBroker: what is in a topic is there behind a kill -9; and with TLS each way
// to authenticate lets the right one in, and no other.
func TestBroker(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cache, err := filepath.Abs("../../../.cache/kafka")
	check(t, err)
	libs, err := kafka.Install(ctx, cache)
	check(t, err)
	began := time.Now()
	b, err := kafka.New(ctx, libs, t.TempDir())
	check(t, err)
	t.Logf("formatted in %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(b.Kill)
	start := func() {
		t.Helper()
		began := time.Now()
		check(t, b.Start(ctx))
		t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	}
	start()
	tool := b.Tool(ctx, "kafka.tools.ConsoleProducer", "--version")
	if out, err := tool.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}

	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic("kept"))
	check(t, err)
	defer c.Close()
	makeTopic(ctx, t, c, "kept")
	check(t, c.ProduceSync(ctx, kgo.StringRecord("one")).FirstErr())
	b.Kill()
	if b.Running() {
		t.Error("it runs behind Kill")
	}
	start()
	check(t, c.ProduceSync(ctx, kgo.StringRecord("two")).FirstErr())
	if got := read(ctx, t, b.Addr(), 2); got != "one two " {
		t.Errorf("the topic has %q", got)
	}

	pem, err := os.ReadFile(b.CAFile())
	check(t, err)
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(pem)
	for _, password := range []string{kafka.Password, "a guess"} {
		for name, how := range map[string]sasl.Mechanism{
			"plain":         plain.Auth{User: kafka.User, Pass: password}.AsMechanism(),
			"scram-sha-256": scram.Auth{User: kafka.User, Pass: password}.AsSha256Mechanism(),
			"scram-sha-512": scram.Auth{User: kafka.User, Pass: password}.AsSha512Mechanism(),
		} {
			c, err := kgo.NewClient(kgo.SeedBrokers(b.SecureAddr()), kgo.DialTLSConfig(&tls.Config{RootCAs: known}), kgo.SASL(how), kgo.RequestRetries(1))
			check(t, err)
			err = c.Ping(ctx)
			c.Close()
			if in := err == nil; in != (password == kafka.Password) {
				t.Errorf("%s, password %q: %v", name, password, err)
			}
		}
	}
	b.Stop()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(ctx context.Context, t *testing.T, addr string, n int) (values string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("kept"))
	check(t, err)
	defer c.Close()
	for range n {
		f := c.PollRecords(ctx, 1)
		check(t, f.Err())
		f.EachRecord(func(r *kgo.Record) { values += string(r.Value) + " " })
	}
	return values
}

// makeTopic makes one of a single partition.
func makeTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	check(t, err)
	check(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}
