package decode

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dchest/siphash"

	"github.com/crestdb/crest/messages"
)

// The oracle decides the slow and obvious way what a body means: a library
// turns it into a tree, and the tree is judged by the table of the public
// contract. It gives no reasons.

// tree is a decoded value: nil, bool, string, json.Number, integer, float64,
// packBytes, time.Time, []tree or members.
type tree any

type member struct {
	key   tree
	value tree
}

type members []member

type packBytes struct {
	ext  *int8 // nil: bin
	data []byte
}

// integer is the literal of an integer, number that of a float.
type (
	integer string
	number  string
)

// verdict is what should become of one event.
type verdict struct {
	accepted bool
	record   messages.Record
	extra    map[string]any // decoded with UseNumber
}

func depthOf(t tree) int {
	deepest := 0
	switch t := t.(type) {
	case []tree:
		for _, e := range t {
			deepest = max(deepest, depthOf(e))
		}
	case members:
		for _, m := range t {
			deepest = max(deepest, depthOf(m.key), depthOf(m.value))
		}
	default:
		return 0
	}
	return deepest + 1
}

// sane tells whether a tree can be kept at all: string keys, each once, and
// finite numbers.
func sane(t tree) bool {
	switch t := t.(type) {
	case []tree:
		for _, e := range t {
			if !sane(e) {
				return false
			}
		}
	case members:
		seen := map[string]bool{}
		for _, m := range t {
			key, ok := m.key.(string)
			if !ok || seen[key] || !sane(m.value) {
				return false
			}
			seen[key] = true
		}
	case float64:
		return !math.IsNaN(t) && !math.IsInf(t, 0)
	}
	return true
}

var (
	aliases    = map[string]string{"video_id": "topic", "userId": "user_id", "ts": "timestamp", "weight": "count"}
	everywhere = []string{"category", "region", "lang", "source", "device"}
	topLevel   = append([]string{"topic", "video_id", "user_id", "userId", "timestamp", "ts", "event_id", "count", "weight", "metadata"}, everywhere...)
)

func variant(key string, names []string) bool {
	for _, name := range names {
		if key != name && strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// judge decides about one event.
func judge(t tree) verdict {
	no := verdict{}
	event, ok := t.(members)
	if !ok || !sane(t) {
		return no
	}
	known, extra, inner := map[string]tree{}, map[string]any{}, map[string]any{}
	put := func(name string, v tree) bool {
		_, there := known[name]
		known[name] = v
		return !there
	}
	for _, m := range event {
		key := m.key.(string)
		name := key
		if a := aliases[key]; a != "" {
			name = a
		}
		within, isObject := m.value.(members)
		switch {
		case key == "metadata" && isObject:
			for _, m := range within {
				key := m.key.(string)
				switch {
				case variant(key, everywhere):
					return no
				case contains(everywhere, key):
					if !put(key, m.value) {
						return no
					}
				default:
					inner[key] = plainTree(m.value)
				}
			}
		case key == "metadata":
			if m.value != nil {
				extra[key] = plainTree(m.value)
			}
		case contains(topLevel, key) || key == "watch_time_sec" || key == "completed":
			if !put(name, m.value) {
				return no
			}
		case variant(key, topLevel):
			return no
		default:
			extra[key] = plainTree(m.value)
		}
	}
	if len(inner) > 0 {
		extra["metadata"] = inner
	}
	r := messages.Record{Count: 1}
	good := judgeTexts(&r, known) && judgeCount(&r, known["count"]) && judgeTime(&r, known["timestamp"]) && judgeUser(&r, known["user_id"])
	if !good {
		return no
	}
	for _, name := range []string{"lang", "source", "device"} {
		v := known[name]
		if v == nil {
			continue
		}
		s, _, ok := textOf(v)
		if !ok {
			return no
		}
		if s != "" {
			extra[name] = plainTree(v)
		}
	}
	judgeWatch(&r, extra, known)
	return verdict{true, r, extra}
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// textOf is a string, or binary data that is one.
func textOf(t tree) (s string, control, ok bool) {
	switch t := t.(type) {
	case string:
		s, ok = t, true
	case packBytes:
		s, ok = string(t.data), t.ext == nil && utf8.Valid(t.data)
	}
	return s, strings.ContainsFunc(s, unicode.IsControl), ok
}

func judgeTexts(r *messages.Record, known map[string]tree) bool {
	for _, f := range []struct {
		name        string
		to          *[]byte
		least, most int
		required    bool
	}{
		{"topic", &r.Topic, 1, 512, true},
		{"event_id", &r.ID, 1, 512, false},
		{"category", &r.Category, 0, 255, false},
		{"region", &r.Region, 0, 255, false},
	} {
		v := known[f.name]
		if v == nil && !f.required {
			continue
		}
		s, control, ok := textOf(v)
		if !ok || control || len(s) < f.least || len(s) > f.most {
			return false
		}
		*f.to = []byte(s)
	}
	return true
}

// integerOf is the literal of an integer.
func integerOf(t tree) (string, bool) {
	switch t := t.(type) {
	case integer:
		return string(t), true
	case json.Number:
		return string(t), !strings.ContainsAny(string(t), ".eE")
	}
	return "", false
}

func judgeCount(r *messages.Record, v tree) bool {
	if v == nil {
		return true
	}
	s, ok := integerOf(v)
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	r.Count = n
	return err == nil && n >= 1 && n <= 1<<31
}

func judgeUser(r *messages.Record, v tree) bool {
	if v == nil {
		return true
	}
	s, control, ok := textOf(v)
	if !ok {
		s, ok = integerOf(v)
	}
	if !ok || control || len(s) > 512 {
		return false
	}
	if s != "" {
		lo, hi := siphash.Hash128(1, 2, []byte(s))
		r.User = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, lo), hi)
	}
	return true
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func judgeTime(r *messages.Record, v tree) bool {
	var micros *big.Int
	switch v := v.(type) {
	case nil:
		return true
	case time.Time:
		micros = big.NewInt(v.UnixMicro())
		if v.Year() > 9999 || v.Year() < 0 {
			return false
		}
	case string, packBytes:
		s, _, ok := textOf(v)
		s = strings.ToUpper(s)
		if !ok || !rfc3339.MatchString(s) {
			return false
		}
		leap := s[17:19] == "60"
		if leap {
			s = s[:17] + "59" + s[19:]
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return false
		}
		if leap {
			t = t.Add(time.Second)
			if t.Unix()%86_400 != 0 {
				return false
			}
		}
		micros = big.NewInt(t.UnixMicro())
	default:
		x := ratOf(v)
		if x == nil {
			return false
		}
		switch {
		case x.Cmp(big.NewRat(1e11, 1)) < 0:
			x.Mul(x, big.NewRat(1e6, 1))
		case x.Cmp(big.NewRat(1e14, 1)) < 0:
			x.Mul(x, big.NewRat(1e3, 1))
		case x.Cmp(big.NewRat(1e17, 1)) >= 0:
			return false
		}
		if x.Sign() < 0 {
			return false
		}
		micros = new(big.Int).Div(x.Num(), x.Denom())
	}
	latest := int64(testStamp) + 5*60*1_000_000
	if micros.Sign() < 0 || micros.Cmp(big.NewInt(latest)) > 0 {
		return false
	}
	r.HasTime, r.Time = true, messages.Micros(micros.Int64())
	return true
}

// ratOf is a number's exact value, nil if it is none. Exponents beyond any use
// are cut.
func ratOf(t tree) *big.Rat {
	var s string
	switch t := t.(type) {
	case integer:
		s = string(t)
	case number:
		s = string(t)
	case json.Number:
		s = string(t)
	default:
		return nil
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exp, err := strconv.Atoi(s[i+1:])
		if err != nil || exp > 20_000 || exp < -20_000 {
			exp = 20_000
			if s[i+1] == '-' {
				exp = -20_000
			}
		}
		s = s[:i+1] + strconv.Itoa(exp)
	}
	x, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s)
	}
	return x
}

func judgeWatch(r *messages.Record, extra map[string]any, known map[string]tree) {
	if v, ok := known["completed"].(bool); ok {
		r.Completed = messages.False
		if v {
			r.Completed = messages.True
		}
	} else if v := known["completed"]; v != nil {
		extra["completed"] = plainTree(v)
	}
	v := known["watch_time_sec"]
	if v == nil {
		return
	}
	if x := ratOf(v); x != nil && x.Sign() >= 0 {
		x.Mul(x, big.NewRat(1000, 1))
		if x.Cmp(big.NewRat(1e18, 1)) < 0 {
			r.HasWatch, r.WatchMillis = true, new(big.Int).Div(x.Num(), x.Denom()).Uint64()
			return
		}
	}
	extra["watch_time_sec"] = plainTree(v)
}

// plainTree is a tree as encoding/json would decode it from where it is kept.
func plainTree(t tree) any {
	switch t := t.(type) {
	case integer:
		return json.Number(t)
	case number:
		return json.Number(t)
	case time.Time:
		return t.UTC().Format(time.RFC3339Nano)
	case packBytes:
		if t.ext == nil {
			b, _ := json.Marshal(t.data)
			if t.data == nil {
				b = []byte(`""`)
			}
			return decodePlain(b)
		}
		b, _ := json.Marshal(map[string]any{"ext": *t.ext, "data": append([]byte{}, t.data...)})
		return decodePlain(b)
	case []tree:
		all := []any{}
		for _, e := range t {
			all = append(all, plainTree(e))
		}
		return all
	case members:
		all := map[string]any{}
		for _, m := range t {
			all[m.key.(string)] = plainTree(m.value)
		}
		return all
	}
	return t
}

func decodePlain(b []byte) any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}
