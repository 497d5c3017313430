package input

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"github.com/crestdb/crest/messages"
)

// Stamp is the event time in an event, and where it stands.
type Stamp struct {
	Time       messages.Micros
	start, end int // of the value, in the event's data
}

// FindStamp finds an event's timestamp; false if it has none that can be read
// (a wrong one is the server's to refuse).
func FindStamp(data []byte, f Format) (Stamp, bool) {
	if f == Msgpack {
		return findPackStamp(data)
	}
	return findJSONStamp(data)
}

// Replace appends the event to dst with another time in the stamp's place.
func (s Stamp) Replace(dst, data []byte, f Format, to messages.Micros) []byte {
	dst = append(dst, data[:s.start]...)
	if f == Msgpack {
		dst = append(dst, 0xd3)
		dst = binary.BigEndian.AppendUint64(dst, uint64(to))
	} else {
		dst = strconv.AppendInt(dst, int64(to), 10)
	}
	return append(dst, data[s.end:]...)
}

func isStampName(name []byte) bool { return string(name) == "timestamp" || string(name) == "ts" }

// findJSONStamp looks through the members of one object.
func findJSONStamp(data []byte) (Stamp, bool) {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return Stamp{}, false
	}
	for i++; ; i++ {
		i = skipSpace(data, i)
		end, ok := stringEnd(data, i)
		if !ok {
			return Stamp{}, false
		}
		name := data[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			var plain string
			if json.Unmarshal(data[i:end], &plain) != nil {
				return Stamp{}, false
			}
			name = []byte(plain)
		}
		if i = skipSpace(data, end); i >= len(data) || data[i] != ':' {
			return Stamp{}, false
		}
		i = skipSpace(data, i+1)
		if end, ok = valueEnd(data, i); !ok {
			return Stamp{}, false
		}
		if isStampName(name) {
			t, ok := jsonTime(data[i:end])
			return Stamp{Time: t, start: i, end: end}, ok
		}
		if i = skipSpace(data, end); i >= len(data) || data[i] != ',' {
			return Stamp{}, false
		}
	}
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n') {
		i++
	}
	return i
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(data []byte, i int) (int, bool) {
	if i >= len(data) || data[i] != '"' {
		return 0, false
	}
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return 0, false
}

// valueEnd is the index behind the value that begins at i.
func valueEnd(data []byte, i int) (int, bool) {
	depth := 0
	for ; i < len(data); i++ {
		switch data[i] {
		case '"':
			end, ok := stringEnd(data, i)
			if !ok {
				return 0, false
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, true
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i, true
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1, true
		}
	}
	return 0, false
}

func jsonTime(value []byte) (messages.Micros, bool) {
	if text, ok := bytes.CutPrefix(value, []byte{'"'}); ok {
		t, err := time.Parse(time.RFC3339Nano, string(bytes.TrimSuffix(text, []byte{'"'})))
		return messages.MicrosOf(t), err == nil
	}
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return unixTime(n)
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0, false
	}
	return unixFloat(f)
}

// unixTime tells seconds, milliseconds and microseconds apart by magnitude.
func unixTime(n int64) (messages.Micros, bool) {
	switch {
	case n < 0 || n >= 1e17:
		return 0, false
	case n < 1e11:
		return messages.Micros(n) * messages.Second, true
	case n < 1e14:
		return messages.Micros(n) * messages.Millisecond, true
	}
	return messages.Micros(n), true
}

func unixFloat(f float64) (messages.Micros, bool) {
	switch {
	case !(f >= 0 && f < 1e17):
		return 0, false
	case f < 1e11:
		return messages.Micros(f * float64(messages.Second)), true
	case f < 1e14:
		return messages.Micros(f * float64(messages.Millisecond)), true
	}
	return messages.Micros(f), true
}
