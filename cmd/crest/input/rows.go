package input

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// rows reads CSV (RFC 4180) whose first row names the fields, and makes a line
// of NDJSON of every further row. An empty value means that the event does not
// have the field.
type rows struct {
	r       *csv.Reader
	columns []column
	buf     []byte
}

// column is a field of every row.
type column struct {
	key   string // as JSON, with its colon: "topic":
	plain func(string) bool
}

func newRows(r *bufio.Reader) (*rows, error) {
	skipByteOrderMark(r)
	c := csv.NewReader(r)
	c.ReuseRecord = true
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first row must name the fields")
	}
	if err != nil {
		return nil, fmt.Errorf("first row: %w", err)
	}
	rs := &rows{r: c}
	var seen []string
	for _, name := range header {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, errors.New("first row: a field has no name")
		case slices.Contains(seen, name):
			return nil, fmt.Errorf("first row: two fields are called %q", name)
		}
		seen = append(seen, name)
		key := append(appendString(nil, name), ':')
		rs.columns = append(rs.columns, column{key: string(key), plain: plainRule(name)})
	}
	if !slices.Contains(seen, "topic") && !slices.Contains(seen, "video_id") {
		return nil, fmt.Errorf("first row: no field is called topic (or video_id); it has %s", strings.Join(seen, ", "))
	}
	return rs, nil
}

func (rs *rows) next() (Event, error) {
	record, err := rs.r.Read()
	if err != nil {
		var bad *csv.ParseError
		switch {
		case !errors.As(err, &bad):
			return Event{}, err
		case errors.Is(err, csv.ErrFieldCount):
			return Event{Line: int64(bad.StartLine), Reason: fmt.Sprintf("%d fields, the first row names %d", len(record), len(rs.columns))}, nil
		case errors.Is(err, csv.ErrBareQuote):
			return Event{Line: int64(bad.StartLine), Reason: `a quote in a field without quotes; write "a ""b"" c"`}, nil
		}
		// A quote that is never closed swallows what follows.
		return Event{}, fmt.Errorf("line %d: %w: a quoted field must be closed and be followed by a comma", bad.StartLine, bad.Err)
	}
	line, _ := rs.r.FieldPos(0)
	b := append(rs.buf[:0], '{')
	for i, value := range record {
		if value == "" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, rs.columns[i].key...)
		if rs.columns[i].plain(value) {
			b = append(b, value...)
		} else {
			b = appendString(b, value)
		}
	}
	rs.buf = append(b, '}', '\n')
	return Event{Data: rs.buf, Line: int64(line)}, nil
}

// plainRule says which values of a field are JSON as they are. Everything else
// is a string: a wrong number then reaches the server, which says what is
// wrong with it.
func plainRule(field string) func(string) bool {
	switch field {
	case "timestamp", "ts", "count", "weight", "watch_time_sec", "buffering_count":
		return isNumber
	case "completed":
		return func(v string) bool { return v == "true" || v == "false" }
	}
	return func(string) bool { return false }
}

// isNumber tells whether v is a number in JSON's notation.
func isNumber(v string) bool {
	digits := func(s string) (rest string, ok bool) {
		rest = strings.TrimLeft(s, "0123456789")
		return rest, len(rest) < len(s)
	}
	v = strings.TrimPrefix(v, "-")
	rest, ok := digits(v)
	if !ok || v[0] == '0' && len(v)-len(rest) > 1 {
		return false
	}
	if after, found := strings.CutPrefix(rest, "."); found {
		if rest, ok = digits(after); !ok {
			return false
		}
	}
	if rest != "" && rest[0]|0x20 == 'e' {
		if rest = rest[1:]; rest != "" && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		if rest, ok = digits(rest); !ok {
			return false
		}
	}
	return rest == ""
}

// appendString appends s as a JSON string. Bytes that are no UTF-8 stay as
// they are, so that the server rejects them instead of counting something else.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
