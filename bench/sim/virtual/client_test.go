package virtual

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// event is one that a client sends.
type event struct {
	topic, id, category, region string
	count                       uint64
	at                          messages.Micros // 0: none
	refused                     bool            // so far ahead that it must be rejected
	doubtful                    bool            // ahead, so whether it is rejected depends on when it comes
}

// request is a batch that may be sent again as it is.
type request struct {
	number   int
	key      string
	events   []event
	body     string
	first    messages.Micros // node clock before it was first sent
	position string          // of the last answer 200
	stamped  messages.Micros // node clock when it was stamped, at the earliest
	doubt    bool            // an attempt may be in the log that nobody was told of
}

// known tells whether the node must still know the key: the answer that gave the
// position came of an attempt that was stamped less than a window before now.
func (r *request) known(now, window messages.Micros) bool {
	const overlap = 10 * messages.Second // of attempts at the same time
	return r.key != "" && r.position != "" && now-r.stamped < window-overlap
}

// retryable tells whether sending it again is safe.
func (r *request) retryable() bool {
	if r.key != "" {
		return true
	}
	for i := range r.events {
		if r.events[i].id == "" {
			return false
		}
	}
	return true
}

func (s *sim) newEvent(rng *rand.Rand, now messages.Micros) event {
	e := event{topic: fmt.Sprintf("t%d", zipf(rng, s.topics)), count: 1}
	if rng.IntN(5) == 0 {
		e.count = 1 + rng.Uint64N(1000)
	}
	if rng.IntN(4) > 0 {
		e.category = fmt.Sprintf("c%d", rng.IntN(6))
	}
	if rng.IntN(4) > 0 {
		e.region = fmt.Sprintf("r%d", rng.IntN(9))
	}
	if rng.IntN(2) == 0 {
		s.ids++
		e.id = strconv.Itoa(s.ids)
	}
	ahead := messages.Micros(s.maxAhead / time.Microsecond)
	switch rng.IntN(10) {
	case 0, 1, 2: // now
	case 3, 4, 5:
		e.at = now - messages.Micros(rng.Int64N(int64(messages.Minute)))
	case 6:
		e.at = now - messages.Micros(rng.Int64N(int64(2*messages.Hour)))
	case 7:
		e.at = now - messages.Micros(rng.Int64N(int64(40*messages.Day)))
	case 8:
		e.at = now + messages.Micros(rng.Int64N(int64(ahead/2)))
		e.doubtful = true
	case 9:
		e.at = now + ahead + 3*messages.Hour
		e.refused = true
	}
	return e
}

// zipf is a number below n, small ones more often.
func zipf(rng *rand.Rand, n int) int {
	u := rng.Float64()
	return int(u * u * u * float64(n))
}

func (s *sim) newRequest(rng *rand.Rand, events int) *request {
	now := s.now()
	if s.orderly {
		now = now.Floor(messages.Second) // the clock's last digits depend on how often it is read
	}
	s.requests++
	r := &request{number: s.requests}
	for range events {
		r.events = append(r.events, s.newEvent(rng, now))
	}
	if rng.IntN(3) == 0 {
		r.key = fmt.Sprintf("k%d", r.number)
	}
	r.write()
	return r
}

// write makes the body.
func (r *request) write() {
	var b strings.Builder
	for i := range r.events {
		e := &r.events[i]
		fmt.Fprintf(&b, `{"topic":%q,"count":%d`, e.topic, e.count)
		for _, f := range [][2]string{{"event_id", e.id}, {"category", e.category}, {"region", e.region}} {
			if f[1] != "" {
				fmt.Fprintf(&b, `,%q:%q`, f[0], f[1])
			}
		}
		if e.at != 0 {
			fmt.Fprintf(&b, `,"timestamp":%d`, e.at)
		}
		b.WriteString("}\n")
	}
	r.body = b.String()
}

// answer is what one attempt was told.
type answer struct {
	status   int
	ingested api.Ingested
	detail   string
}

func (a *answer) String() string {
	if a.detail != "" {
		return fmt.Sprintf("%d %s", a.status, a.detail)
	}
	return fmt.Sprint(a.status)
}

// ask sends a request to the edge; nothing of it is a socket.
func (s *sim) ask(ctx context.Context, method, target, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/x-ndjson")
	if method == http.MethodPost && strings.HasSuffix(target, "/counts") {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	s.core.Edge().Handler().ServeHTTP(w, r)
	return w
}

// send makes one attempt and accounts for it. It may be called concurrently.
func (s *sim) send(ctx context.Context, r *request) answer {
	at := span{from: s.now()}
	w := s.ask(ctx, http.MethodPost, "/api/v1/events", r.key, r.body)
	at.to = s.now()
	a := answer{status: w.Code}
	var problem api.Problem
	into := any(&problem)
	if w.Code == http.StatusOK {
		into = &a.ingested
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil && w.Code != http.StatusUnprocessableEntity {
		s.complain("the answer %d to request %d is no JSON: %v", w.Code, r.number, err)
	}
	a.detail = problem.Detail
	s.account(r, &a, at)
	return a
}

// account notes what an answer promises.
func (s *sim) account(r *request, a *answer, at span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.first == 0 {
		r.first = at.from
	}
	s.latest = max(s.latest, at.to)
	at.to = s.latest // a partition's arrival is the largest stamp so far
	possible := a.status == http.StatusOK || a.status == http.StatusServiceUnavailable
	if !possible && a.status != http.StatusTooManyRequests && a.status != http.StatusUnprocessableEntity {
		s.wrong = append(s.wrong, fmt.Sprintf("request %d is answered %v", r.number, a))
		return
	}
	if !possible {
		return
	}
	rejected := map[int]bool{}
	r.doubt = r.doubt || a.status != http.StatusOK
	if a.status == http.StatusOK {
		for _, e := range a.ingested.Errors {
			rejected[e.Index] = true
		}
		if got := len(r.events) - len(rejected); a.ingested.Accepted == nil || *a.ingested.Accepted != got {
			s.wrong = append(s.wrong, fmt.Sprintf("request %d: of %d events %d are named as rejected, but %v are accepted", r.number, len(r.events), len(rejected), a.ingested.Accepted))
		}
		s.samePosition(r, a, at)
	}
	for i := range r.events {
		e := &r.events[i]
		if a.status == http.StatusOK && !e.doubtful && rejected[i] != e.refused {
			s.wrong = append(s.wrong, fmt.Sprintf("request %d: event %d at %v, stamped about %v: rejected is %v", r.number, i, e.at.Time(), at.from.Time(), rejected[i]))
		}
		if rejected[i] || e.refused {
			continue
		}
		identity := ""
		switch {
		case e.id != "":
			identity = "id " + e.topic + " " + e.id
		case r.key != "":
			identity = fmt.Sprintf("key %s %d", r.key, i)
		}
		s.promises.note(identity, e.topic, e.count, at, a.status == http.StatusOK)
	}
}

// samePosition checks that a repeat within the dedup window gets the first
// answer again.
func (s *sim) samePosition(r *request, a *answer, at span) {
	if r.known(at.to, s.promises.window) && a.ingested.Position != r.position {
		s.wrong = append(s.wrong, fmt.Sprintf("request %d: key %s got position %s, and %s before", r.number, r.key, a.ingested.Position, r.position))
	}
	if a.ingested.Position != r.position {
		r.position, r.stamped = a.ingested.Position, at.from
		if r.doubt {
			r.stamped = r.first
		}
	}
}

// now is the node clock; of a node that is down, what it was last.
func (s *sim) now() messages.Micros {
	if s.core == nil {
		return s.latest
	}
	return s.core.Now()
}
