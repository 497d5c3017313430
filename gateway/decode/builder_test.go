package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/crestdb/crest/messages"
)

func TestNothingIsAllocatedPerEvent(t *testing.T) {
	for _, s := range append(shapes, packedShapes...) {
		t.Run(s.name, func(t *testing.T) {
			body := s.body(200)
			b := newTestBuilder(16)
			run := func() {
				b.Reset(testStamp)
				if err := s.take(b, body); err != nil || b.Accepted() != 200 {
					t.Fatal(err, b.Rejections())
				}
				b.Frame("", messages.BodyHash{})
			}
			run() // fills the buffers
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%v allocations for 200 events", n)
			}
		})
	}
}

// records reads a frame back.
func records(t *testing.T, f *messages.Frame) (all []messages.Record) {
	t.Helper()
	for _, b := range f.Blocks {
		n := uint32(0)
		for data := b.Data; len(data) > 0; n++ {
			var r messages.Record
			rest, err := r.ReadFrom(data)
			if err != nil {
				t.Fatal(err)
			}
			all, data = append(all, r), rest
		}
		if n != b.Records {
			t.Fatalf("partition %d: %d records, the block says %d", b.Partition, n, b.Records)
		}
	}
	return all
}

func TestFrameHasTouchedPartitionsAndTheHomeOfItsKey(t *testing.T) {
	b := newTestBuilder(16)
	for events := range 40 {
		b.Reset(testStamp + messages.Micros(events))
		var body strings.Builder
		for i := range events {
			fmt.Fprintf(&body, "{\"topic\":\"t%d\"}\n", i)
		}
		_ = b.NDJSON([]byte(body.String())) // ErrEmpty at first
		key := fmt.Sprint("key", events)
		f := b.Frame(key, messages.BodyHash{1})
		if f.Kind != messages.FrameEvents || f.Key != key || f.BodyHash != (messages.BodyHash{1}) || f.Stamp != testStamp+messages.Micros(events) {
			t.Fatalf("%+v", f)
		}
		routes := testConfig(16).Routes
		home := false
		for i, blk := range f.Blocks {
			if i > 0 && f.Blocks[i-1].Partition >= blk.Partition {
				t.Fatalf("blocks are not ascending: %+v", f.Blocks)
			}
			home = home || blk.Partition == routes.Home(key)
			if blk.Records == 0 && blk.Partition != routes.Home(key) {
				t.Fatalf("an empty block that is nobody's home: %+v", f.Blocks)
			}
			one := messages.Frame{Blocks: f.Blocks[i : i+1]}
			for _, r := range records(t, &one) {
				if routes.Of(r.Topic) != blk.Partition {
					t.Fatalf("topic %s is in partition %d", r.Topic, blk.Partition)
				}
			}
		}
		if !home || len(records(t, f)) != events {
			t.Fatalf("home block: %v, %d records, want %d", home, len(records(t, f)), events)
		}
		if len(b.Frame("", messages.BodyHash{}).Blocks) > events {
			t.Fatal("a frame without a key has an empty block")
		}
	}
}

func TestNothingIsLeftAfterReset(t *testing.T) {
	b := newTestBuilder(4)
	b.Reset(testStamp)
	if err := b.NDJSON([]byte("{\"topic\":\"a\",\"event_id\":\"1\",\"x\":1,\"metadata\":{\"y\":1}}\n{}")); err != nil {
		t.Fatal(err)
	}
	if !b.IDs() || !b.Batch() || b.Topic() != "a" || b.Accepted() != 1 || b.Rejected() != 1 {
		t.Fatal("not what was sent")
	}
	b.Reset(testStamp)
	if b.IDs() || b.Batch() || b.Topic() != "" || b.Accepted() != 0 || b.Rejected() != 0 || b.Rejections() != nil || len(b.Frame("", messages.BodyHash{}).Blocks) != 0 {
		t.Fatal("something is left")
	}
	if err := b.JSON([]byte(`{"topic":"b"}`)); err != nil {
		t.Fatal(err)
	}
	r := records(t, b.Frame("", messages.BodyHash{}))[0]
	if b.Batch() || string(r.Topic) != "b" || r.ID != nil || r.Extra != nil {
		t.Fatalf("%+v", r)
	}
}

func TestWhatIsKept(t *testing.T) {
	for _, c := range []struct{ event, extra string }{
		{`{"topic":"a"}`, ``},
		{`{"topic":"a", "x" : [ 1 , "a b\" c" ] , "y":null}`, `"x":[1,"a b\" c"],"y":null`},
		{`{"topic":"a","lang":"de","source":"","device":null}`, `"lang":"de"`},
		{`{"topic":"a","metadata":{"lang":"de","category":"c","x":{"z":1},"y":2},"q":0}`, `"lang":"de","q":0,"metadata":{"x":{"z":1},"y":2}`},
		{`{"topic":"a","metadata":{}}`, ``},
		{`{"topic":"a","metadata":"m"}`, `"metadata":"m"`},
		{`{"topic":"a","metadata":null}`, ``},
		{`{"topic":"a","watch_time_sec":1.5,"completed":true}`, ``},
		{`{"topic":"a","watch_time_sec":"1","completed":1}`, `"watch_time_sec":"1","completed":1`},
		{`{"topic":"a","session_id":{},"quality":[],"buffering_count":"x"}`, `"session_id":{},"quality":[],"buffering_count":"x"`},
		{`{"topic":"a","k\u0065y":"\ud83d\ude00"}`, `"k\u0065y":"\ud83d\ude00"`},
	} {
		b := newTestBuilder(1)
		b.Reset(testStamp)
		if err := b.JSON([]byte(c.event)); err != nil || b.Accepted() != 1 {
			t.Fatalf("%s: %v %v", c.event, err, b.Rejections())
		}
		if r := records(t, b.Frame("", messages.BodyHash{}))[0]; string(r.Extra) != c.extra {
			t.Errorf("%s keeps %s, want %s", c.event, r.Extra, c.extra)
		}
	}
}

func TestUsersAreHashedUnlessKept(t *testing.T) {
	user := func(keep bool, event string) messages.Record {
		cfg := testConfig(1)
		cfg.KeepUserIDs = keep
		b := NewBuilder(cfg)
		b.Reset(testStamp)
		if err := b.JSON([]byte(event)); err != nil || b.Accepted() != 1 {
			t.Fatal(err, b.Rejections())
		}
		r := records(t, b.Frame("", messages.BodyHash{}))[0]
		return r
	}
	hashed, same := user(false, `{"topic":"a","user_id":17}`), user(false, `{"topic":"b","userId":"17"}`)
	if len(hashed.User) != messages.UserHashLength || hashed.UserPlain || !bytes.Equal(hashed.User, same.User) {
		t.Errorf("%x and %x", hashed.User, same.User)
	}
	if kept := user(true, `{"topic":"a","user_id":17}`); string(kept.User) != "17" || !kept.UserPlain {
		t.Errorf("%q", kept.User)
	}
	if none := user(true, `{"topic":"a","user_id":""}`); none.User != nil || none.UserPlain {
		t.Errorf("%q", none.User)
	}
}

// Bodies made to cost more than they weigh.
func TestHostileBodiesStayCheap(t *testing.T) {
	const size = 4 << 20
	deepKeys := strings.Repeat("\x81", size) // maps as keys of maps as keys …
	for _, c := range []struct {
		name string
		body string
		take func(*Builder, []byte) error
		ok   bool // as a body; the event is refused in any case
	}{
		{"one huge string", `{"topic":"a","x":"` + strings.Repeat("y", size) + `"}`, (*Builder).JSON, true},
		{"white space", `{"topic":1,"x":[` + strings.Repeat(" ", size) + `]}`, (*Builder).JSON, true},
		{"many members", `{"topic":"a"` + manyKeys(200_000) + `}`, (*Builder).JSON, true},
		{"many escapes", `{"topic":"` + strings.Repeat(`\u00e9`, size/6) + `"}`, (*Builder).JSON, true},
		{"nested arrays", strings.Repeat(`[`, size), (*Builder).JSON, false},
		{"nested objects", strings.Repeat(`{"x":`, size/5), (*Builder).JSON, false},
		{"nested metadata", strings.Repeat(`{"metadata":`, size/12), (*Builder).JSON, false},
		{"nested arrays, msgpack", strings.Repeat("\x91", size), (*Builder).Msgpack, false},
		{"maps as keys", deepKeys, (*Builder).Msgpack, false},
		{"arrays as keys", strings.Repeat("\x81\x91", size/2), (*Builder).Msgpack, false},
		{"announced string", "\x81\xdb\xff\xff\xff\xff", (*Builder).Msgpack, false},
		{"null bytes as text, msgpack", "\x82\xa5topic\xa1a\xa1x\xdb\x00\x40\x00\x00" + strings.Repeat("\x00", size), (*Builder).Msgpack, true},
		{"numbers, msgpack", "\x82\xa5topic\xa1a\xa1x\xdd\x00\x40\x00\x00" + strings.Repeat("\x7f", size), (*Builder).Msgpack, true},
		{"escaped keys", `{"topic":"a","x":[` + strings.Repeat(`{"\n":0},`, size/10) + `0]}`, (*Builder).JSON, true},
		{"nils, msgpack", "\x82\xa5topic\xa1a\xa1x\xdd\x00\x40\x00\x00" + strings.Repeat("\xc0", size), (*Builder).Msgpack, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTestBuilder(1)
			b.Reset(testStamp)
			err := c.take(b, []byte(c.body))
			if (err == nil) != c.ok || b.Accepted() != 0 {
				t.Fatalf("error %v, %d accepted, %v", err, b.Accepted(), b.Rejections())
			}
			most := 1 << 20
			if c.name == "many escapes" {
				most = size // unescaped text is the only thing that grows with the body
			}
			if n := b.Capacity(); n > most {
				t.Errorf("the builder holds %d bytes", n)
			}
		})
	}
}

func manyKeys(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, `,"%d":0`, i)
	}
	return s.String()
}

func TestKeysOfOneEventAreBounded(t *testing.T) {
	for _, c := range []struct {
		keys     int
		accepted int
	}{{MaxKeys, 1}, {MaxKeys + 1, 0}} {
		b := newTestBuilder(1)
		b.Reset(testStamp)
		body := `{"topic":"a"` + manyKeys(c.keys) + `}`
		if err := b.JSON([]byte(body)); err != nil || b.Accepted() != c.accepted {
			t.Errorf("%d keys: %v, %d accepted, %v", c.keys, err, b.Accepted(), b.Rejections())
		}
	}
}

func TestKeySetFindsEveryRepetition(t *testing.T) {
	k := newKeySet()
	for round := range 5 {
		if round == 3 {
			k.generation = ^uint32(0) // the next reset wraps
		}
		k.reset()
		a, b, c, d := k.open(), k.open(), k.open(), k.open()
		for i := range 3000 {
			key := []byte(fmt.Sprint("k", i))
			if !k.add(a, key) || !k.add(b, key) || !k.addText(c, key) || !k.addText(d, key) {
				t.Fatalf("round %d: %s is new in all objects", round, key)
			}
		}
		for i := range 3000 {
			key := []byte(fmt.Sprint("k", i))
			if k.add(a, key) || k.add(b, key) || k.addText(c, key) || k.addText(d, key) {
				t.Fatalf("round %d: %s was there in all objects", round, key)
			}
		}
		if k.used != 4*3000 {
			t.Fatalf("round %d: %d keys", round, k.used)
		}
	}
}

func TestSyntaxErrorsSayWhere(t *testing.T) {
	b := newTestBuilder(1)
	b.Reset(testStamp)
	err := b.JSON([]byte("[{\"topic\":\"a\"},\n {\"topic\":\"é\" x}]"))
	var at *SyntaxError
	if !errors.As(err, &at) || at.Line != 2 || at.Column != 15 || err.Error() != "line 2, column 15: want , or }" {
		t.Errorf("%v", err)
	}
	b.Reset(testStamp)
	err = b.Msgpack([]byte("\x81\xa5topic\xc1"))
	if !errors.As(err, &at) || at.Line != 0 || at.Offset != 7 || err.Error() != "byte 7: 0xc1 begins no value" {
		t.Errorf("%v", err)
	}
}

func TestReasonsAreShortAndWhole(t *testing.T) {
	b := newTestBuilder(1)
	b.Reset(testStamp)
	long := strings.Repeat("é", 400)
	if err := b.NDJSON([]byte(`{"topic":"` + long + `"}`)); err != nil {
		t.Fatal(err)
	}
	reason := b.Rejections()[0].Reason
	if len(reason) > 200 || !strings.Contains(reason, "é…") || !json.Valid([]byte(`"`+strings.ReplaceAll(reason, `"`, `\"`)+`"`)) {
		t.Errorf("%q", reason)
	}
}
