package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/crestdb/crest/messages"
)

const keyHeader = "Idempotency-Key"

func TestRepeatGetsTheFirstAnswerAgain(t *testing.T) {
	// One event is ahead of the first stamp by more than allowed, but not of
	// the second: the repeat must be judged as the first was.
	body := fmt.Sprintf("{\"topic\":\"a\"}\n{\"topic\":\"b\",\"ts\":%d}\n{\"topic\":\"c\",\"count\":0}", (testNow+6*messages.Minute)/messages.Second)
	now := testNow
	it := newIngestTest(t, func(cfg *ingestConfig) { cfg.Now = func() messages.Micros { return now } })
	first := it.send(eventsPath, body, typeHeader, ndjsonBody, keyHeader, "k")
	if first.status != 200 || first.fields["accepted"] != 1.0 || first.fields["rejected"] != 2.0 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	now += 5 * messages.Minute
	if again := it.send(eventsPath, body, typeHeader, ndjsonBody, keyHeader, "k"); again.status != 200 || again.body != first.body {
		t.Fatalf("%d\n%s\nwant\n%s", again.status, again.body, first.body)
	}
	// The same after a restart.
	restarted, err := newIngest(it.in.cfg, it.node, it.node)
	if err != nil {
		t.Fatal(err)
	}
	defer restarted.Close(context.Background())
	again := (&ingestTest{t, it.node, restarted}).send(eventsPath, body, typeHeader, ndjsonBody, keyHeader, "k")
	if again.status != 200 || again.body != first.body {
		t.Fatalf("after a restart: %d\n%s\nwant\n%s", again.status, again.body, first.body)
	}
	if n := it.node.frameCount(); n != 1 {
		t.Fatalf("%d frames in the log", n)
	}
}

func TestAnotherBodyUnderAKeyIsAConflict(t *testing.T) {
	it := newIngestTest(t, nil)
	event := `{"topic":"a"}`
	if re := it.send(eventsPath, event, typeHeader, jsonBody, keyHeader, "k"); re.status != 200 {
		t.Fatal(re.body)
	}
	for _, c := range []struct{ name, body, media string }{
		{"another event", `{"topic":"b"}`, jsonBody},
		{"the same bytes in another form", event, ndjsonBody},
		{"a malformed body", `{`, jsonBody},
		{"only rejected events", `{}`, jsonBody},
	} {
		re := it.send(eventsPath, c.body, typeHeader, c.media, keyHeader, "k")
		if re.status != 409 || !strings.Contains(re.fields["detail"].(string), "a key of its own") {
			t.Errorf("%s: %d %s", c.name, re.status, re.body)
		}
	}
	if re := it.send(eventsPath, `{"topic":"b"}`, typeHeader, jsonBody, keyHeader, "k2"); re.status != 200 {
		t.Errorf("another key: %d %s", re.status, re.body)
	}
}

func TestKeyedFrameAlwaysHasAHomeBlock(t *testing.T) {
	it := newIngestTest(t, nil)
	routes := messages.NewRoutes(&it.node.id)
	for i := range 20 {
		key := fmt.Sprintf("key-%d", i)
		it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, key)
		f := it.node.frames[i]
		homes := 0
		for j, b := range f.Blocks {
			if b.Partition == routes.Home(key) {
				homes++
			}
			if j > 0 && f.Blocks[j-1].Partition >= b.Partition {
				t.Fatalf("blocks are not ascending: %+v", f.Blocks)
			}
		}
		if homes != 1 || f.Key != key || f.BodyHash == (messages.BodyHash{}) || f.Stamp != testNow {
			t.Fatalf("frame %+v has %d home blocks", f, homes)
		}
	}
}

func TestRequestsOfWhichNothingWasAppendedLeaveTheKeyFree(t *testing.T) {
	it := newIngestTest(t, nil)
	event := `{"topic":"a"}`
	if re := it.send(eventsPath, `{}`, typeHeader, jsonBody, keyHeader, "k"); re.status != 422 {
		t.Fatalf("rejected: %d", re.status)
	}
	if re := it.send(eventsPath, `{`, typeHeader, jsonBody, keyHeader, "k"); re.status != 400 {
		t.Fatalf("malformed: %d", re.status)
	}
	for _, c := range []struct {
		set    func(*fakeNode, error)
		err    error
		status int
	}{
		{func(n *fakeNode, err error) { n.admitErr = err }, &messages.RefusedError{Reason: "full"}, 429},
		{func(n *fakeNode, err error) { n.seenErr = err }, messages.ErrPartition, 503},
		{func(n *fakeNode, err error) { n.appendErr = err }, messages.ErrStopped, 503},
	} {
		it.node.set(func(n *fakeNode) { c.set(n, c.err) })
		if re := it.send(eventsPath, `{"topic":"x"}`, typeHeader, jsonBody, keyHeader, "k"); re.status != c.status {
			t.Fatalf("%v: %d %s", c.err, re.status, re.body)
		}
		it.node.set(func(n *fakeNode) { c.set(n, nil) })
	}
	if re := it.send(eventsPath, event, typeHeader, jsonBody, keyHeader, "k"); re.status != 200 || it.node.frameCount() != 1 {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

// inFlight starts a keyed request whose append waits.
func (it *ingestTest) inFlight(body, key string) <-chan reply {
	it.node.set(func(n *fakeNode) { n.holdAppend = true })
	done := make(chan reply, 1)
	go func() { done <- it.send(eventsPath, body, typeHeader, jsonBody, keyHeader, key) }()
	synctest.Wait()
	return done
}

func TestRepeatWaitsForTheFirstInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		defer it.in.Close(context.Background())
		first := it.inFlight(`{"topic":"a"}`, "k")
		same := it.inFlight(`{"topic":"a"}`, "k")
		other := it.inFlight(`{"topic":"b"}`, "k")
		select {
		case <-same:
			t.Fatal("answered before the first")
		case <-other:
			t.Fatal("answered before the first")
		default:
		}
		it.node.set(func(n *fakeNode) { n.holdAppend = false })
		a, b, c := <-first, <-same, <-other
		if a.status != 200 || b.body != a.body || c.status != 409 || it.node.frameCount() != 1 {
			t.Fatalf("%s\n%s\n%s", a.body, b.body, c.body)
		}
	})
}

func TestNextTakesOverWhenTheFirstInFlightFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		defer it.in.Close(context.Background())
		first := it.inFlight(`{"topic":"a"}`, "k")
		other := it.inFlight(`{"topic":"b"}`, "k")
		// The first append fails, certainly without a trace; the next works.
		it.node.set(func(n *fakeNode) { n.holdAppend, n.failNext = false, messages.ErrStopped })
		if re := <-first; re.status != 503 {
			t.Fatalf("%d %s", re.status, re.body)
		}
		if re := <-other; re.status != 200 || re.fields["topic"] != "b" {
			t.Fatalf("%d %s", re.status, re.body)
		}
	})
}

// Between the append and its application the engine does not know the key yet.
func TestKeyIsHeldUntilItsHomeHasApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		defer it.in.Close(context.Background())
		it.node.set(func(n *fakeNode) { n.holdApply = true })
		first := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k")
		again := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k")
		other := it.send(eventsPath, `{"topic":"b"}`, typeHeader, jsonBody, keyHeader, "k")
		if first.status != 200 || again.body != first.body || other.status != 409 || it.node.frameCount() != 1 {
			t.Fatalf("%s\n%s\n%s", first.body, again.body, other.body)
		}
		if len(it.in.keys.keys) != 1 || it.in.budget.inFlight() == 0 {
			t.Fatal("the key is not held, or costs nothing")
		}
		it.node.set(func(n *fakeNode) { n.holdApply = false })
		synctest.Wait()
		if len(it.in.keys.keys) != 0 || it.in.budget.inFlight() != 0 {
			t.Fatal("the key is held for ever")
		}
		if again := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k"); again.body != first.body {
			t.Fatalf("%s\nwant %s", again.body, first.body)
		}
	})
}

// Clients that repeat, give up, and reuse keys for other bodies; a log that
// fails and an engine that lags. Every answer 200 to a key is the same, every
// key is in the log at most once, and every 200 is in the log.
func TestKeysUnderConcurrency(t *testing.T) {
	const clients, requests, keys = 8, 300, 20
	seed := rand.Uint64()
	it := newIngestTest(t, nil)
	var mu sync.Mutex
	answers := map[string]string{} // by key
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(c)))
			for range requests {
				key := fmt.Sprint("k", rng.IntN(keys))
				body := fmt.Sprintf(`{"topic":"%s-%d"}`, key, rng.IntN(2))
				switch rng.IntN(20) {
				case 0:
					it.node.set(func(n *fakeNode) { n.failNext = messages.ErrStopped })
				case 1:
					it.node.set(func(n *fakeNode) { n.holdApply = !n.holdApply })
				}
				re := it.send(eventsPath, body, typeHeader, jsonBody, keyHeader, key)
				switch re.status {
				case 200:
					mu.Lock()
					if before, there := answers[key]; there && before != re.body {
						t.Errorf("seed %d: key %s was answered\n%s and\n%s", seed, key, before, re.body)
					}
					answers[key] = re.body
					mu.Unlock()
				case 409, 503:
				default:
					t.Errorf("seed %d: %d %s", seed, re.status, re.body)
				}
			}
		})
	}
	wg.Wait()
	it.node.set(func(n *fakeNode) { n.holdApply = false })
	logged := map[string]int{}
	for _, f := range it.node.frames {
		if logged[f.Key]++; logged[f.Key] > 1 {
			t.Errorf("seed %d: key %s is in the log twice", seed, f.Key)
		}
	}
	for key := range answers {
		if logged[key] != 1 {
			t.Errorf("seed %d: key %s was answered 200 and is not in the log", seed, key)
		}
	}
}
