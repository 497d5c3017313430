package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

func TestAckNoneAnswersBeforeTheAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		it.node.set(func(n *fakeNode) { n.holdAppend = true })
		re := it.send(eventsPath+"?ack=none", `{"topic":"a"}`, typeHeader, jsonBody)
		if re.status != 200 || re.fields["ack"] != "none" || re.fields["position"] != nil || re.fields["topic"] != "a" {
			t.Fatalf("%d %s", re.status, re.body)
		}
		batch := it.send(eventsPath+"?ack=none", "{\"topic\":\"a\"}\n{}", typeHeader, ndjsonBody)
		if batch.status != 200 || batch.fields["ack"] != "none" || batch.fields["accepted"] != 1.0 || batch.fields["rejected"] != 1.0 {
			t.Fatalf("%d %s", batch.status, batch.body)
		}
		if s := it.in.Stats(); s.Accepted != 0 || s.InFlight == 0 {
			t.Fatalf("%+v", s)
		}
		closed := make(chan struct{})
		go func() { it.in.Close(context.Background()); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed before the appends")
		default:
		}
		it.node.set(func(n *fakeNode) { n.holdAppend = false })
		<-closed
		if s := it.in.Stats(); it.node.frameCount() != 2 || s.Accepted != 2 || s.Lost != 0 || s.InFlight != 0 {
			t.Fatalf("%d frames, %+v", it.node.frameCount(), s)
		}
	})
}

func TestAckNoneIsRefusedWhenTooMuchWaits(t *testing.T) {
	it := newIngestTest(t, nil)
	it.node.set(func(n *fakeNode) { n.holdAppend = true })
	accepted := 0
	for {
		re := it.send(eventsPath+"?ack=none", `{"topic":"a"}`, typeHeader, jsonBody)
		if re.status == 429 {
			break
		}
		if accepted++; accepted > 1<<20 {
			t.Fatal("there is no bound")
		}
	}
	it.node.set(func(n *fakeNode) { n.holdAppend = false })
	it.in.Close(context.Background())
	if n := it.node.frameCount(); n != accepted {
		t.Fatalf("%d frames in the log, %d answered", n, accepted)
	}
}

func TestAckNoneCountsWhatIsLost(t *testing.T) {
	it := newIngestTest(t, nil)
	it.node.set(func(n *fakeNode) { n.appendErr = messages.ErrStopped })
	it.send(eventsPath+"?ack=none", "{\"topic\":\"a\"}\n{\"topic\":\"b\"}", typeHeader, ndjsonBody)
	it.in.Close(context.Background())
	if s := it.in.Stats(); s.Lost != 2 || s.Accepted != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestAckNoneRepeatsByKey(t *testing.T) {
	it := newIngestTest(t, nil)
	first := it.send(eventsPath+"?ack=none", `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k")
	durable := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k")
	again := it.send(eventsPath+"?ack=none", `{"topic":"a"}`, typeHeader, jsonBody, keyHeader, "k")
	if first.status != 200 || again.body != first.body || durable.fields["position"] == nil || it.node.frameCount() != 1 {
		t.Fatalf("%s\n%s\n%s", first.body, durable.body, again.body)
	}
}

func TestCloseWaitsForRequestsAndRefusesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		first := it.inFlight(`{"topic":"a"}`, "k")
		closed := make(chan struct{})
		go func() { it.in.Close(context.Background()); close(closed) }()
		synctest.Wait()
		if re := it.send(eventsPath, `{"topic":"b"}`, typeHeader, jsonBody); re.status != 503 || re.header.Get("Retry-After") == "" {
			t.Fatalf("%d %s", re.status, re.body)
		}
		it.node.set(func(n *fakeNode) { n.holdAppend = false })
		if re := <-first; re.status != 200 {
			t.Fatalf("%d %s", re.status, re.body)
		}
		<-closed
	})
}

func TestCloseCutsOffWhatWaitsForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		first := it.inFlight(`{"topic":"a"}`, "k")
		waits := it.inFlight(`{"topic":"a"}`, "k")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		it.in.Close(ctx)
		if a, b := <-first, <-waits; a.status != 503 || b.status != 503 {
			t.Fatalf("%d %d", a.status, b.status)
		}
		if it.node.frameCount() != 0 {
			t.Fatal("appended after the end")
		}
	})
}

// A client that goes away must not leave the fate of its frame open.
func TestAppendDoesNotEndWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := newIngestTest(t, nil)
		defer it.in.Close(context.Background())
		it.node.set(func(n *fakeNode) { n.holdAppend = true })
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan reply)
		go func() { done <- it.do(request(`{"topic":"a"}`).WithContext(ctx)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		it.node.set(func(n *fakeNode) { n.holdAppend = false })
		if re := <-done; re.status != 200 || it.node.frameCount() != 1 {
			t.Fatalf("%d %s", re.status, re.body)
		}
	})
}

func TestAckNonePromisesNothingOfAStoppedLog(t *testing.T) {
	it := newIngestTest(t, func(c *ingestConfig) {
		c.LogState = func() error { return messages.ErrStopped }
	})
	for _, target := range []string{eventsPath, eventsPath + "?ack=none"} {
		if re := it.send(target, `{"topic":"a"}`, typeHeader, jsonBody); re.status != 503 {
			t.Errorf("%s: %d %s, want 503", target, re.status, re.body)
		}
	}
}
