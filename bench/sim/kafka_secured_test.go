//go:build e2e

package sim

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/sim/kafka"
)

// TestKafkaSecured: with TLS and each way to authenticate a node takes and counts
// events; with another password, or without the authority, it does not start and
// says why in one line, at once.
func TestKafkaSecured(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	word := func(text string) string {
		file := filepath.Join(t.TempDir(), "password")
		fail(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
		return file
	}
	right, wrong := word(kafka.Password), word("a guess")
	for _, c := range []struct{ name, mechanism, password, ca, refusal string }{
		{"plain", "plain", right, b.CAFile(), ""},
		{"scram-sha-256", "scram-sha-256", right, b.CAFile(), ""},
		{"scram-sha-512", "scram-sha-512", right, b.CAFile(), ""},
		{"another password, plain", "plain", wrong, b.CAFile(), "kafka-user"},
		{"another password, scram", "scram-sha-512", wrong, b.CAFile(), "kafka-user"},
		{"an unknown authority", "plain", right, "", "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			flags := onKafka(b.SecureAddr(), newTopicName(t), "--kafka-tls", "--kafka-sasl", c.mechanism, "--kafka-user", kafka.User, "--kafka-password-file", c.password)
			if c.ca != "" {
				flags = append(flags, "--kafka-ca", c.ca)
			}
			s := newServer(t, flags...)
			began := time.Now()
			n, ready := s.tryStart(ctx)
			if c.refusal != "" {
				if ready {
					t.Fatal("the node starts")
				}
				last := refusal(ctx, t, n)
				if !strings.Contains(last, c.refusal) || strings.Contains(last, "a guess") {
					t.Errorf("want a line with %q: %s", c.refusal, last)
				}
				if took := time.Since(began); took > 45*time.Second { // and not when it is given up, after a minute
					t.Errorf("refused after %v: %s", took.Round(time.Millisecond), last)
				}
				return
			}
			if !ready {
				t.Fatal(n.Log())
			}
			var r record
			from := &sender{name: "secured", rng: rng}
			for range 20 {
				batch := from.next()
				if _, err := s.send(ctx, batch); err != nil {
					t.Fatal(err)
				}
				fail(t, r.add(batch))
			}
			s.counted(ctx, &r)
			(&comparison{t: t, client: s.client.Load(), events: &r.events}).ledger(ctx)
		})
	}
	if out := command(ctx, t, "serve", "--print-config", "--log", "kafka://"+b.SecureAddr()+"/t", "--kafka-sasl", "plain", "--kafka-user", kafka.User, "--kafka-password-file", right); strings.Contains(out, kafka.Password) {
		t.Errorf("the password is printed:\n%s", out)
	}
}
