//go:build e2e

package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/crestdb/crest/bench/truth"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
)

// batch is one request of events with timestamps. Whatever is sent of it, and
// how often, its events count once.
type batch struct {
	key   string
	lines [][]byte // the events; some are in the body twice if they have ids
	body  []byte
	own   uint64 // count of the sender's own topic
}

// events is the batch as a request.
func (b *batch) events() *client.Events {
	return &client.Events{Body: b.body, ContentType: client.NDJSON, Key: b.key}
}

// sender makes batches. Each belongs to one goroutine.
type sender struct {
	name string
	rng  *rand.Rand
	seq  int
	// ids makes every batch one of events with ids and without a key.
	ids bool
	// past are batches that were acknowledged, to be sent again.
	past []*batch
}

// keepPast is how many batches a sender remembers.
const keepPast = 300

// remember keeps an acknowledged batch, instead of an older one if there are
// many.
func (s *sender) remember(b *batch) {
	if len(s.past) < keepPast {
		s.past = append(s.past, b)
		return
	}
	s.past[s.rng.IntN(keepPast)] = b
}

// repeat is a batch that was acknowledged some time ago, perhaps by a node that
// is gone; nil every now and then.
func (s *sender) repeat() *batch {
	if len(s.past) == 0 || s.rng.IntN(4) > 0 {
		return nil
	}
	return s.past[s.rng.IntN(len(s.past))]
}

var (
	categories = []string{"", "music", "news", "sports"}
	regions    = []string{"", "BR", "IN", "JP", "US"}
)

// own is a topic that only this sender counts.
func (s *sender) own() string { return "own/" + s.name }

// next makes a batch of 1 to 8 events: a third with ids, a third under an
// Idempotency-Key, a third with both. An event lies up to two hours back and
// never after its arrival.
func (s *sender) next() *batch {
	s.seq++
	b := &batch{}
	kind := s.rng.IntN(3)
	if s.ids {
		kind = 0
	}
	if kind > 0 {
		b.key = fmt.Sprintf("%s-%d", s.name, s.seq)
	}
	for i := range 1 + s.rng.IntN(8) {
		b.lines = append(b.lines, s.event(b, i, kind != 1))
	}
	for _, l := range b.lines {
		b.body = append(b.body, l...)
		if kind != 1 && s.rng.IntN(10) == 0 {
			b.body = append(b.body, l...)
		}
	}
	return b
}

func (s *sender) event(b *batch, i int, id bool) []byte {
	count := 1 + s.rng.Uint64N(3)
	topic := s.own()
	if s.rng.IntN(4) > 0 {
		// Squaring makes some topics much more frequent than others.
		topic = fmt.Sprintf("topic-%d", int(300*s.rng.Float64()*s.rng.Float64()))
	} else {
		b.own += count
	}
	back := time.Second
	if s.rng.IntN(5) == 0 {
		back += time.Duration(s.rng.Int64N(int64(2 * time.Hour)))
	}
	var l bytes.Buffer
	fmt.Fprintf(&l, `{"topic":%q,"timestamp":%d,"count":%d`, topic, messages.MicrosOf(time.Now().Add(-back)), count)
	if c := categories[s.rng.IntN(len(categories))]; c != "" {
		fmt.Fprintf(&l, `,"category":%q`, c)
	}
	if r := regions[s.rng.IntN(len(regions))]; r != "" {
		fmt.Fprintf(&l, `,"region":%q`, r)
	}
	if id {
		fmt.Fprintf(&l, `,"event_id":"%s-%d-%d"`, s.name, s.seq, i)
	}
	l.WriteString("}\n")
	return l.Bytes()
}

// record is the truth that several senders write down.
type record struct {
	mu     sync.Mutex
	events truth.Events
}

// add writes down an acknowledged batch.
func (r *record) add(b *batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range b.lines {
		if err := r.events.AddLine(l); err != nil {
			return err
		}
	}
	return nil
}
