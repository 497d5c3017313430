package workload

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/crestdb/crest/messages"
)

// Event is one view. It holds no pointer into the stream that made it.
type Event struct {
	Topic    Topic
	Category string // one of CategoryNames, "" for none
	Region   string // one of RegionNames, "" for none
	User     uint64 // 0: none
	ID       uint64 // distinct within a stream; 0: none
	Time     messages.Micros
	Count    uint64 // 1 … messages.MaxCount
}

// Topic is a video's id: 64 bits in 11 characters of URL-safe base64.
type Topic [11]byte

func topicOf(bits uint64) Topic {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], bits)
	var t Topic
	base64.RawURLEncoding.Encode(t[:], raw[:])
	return t
}

func (t Topic) String() string { return string(t[:]) }

// AppendJSON appends the event as one line of NDJSON, line feed included. A
// Time of 0 is left out: the event then counts at its arrival. Names are taken
// to need no escaping, as those of this package.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"topic":"`...)
	dst = append(dst, e.Topic[:]...)
	dst = append(dst, '"')
	if e.Category != "" {
		dst = append(dst, `,"category":"`...)
		dst = append(dst, e.Category...)
		dst = append(dst, '"')
	}
	if e.Region != "" {
		dst = append(dst, `,"region":"`...)
		dst = append(dst, e.Region...)
		dst = append(dst, '"')
	}
	if e.User != 0 {
		dst = append(dst, `,"user_id":"u`...)
		dst = strconv.AppendUint(dst, e.User, 10)
		dst = append(dst, '"')
	}
	if e.ID != 0 {
		dst = append(dst, `,"event_id":"`...)
		dst = appendHex(dst, e.ID)
		dst = append(dst, '"')
	}
	if e.Time != 0 {
		dst = append(dst, `,"timestamp":`...)
		dst = strconv.AppendInt(dst, int64(e.Time), 10)
	}
	if e.Count > 1 {
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendUint(dst, e.Count, 10)
	}
	return append(dst, '}', '\n')
}

// AppendMsgpack appends the event as one msgpack map with the same fields; a
// body is any number of them in a row.
func (e *Event) AppendMsgpack(dst []byte) []byte {
	at := len(dst)
	fields := byte(1)
	dst = append(dst, 0) // the map's head, once the number of fields is known
	dst = appendPackString(dst, "topic")
	dst = append(dst, 0xa0|byte(len(e.Topic)))
	dst = append(dst, e.Topic[:]...)
	if e.Category != "" {
		dst = appendPackString(dst, "category")
		dst = appendPackString(dst, e.Category)
		fields++
	}
	if e.Region != "" {
		dst = appendPackString(dst, "region")
		dst = appendPackString(dst, e.Region)
		fields++
	}
	if e.User != 0 {
		dst = appendPackString(dst, "user_id")
		head := len(dst)
		dst = append(dst, 0, 'u')
		dst = strconv.AppendUint(dst, e.User, 10)
		dst[head] = 0xa0 | byte(len(dst)-head-1)
		fields++
	}
	if e.ID != 0 {
		dst = appendPackString(dst, "event_id")
		dst = append(dst, 0xa0|16)
		dst = appendHex(dst, e.ID)
		fields++
	}
	if e.Time != 0 {
		dst = appendPackString(dst, "timestamp")
		dst = append(dst, 0xd3)
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
		fields++
	}
	if e.Count > 1 {
		dst = appendPackString(dst, "count")
		dst = append(dst, 0xcf)
		dst = binary.BigEndian.AppendUint64(dst, e.Count)
		fields++
	}
	dst[at] = 0x80 | fields
	return dst
}

// appendPackString appends a string of at most 31 bytes, which every key and
// name here is.
func appendPackString(dst []byte, s string) []byte {
	return append(append(dst, 0xa0|byte(len(s))), s...)
}

func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}
