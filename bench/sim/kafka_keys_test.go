//go:build e2e

package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
)

// TestKafkaGatewaysRace: two nodes on one topic, each with a folder and a store
// of its own, get requests under the same Idempotency-Keys at the same time, half
// of them with another body. Of two bodies one is counted and acknowledged by
// whoever was sent it, the other one is refused with 409 by both for ever; of one
// body sent to both there is one. Both nodes count the same.
func TestKafkaGatewaysRace(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	topic, secret := newTopicName(t), hashKey(t)
	flags := onKafka(b.Addr(), topic, "--dedup-window", "2h", "--hash-key-file", secret)
	var nodes [2]*server
	for i := range nodes {
		nodes[i] = newServer(t, flags...)
		nodes[i].start(ctx)
	}
	var r record
	both, refused := 0, 0
	from := &sender{name: "race", rng: rng}
	for i := range setting(t, "CREST_KAFKA_RACES", 150) {
		bodies := [2]*batch{from.spread(6), from.spread(6)}
		if i%2 == 0 {
			bodies[1] = bodies[0]
		}
		bodies[0].key = fmt.Sprintf("race-%d", i)
		bodies[1].key = bodies[0].key
		var said [2]error
		var answers [2]*api.Ingested
		var wg sync.WaitGroup
		for n := range nodes {
			delay := time.Duration(0)
			if i%3 == 0 {
				delay = between(rng, 0, 10*time.Millisecond)
			}
			wg.Go(func() {
				pause(ctx, delay)
				answers[n], said[n] = nodes[n].send(ctx, bodies[n])
			})
		}
		wg.Wait()
		winner := 0
		if said[0] != nil {
			winner = 1
		}
		switch {
		case said[winner] != nil:
			t.Fatalf("key %d: nobody is acknowledged: %v; %v", i, said[0], said[1])
		case bodies[0] == bodies[1] && said[1-winner] != nil:
			t.Fatalf("key %d: one body, but node %d says %v", i, 1-winner, said[1-winner])
		case bodies[0] == bodies[1]:
			both++
			if *answers[0].Accepted != *answers[1].Accepted {
				t.Errorf("key %d: one body, two answers: %+v, %+v", i, answers[0], answers[1])
			}
		case !conflict(said[1-winner]):
			t.Fatalf("key %d: two bodies; node %d acknowledges one, node %d says %v", i, winner, 1-winner, said[1-winner])
		default:
			refused++
			// And the other way round: what lost has lost everywhere.
			if _, err := nodes[winner].send(ctx, bodies[1-winner]); !conflict(err) {
				t.Errorf("key %d: node %d takes a second body: %v", i, winner, err)
			}
			if _, err := nodes[1-winner].send(ctx, bodies[winner]); err != nil {
				t.Errorf("key %d: node %d refuses the body that counts: %v", i, 1-winner, err)
			}
		}
		if err := r.add(bodies[winner]); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bodies sent to both, %d keys with two bodies", both, refused)
	early := from.spread(3)
	early.key = "early"
	early.body = fmt.Appendf(early.body, `{"topic":"early","timestamp":%d}`+"\n", time.Now().Add(5*time.Minute+8*time.Second).UnixMilli())
	if err := r.add(early); err != nil { // without the last one
		t.Fatal(err)
	}
	for i := range 3 {
		if i > 0 { // by the time of the last repeat, the last one could be taken
			pause(ctx, 4500*time.Millisecond)
		}
		answer, err := nodes[i%2].send(ctx, early)
		if err != nil {
			t.Fatal(err)
		}
		if *answer.Accepted != 3 || *answer.Rejected != 1 {
			t.Errorf("try %d: %d events are accepted and %d rejected, want 3 and 1 as at first", i+1, *answer.Accepted, *answer.Rejected)
		}
	}
	for _, n := range nodes {
		n.counted(ctx, &r)
		everything(ctx, n, &r, rng)
	}
	if a, b := digest(t, nodes[0]), digest(t, nodes[1]); a != b {
		t.Errorf("state digests %s and %s", a, b)
	}
}

// conflict tells whether an answer is 409.
func conflict(err error) bool {
	var said *client.Error
	return errors.As(err, &said) && said.Status == http.StatusConflict
}

// spread makes a batch of n events without ids, each of a topic of its own, so
// that their blocks are in several partitions.
func (s *sender) spread(n int) *batch {
	s.seq++
	b := &batch{}
	for i := range n {
		l := fmt.Appendf(nil, `{"topic":"%s-%d-%d","timestamp":%d}`+"\n", s.name, s.seq, i, time.Now().Add(-time.Second).UnixMilli())
		b.lines, b.body = append(b.lines, l), append(b.body, l...)
	}
	return b
}

// hashKey is a file with a secret for hashes that several nodes share.
func hashKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hash.key")
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(rand.IntN(256))
	}
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestKafkaKillBetweenBlocks: a node is killed at some write of its own while it
// takes a request under an Idempotency-Key, so that some of its blocks are in the
// topic and some are not. The request is sent again, by turns to the node itself
// once it is back and to another gateway, until it is acknowledged; it counts
// once and whole. CREST_KAFKA_BETWEEN is how often.
func TestKafkaKillBetweenBlocks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	rng := random(t)
	b := realKafka(ctx, t)
	topic, secret := newTopicName(t), hashKey(t)
	flags := onKafka(b.Addr(), topic, "--dedup-window", "2h", "--hash-key-file", secret)
	survivor, victim := newServer(t, flags...), newServer(t, flags...)
	survivor.start(ctx)
	admin := kgoClient(t, b.Addr())
	var r record
	from := &sender{name: "between", rng: rng}
	whole, torn, none := 0, 0, 0
	for i := range setting(t, "CREST_KAFKA_BETWEEN", 15) {
		victim.start(ctx)
		batch := from.spread(12)
		batch.key = fmt.Sprintf("between-%d", i)
		before := offsets(ctx, t, admin, topic, kafkaPartitions, true)
		// Of each thread the n-th write from now on is its last.
		ended := victim.node.Done()
		fatal := killAt(ctx, t, victim.node.Process(), 1+rng.IntN(8))
		attempt, stop := context.WithTimeout(ctx, 5*time.Second)
		_, err := victim.client.Load().Ingest(attempt, batch.events())
		stop()
		acknowledged := err == nil
		if acknowledged { // it writes on, and will be killed at that
			victim.kill()
		} else {
			select {
			case <-ended:
			case <-ctx.Done():
				t.Fatal("the node lives")
			}
			victim.kill()
		}
		fatal.end()
		switch blocks := grown(before, offsets(ctx, t, admin, topic, kafkaPartitions, true)); {
		case acknowledged:
			whole++
		case blocks == 0:
			none++
		default:
			torn++
		}
		again := survivor
		if i%2 == 1 {
			victim.start(ctx)
			again = victim
		}
		if _, err := again.send(ctx, batch); err != nil {
			t.Fatal(err)
		}
		if err := r.add(batch); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			victim.stop(ctx)
		}
	}
	t.Logf("when the node died %d requests had no block in the topic, %d some, %d were acknowledged", none, torn, whole)
	if torn == 0 {
		t.Error("no request was torn: that tests little")
	}
	victim.start(ctx)
	for _, n := range []*server{survivor, victim} {
		n.counted(ctx, &r)
		everything(ctx, n, &r, rng)
	}
}

// grown is how many partitions have grown.
func grown(before, after []int64) (n int) {
	for p := range before {
		if after[p] > before[p] {
			n++
		}
	}
	return n
}

// killAt has a running process killed at the n-th write of one of its threads.
func killAt(ctx context.Context, t *testing.T, process, n int) *injection {
	t.Helper()
	return attach(ctx, t, process, "trace=write", fmt.Sprintf("inject=write:signal=SIGKILL:when=%d", n))
}
