package actors

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crestdb/crest/actors/rank"
	"github.com/crestdb/crest/actors/window"
	"github.com/crestdb/crest/messages"
)

// A board that is asked for is pulled again when it is boardAge old: one asked
// ten thousand times a second is still pulled ten times. Where shards are so
// busy that a pull takes long, it is pulled less often, so that hundreds of
// boards do not take from the shards what counting needs: pulling takes at most
// one part in boardShare of a board's time, down to a pull every boardAgeMost.
const (
	boardAge     = 100 * time.Millisecond
	boardAgeMost = 250 * time.Millisecond
	boardShare   = 16
)

// boardIdle is how long a board lives after somebody last asked for it. Tests
// shorten it.
var boardIdle = time.Minute

// boardKey says which board: its identity is board/<window>:<category>:<region>.
type boardKey struct {
	window messages.Window
	cell   messages.Cell
}

func (k boardKey) identity() string {
	return "board/" + k.window.String() + ":" + url.QueryEscape(k.cell.Category) + ":" + url.QueryEscape(k.cell.Region)
}

// pulled is one pull of a board: what the mergers' union was, and the boards
// cut from it so far. The union is immutable.
type pulled struct {
	topAnswer
	k          int
	categories bool // rows carry their leading category
	at         time.Time
	due        time.Duration // the age at which it is pulled again, if asked for

	mu  sync.Mutex
	cut map[cutKey]*messages.Board
}

// cutKey names the plain cuts worth keeping; filtered ones are made each time.
type cutKey int

// maxCuts bounds the kept cuts of one pull.
const maxCuts = 32

// serves tells whether the pull can answer q while it is not older than age:
// enough rows, and everything before q.After counted.
func (p *pulled) serves(q *messages.BoardQuery, age time.Duration) bool {
	return p.k >= rowsFor(q) && (p.categories || q.MaxPerCategory == 0) && time.Since(p.at) < age && p.applied.Covers(q.After)
}

// dueAfter is how old a board may become whose pull took so long.
func dueAfter(took time.Duration) time.Duration {
	return min(max(boardAge, boardShare*took), boardAgeMost)
}

// What a board takes, about: its actor, and each row pulled or cut.
const (
	boardBytes = 4 << 10
	rowBytes   = 128
)

// bytes is about what the pull and the boards cut from it take.
func (p *pulled) bytes() int64 {
	n := int64(boardBytes)
	for i := range p.union.Rows {
		n += 2*rowBytes + int64(len(p.union.Rows[i].Topic))
	}
	return n
}

// rowsFor is how many rows a query needs pulled: steps, so that boards of
// nearly the same size share a pull; filtered boards are filled from behind.
func rowsFor(q *messages.BoardQuery) int {
	k := q.K + len(q.Exclude)
	if q.MaxPerCategory > 0 {
		return maxPull
	}
	for _, step := range [...]int{10, 100, messages.MaxK} {
		if k <= step {
			return step
		}
	}
	return maxPull
}

// maxPull bounds the rows pulled for one board: what a filtered board can be
// filled up from.
const maxPull = 4 * messages.MaxK

// board cuts the answer to q from the pull.
func (p *pulled) board(q *messages.BoardQuery) *messages.Board {
	if len(q.Exclude) > 0 || q.MaxPerCategory > 0 {
		return p.build(q)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.cut[cutKey(q.K)]; b != nil {
		return b
	}
	b := p.build(q)
	if len(p.cut) < maxCuts {
		if p.cut == nil {
			p.cut = make(map[cutKey]*messages.Board)
		}
		p.cut[cutKey(q.K)] = b
	}
	return b
}

func (p *pulled) build(q *messages.BoardQuery) *messages.Board {
	b := &messages.Board{Window: q.Window, Cell: q.Cell, K: q.K, Moment: p.Moment, SketchError: p.SketchError, Total: p.union.Total, Applied: p.applied}
	part := p.union
	if len(q.Exclude) > 0 || q.MaxPerCategory > 0 {
		part = rank.Filter(part, q.Exclude, q.MaxPerCategory)
	}
	b.Rows, b.Certified, b.Exact = rank.Merge([]*rank.Part{part}, q.K)
	b.Version = version(b)
	return b
}

// version follows from rows and bounds: a 64-bit hash, as hexadecimal digits.
func version(b *messages.Board) string {
	h := fnv.New64a()
	var n [8]byte
	number := func(v uint64) {
		binary.LittleEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	number(b.Total.Lower)
	number(b.Total.Upper)
	number(uint64(b.Certified))
	for i := range b.Rows {
		r := &b.Rows[i]
		h.Write([]byte(r.Topic))
		h.Write([]byte{0})
		number(r.Count.Lower)
		number(r.Count.Estimate)
		number(r.Count.Upper)
		if r.Certified {
			h.Write([]byte{1})
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// boardHandle is how the engine reaches a board: its actor, and what it last
// pulled, so that a board that is fresh is read without a message.
type boardHandle struct {
	key        boardKey
	actor      address
	latest     atomic.Pointer[pulled]
	refreshing atomic.Bool  // somebody asks for the next pull, which is not there yet
	rows       atomic.Int64 // most rows that a query needed since the last pull
	categories atomic.Bool  // one of them needed the rows' categories
	size       atomic.Int64 // bytes
	asked      atomic.Int64 // when it was last asked for, since the engine's start
	askers     atomic.Int64 // queries under way: while there are any it is not ended
	retired    func(*boardHandle)
}

// read answers q from the latest pull; nil: the board is to be asked. Of those
// who find the pull due the first is to ask, so that it is pulled again. Until
// the next pull is there the others are served from the last, up to twice its
// age: of ten thousand who ask again and again ten wait.
func (h *boardHandle) read(q *messages.BoardQuery) *messages.Board {
	p := h.latest.Load()
	if p == nil || !p.serves(q, 2*p.due) {
		return nil
	}
	if time.Since(p.at) >= p.due && h.refreshing.CompareAndSwap(false, true) {
		return nil
	}
	for n := int64(rowsFor(q)); ; {
		if old := h.rows.Load(); old >= n || h.rows.CompareAndSwap(old, n) {
			break
		}
	}
	if q.MaxPerCategory > 0 {
		h.categories.Store(true)
	}
	return p.board(q)
}

// boardActor pulls its board from the merger while somebody asks, at most
// every boardAge, and ends when nobody does any more.
type boardActor struct {
	handle  *boardHandle
	merger  address
	now     func() time.Duration // since the engine's start
	spread  int                  // shards that may each have counts of a topic; 0: each topic has one
	timer   *time.Timer
	pulling *window.TopAsk // nil: no pull under way
	began   time.Time      // when the pull under way did
	waiting []boardWaiter

	// What pulls of spread topics have taught: a board of reachK rows needs lists
	// of reach rows (0: not known). For calm pulls no longer lists are tried, since
	// they were in vain.
	reachK, reach, calm int
}

// calmPulls is for how many pulls it is not tried again to settle a board by
// longer lists.
const calmPulls = 64

// lookIdle makes a board look whether anybody still asks for it.
type lookIdle struct{}

type boardWaiter struct {
	query *messages.BoardQuery
	from  address
	// late: the pull under way began before the query came, so it may miss
	// what the query's After names.
	late bool
}

func (a *boardActor) receive(m mail) {
	switch b := m.body.(type) {
	case started:
		a.timer = m.after(boardIdle, lookIdle{})
	case *messages.BoardQuery:
		if p := a.handle.latest.Load(); p != nil && p.serves(b, p.due) {
			if a.pulling == nil {
				a.handle.refreshing.Store(false) // who sent b found an older one due
			}
			m.answer(p)
			return
		}
		a.waiting = append(a.waiting, boardWaiter{b, m.from(), a.pulling != nil})
		a.pull(m)
	case *topAnswer:
		now := time.Now()
		p := &pulled{topAnswer: *b, k: a.pulling.K, categories: a.pulling.Categories, at: now, due: dueAfter(now.Sub(a.began))}
		a.handle.latest.Store(p)
		a.handle.size.Store(p.bytes())
		a.handle.refreshing.Store(false)
		a.learn(b)
		a.pulling = nil
		a.serve(m, p)
	case failure:
		a.handle.refreshing.Store(false)
		a.pulling = nil
		a.refuse(m, b.err)
	case lookIdle:
		quiet := a.now() - time.Duration(a.handle.asked.Load())
		if quiet < boardIdle || a.handle.askers.Load() > 0 {
			a.timer = m.after(max(boardIdle-quiet, boardIdle/4), lookIdle{})
			return
		}
		a.handle.retired(a.handle)
		m.stop()
	case stopping:
		a.timer.Stop()
		a.refuse(m, errGone) // the engine asks again, with a new board
	}
}

func (a *boardActor) failed(error) { a.handle.retired(a.handle) }

// pull asks for as many rows as the greediest of the queries needs: of those
// that wait, and of those that the last pull served.
func (a *boardActor) pull(m mail) {
	if a.pulling != nil {
		return
	}
	h := a.handle
	q := &window.TopAsk{Window: h.key.window, Cell: h.key.cell, K: int(h.rows.Swap(0)), Categories: h.categories.Swap(false)}
	for i := range a.waiting {
		w := &a.waiting[i]
		w.late = false
		q.K = max(q.K, rowsFor(w.query))
		q.Categories = q.Categories || w.query.MaxPerCategory > 0
	}
	a.pulling, a.began = q, time.Now()
	m.request(a.merger, asked{question: a.question(*q), deadline: time.Now().Add(askTimeout)})
}

// maxSpreadPull is maxPull where topics are spread over shards, which stand still
// until all are put together.
const maxSpreadPull = 2 * messages.MaxK

// question is what the merger is asked.
func (a *boardActor) question(q window.TopAsk) question {
	if a.spread == 0 {
		return &topQuestion{q}
	}
	q.K = min(q.K, maxSpreadPull)
	t := newSpreadTop(q, a.spread)
	if a.reachK != q.K {
		a.reachK, a.reach, a.calm = q.K, 0, 0
	}
	t.depth = min(max(t.depth, a.reach), t.most)
	if a.calm > 0 {
		t.most = t.depth
	}
	return t
}

// learn takes what a pull tells of the next.
func (a *boardActor) learn(b *topAnswer) {
	a.reach = b.depth
	switch {
	case a.calm > 0:
		a.calm--
	case b.vain:
		a.calm = calmPulls
	}
}

// serve answers those whom the pull satisfies; the rest waits for the next.
func (a *boardActor) serve(m mail, p *pulled) {
	rest := a.waiting[:0]
	for _, w := range a.waiting {
		if w.late && !p.serves(w.query, p.due) {
			rest = append(rest, w)
			continue
		}
		m.send(w.from, p)
	}
	a.waiting = rest
	if len(rest) > 0 {
		a.pull(m)
	}
}

func (a *boardActor) refuse(m mail, err error) {
	for _, w := range a.waiting {
		m.send(w.from, failure{err: err})
	}
	a.waiting = a.waiting[:0]
}
