package decode

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// packTree decodes one msgpack value with vmihailenco/msgpack.
func packTree(d *msgpack.Decoder) (tree, error) {
	code, err := d.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
		n, err := d.DecodeMapLen()
		all := members{}
		for i := 0; i < n && err == nil; i++ {
			var m member
			if m.key, err = packTree(d); err == nil {
				m.value, err = packTree(d)
			}
			all = append(all, m)
		}
		return all, err
	case msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32:
		n, err := d.DecodeArrayLen()
		all := []tree{}
		for i := 0; i < n && err == nil; i++ {
			var e tree
			e, err = packTree(d)
			all = append(all, e)
		}
		return all, err
	case msgpcode.IsExt(code):
		return packExtTree(d)
	case msgpcode.IsString(code) || msgpcode.IsBin(code):
		n, err := d.DecodeBytesLen()
		if err == nil && n > fuzzLimit { // before believing it
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		data := make([]byte, n)
		if err := d.ReadFull(data); err != nil || msgpcode.IsBin(code) {
			return packBytes{data: data}, err
		}
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("not UTF-8")
		}
		return string(data), nil
	}
	v, err := d.DecodeInterface()
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case float32:
		return packNumber(float64(v), 32), nil
	case float64:
		return packNumber(v, 64), nil
	case nil, bool:
		return v, nil
	}
	return integer(fmt.Sprint(v)), nil
}

// packNumber is the shortest literal of a float; one that is not finite stays
// a float64.
func packNumber(f float64, bits int) tree {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return number(s)
}

func packExtTree(d *msgpack.Decoder) (tree, error) {
	id, n, err := d.DecodeExtHeader()
	if err == nil && n > fuzzLimit { // before believing it
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, n)
	if err := d.ReadFull(data); err != nil {
		return nil, err
	}
	if id == -1 && (n == 4 || n == 8 || n == 12) {
		var again bytes.Buffer
		e := msgpack.NewEncoder(&again)
		if err := e.EncodeExtHeader(id, n); err != nil {
			return nil, err
		}
		again.Write(data)
		t, err := msgpack.NewDecoder(&again).DecodeTime()
		if nanos := nanosOf(data); err == nil && nanos < 1e9 {
			return t.UTC(), nil
		}
	}
	return packBytes{&id, data}, nil
}

func nanosOf(data []byte) (n uint64) {
	switch len(data) {
	case 8:
		return uint64(data[0])<<22 | uint64(data[1])<<14 | uint64(data[2])<<6 | uint64(data[3])>>2
	case 12:
		return uint64(data[0])<<24 | uint64(data[1])<<16 | uint64(data[2])<<8 | uint64(data[3])
	}
	return 0
}

// judgeMsgpack is what should become of a msgpack body; false: refused as a
// whole.
func judgeMsgpack(body []byte) (events []verdict, batch, ok bool) {
	r := bytes.NewReader(body)
	d := msgpack.NewDecoder(r)
	for first := true; ; first = false {
		_, err := d.PeekCode()
		if err == io.EOF {
			return events, batch, len(events) > 0
		}
		t, err := packTree(d)
		if err != nil {
			return nil, false, false
		}
		all, isArray := t.([]tree)
		if _, isMap := t.(members); isMap {
			all = []tree{t}
		} else if !first || !isArray {
			return nil, false, false
		}
		batch = isArray || !first
		for _, e := range all {
			if depthOf(e) > MaxDepth {
				return nil, false, false
			}
			events = append(events, judge(e))
		}
		if isArray {
			_, err := d.PeekCode()
			return events, batch, err == io.EOF && len(events) > 0
		}
	}
}
