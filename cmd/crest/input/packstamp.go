package input

import (
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/messages"
)

// findPackStamp looks through the pairs of one map.
func findPackStamp(data []byte) (Stamp, bool) {
	if len(data) == 0 || data[0]>>4 != 0x8 && data[0] != 0xde && data[0] != 0xdf {
		return Stamp{}, false
	}
	pairs, at, ok := packHead(data, 0)
	for n := pairs.values / 2; ok && n > 0; n-- {
		var start, end int
		if start, ok = packEnd(data, at); !ok {
			break
		}
		if end, ok = packEnd(data, start); !ok {
			break
		}
		var name string
		if msgpack.Unmarshal(data[at:start], &name) == nil && isStampName([]byte(name)) {
			t, ok := packTime(data[start:end])
			return Stamp{Time: t, start: start, end: end}, ok
		}
		at = end
	}
	return Stamp{}, false
}

// packHead reads the head of the value at i; next is the index behind it.
func packHead(data []byte, i int) (h head, next int, ok bool) {
	if i >= len(data) {
		return head{}, 0, false
	}
	s, ok := shapeOf(data[i])
	next = i + 1 + s.width
	if !ok || next > len(data) {
		return head{}, 0, false
	}
	return s.head(data[i+1 : next]), next, true
}

// packEnd is the index behind the value at i.
func packEnd(data []byte, i int) (int, bool) {
	for left := int64(1); left > 0; left-- {
		h, next, ok := packHead(data, i)
		if !ok || h.bytes > int64(len(data)-next) {
			return 0, false
		}
		i = next + int(h.bytes)
		left += h.values
	}
	return i, true
}

// packTime reads a timestamp in any of the ways it may be written.
func packTime(value []byte) (messages.Micros, bool) {
	switch c := value[0]; {
	case c <= 0x7f || c >= 0xcc && c <= 0xd3:
		var n int64
		err := msgpack.Unmarshal(value, &n)
		t, ok := unixTime(n)
		return t, ok && err == nil
	case c == 0xca || c == 0xcb:
		var f float64
		err := msgpack.Unmarshal(value, &f)
		t, ok := unixFloat(f)
		return t, ok && err == nil
	case c>>5 == 0x5 || c >= 0xd9 && c <= 0xdb:
		var text string
		if msgpack.Unmarshal(value, &text) != nil {
			return 0, false
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		return messages.MicrosOf(t), err == nil
	case c >= 0xc7 && c <= 0xc9 || c >= 0xd4 && c <= 0xd8: // msgpack's own timestamp
		var t time.Time
		err := msgpack.Unmarshal(value, &t)
		return messages.MicrosOf(t), err == nil
	}
	return 0, false
}
