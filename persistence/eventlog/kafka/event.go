package kafka

import (
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// event is a record as WriteEvents writes it: key and value are for others who
// read along, the header has what crest reads.
type event struct{ key, value, binary []byte }

// eventWeight is what an event takes in memory beside three times its bytes: its
// place in a part, and what JSON has around the values.
const eventWeight = 256

// bytes is what it takes in a batch, about.
func (e *event) bytes() int { return len(e.key) + len(e.value) + len(e.binary) + recordOverhead }

// eventsOf are the records of a block, each as JSON beside its own bytes.
func eventsOf(b *messages.Block) ([]event, error) {
	events := make([]event, 0, b.Records)
	// One buffer for all values: it grows to about three times the block, and what
	// was cut from it before it moved keeps the older one.
	text := make([]byte, 0, 3*len(b.Data))
	var r messages.Record
	for rest := b.Data; len(rest) > 0; {
		next, err := r.ReadFrom(rest)
		if err != nil {
			return nil, err
		}
		from := len(text)
		text = appendJSON(text, &r)
		events = append(events, event{
			key:    r.Topic,
			value:  text[from:len(text):len(text)],
			binary: rest[:len(rest)-len(next)],
		})
		rest = next
	}
	if len(events) != int(b.Records) {
		return nil, errRecords
	}
	return events, nil
}

// recordLength is the length of the encoded record that begins b.
func recordLength(b []byte) (int, error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return 0, messages.ErrRecord
	}
	return n + int(size), nil
}

// appendJSON writes a record as one JSON object, in the fields that a gateway
// takes. An event without a time of its own has none here either: its record in
// Kafka has a timestamp. A user who is stored as a hash is written as its digits.
func appendJSON(dst []byte, r *messages.Record) []byte {
	dst = append(dst, `{"topic":`...)
	dst = appendString(dst, r.Topic)
	if r.HasTime {
		dst = append(dst, `,"timestamp":"`...)
		dst = time.UnixMicro(int64(r.Time)).UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	if len(r.ID) > 0 {
		dst = appendString(append(dst, `,"event_id":`...), r.ID)
	}
	if r.Count > 1 {
		dst = strconv.AppendUint(append(dst, `,"count":`...), r.Count, 10)
	}
	if len(r.Category) > 0 {
		dst = appendString(append(dst, `,"category":`...), r.Category)
	}
	if len(r.Region) > 0 {
		dst = appendString(append(dst, `,"region":`...), r.Region)
	}
	if len(r.User) > 0 {
		dst = append(dst, `,"user_id":`...)
		if r.UserPlain {
			dst = appendString(dst, r.User)
		} else {
			dst = append(dst, '"')
			for _, c := range r.User {
				dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
			}
			dst = append(dst, '"')
		}
	}
	if r.HasWatch {
		dst = append(dst, `,"watch_time_sec":`...)
		dst = strconv.AppendUint(dst, r.WatchMillis/1000, 10)
		if ms := r.WatchMillis % 1000; ms > 0 {
			dst = append(dst, '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
		}
	}
	switch r.Completed {
	case messages.True:
		dst = append(dst, `,"completed":true`...)
	case messages.False:
		dst = append(dst, `,"completed":false`...)
	}
	if len(r.Extra) > 0 {
		dst = append(append(dst, ','), r.Extra...)
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// appendString writes s as a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r) // RuneError is U+FFFD
			i += n
		}
	}
	return append(dst, '"')
}
