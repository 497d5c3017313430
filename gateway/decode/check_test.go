package decode

import (
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// TestNamesThatAreTakenPassTheReadersCheck: what a gateway takes and a reader of
// its log refuses would be acknowledged and never counted; the other way round
// somebody else could count what no gateway takes.
func TestNamesThatAreTakenPassTheReadersCheck(t *testing.T) {
	for c := rune(0); c < 0x3000; c++ {
		agreeOnName(t, "a"+string(c)+"b")
		agreeOnName(t, string(c))
	}
	for _, c := range []rune{0xfffd, 0xfeff, 0xffff, 0x10000, utf8.MaxRune} {
		agreeOnName(t, "a"+string(c))
	}
}

func agreeOnName(t *testing.T, name string) {
	t.Helper()
	quoted, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	escaped := ""
	for _, c := range name {
		if c >= 0x10000 {
			escaped += string(c)
			continue
		}
		escaped += fmt.Sprintf(`\u%04x`, c)
	}
	check := func(r *messages.Record) bool { return r.Check() == nil }
	for form, is := range map[string]struct {
		value string
		check bool
	}{
		"topic":             {`{"topic":` + string(quoted) + `}`, check(&messages.Record{Topic: []byte(name), Count: 1})},
		"topic, escaped":    {`{"topic":"` + escaped + `"}`, check(&messages.Record{Topic: []byte(name), Count: 1})},
		"category":          {`{"topic":"a","category":` + string(quoted) + `}`, check(&messages.Record{Topic: []byte("a"), Category: []byte(name), Count: 1})},
		"region of msgpack": {pack(map[string]any{"topic": "a", "region": name}), check(&messages.Record{Topic: []byte("a"), Region: []byte(name), Count: 1})},
		"topic of protobuf": {protobuf(&eventpb.Event{Topic: name}), check(&messages.Record{Topic: []byte(name), Count: 1})},
	} {
		f := FormatAuto
		if form == "topic of protobuf" {
			f = FormatProtobuf
		}
		_, records, refused := newTestDecoder(f).Decode(message(is.value), nil)
		if taken := records == 1; taken != is.check {
			t.Fatalf("%s %q: taken %v (%v), passes the check %v", form, name, taken, refused, is.check)
		}
	}
}
