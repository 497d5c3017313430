package decode

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// packScanner reads msgpack, in one pass from source to event. Its methods take
// the place to read from and return the place behind what they read, or broken
// after a call of fail, as those of jsonScanner do.
type packScanner struct {
	src   []byte
	arena []byte // literals of the current event's numbers

	failed int // where the source is broken
	reason string
}

// Msgpack takes a body that is an array of maps, or one map after the other.
// Anything wrong with its syntax is a *SyntaxError, and nothing of the body is
// taken.
func (b *bodies) Msgpack(body []byte) error {
	s := &b.pack
	s.src = body
	defer b.release()
	for pos := 0; pos < len(body); {
		h, end := s.head(pos)
		switch {
		case end < 0:
		case h.kind == packArray && pos == 0:
			if end = b.packedArray(h, end); end >= 0 && end < len(body) {
				end = s.fail(end, "nothing may follow the array")
			}
		case h.kind == packMap:
			b.batch = pos > 0
			end = b.packedEvent(h, end)
		default:
			end = s.fail(pos, "want an array of maps, or one map after the other")
		}
		if end < 0 {
			return &SyntaxError{Offset: s.failed, Reason: s.reason}
		}
		pos = end
	}
	return b.nothing()
}

func (b *bodies) packedArray(h packHead, pos int) int {
	b.batch = true
	for range h.n() {
		h, end := b.pack.head(pos)
		if end < 0 {
			return broken
		}
		if pos = b.packedEvent(h, end); pos < 0 {
			return broken
		}
	}
	return pos
}

// packedEvent takes one event behind its head.
func (b *bodies) packedEvent(h packHead, pos int) int {
	s, e := &b.pack, &b.event
	b.begin()
	s.arena = s.arena[:0]
	if h.kind == packMap {
		pos = s.object(e, h.n(), pos, 1, false)
	} else {
		var v value
		v, pos = s.content(e, h, pos, 0)
		e.reject("an event must be a map, not %s", kindNames[v.kind])
	}
	if pos >= 0 {
		b.finish(0)
	}
	return pos
}

// object scans the members of an event, or of its metadata (inner), behind its
// head.
func (s *packScanner) object(e *event, members, pos, depth int, inner bool) int {
	object := e.keys.open()
	for range members {
		f, at := fieldOther, 0
		if !inner {
			f, at = usualPackedKey(s.src, pos)
		}
		if at > 0 {
			e.known(f, s.src[pos+1:at])
		} else {
			var key []byte
			if key, at = s.key(e, pos, depth); at < 0 {
				return broken
			}
			f = e.field(object, key, inner)
		}
		if f == fieldMetadata {
			if h, behind := s.head(at); behind > 0 && h.kind == packMap {
				if pos = s.object(e, h.n(), behind, depth+1, true); pos < 0 {
					return broken
				}
				continue
			}
		}
		v, end := s.value(e, at, depth)
		if end < 0 {
			return broken
		}
		if e.set(f, v) {
			s.keep(e, f, v, at, end, inner)
		}
		pos = end
	}
	return pos
}

// keep puts the member at hand, its value between from and to, into what is
// only kept.
func (s *packScanner) keep(e *event, f field, v value, from, to int, inner bool) {
	if v.kind == kindNoNumber {
		e.reject("%s: not a finite number", named(e.key))
	}
	if e.bounded() {
		m := e.members(inner && f == fieldOther)
		*m = appendQuoted(*m, e.key)
		*m = append(*m, ':')
		*m, _ = appendPacked(*m, s.src[from:to])
	}
}

// key scans a key of a map at a depth. One that is no string refuses the event.
func (s *packScanner) key(e *event, pos, depth int) (key []byte, end int) {
	v, end := s.value(e, pos, depth)
	if end < 0 {
		return nil, broken
	}
	if v.kind != kindText || s.src[pos] >= 0xc0 && packFormats[s.src[pos]-0xc0].kind == packBin {
		e.reject("a key is %s; keys must be strings", kindNames[v.kind])
	}
	return v.text, end
}

// value scans any value, inside of depth maps and arrays.
func (s *packScanner) value(e *event, pos, depth int) (v value, end int) {
	if pos < len(s.src) && s.src[pos]&0xe0 == 0xa0 { // a short string
		end = pos + 1 + int(s.src[pos]&0x1f)
		if end <= len(s.src) && allPlain(s.src[pos+1:end]) {
			return value{kind: kindText, text: s.src[pos+1 : end]}, end
		}
	}
	h, at := s.head(pos)
	if at < 0 {
		return v, broken
	}
	return s.content(e, h, at, depth)
}

// content scans any value behind its head, inside of depth maps and arrays.
func (s *packScanner) content(e *event, h packHead, pos, depth int) (v value, end int) {
	switch h.kind {
	case packNil:
		return value{kind: kindNull}, pos
	case packFalse:
		return value{kind: kindBool, text: wordFalse}, pos
	case packTrue:
		return value{kind: kindBool, text: wordTrue}, pos
	case packUint:
		e.number = h.bits
		return value{kind: kindUint}, pos
	case packInt:
		return s.literal(kindInteger, strconv.AppendInt(s.arena, int64(h.bits), 10)), pos
	case packFloat:
		if !h.finite() {
			return value{kind: kindNoNumber}, pos
		}
		return s.literal(kindNumber, h.appendFloat(s.arena)), pos
	case packArray:
		return value{kind: kindArray}, s.skip(e, h, pos, depth)
	case packMap:
		return value{kind: kindObject}, s.skip(e, h, pos, depth)
	}
	end = pos + h.n() // head has seen that it is there
	data := s.src[pos:end]
	if h.kind == packExt {
		return e.extension(h.ext, data), end
	}
	switch {
	case utf8.Valid(data):
		return value{kind: kindText, control: hasControl(data), text: data}, end
	case h.kind == packStr:
		return v, s.fail(pos, "invalid UTF-8")
	}
	return value{kind: kindBytes}, end
}

var wordFalse, wordTrue = []byte("false"), []byte("true")

// literal is a value whose text was appended to the arena.
func (s *packScanner) literal(k kind, arena []byte) value {
	text := arena[len(s.arena):]
	s.arena = arena
	return value{kind: k, text: text}
}

// skip checks a map or array that is not looked into, down to MaxDepth.
func (s *packScanner) skip(e *event, h packHead, pos, depth int) int {
	if depth++; depth > MaxDepth {
		return s.fail(pos, tooDeep)
	}
	object := uint32(0)
	if h.kind == packMap {
		object = e.keys.open()
	}
	kept := len(s.arena)
	for range h.n() {
		s.arena = s.arena[:kept]
		if h.kind == packMap {
			key, end := s.key(e, pos, depth)
			if end < 0 {
				return broken
			}
			e.unique(object, key)
			pos = end
		}
		v, end := s.value(e, pos, depth)
		if end < 0 {
			return broken
		}
		if v.kind == kindNoNumber {
			e.reject("a number that is only kept is not finite")
		}
		pos = end
	}
	return pos
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

// extension is a timestamp, or nothing that means anything.
func (e *event) extension(ext int8, data []byte) value {
	seconds, nanos, ok := packedTime(ext, data)
	switch {
	case !ok:
		return value{kind: kindBytes}
	case seconds < 0:
		return value{kind: kindBefore1970}
	case seconds >= 1e11:
		e.number = 1e17 // ahead of any clock
	default:
		e.number = uint64(seconds)*1e6 + uint64(nanos)/1000
	}
	return value{kind: kindMoment}
}
