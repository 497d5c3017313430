package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zstded compresses as a stream, so the frame does not tell its size; whole
// frames do.
func zstded(t *testing.T, body string, whole bool) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if whole {
		return string(w.EncodeAll([]byte(body), nil))
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedBodiesAreRead(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("{\"topic\":\"abcdefgh\"}\n", n) }
	for _, n := range []int{1, 300, 3000} {
		it := newIngestTest(t, nil)
		body := lines(n)
		for name, re := range map[string]reply{
			"as it is":    it.send(eventsPath, body, typeHeader, ndjsonBody, "Content-Encoding", "identity"),
			"gzip":        it.send(eventsPath, gzipped(t, body), typeHeader, ndjsonBody, "Content-Encoding", "gzip"),
			"two members": it.send(eventsPath, gzipped(t, body[:7])+gzipped(t, body[7:]), typeHeader, ndjsonBody, "Content-Encoding", "GZIP"),
			"zstd":        it.send(eventsPath, zstded(t, body, true), typeHeader, ndjsonBody, "Content-Encoding", "zstd"),
			"zstd stream": it.send(eventsPath, zstded(t, body, false), typeHeader, ndjsonBody, "Content-Encoding", "zstd"),
			"two frames":  it.send(eventsPath, zstded(t, body[:7], true)+zstded(t, body[7:], true), typeHeader, ndjsonBody, "Content-Encoding", "zstd"),
		} {
			if re.status != 200 || re.fields["accepted"] != float64(n) {
				t.Errorf("%d events, %s: %d %.200s", n, name, re.status, re.body)
			}
		}
	}
}

func TestBrokenCompressionIsRefused(t *testing.T) {
	body := strings.Repeat(`{"topic":"abc"}`+"\n", 100)
	packed, packedZ := gzipped(t, body), zstded(t, body, true)
	damaged := []byte(packed)
	damaged[len(damaged)-6] ^= 1 // its checksum
	damagedZ := []byte(packedZ)
	damagedZ[len(damagedZ)-2] ^= 1
	for _, c := range []struct{ name, encoding, body, detail string }{
		{"truncated gzip", "gzip", packed[:len(packed)-3], "ends too early"},
		{"half a gzip header", "gzip", packed[:5], "ends too early"},
		{"nothing as gzip", "gzip", "", "ends too early"},
		{"damaged gzip", "gzip", string(damaged), "is broken"},
		{"gzip with garbage behind it", "gzip", packed + "garbage that is longer than a header", "something follows it"},
		{"text as gzip", "gzip", body, "is broken"},
		{"truncated zstd", "zstd", packedZ[:len(packedZ)-3], "ends too early"},
		{"damaged zstd", "zstd", string(damagedZ), "is broken"},
		{"zstd with garbage behind it", "zstd", packedZ + "garbage that is longer than a header", "something follows it"},
		{"text as zstd", "zstd", body, "is broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			re := it.send(eventsPath, c.body, typeHeader, ndjsonBody, "Content-Encoding", c.encoding)
			if re.status != 400 || !strings.Contains(re.fields["detail"].(string), c.detail) || it.node.frameCount() != 0 {
				t.Fatalf("%d %s", re.status, re.body)
			}
		})
	}
}

func TestZstdWindowOverTheLimitIsRefused(t *testing.T) {
	it := newIngestTest(t, nil)
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, `{"topic":"a"}`)
	_ = w.Flush() // so that the header cannot know how little comes
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	re := it.send(eventsPath, b.String(), typeHeader, jsonBody, "Content-Encoding", "zstd")
	if re.status != 400 || !strings.Contains(re.body, "--long") {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

func TestBodiesOverTheLimitAreRefused(t *testing.T) {
	event := `{"topic":"a"}`
	exact := event + strings.Repeat(" ", 64<<10-len(event))
	random := make([]byte, 100<<10)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(random)
	for _, c := range []struct {
		name, encoding, body string
		status               int
	}{
		{"as much as allowed", "", exact, 200},
		{"a byte more", "", exact + " ", 413},
		{"as much as allowed, gzip", "gzip", gzipped(t, exact), 200},
		{"a byte more, gzip", "gzip", gzipped(t, exact+" "), 413},
		{"as much as allowed, zstd", "zstd", zstded(t, exact, true), 200},
		{"as much as allowed, zstd stream", "zstd", zstded(t, exact, false), 200},
		{"a byte more, zstd", "zstd", zstded(t, exact+" ", true), 413},
		{"a byte more, zstd stream", "zstd", zstded(t, exact+" ", false), 413},
		{"gzip bomb", "gzip", gzipped(t, strings.Repeat(" ", 16<<20)), 413},
		{"zstd bomb", "zstd", zstded(t, strings.Repeat(" ", 16<<20), true), 413},
		{"zstd stream bomb", "zstd", zstded(t, strings.Repeat(" ", 16<<20), false), 413},
		{"larger compressed than allowed", "zstd", zstded(t, string(random), true), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := newIngestTest(t, nil)
			it.in.budget.wait = 10 * time.Second // there must be no need to wait
			r := httptest.NewRequest(http.MethodPost, eventsPath, strings.NewReader(c.body))
			r.ContentLength = -1
			r.Header.Set(typeHeader, jsonBody)
			if c.encoding != "" {
				r.Header.Set("Content-Encoding", c.encoding)
			}
			re := it.do(r)
			if re.status != c.status {
				t.Fatalf("%d %s", re.status, re.body)
			}
			if c.status == 413 && re.fields["limit"] != float64(64<<10) {
				t.Fatalf("limit %v", re.fields["limit"])
			}
		})
	}
}

// brokenReader fails the test when it is read, or fails itself.
type brokenReader struct {
	t   *testing.T
	err error
}

func (r brokenReader) Read([]byte) (int, error) {
	if r.err == nil {
		r.t.Error("the body was read")
		return 0, io.EOF
	}
	return 0, r.err
}

func TestAnnouncedLengthOverTheLimitIsRefusedUnread(t *testing.T) {
	it := newIngestTest(t, nil)
	r := httptest.NewRequest(http.MethodPost, eventsPath, brokenReader{t: t})
	r.ContentLength = 64<<10 + 1
	if re := it.do(r); re.status != 413 {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

func TestCutOffBodyIsRefused(t *testing.T) {
	it := newIngestTest(t, nil)
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		r := httptest.NewRequest(http.MethodPost, eventsPath, io.MultiReader(strings.NewReader("\x1f\x8b"), brokenReader{t, errors.New("connection reset")}))
		r.Header.Set("Content-Encoding", encoding)
		if re := it.do(r); re.status != 400 || !strings.Contains(re.body, "connection reset") {
			t.Fatalf("%s: %d %s", encoding, re.status, re.body)
		}
	}
}

// A slow sender must hold what it has sent, not what it has announced.
func TestSlowBodyTakesFromTheBudgetWhatHasArrived(t *testing.T) {
	it := newIngestTest(t, nil)
	body, sender := io.Pipe()
	r := httptest.NewRequest(http.MethodPost, eventsPath, body)
	r.ContentLength = 60 << 10
	done := make(chan reply)
	go func() { done <- it.do(r) }()
	if _, err := io.WriteString(sender, `{"topic":`); err != nil {
		t.Fatal(err)
	}
	if used := it.in.budget.inFlight(); used != 4<<10 {
		t.Errorf("%d bytes taken for 9", used)
	}
	if _, err := io.WriteString(sender, `"a"}`); err != nil {
		t.Fatal(err)
	}
	sender.Close()
	if re := <-done; re.status != 200 {
		t.Fatalf("%d %s", re.status, re.body)
	}
}

func TestFullBudgetRefusesBodies(t *testing.T) {
	it := newIngestTest(t, nil)
	it.in.budget.force(1 << 20)
	re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody)
	it.in.budget.give(1 << 20)
	if re.status != 429 || re.header.Get("Retry-After") != "1" || it.node.frameCount() != 0 {
		t.Fatalf("%d %s", re.status, re.body)
	}
	if s := it.in.Stats(); s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestSniff(t *testing.T) {
	for body, want := range map[string]media{
		"":                                    mediaJSON,
		`{"topic":"a"}`:                       mediaJSON,
		"{\"topic\":\"a\"}\n":                 mediaJSON,
		"{\n \"topic\": \"a\"\n}":             mediaJSON,
		"{\"metadata\":{}\n,\"topic\":\"a\"}": mediaJSON,
		"[{\"topic\":\"a\"},\n{\"topic\":\"b\"}]":  mediaJSON,
		"{\"topic\":\"a\"}\n{\"topic\":\"b\"}":     mediaNDJSON,
		"\xef\xbb\xbf\n {\"topic\":\"a\"} \r\n\n{": mediaNDJSON,
		"\x81\xa5topic\xa1a":                       mediaMsgpack,
		"\x91\x81\xa5topic\xa1a":                   mediaMsgpack,
		"\xdc\x00\x01\x81\xa5topic\xa1a":           mediaMsgpack,
	} {
		if got := sniff([]byte(body)); got != want {
			t.Errorf("%q: %d, want %d", body, got, want)
		}
	}
}
