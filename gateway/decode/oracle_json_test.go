package decode

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonTree decodes one JSON value with encoding/json; false if it is broken or
// one of the texts that we refuse although that library guesses at them.
func jsonTree(text []byte) (tree, bool) {
	if !json.Valid(text) || !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	t := readTree(d)
	return t, true
}

func readTree(d *json.Decoder) tree {
	t, err := d.Token()
	if err != nil {
		panic(err)
	}
	switch t {
	case json.Delim('['):
		all := []tree{}
		for d.More() {
			all = append(all, readTree(d))
		}
		d.Token()
		return all
	case json.Delim('{'):
		all := members{}
		for d.More() {
			key := readTree(d)
			all = append(all, member{key, readTree(d)})
		}
		d.Token()
		return all
	}
	return t
}

// hasLoneSurrogate looks for \ud800 … \udfff escapes that are no pair, in
// valid JSON.
func hasLoneSurrogate(text []byte) bool {
	unit := func(i int) rune { // the UTF-16 unit escaped at i, or -1
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		u := unit(i)
		switch {
		case u < 0:
			i++
		case !utf16.IsSurrogate(u):
			i += 5
		case utf16.DecodeRune(u, unit(i+6)) == utf8.RuneError:
			return true
		default:
			i += 11
		}
	}
	return false
}

// judgeJSON is what should become of a JSON body; false: refused as a whole.
func judgeJSON(body []byte) (events []verdict, batch, ok bool) {
	t, ok := jsonTree(bytes.TrimPrefix(body, byteOrderMark))
	if !ok {
		return nil, false, false
	}
	all, batch := t.([]tree)
	if _, one := t.(members); one {
		all = []tree{t}
	}
	for _, e := range all {
		if depthOf(e) > MaxDepth {
			return nil, batch, false
		}
		events = append(events, judge(e))
	}
	return events, batch, len(events) > 0
}

// judgeNDJSON is the same for lines.
func judgeNDJSON(body []byte) (events []verdict) {
	return judgeLines(bytes.TrimPrefix(body, byteOrderMark), judge)
}
