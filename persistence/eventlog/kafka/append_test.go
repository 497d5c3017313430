package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
)

// written is a record as it stands in the topic.
type written struct {
	blockHeader
	offset int64
	value  []byte
}

// writtenTo are the records of each partition, with their headers read.
func writtenTo(t *testing.T, b *broker) map[messages.Partition][]written {
	t.Helper()
	all := map[messages.Partition][]written{}
	for p, records := range topicRecords(t, b, brokerTopic) {
		for _, r := range records {
			if len(r.Headers) != 1 || r.Headers[0].Key != headerKey {
				t.Fatalf("headers %v", r.Headers)
			}
			h, err := parseHeader(r.Headers[0].Value)
			if err != nil {
				t.Fatal(err)
			}
			all[messages.Partition(p)] = append(all[messages.Partition(p)], written{h, r.Offset, r.Value})
		}
	}
	return all
}

// once are the records without repeats, as a reader drops them.
func once(records []written) (kept []written, repeats int) {
	last := map[messages.WriterID]uint64{}
	for _, r := range records {
		if r.sent.Sequence <= last[r.sent.Writer] {
			repeats++
			continue
		}
		last[r.sent.Writer] = r.sent.Sequence
		kept = append(kept, r)
	}
	return kept, repeats
}

func mustAppend(t *testing.T, l *Log, f *messages.Frame) messages.Position {
	t.Helper()
	pos := make(messages.Position, l.Identity().Partitions)
	if err := l.Append(t.Context(), f, pos); err != nil {
		t.Fatal(err)
	}
	return pos
}

func TestFramesAreInTheTopicAsTheyWereAppended(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	settings := messages.DefaultSettings()
	settings.MaxRegions = 7
	control := &messages.Frame{Kind: messages.FrameControl, Stamp: 5_000_000}
	tick := &messages.Frame{Kind: messages.FrameTick, Stamp: 6_000_000}
	for p := range messages.Partition(4) {
		control.Blocks = append(control.Blocks, messages.Block{Partition: p, Data: settings.AppendTo(nil)})
		tick.Blocks = append(tick.Blocks, messages.Block{Partition: p})
	}
	keyed := frameOf(7_000_000, 3, 1, 2)
	keyed.Key, keyed.BodyHash = "order 66", messages.BodyHash{6, 6}
	keyed.Blocks = append(keyed.Blocks, messages.Block{Partition: 3}) // a key header
	follower := frameOf(8_000_000, 2, 0)
	follower.Key, follower.BodyHash, follower.Follows = "order 66", messages.BodyHash{6, 6}, &messages.Followed{Home: 9, Until: 77}
	frames := []*messages.Frame{frameOf(1_000_000, 1, 2), frameOf(2_000_000, 40, 0, 1, 2, 3), control, tick, keyed, follower}

	want := map[messages.Partition][]*messages.Frame{}
	for _, f := range frames {
		pos := mustAppend(t, l, f)
		for _, k := range f.Blocks {
			want[k.Partition] = append(want[k.Partition], f)
		}
		for p := range pos {
			end := messages.Offset(0)
			for _, k := range f.Blocks {
				if int(k.Partition) == p {
					end = messages.Offset(len(want[k.Partition]))
				}
			}
			if pos[p] != end {
				t.Fatalf("position %v: partition %d, want %d", pos, p, end)
			}
		}
	}
	got := writtenTo(t, b)
	for p, frames := range want {
		if len(got[p]) != len(frames) {
			t.Fatalf("partition %d has %d records, want %d", p, len(got[p]), len(frames))
		}
		for i, f := range frames {
			var block messages.Block
			for _, k := range f.Blocks {
				if k.Partition == p {
					block = k
				}
			}
			w := got[p][i]
			if w.kind != f.Kind || w.sent.Stamp != f.Stamp || w.sent.Writer != l.writer || w.sent.Sequence != uint64(i+1) ||
				w.key != f.Key || w.hash != f.BodyHash || w.records != block.Records || w.part != 0 || !bytes.Equal(w.value, block.Data) || w.value == nil {
				t.Errorf("partition %d record %d: %+v", p, i, w)
			}
			if f.Follows == nil != (w.sent.Follows == nil) || f.Follows != nil && *w.sent.Follows != *f.Follows {
				t.Errorf("partition %d record %d follows %v", p, i, w.sent.Follows)
			}
		}
	}
}

// A reset behind the broker's write: the answer is lost, and the same batch comes
// again. What is acknowledged is there, and once when repeats are dropped.
func TestWhatIsSentAgainCanBeToldApart(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	answers := 0
	b.swallowIf(func(api int16) bool {
		if api != apiProduce {
			return false
		}
		answers++
		return answers == 1 || rng.IntN(3) == 0 && !failsLong(l)
	})

	const clients, each = 16, 12
	var ackedMu sync.Mutex
	acked := map[string]messages.Position{}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := range each {
				f := frameOf(messages.Micros(1000*c+n+1), 2, messages.Partition(c%4))
				if n%4 == 0 {
					f = frameOf(messages.Micros(1000*c+n+1), 1, 0, 1, 2, 3)
				}
				pos := make(messages.Position, 4)
				if err := l.Append(t.Context(), f, pos); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				ackedMu.Lock()
				for _, k := range f.Blocks {
					acked[fmt.Sprintf("%d at %d", k.Partition, f.Stamp)] = pos
				}
				ackedMu.Unlock()
			}
		})
	}
	wg.Wait()
	b.swallowIf(nil)
	repeats := 0
	for p, records := range writtenTo(t, b) {
		at := map[int64]written{}
		for _, w := range records {
			at[w.offset] = w
		}
		kept, dropped := once(records)
		repeats += dropped
		for _, w := range kept {
			name := fmt.Sprintf("%d at %d", p, w.sent.Stamp)
			pos, ok := acked[name]
			if !ok {
				t.Fatalf("%s counts twice, or was never acknowledged", name)
			}
			delete(acked, name)
			if again := at[int64(pos[p])-1]; again.sent.Stamp != w.sent.Stamp {
				t.Fatalf("%s was acknowledged at %d, where there is %d", name, pos[p], again.sent.Stamp)
			}
		}
	}
	if len(acked) > 0 || repeats == 0 {
		t.Fatalf("%d acknowledged blocks are not there; %d repeats", len(acked), repeats)
	}
}

// failsLong tells whether a partition fails for so long that appends will soon be
// refused at once.
func failsLong(l *Log) bool {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	for _, f := range l.health.failing {
		if time.Since(f.since) > patience/8 {
			return true
		}
	}
	return false
}

func TestAnAppendWaitsForABrokerThatComesBack(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	mustAppend(t, l, frameOf(1, 1, 0))
	b.setDown(true)
	done := make(chan error)
	go func() { done <- l.Append(t.Context(), frameOf(2, 1, 0, 3), make(messages.Position, 4)) }()
	eventually(t, "a write fails", func() bool { return l.health.count.Load() > 0 })
	b.setDown(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is well", func() bool { return l.health.count.Load() == 0 })
	kept, _ := once(writtenTo(t, b)[0])
	if len(kept) != 2 || kept[1].sent.Stamp != 2 {
		t.Fatalf("%+v", kept)
	}
}

// A write that was given up never comes later, whatever comes behind it.
func TestWhatIsGivenUpIsNeverSentLater(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	mustAppend(t, l, frameOf(1, 1, 0))
	l.cfg.GiveUp = 3 * time.Second // nobody writes now
	b.setDown(true)
	began := time.Now()
	err := l.Append(t.Context(), frameOf(2, 1, 0), make(messages.Position, 4))
	if !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "given up after 3s") || len(err.Error()) > 500 {
		t.Fatal(err)
	}
	if lasted := time.Since(began); lasted < l.cfg.GiveUp || lasted > l.cfg.GiveUp+testTimeout {
		t.Errorf("given up after %v", lasted)
	}
	b.setDown(false)
	eventually(t, "it writes again", func() bool {
		return l.Append(t.Context(), frameOf(3, 1, 0), make(messages.Position, 4)) == nil
	})
	kept, _ := once(writtenTo(t, b)[0])
	if len(kept) < 2 || kept[0].sent.Stamp != 1 {
		t.Fatalf("%+v", kept)
	}
	for _, w := range kept[1:] {
		if w.sent.Stamp != 3 {
			t.Fatalf("there is frame %d", w.sent.Stamp)
		}
	}
}

// One that has got through although it was given up keeps its sequence, which is
// below that of everything later.
func TestAnUnknownOutcomeIsToldAsUnknown(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.GiveUp = 3 * time.Second // several tries
	l := openLog(t, cfg)
	b.swallowIf(func(api int16) bool { return api == apiProduce })
	err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 4))
	if !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "may be in the log") {
		t.Fatal(err)
	}
	b.swallowIf(nil)
	l.cfg.GiveUp = DefaultConfig().GiveUp
	eventually(t, "it takes appends", func() bool { return l.Err() == nil })
	mustAppend(t, l, frameOf(2, 1, 0))
	kept, repeats := once(writtenTo(t, b)[0])
	if len(kept) != 2 || kept[0].sent.Stamp != 1 || kept[1].sent.Stamp != 2 || repeats == 0 {
		t.Fatalf("%d repeats, %+v", repeats, kept)
	}
}

// gate holds up all produce requests until it is opened.
func gate(b *broker) (open func(), reached <-chan struct{}) {
	held, first := make(chan struct{}), make(chan struct{})
	seen := sync.OnceFunc(func() { close(first) })
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		seen()
		<-held
		return nil, nil, false
	})
	return sync.OnceFunc(func() { close(held) }), first
}

func queued(l *Log, p messages.Partition) int {
	w := l.writers[p]
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

func TestImpossibleFramesAreRefused(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.MaxRecord = 1024
	l := openLog(t, cfg)
	block := messages.Block{Records: 1, Data: frameOf(1, 1, 0).Blocks[0].Data}
	short := frameOf(1, 100, 0)
	short.Blocks[0].Records = 101
	long := frameOf(1, 100, 0)
	long.Blocks[0].Records = 99
	torn := frameOf(1, 100, 0)
	torn.Blocks[0].Data = torn.Blocks[0].Data[:len(torn.Blocks[0].Data)-1]
	for name, f := range map[string]*messages.Frame{
		"kind":             {Kind: messages.FrameGap, Blocks: []messages.Block{block}},
		"no blocks":        {Kind: messages.FrameEvents},
		"partition":        {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: 4}}},
		"descending":       {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: 1}, {Partition: 0}}},
		"twice":            {Kind: messages.FrameEvents, Blocks: []messages.Block{{Partition: 1}, {Partition: 1}}},
		"key":              {Kind: messages.FrameEvents, Key: strings.Repeat("k", messages.MaxKeyBytes+1), Blocks: []messages.Block{block}},
		"follows nothing":  {Kind: messages.FrameEvents, Follows: &messages.Followed{}, Blocks: []messages.Block{block}},
		"too few records":  short,
		"too many records": long,
		"a torn record":    torn,
	} {
		if err := l.Append(t.Context(), f, make(messages.Position, 4)); err == nil || errors.Is(err, messages.ErrStopped) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 3)); err == nil {
		t.Error("a position of another length passed")
	}
	mustAppend(t, l, frameOf(1, 1, 0))
	if n := len(writtenTo(t, b)[0]); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestAnAppendThatNobodyWaitsForIsNotSent(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	open, reached := gate(b)
	defer open()
	first := make(chan error)
	go func() { first <- l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 4)) }()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() { second <- l.Append(ctx, frameOf(2, 1, 0), make(messages.Position, 4)) }()
	eventually(t, "the second waits", func() bool { return queued(l, 0) == 1 })
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) || !errors.Is(err, messages.ErrStopped) {
		t.Fatal(err)
	}
	open()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, frameOf(3, 1, 0))
	records := writtenTo(t, b)[0]
	if len(records) != 2 || records[0].sent.Stamp != 1 || records[1].sent.Stamp != 3 {
		t.Fatalf("%+v", records)
	}
	if !l.waiting.TryAcquire(l.cfg.MaxWaiting) {
		t.Error("what nobody waits for is still counted as waiting")
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.MaxRecord, cfg.MaxWaiting = 4096, 8192
	l := openLog(t, cfg)
	b.setDown(true)
	ctx, cancel := context.WithCancel(t.Context())
	var inside atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for i := range 20 {
		wg.Go(func() {
			f := frameOf(messages.Micros(i+1), 40, messages.Partition(i%4))
			inside.Add(int64(len(f.Blocks[0].Data)))
			errs <- l.Append(ctx, f, make(messages.Position, 4))
		})
	}
	eventually(t, "no more fit", func() bool {
		if !l.waiting.TryAcquire(2000) {
			return inside.Load() > 3*cfg.MaxWaiting
		}
		l.waiting.Release(2000)
		return false
	})
	cancel()
	wg.Wait()
	outside := 0
	for range 20 {
		if err := <-errs; strings.Contains(err.Error(), eventlog.NotInTheLog) {
			outside++
		}
	}
	if outside < 10 {
		t.Errorf("only %d appends waited outside", outside)
	}
	b.setDown(false)
}

func TestCloseWritesWhatWaitsAndFailsWhatCannotBe(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	open, reached := gate(b)
	defer open()
	const n = 10
	errs := make(chan error, n)
	send := func(i int) {
		errs <- l.Append(t.Context(), frameOf(messages.Micros(i+1), 1, 0), make(messages.Position, 4))
	}
	go send(0)
	<-reached
	for i := range n - 1 {
		go send(i + 1)
	}
	eventually(t, "they wait", func() bool { return queued(l, 0) == n-1 })
	closed := make(chan error)
	closing := time.Now()
	go func() { closed <- l.Close() }()
	eventually(t, "it closes", func() bool { return l.Err() != nil })
	open()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	inTime := time.Since(closing) < drainTimeout // else what waits longer fails
	for range n {
		if err := <-errs; err != nil && inTime {
			t.Errorf("an append that waited: %v", err)
		}
	}
	if err := l.Append(t.Context(), frameOf(99, 1, 0), make(messages.Position, 4)); !errors.Is(err, messages.ErrStopped) {
		t.Errorf("append to a closed log: %v", err)
	}

	l = openLog(t, writerConfig(b))
	b.setDown(true)
	go func() { errs <- l.Append(t.Context(), frameOf(100, 1, 0), make(messages.Position, 4)) }()
	eventually(t, "a write fails", func() bool { return l.health.count.Load() > 0 })
	began := time.Now()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if lasted := time.Since(began); lasted > drainTimeout+testTimeout {
		t.Errorf("closing took %v", lasted)
	}
	if err := <-errs; !errors.Is(err, messages.ErrStopped) {
		t.Errorf("an append that could not be written: %v", err)
	}
}

func TestAWriteFollowsAPartitionsLeader(t *testing.T) {
	b := newBroker(t, kfake.NumBrokers(3), kfake.SeedTopics(4, brokerTopic))
	l := openLog(t, writerConfig(b))
	for i := range 6 {
		mustAppend(t, l, frameOf(messages.Micros(i+1), 1, 0))
		if err := b.MoveTopicPartition(brokerTopic, 0, (b.LeaderFor(brokerTopic, 0)+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, l, frameOf(7, 1, 0))
	if kept, _ := once(writtenTo(t, b)[0]); len(kept) != 7 {
		t.Errorf("%d records", len(kept))
	}
}

func TestADenialIsToldAtOnceAndMayBeLifted(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			st := kmsg.NewProduceResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewProduceResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, int16(kafkago.TopicAuthorizationFailed)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true // once
	})
	began := time.Now()
	err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 4))
	if !errors.Is(err, messages.ErrStopped) || !errors.Is(err, kafkago.TopicAuthorizationFailed) || time.Since(began) > l.cfg.GiveUp/2 {
		t.Fatalf("%v, after %v", err, time.Since(began))
	}
	mustAppend(t, l, frameOf(2, 1, 0))
}
