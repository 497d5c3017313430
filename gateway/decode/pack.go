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
	defer func() { s.src = nil }()
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
	var v value
	if !s.content(e, h, &v, 0) {
		return false
	}
	e.reject("an event must be a map, not %s", kindNames[v.kind])
	return true
}

// object scans the members of an event, or of its metadata (inner).
func (s *packScanner) object(e *event, members, depth int, inner bool) bool {
	object := e.keys.open()
	for range members {
		key, ok := s.key(e, depth)
		if !ok {
			return false
		}
		content := s.src[key.start:key.end]
		f := fieldOther
		if inner {
			f = innerFieldOf(content)
		} else {
			f = fieldOf(content)
		}
		if f == fieldOther {
			e.unknown(content, inner)
			e.unique(object, key, texts{src: s.src})
		} else {
			e.see(f, content, inner)
		}
		from := s.pos
		h, ok := s.head()
		switch {
		case !ok:
		case f == fieldMetadata && h.kind == packMap:
			ok = s.object(e, h.n, depth+1, true)
		default:
			ok = s.member(e, f, content, h, from, depth, inner)
		}
		if !ok {
			return false
		}
	}
	return true
}

// member scans a value behind its head and gives it to the event. from is
// where its head begins.
func (s *packScanner) member(e *event, f field, key []byte, h packHead, from, depth int, inner bool) bool {
	var v value
	if !s.content(e, h, &v, depth) {
		return false
	}
	if !e.set(f, key, &v) {
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
func (s *packScanner) key(e *event, depth int) (key span, ok bool) {
	h, ok := s.head()
	if !ok {
		return span{}, false
	}
	if h.kind != packStr {
		var v value
		if !s.content(e, h, &v, depth) {
			return span{}, false
		}
		e.reject("a key is %s; keys must be strings", kindNames[v.kind])
		return span{}, true
	}
	start := s.pos
	if _, _, ok := s.text(h.n); !ok {
		return span{}, false
	}
	return span{start: uint32(start), end: uint32(s.pos)}, true
}

// text reads n bytes as UTF-8.
func (s *packScanner) text(n int) (text []byte, control, ok bool) {
	at := s.pos
	text = s.bytes(n)
	if plain(text) == n {
		return text, false, true
	}
	if !utf8.Valid(text) {
		return nil, false, s.fail(at, "invalid UTF-8")
	}
	return text, hasControl(text), true
}

// content scans any value behind its head, inside of depth maps and arrays.
func (s *packScanner) content(e *event, h packHead, v *value, depth int) (ok bool) {
	switch h.kind {
	case packNil:
		v.kind = kindNull
	case packFalse:
		v.kind, v.text = kindBool, wordFalse
	case packTrue:
		v.kind, v.text = kindBool, wordTrue
	case packUint:
		v.kind = kindInteger
		s.literal(v, strconv.AppendUint(s.arena, h.bits, 10))
	case packInt:
		v.kind = kindInteger
		s.literal(v, strconv.AppendInt(s.arena, int64(h.bits), 10))
	case packFloat:
		v.kind = kindNoNumber
		if h.finite() {
			v.kind = kindNumber
			s.literal(v, h.appendFloat(s.arena))
		}
	case packStr:
		v.kind = kindText
		v.text, v.control, ok = s.text(h.n)
		return ok
	case packBin:
		v.kind, v.text = kindBytes, s.bytes(h.n)
		if utf8.Valid(v.text) {
			v.kind, v.control = kindText, hasControl(v.text)
		}
	case packExt:
		v.kind, v.text = kindBytes, s.bytes(h.n)
		if seconds, nanos, ok := packedTime(h.ext, v.text); ok {
			v.kind = kindMoment
			v.moment = momentOfParts(seconds, nanos)
		}
	case packArray, packMap:
		return s.skip(e, h, v, depth)
	}
	return true
}

var wordFalse, wordTrue = []byte("false"), []byte("true")

// literal makes what was appended to the arena the value's text.
func (s *packScanner) literal(v *value, arena []byte) {
	v.text = arena[len(s.arena):]
	s.arena = arena
}

// skip checks a map or array that is not looked into, down to MaxDepth.
func (s *packScanner) skip(e *event, h packHead, v *value, depth int) bool {
	if depth++; depth > MaxDepth {
		return s.fail(s.pos, "nested deeper than 32 levels")
	}
	v.kind = kindArray
	object := uint32(0)
	if h.kind == packMap {
		v.kind = kindObject
		object = e.keys.open()
	}
	for range h.n {
		if h.kind == packMap {
			key, ok := s.key(e, depth)
			if !ok {
				return false
			}
			e.unique(object, key, texts{src: s.src})
		}
		h, ok := s.head()
		if !ok {
			return false
		}
		var v value
		if !s.content(e, h, &v, depth) {
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
