package decode

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// packScanner reads msgpack, in one pass from source to event. A method that
// returns false has called fail.
type packScanner struct {
	src   []byte
	pos   int
	arena []byte // literals of the current event's numbers

	failed int // where the source is broken
	reason string
}

// Msgpack takes a body that is an array of maps, or one map after the other.
// Anything wrong with its syntax is a *SyntaxError, and nothing of the body is
// taken.
func (b *Builder) Msgpack(body []byte) error {
	s := &b.pack
	s.src, s.pos = body, 0
	defer b.release()
	if !b.packed() {
		return &SyntaxError{Offset: s.failed, Reason: s.reason}
	}
	return b.nothing()
}

func (b *Builder) packed() bool {
	s := &b.pack
	for s.pos < len(s.src) {
		at := s.pos
		h, ok := s.head()
		switch {
		case !ok:
			return false
		case h.kind == packArray && at == 0:
			return b.packedArray(h)
		case h.kind != packMap:
			return s.fail(at, "want an array of maps, or one map after the other")
		}
		b.batch = at > 0
		b.begin()
		if !s.event(&b.event, h) {
			return false
		}
		b.finish(0)
	}
	return true
}

func (b *Builder) packedArray(h packHead) bool {
	b.batch = true
	s := &b.pack
	for range h.n {
		h, ok := s.head()
		if !ok {
			return false
		}
		b.begin()
		if !s.event(&b.event, h) {
			return false
		}
		b.finish(0)
	}
	return s.pos == len(s.src) || s.fail(s.pos, "nothing may follow the array")
}

// event scans one event behind its head.
func (s *packScanner) event(e *event, h packHead) bool {
	s.arena = s.arena[:0]
	if h.kind == packMap {
		return s.object(e, h.n, 1, false)
	}
	v, ok := s.content(e, h, 0)
	e.reject("an event must be a map, not %s", kindNames[v.kind])
	return ok
}

// object scans the members of an event, or of its metadata (inner), behind its
// head.
func (s *packScanner) object(e *event, members, depth int, inner bool) bool {
	object := e.keys.open()
	for range members {
		key, ok := s.key(e, depth)
		if !ok {
			return false
		}
		f := e.field(object, key, inner)
		from := s.pos
		h, ok := s.head()
		switch {
		case !ok:
		case f == fieldMetadata && h.kind == packMap:
			ok = s.object(e, h.n, depth+1, true)
		default:
			ok = s.member(e, f, h, from, depth, inner)
		}
		if !ok {
			return false
		}
	}
	return true
}

// member scans a value behind its head and gives it to the event. from is
// where its head begins.
func (s *packScanner) member(e *event, f field, h packHead, from, depth int, inner bool) bool {
	v, ok := s.content(e, h, depth)
	if !ok {
		return false
	}
	key := e.key
	if !e.set(f, v) {
		return true
	}
	if v.kind == kindNoNumber {
		e.reject("%s: not a finite number", shorten(key))
	}
	if e.bounded() {
		m := e.members(inner && f == fieldOther)
		*m = appendQuoted(*m, key)
		*m = append(*m, ':')
		*m, _ = appendPacked(*m, s.src[from:s.pos])
	}
	return true
}

// key scans a key of a map at a depth. One that is no string refuses the event.
func (s *packScanner) key(e *event, depth int) (key []byte, ok bool) {
	h, ok := s.head()
	if !ok {
		return nil, false
	}
	if h.kind == packStr {
		key, _, ok = s.text(h.n)
		return key, ok
	}
	v, ok := s.content(e, h, depth)
	e.reject("a key is %s; keys must be strings", kindNames[v.kind])
	return nil, ok
}

// text reads n bytes as UTF-8.
func (s *packScanner) text(n int) (text []byte, control, ok bool) {
	at := s.pos
	text = s.bytes(n)
	if plain(text, 0) == n {
		return text, false, true
	}
	if !utf8.Valid(text) {
		return nil, false, s.fail(at, "invalid UTF-8")
	}
	return text, hasControl(text), true
}

// content scans any value behind its head, inside of depth maps and arrays.
func (s *packScanner) content(e *event, h packHead, depth int) (v value, ok bool) {
	switch h.kind {
	case packNil:
		return value{kind: kindNull}, true
	case packFalse:
		return value{kind: kindBool, text: wordFalse}, true
	case packTrue:
		return value{kind: kindBool, text: wordTrue}, true
	case packUint:
		return s.literal(kindInteger, strconv.AppendUint(s.arena, h.bits, 10)), true
	case packInt:
		return s.literal(kindInteger, strconv.AppendInt(s.arena, int64(h.bits), 10)), true
	case packFloat:
		if !h.finite() {
			return value{kind: kindNoNumber}, true
		}
		return s.literal(kindNumber, h.appendFloat(s.arena)), true
	case packStr:
		v.kind = kindText
		v.text, v.control, ok = s.text(h.n)
		return v, ok
	case packBin:
		text := s.bytes(h.n)
		if !utf8.Valid(text) {
			return value{kind: kindBytes}, true
		}
		return value{kindText, hasControl(text), text}, true
	case packExt:
		seconds, nanos, ok := packedTime(h.ext, s.bytes(h.n))
		if !ok {
			return value{kind: kindBytes}, true
		}
		return s.literal(kindMoment, strconv.AppendInt(s.arena, int64(momentOfParts(seconds, nanos)), 10)), true
	case packArray:
		return value{kind: kindArray}, s.skip(e, h, depth)
	}
	return value{kind: kindObject}, s.skip(e, h, depth)
}

var wordFalse, wordTrue = []byte("false"), []byte("true")

// literal is a value whose text was appended to the arena.
func (s *packScanner) literal(k kind, arena []byte) value {
	text := arena[len(s.arena):]
	s.arena = arena
	return value{kind: k, text: text}
}

// skip checks a map or array that is not looked into, down to MaxDepth.
func (s *packScanner) skip(e *event, h packHead, depth int) bool {
	if depth++; depth > MaxDepth {
		return s.fail(s.pos, tooDeep)
	}
	object := uint32(0)
	if h.kind == packMap {
		object = e.keys.open()
	}
	kept := len(s.arena)
	for range h.n {
		s.arena = s.arena[:kept]
		if h.kind == packMap {
			key, ok := s.key(e, depth)
			if !ok {
				return false
			}
			e.unique(object, key)
		}
		h, ok := s.head()
		if !ok {
			return false
		}
		v, ok := s.content(e, h, depth)
		if !ok {
			return false
		}
		if v.kind == kindNoNumber {
			e.reject("a number that is only kept is not finite")
		}
	}
	return true
}

func (h packHead) float() float64 {
	if h.width == 4 {
		return float64(math.Float32frombits(uint32(h.bits)))
	}
	return math.Float64frombits(h.bits)
}

func (h packHead) finite() bool { return !math.IsNaN(h.float()) && !math.IsInf(h.float(), 0) }

// appendFloat writes the shortest literal that reads back as the same float,
// always with a point or an exponent.
func (h packHead) appendFloat(dst []byte) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, h.float(), 'g', -1, int(h.width)*8)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// packedTime reads msgpack's timestamp extension.
func packedTime(ext int8, b []byte) (seconds int64, nanos uint32, ok bool) {
	if ext != -1 {
		return 0, 0, false
	}
	switch len(b) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(b))
	case 8:
		both := binary.BigEndian.Uint64(b)
		seconds, nanos = int64(both&(1<<34-1)), uint32(both>>34)
	case 12:
		nanos, seconds = binary.BigEndian.Uint32(b), int64(binary.BigEndian.Uint64(b[4:]))
	default:
		return 0, 0, false
	}
	return seconds, nanos, nanos < 1e9
}

// momentOfParts is a moment between one microsecond before 1970 and what is
// too far in the future in any case.
func momentOfParts(seconds int64, nanos uint32) messages.Micros {
	switch {
	case seconds < 0:
		return -1
	case seconds >= 1e11:
		return 1e17
	}
	return messages.Micros(seconds)*messages.Second + messages.Micros(nanos/1000)
}
