package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

// splitGateway is an ingest before a log whose blocks land one by one.
type splitGateway struct {
	*ingestTest
	node *splitNode
}

func newSplitGateway(t *testing.T, log *splitLog, change ...func(*ingestConfig)) *splitGateway {
	t.Helper()
	node := log.node()
	it := newIngestTest(t, func(cfg *ingestConfig) {
		cfg.Identity, cfg.HomeFirst = &log.id, true
		for _, c := range change {
			c(cfg)
		}
	})
	it.in.log, it.in.counter = node, node
	return &splitGateway{it, node}
}

// keyed posts lines under a key.
func (g *splitGateway) keyed(body, key string) reply {
	g.t.Helper()
	return g.send(eventsPath, body, typeHeader, ndjsonBody, keyHeader, key)
}

// manyTopics is a body whose events go to all partitions.
func manyTopics(name string) string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "{\"topic\":\"%s-%d\"}\n", name, i)
	}
	return b.String()
}

// countedTimes is how often all topics of manyTopics(name) are counted, and
// fails if they are not counted alike.
func (l *splitLog) countedTimes(t *testing.T, name string) int {
	t.Helper()
	counts := l.counts()
	first := counts[name+"-0"]
	for i := range 12 {
		if n := counts[fmt.Sprintf("%s-%d", name, i)]; n != first {
			t.Errorf("%s-%d is counted %d times, %s-0 %d times", name, i, n, name, first)
		}
	}
	return first
}

func TestKeyedEventsFollowTheirHome(t *testing.T) {
	log := newSplitLog(4)
	g := newSplitGateway(t, log)
	re := g.keyed(manyTopics("a"), "k")
	if re.status != 200 || re.fields["accepted"] != 12.0 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	blocks, home := log.blocks(), messages.NewRoutes(&log.id).Home("k")
	if first := blocks[0]; len(blocks) != 5 || first.key != "k" || first.follow != nil || len(first.topics) != 0 || first.end != log.parts[home][0].end {
		t.Fatalf("%+v", blocks)
	}
	quarter := log.window / 4
	for _, b := range blocks[1:] {
		if b.key != "k" || b.hash != blocks[0].hash || b.sent != blocks[0].sent || len(b.topics) == 0 ||
			b.follow == nil || *b.follow != (messages.Followed{Home: blocks[0].end, Until: blocks[0].stamp.Floor(quarter) + quarter}) {
			t.Errorf("%+v does not follow %+v", b, blocks[0])
		}
	}
	pos, err := messages.ParsePosition(re.fields["position"].(string), log.id.ID, 4)
	if err != nil || !pos.Covers(log.ends) {
		t.Errorf("position %v, %v; the log ends at %v", pos, err, log.ends)
	}
	if n := log.countedTimes(t, "a"); n != 1 {
		t.Errorf("counted %d times", n)
	}
	if len(g.in.keys.keys) != 0 {
		t.Error("the key is held for ever")
	}
	if s := g.in.Stats(); s.Accepted != 12 || s.Repeats != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPositionCoversTheHomeToo(t *testing.T) {
	for i := range 8 { // topics of some partitions, most of them not the home
		log := newSplitLog(4)
		a, b := newSplitGateway(t, log), newSplitGateway(t, log)
		for _, g := range []*splitGateway{a, b} {
			re := g.keyed(fmt.Sprintf(`{"topic":"t%d"}`, i), "k")
			pos, err := messages.ParsePosition(re.fields["position"].(string), log.id.ID, 4)
			if err != nil || !pos.Covers(log.ends) {
				t.Errorf("position %v, %v; the log ends at %v", pos, err, log.ends)
			}
		}
	}
}

func TestEventsWithoutAKeyDoNotAskAnyHome(t *testing.T) {
	log := newSplitLog(4)
	g := newSplitGateway(t, log)
	if re := g.send(eventsPath, manyTopics("a"), typeHeader, ndjsonBody); re.status != 200 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	for _, b := range log.blocks() {
		if b.key != "" || b.follow != nil {
			t.Errorf("%+v", b)
		}
	}
	if len(g.node.asked) != 0 || log.countedTimes(t, "a") != 1 {
		t.Error("asked, or not counted")
	}
}

func TestNothingFollowsBeforeTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSplitLog(4)
		a, b := newSplitGateway(t, log), newSplitGateway(t, log)
		defer a.in.Close(context.Background())
		defer b.in.Close(context.Background())
		hold := make(messages.Position, 4)
		log.set(func() { a.node.hold, b.node.hold = hold, hold })
		first, second := make(chan reply, 1), make(chan reply, 1)
		go func() { first <- a.keyed(manyTopics("a"), "k") }()
		synctest.Wait()
		go func() { second <- b.keyed(manyTopics("b"), "k") }()
		synctest.Wait()
		if blocks := log.blocks(); len(blocks) != 2 || len(blocks[0].topics)+len(blocks[1].topics) != 0 {
			t.Fatalf("%+v", blocks)
		}
		select {
		case re := <-first:
			t.Fatalf("answered %d %s", re.status, re.body)
		case re := <-second:
			t.Fatalf("answered %d %s", re.status, re.body)
		default:
		}
		// The second gateway's engine is ahead.
		log.set(func() { b.node.hold = nil })
		if re := <-second; re.status != 409 {
			t.Errorf("%d %s", re.status, re.body)
		}
		log.set(func() { a.node.hold = nil })
		if re := <-first; re.status != 200 {
			t.Errorf("%d %s", re.status, re.body)
		}
		if log.countedTimes(t, "a") != 1 || log.countedTimes(t, "b") != 0 {
			t.Error("the wrong body is counted")
		}
	})
}

// A process that dies after any number of blocks, or does not hear of them,
// leaves a key that another gateway completes.
func TestRetryOnAnotherGatewayCompletesWhatDied(t *testing.T) {
	for _, same := range []bool{true, false} {
		for dies := range 6 {
			log := newSplitLog(4)
			a, b, c := newSplitGateway(t, log), newSplitGateway(t, log), newSplitGateway(t, log)
			if !same {
				// Its clock differs, so it judges by another stamp at first.
				b.in.cfg.Now = func() messages.Micros { return testNow + messages.Second }
			}
			a.node.dies = dies
			want := 503
			if dies == 5 {
				want = 200
			}
			if re := a.keyed(manyTopics("a"), "k"); re.status != want {
				t.Fatalf("dies after %d: %d %s", dies, re.status, re.body)
			}
			if dies > 0 {
				if re := b.keyed(manyTopics("b"), "k"); re.status != 409 {
					t.Errorf("dies after %d: another body: %d %s", dies, re.status, re.body)
				}
			}
			for _, g := range []*splitGateway{b, c, b} {
				re := g.keyed(manyTopics("a"), "k")
				if re.status != 200 || re.fields["accepted"] != 12.0 {
					t.Fatalf("dies after %d: %d %s", dies, re.status, re.body)
				}
				if n := log.countedTimes(t, "a"); n != 1 {
					t.Errorf("dies after %d: counted %d times", dies, n)
				}
				pos, err := messages.ParsePosition(re.fields["position"].(string), log.id.ID, 4)
				if err != nil || !pos.Covers(log.ends) {
					t.Errorf("position %v, %v; the log ends at %v", pos, err, log.ends)
				}
			}
			if n := log.countedTimes(t, "b"); n != 0 {
				t.Errorf("dies after %d: the other body is counted %d times", dies, n)
			}
		}
	}
}

// What follows is judged as of the first's stamp, whoever appends it.
func TestWhatFollowsIsJudgedAsTheFirstWas(t *testing.T) {
	for _, counted := range []bool{true, false} {
		log := newSplitLog(4)
		a := newSplitGateway(t, log)
		b := newSplitGateway(t, log, func(cfg *ingestConfig) {
			cfg.Now = func() messages.Micros { return testNow + 4*messages.Minute }
		})
		// Ahead of the first's clock by more than allowed, not of the second's.
		body := fmt.Sprintf("{\"topic\":\"x\"}\n{\"topic\":\"y\",\"ts\":%d}\n%s", (testNow+6*messages.Minute)/messages.Second, manyTopics("a"))
		a.node.dies = 1
		if re := a.keyed(body, "k"); re.status != 503 {
			t.Fatalf("%d %s", re.status, re.body)
		}
		if !counted {
			// The second does not know of the first when it asks before.
			b.node.hold = make(messages.Position, 4)
			log.set(func() { b.node.holdAppend = true })
			go func() {
				_ = log.until(context.Background(), func() bool { return len(b.node.asked) > 0 })
				log.set(func() { b.node.hold, b.node.holdAppend = nil, false })
			}()
		}
		re := b.keyed(body, "k")
		if re.status != 200 || re.fields["rejected"] != 1.0 || !strings.Contains(re.body, "ahead of the clock") {
			t.Fatalf("%d %s", re.status, re.body)
		}
		counts := log.counts()
		if counts["x"] != 1 || counts["y"] != 0 || log.countedTimes(t, "a") != 1 {
			t.Errorf("counted %v", counts)
		}
		if n := len(log.parts[messages.NewRoutes(&log.id).Home("k")]); counted && n > 2 {
			t.Errorf("%d blocks at home though the first was known", n)
		}
		if s := b.in.Stats(); s.Repeats != 1 || s.Accepted != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// Gateways that race with one key and two bodies, die, are cut off from the
// log's answers, and lag: of each key one body is counted, whole and once, and it
// is the one that was answered 200.
func TestGatewaysRaceWithOneKeyAndTwoBodies(t *testing.T) {
	seed := rand.Uint64()
	for round := range 150 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		log := newSplitLog(1 + rng.IntN(6))
		log.gaps = rand.New(rand.NewPCG(seed, uint64(round)))
		var mu sync.Mutex
		won := map[string]bool{}
		var wg sync.WaitGroup
		for c := range 4 {
			rng := rand.New(rand.NewPCG(seed, uint64(round*10+c+1)))
			name := fmt.Sprint("body", c%2)
			wg.Go(func() {
				for try := 0; ; try++ {
					if try == 100 {
						t.Errorf("seed %d, round %d: no end of retries", seed, round)
						return
					}
					// Each try is a process of its own, with a clock of its own.
					now := testNow + messages.Micros(rng.IntN(3))
					g := newSplitGateway(t, log, func(cfg *ingestConfig) { cfg.Now = func() messages.Micros { return now } })
					g.node.stale = rng.IntN(2) == 0
					switch rng.IntN(6) {
					case 0:
						g.node.dies = rng.IntN(len(log.ends) + 2)
					case 1:
						g.node.lost = rng.IntN(4)
					case 2:
						g.node.failed = rng.IntN(3)
					}
					re := g.keyed(manyTopics(name), "k")
					g.in.Close(context.Background())
					switch re.status {
					case 200:
						mu.Lock()
						won[name] = true
						mu.Unlock()
						return
					case 409:
						return
					case 503:
					default:
						t.Errorf("seed %d, round %d: %d %s", seed, round, re.status, re.body)
					}
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("seed %d, round %d: answered 200: %v", seed, round, won)
		}
		for _, name := range []string{"body0", "body1"} {
			want := 0
			if won[name] {
				want = 1
			}
			if n := log.countedTimes(t, name); n != want {
				t.Errorf("seed %d, round %d: %s is counted %d times, want %d", seed, round, name, n, want)
			}
		}
		if t.Failed() {
			return
		}
	}
}

func TestOneProcessAsksTheHomeOncePerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSplitLog(4)
		g := newSplitGateway(t, log)
		defer g.in.Close(context.Background())
		log.set(func() { g.node.hold = make(messages.Position, 4) })
		replies := make(chan reply, 3)
		for _, name := range []string{"a", "a", "b"} {
			go func() { replies <- g.keyed(manyTopics(name), "k") }()
			synctest.Wait()
		}
		log.set(func() { g.node.hold = nil })
		got := map[int]int{}
		bodies := map[string]bool{}
		for range 3 {
			re := <-replies
			got[re.status]++
			if re.status == 200 {
				bodies[re.body] = true
			}
		}
		if got[200] != 2 || got[409] != 1 || len(bodies) != 1 || len(log.blocks()) != 5 {
			t.Errorf("%v, %d answers, %d blocks", got, len(bodies), len(log.blocks()))
		}
	})
}

func TestKeyedRequestIsFinishedWithoutItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSplitLog(4)
		g := newSplitGateway(t, log)
		defer g.in.Close(context.Background())
		log.set(func() { g.node.hold = make(messages.Position, 4) })
		ctx, cancel := context.WithCancel(context.Background())
		r := request(manyTopics("a")).WithContext(ctx)
		r.Header.Set(keyHeader, "k")
		r.Header.Set(typeHeader, ndjsonBody)
		done := make(chan reply, 1)
		go func() { done <- g.do(r) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		log.set(func() { g.node.hold = nil })
		if re := <-done; re.status != 200 || log.countedTimes(t, "a") != 1 {
			t.Errorf("%d %s", re.status, re.body)
		}
	})
}

func TestKeysThatTheEngineDoesNotComeToAreNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSplitLog(4)
		g := newSplitGateway(t, log)
		defer g.in.Close(context.Background())
		log.set(func() { g.node.hold = make(messages.Position, 4) })
		began := time.Now()
		re := g.keyed(manyTopics("a"), "k")
		if waited := time.Since(began); waited != homeWait || re.status != 503 || re.fields["title"] != "Not counted yet" {
			t.Errorf("after %v: %d %s", waited, re.status, re.body)
		}
		if n := log.countedTimes(t, "a"); n != 0 || len(g.in.keys.keys) != 0 {
			t.Errorf("counted %d times, keys %v", n, g.in.keys.keys)
		}
		log.set(func() { g.node.hold = nil })
		if re := g.keyed(manyTopics("a"), "k"); re.status != 200 || log.countedTimes(t, "a") != 1 {
			t.Errorf("%d %s", re.status, re.body)
		}
	})
}

func TestKeyForgottenBeforeItsVerdictCountsNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict func(messages.KeyVerdict, *splitLog) messages.KeyVerdict
	}{
		{"forgotten", func(messages.KeyVerdict, *splitLog) messages.KeyVerdict {
			return messages.KeyVerdict{State: messages.KeyNew}
		}},
		{"used again since", func(v messages.KeyVerdict, l *splitLog) messages.KeyVerdict {
			later := make(messages.Position, 4)
			later[messages.NewRoutes(&l.id).Home("k")] = 1 << 40
			v.Position = later.AppendTo(nil, l.id.ID)
			return v
		}},
	} {
		log := newSplitLog(4)
		g := newSplitGateway(t, log)
		g.in.counter = &otherVerdict{g.node, func(v messages.KeyVerdict) messages.KeyVerdict { return c.verdict(v, log) }}
		re := g.keyed(manyTopics("a"), "k")
		if re.status != 503 || re.fields["title"] != "Key forgotten" || re.header.Get("Retry-After") == "" || log.countedTimes(t, "a") != 0 {
			t.Errorf("%s: %d %s", c.name, re.status, re.body)
		}
	}
}

// otherVerdict changes what the engine says of keys that are counted.
type otherVerdict struct {
	*splitNode
	change func(messages.KeyVerdict) messages.KeyVerdict
}

func (o *otherVerdict) Seen(ctx context.Context, q *messages.KeyQuery) (messages.KeyVerdict, error) {
	v, err := o.splitNode.Seen(ctx, q)
	if q.Applied {
		v = o.change(v)
	}
	return v, err
}

func TestKeyedAckNoneFollowsBehindTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSplitLog(4)
		g := newSplitGateway(t, log)
		log.set(func() { g.node.holdAppend = true })
		re := g.send(eventsPath+"?ack=none", manyTopics("a"), typeHeader, ndjsonBody, keyHeader, "k")
		if re.status != 200 || re.fields["ack"] != "none" || re.fields["position"] != nil || len(log.blocks()) != 0 {
			t.Fatalf("%d %s", re.status, re.body)
		}
		repeat := make(chan reply, 1)
		go func() { repeat <- g.keyed(manyTopics("a"), "k") }()
		synctest.Wait()
		closed := make(chan struct{})
		go func() { g.in.Close(context.Background()); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed before the appends")
		case re := <-repeat:
			t.Fatalf("answered before the first: %s", re.body)
		default:
		}
		log.set(func() { g.node.holdAppend = false })
		if re := <-repeat; re.status != 200 || re.fields["position"] == nil {
			t.Errorf("%d %s", re.status, re.body)
		}
		<-closed
		if s := g.in.Stats(); log.countedTimes(t, "a") != 1 || s.Accepted != 12 || s.Lost != 0 || s.Repeats != 1 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestKeyedAckNoneCountsWhatAnotherGatewayWon(t *testing.T) {
	log := newSplitLog(4)
	a, b := newSplitGateway(t, log), newSplitGateway(t, log)
	b.node.hold = make(messages.Position, 4) // it does not know of the first
	if re := a.keyed(manyTopics("a"), "k"); re.status != 200 {
		t.Fatal(re.body)
	}
	if re := b.send(eventsPath+"?ack=none", manyTopics("b"), typeHeader, ndjsonBody, keyHeader, "k"); re.status != 200 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	log.set(func() { b.node.hold = nil })
	b.in.Close(context.Background())
	if s := b.in.Stats(); s.Lost != 12 || s.Accepted != 0 || log.countedTimes(t, "b") != 0 || log.countedTimes(t, "a") != 1 {
		t.Errorf("%+v", s)
	}
}

// Behind an answer the body is still needed: another gateway may have been first.
func TestKeyedAckNoneIsJudgedAsTheFirstWas(t *testing.T) {
	log := newSplitLog(4)
	a := newSplitGateway(t, log)
	b := newSplitGateway(t, log, func(cfg *ingestConfig) { cfg.Now = func() messages.Micros { return testNow + messages.Second } })
	b.node.hold = make(messages.Position, 4) // it does not know of the first
	a.node.dies = 2
	if re := a.keyed(manyTopics("a"), "k"); re.status != 503 {
		t.Fatal(re.body)
	}
	if re := b.send(eventsPath+"?ack=none", manyTopics("a"), typeHeader, ndjsonBody, keyHeader, "k"); re.status != 200 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	log.set(func() { b.node.hold = nil })
	b.in.Close(context.Background())
	if s := b.in.Stats(); s.Lost != 0 || s.Repeats != 1 || log.countedTimes(t, "a") != 1 {
		t.Errorf("%+v", s)
	}
	for _, block := range log.blocks() {
		if block.follow != nil && block.sent != testNow {
			t.Errorf("judged as of %v, not as the first was", block.sent)
		}
	}
}

func TestRequestsOfWhichNothingIsAcceptedAskNoHome(t *testing.T) {
	log := newSplitLog(4)
	g := newSplitGateway(t, log)
	for body, status := range map[string]int{"{}\n{}": 422, `[`: 422, "": 400} {
		if re := g.keyed(body, "k"); re.status != status {
			t.Errorf("%q: %d %s", body, re.status, re.body)
		}
	}
	log.set(func() { g.node.admitErr = &messages.RefusedError{Reason: "full"} })
	if re := g.keyed(manyTopics("a"), "k"); re.status != 429 {
		t.Errorf("%d %s", re.status, re.body)
	}
	if n := len(log.blocks()); n != 0 || len(g.in.keys.keys) != 0 {
		t.Errorf("%d blocks in the log, keys %v", n, g.in.keys.keys)
	}
}

func TestFailedAppendsSayWhatARetryDoes(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		home    bool // is there already
		want    string
	}{
		{"without a key", nil, false, "events with an event_id count once"},
		{"home", []string{keyHeader, "k"}, false, "the same Idempotency-Key and body"},
		{"followers", []string{keyHeader, "k"}, true, "the same Idempotency-Key and body"},
	} {
		log := newSplitLog(4)
		if c.home {
			dies := newSplitGateway(t, log)
			dies.node.dies = 1
			dies.keyed(manyTopics("a"), "k")
		}
		g := newSplitGateway(t, log)
		g.node.lost = 1
		re := g.send(eventsPath, manyTopics("a"), append(c.headers, typeHeader, ndjsonBody)...)
		detail, _ := re.fields["detail"].(string)
		if re.status != 503 || re.header.Get("Retry-After") != "10" || !strings.Contains(detail, c.want) || !strings.Contains(detail, "onnection reset") {
			t.Errorf("%s: %d %s", c.name, re.status, re.body)
		}
	}
}

func TestBodiesHashAlikeOnAllGatewaysOfOneLog(t *testing.T) {
	hash := func(id messages.LogIdentity) messages.BodyHash {
		in := &ingest{}
		in.hashKey[0], in.hashKey[1] = bodyHashKey(&id)
		return in.bodyHash(mediaJSON, []byte("body"))
	}
	id := messages.LogIdentity{ID: messages.LogID{1, 15: 2}, HashKey: [32]byte{3}, Routing: messages.RoutingMurmur2}
	secret, log := id, id
	secret.HashKey[0], log.ID[15] = 4, 4
	if hash(id) != hash(secret) {
		t.Error("the secret matters")
	}
	if hash(id) == hash(log) {
		t.Error("the log does not matter")
	}
	id.Routing, secret.Routing = messages.RoutingKeyed, messages.RoutingKeyed
	if hash(id) == hash(secret) {
		t.Error("the secret of an embedded log does not matter")
	}
}
