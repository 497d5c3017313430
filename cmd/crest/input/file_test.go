package input_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crestdb/crest/cmd/crest/input"
)

// read takes all events of a source as text: "line: data" or "line! reason".
func read(f *input.File) (events []string, err error) {
	for {
		e, err := f.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		if e.Data == nil {
			events = append(events, fmt.Sprintf("%d! %s", e.Line, e.Reason))
		} else {
			events = append(events, fmt.Sprintf("%d: %s", e.Line, e.Data))
		}
	}
}

func stream(t *testing.T, content string, format input.Format) []string {
	t.Helper()
	f, err := input.Stream(strings.NewReader(content), "-", format)
	if err != nil {
		t.Fatal(err)
	}
	events, err := read(f)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func zipped(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, content string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(content), nil))
}

func TestNDJSONPassesThrough(t *testing.T) {
	long := `{"topic":"` + strings.Repeat("x", 600<<10) + `"}`
	tooLong := `{"topic":"` + strings.Repeat("x", 17<<20) + `"}`
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"lines", "{\"topic\":\"a\"}\n{\"topic\":\"b\"}\n", []string{"1: {\"topic\":\"a\"}\n", "2: {\"topic\":\"b\"}\n"}},
		{"no line feed at the end", "{}\n{}", []string{"1: {}\n", "2: {}\n"}},
		{"blank lines", "\n{}\r\n \t\r\n\n{}\n\n", []string{"2: {}\r\n", "5: {}\n"}},
		{"nonsense stays", "nonsense\n\xff\n", []string{"1: nonsense\n", "2: \xff\n"}},
		{"byte order mark", "\xef\xbb\xbf{}\n", []string{"1: {}\n"}},
		{"empty", "", nil},
		{"longer than a buffer", long + "\n{}\n", []string{"1: " + long + "\n", "2: {}\n"}},
		{"too long", tooLong + "\n{}\n", []string{"1! the line is longer than 16 MiB", "2: {}\n"}},
		{"too long, at the end", "{}\n" + tooLong, []string{"1: {}\n", "2! the line is longer than 16 MiB"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stream(t, c.content, input.NDJSON); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %.200q\nwant %.200q", got, c.want)
			}
		})
	}
}

func TestCSVBecomesNDJSON(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"types", "topic,timestamp,count,category,completed,watch_time_sec\na,1700000000,3,music,true,1.5\nb,2024-01-02T03:04:05Z,x,7,maybe,-\n", []string{
			`2: {"topic":"a","timestamp":1700000000,"count":3,"category":"music","completed":true,"watch_time_sec":1.5}` + "\n",
			`3: {"topic":"b","timestamp":"2024-01-02T03:04:05Z","count":"x","category":"7","completed":"maybe","watch_time_sec":"-"}` + "\n",
		}},
		{"quotes", "video_id,note\n\"a \"\"b\"\", c\",\"two\nlines\"\nd,back\\slash\n", []string{
			`2: {"video_id":"a \"b\", c","note":"two\u000alines"}` + "\n",
			`4: {"video_id":"d","note":"back\\slash"}` + "\n",
		}},
		{"empty values are left out", "topic,region\n,\na,\n", []string{"2: {}\n", "3: {\"topic\":\"a\"}\n"}},
		{"wrong number of fields", "topic,region\na\nb,IN\nc,IN,x\n", []string{
			"2! 1 fields, the first row names 2", "3: {\"topic\":\"b\",\"region\":\"IN\"}\n", "4! 3 fields, the first row names 2",
		}},
		{"a bare quote", "topic\na\"b\nc\n", []string{`2! a quote in a field without quotes; write "a ""b"" c"`, "3: {\"topic\":\"c\"}\n"}},
		{"no UTF-8 stays", "topic\n\xff\n", []string{"2: {\"topic\":\"\xff\"}\n"}},
		{"byte order mark", "\xef\xbb\xbftopic\na\n", []string{"2: {\"topic\":\"a\"}\n"}},
		{"blank lines and CRLF", " topic \r\n\r\na\r\n", []string{"3: {\"topic\":\"a\"}\n"}},
		{"numbers that are none in JSON", "topic,count\na,01\nb,+1\nc,1.\nd,1e5\ne,-0.5E+3\n", []string{
			"2: {\"topic\":\"a\",\"count\":\"01\"}\n", "3: {\"topic\":\"b\",\"count\":\"+1\"}\n", "4: {\"topic\":\"c\",\"count\":\"1.\"}\n",
			"5: {\"topic\":\"d\",\"count\":1e5}\n", "6: {\"topic\":\"e\",\"count\":-0.5E+3}\n",
		}},
		{"header alone", "topic\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stream(t, c.content, input.CSV); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestCSVHeaderMustNameTheFields(t *testing.T) {
	for content, want := range map[string]string{
		"":              "first row must name the fields",
		"id,region\n":   "no field is called topic (or video_id); it has id, region",
		"topic,topic\n": `two fields are called "topic"`,
		"topic,\n":      "a field has no name",
	} {
		if _, err := input.Stream(strings.NewReader(content), "in.csv", input.CSV); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "in.csv: ") {
			t.Errorf("%q: got error %v, want %q", content, err, want)
		}
	}
}

func TestUnclosedQuoteEndsReading(t *testing.T) {
	f, err := input.Stream(strings.NewReader("topic\na\n\"b\nc\n"), "in.csv", input.CSV)
	if err != nil {
		t.Fatal(err)
	}
	events, err := read(f)
	if len(events) != 1 || err == nil || !strings.Contains(err.Error(), "in.csv: line 3") {
		t.Errorf("got %q, error %v", events, err)
	}
}

func pack(t *testing.T, values ...any) string {
	t.Helper()
	var b bytes.Buffer
	for _, v := range values {
		if err := msgpack.NewEncoder(&b).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestMsgpackIsTakenApart(t *testing.T) {
	a := map[string]any{"topic": "a"}
	b := map[string]any{"topic": strings.Repeat("b", 400<<10), "x": []any{1, -1, 1.5, nil, true, []byte("y"), map[string]any{}}}
	many := make([]any, 20)
	for i := range many {
		many[i] = a
	}
	for _, c := range []struct {
		name    string
		content string
		want    []any
	}{
		{"maps", pack(t, a, b, a), []any{a, b, a}},
		{"an array", pack(t, []any{a, b}), []any{a, b}},
		{"both, and empty arrays", pack(t, []any{}, a, []any{}, many, b), append(append([]any{a}, many...), b)},
		{"what is no event passes", pack(t, 1, []any{[]any{a}}), []any{1, []any{a}}},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for i, v := range c.want {
				want = append(want, fmt.Sprintf("%d: %s", i+1, pack(t, v)))
			}
			// Maps have no order: compare what they decode to.
			got := stream(t, c.content, input.Msgpack)
			if len(got) != len(want) {
				t.Fatalf("%d events, want %d", len(got), len(want))
			}
			for i := range got {
				var g, w any
				_, gotData, _ := strings.Cut(got[i], ": ")
				_, wantData, _ := strings.Cut(want[i], ": ")
				if err := msgpack.Unmarshal([]byte(gotData), &g); err != nil {
					t.Fatalf("event %d: %v", i, err)
				}
				if err := msgpack.Unmarshal([]byte(wantData), &w); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(g, w) {
					t.Errorf("event %d: got %v, want %v", i, g, w)
				}
			}
		})
	}
}

func TestMsgpackThatEndsInside(t *testing.T) {
	whole := pack(t, map[string]any{"topic": "a"}, []any{map[string]any{"topic": "b"}, map[string]any{"topic": "c"}})
	clean := map[int]bool{0: true, 9: true, len(whole): true}
	for n := range len(whole) + 1 {
		f, err := input.Stream(strings.NewReader(whole[:n]), "-", input.Msgpack)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(f); (err == nil) != clean[n] {
			t.Errorf("cut at byte %d of %d: error %v", n, len(whole), err)
		}
	}
	for content, want := range map[string]string{
		"\xc1":                 "0xc1",
		"\xdf\xff\xff\xff\xff": "cut off",
		"\xc6\xff\xff\xff\xff": "cut off", // promises 4 GiB
	} {
		f, err := input.Stream(strings.NewReader(content), "-", input.Msgpack)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(f); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "behind event 0") {
			t.Errorf("%q: got error %v", content, err)
		}
	}
}

func TestMsgpackBeyondAllBoundsIsRejected(t *testing.T) {
	deep := strings.Repeat("\x91", 1<<20) + "\xc0"
	huge := "\xc6\x01\x10\x00\x00" + strings.Repeat("x", 0x1100000)
	got := stream(t, "\x81\xa1x"+deep+huge+"\x80", input.Msgpack)
	if len(got) != 3 || len(got[0]) != len("1: ")+3+len(deep) || got[1] != "2! the event is longer than 16 MiB" || got[2] != "3: \x80" {
		t.Errorf("got %.100q", got)
	}
}

func TestCompressedFilesAreReadAsTheyAre(t *testing.T) {
	const content = "{\"topic\":\"a\"}\n{\"topic\":\"b\"}\n"
	want := []string{"1: {\"topic\":\"a\"}\n", "2: {\"topic\":\"b\"}\n"}
	for name, data := range map[string]string{
		"e.ndjson": content, "e.ndjson.gz": zipped(t, content), "e.jsonl.zst": zstandard(t, content), "misnamed.json": zipped(t, content),
		"members.ndjson.gz": zipped(t, content[:14]) + zipped(t, content[14:]),
		"frames.ndjson.zst": zstandard(t, content[:14]) + zstandard(t, content[14:]),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := input.Open(path, "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(f)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, %v", got, err)
			}
			if f.Read() != f.Size() || f.Size() != int64(len(data)) {
				t.Errorf("read %d of %d bytes, want %d", f.Read(), f.Size(), len(data))
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDamagedCompressedFilesSaySo(t *testing.T) {
	content := strings.Repeat("{\"topic\":\"a\"}\n", 1000)
	gz, zst := zipped(t, content), zstandard(t, content)
	for name, data := range map[string]string{
		"cut.ndjson.gz": gz[:len(gz)-6], "cut.ndjson.zst": zst[:len(zst)-6],
		"sum.ndjson.gz": gz[:len(gz)-8] + "12345678", "head.ndjson.gz": gz[:3],
	} {
		t.Run(name, func(t *testing.T) {
			f, err := input.Stream(strings.NewReader(data), name, input.NDJSON)
			if err == nil {
				_, err = read(f)
			}
			if err == nil || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), "get it again") {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestFormatByName(t *testing.T) {
	for path, want := range map[string]input.Format{
		"a.ndjson": input.NDJSON, "a.JSONL": input.NDJSON, "a.json.gz": input.NDJSON, "d/a.csv": input.CSV, "a.CSV.GZ": input.CSV,
		"a.csv.zst": input.CSV, "a.msgpack": input.Msgpack, "a.mpk.zst": input.Msgpack, "a.txt": "", "a": "", "csv": "", "a.gz": "",
	} {
		got, err := input.FormatOf(path)
		if got != want || (err != nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "--format") {
			t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := input.Open(filepath.Join(t.TempDir(), "none.ndjson"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v", err)
	}
}

func FuzzMsgpackBoundaries(f *testing.F) {
	f.Add([]byte("\x81\xa5topic\xa1a"))
	f.Add([]byte("\x92\x80\x81\xa1x\xc7\x01\x05y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := input.Stream(bytes.NewReader(data), "-", input.Msgpack)
		if err != nil {
			return // it looked compressed
		}
		total := 0
		for {
			e, err := file.Next()
			if err != nil {
				break
			}
			total += len(e.Data)
			d := msgpack.NewDecoder(bytes.NewReader(e.Data))
			if err := d.Skip(); err == nil {
				if _, err := d.PeekCode(); !errors.Is(err, io.EOF) {
					t.Fatalf("%x: the library ends earlier", e.Data)
				}
			}
		}
		if total > len(data) {
			t.Fatalf("%d bytes of events from %d", total, len(data))
		}
	})
}
