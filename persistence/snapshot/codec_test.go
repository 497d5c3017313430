package snapshot

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
)

var testNonce = nonce{1, 2, 3, 4, 5, 6, 7, 8}

// examples are the objects of FORMAT.md.
func examples(t testing.TB) (manifestText, rootText, objectBytes []byte) {
	t.Helper()
	id := identityOf(testLog(), 2)
	name := objectName{epoch: 3, nonce: testNonce, seq: 1, kind: partKind}
	raw := bytes.Repeat([]byte("views "), 20)
	objectBytes, sum := encodeObject(nil, objectID{id.Log, id.Partition, name}, raw, newEncoder(1))
	name.kind, name.seq = rootKind, 2
	r := &root{
		identity: id, Key: name.String(), Owner: "node-a", Offset: 1000, Arrival: 1_700_000_000_000_000, Format: 1, Saved: testTime,
		Parts: []*part{{Name: "rows", Raw: int64(len(raw)), CRC: crc32.Checksum(raw, castagnoli), Objects: []*object{
			{Key: objectName{3, testNonce, 1, partKind}.String(), Size: int64(len(objectBytes)), CRC: sum},
		}}},
	}
	rootText, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	m := &manifest{
		identity: id, Epoch: 3, Nonce: testNonce, Owner: "node-a", Write: 2, Written: testTime,
		Roots: []rootEntry{r.entry(rootText)}, Cursors: map[string]uint64{"history": 900},
	}
	manifestText, err = m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return manifestText, rootText, objectBytes
}

func TestTheFormatIsTheDocumentedOne(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	m, r, o := examples(t)
	for what, text := range map[string]string{"manifest": string(m), "root": string(r), "part": hexLines(o)} {
		if !strings.Contains(string(doc), "```\n"+text+"```\n") {
			t.Errorf("FORMAT.md does not have this %s:\n%s", what, text)
		}
	}
}

func hexLines(b []byte) string {
	var lines strings.Builder
	for len(b) > 0 {
		n := min(len(b), 32)
		for i := 0; i < n; i += 8 {
			if i > 0 {
				lines.WriteByte(' ')
			}
			lines.WriteString(hex.EncodeToString(b[i:min(i+8, n)]))
		}
		lines.WriteByte('\n')
		b = b[n:]
	}
	return lines.String()
}

// sealedAs is a text with a right checksum, whatever is in it.
func sealedAs(kind string, version uint32, body string) []byte {
	return append(sealLine(kind, version, []byte(body)), body...)
}

// TestImpossibleContentsAreRefused: a right checksum does not make them possible.
func TestImpossibleContentsAreRefused(t *testing.T) {
	m, r, _ := examples(t)
	body := func(b []byte) string { _, body, _ := strings.Cut(string(b), "\n"); return body }
	for _, c := range []struct{ kind, old, new string }{
		{"manifest", `"partitions": 4`, `"partitions": 2`},
		{"manifest", `"partitions": 4`, `"partitions": 2000`},
		{"manifest", `"epoch": 3`, `"epoch": 0`},
		{"manifest", `"epoch": 3`, `"epoch": -3`},
		{"manifest", `"0102030405060708"`, `"01020304050607"`},
		{"manifest", `0000000003-`, `03-`},
		{"manifest", `000002.root`, `000002.part`},
		{"manifest", `0000000003-`, `../0001/0000000003-`},
		{"manifest", `"owner"`, `"owners"`},
		{"manifest", "\n}\n", "\n}\n{}"},
		{"manifest", `"size": `, `"size": -`},
		{"root", `000002.root`, `000002.part`},
		{"root", `000001.part`, `000001.root`},
		{"root", `000001.part`, `000001.part/x`},
		{"root", `"name": "rows"`, `"name": ""`},
		{"root", `"raw": 120`, `"raw": 99999999999`},
		{"root", `"raw": 120`, `"raw": -1`},
		{"root", `"raw": 120`, `"raw": 0`},
		{"root", `"size": `, `"size": 9999999`},
		{"root", `"parts": [`, `"parts": [null, `},
		{"root", `"objects": [`, `"objects": [null, `},
		{"root", `"partition": 2`, `"partition": 4`},
	} {
		text := body(m)
		if c.kind == "root" {
			text = body(r)
		}
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s has no %s:\n%s", c.kind, c.old, text)
		}
		changed := sealedAs(c.kind, 1, strings.Replace(text, c.old, c.new, 1))
		var err error
		if c.kind == "root" {
			_, err = decodeRoot(changed)
		} else {
			_, err = decodeManifest(changed)
		}
		if err == nil {
			t.Errorf("a %s with %s instead of %s is taken", c.kind, c.new, c.old)
		}
	}
	twice := strings.Replace(body(r), `"parts": [`, `"parts": [{"name": "rows", "raw": 0, "crc": 0, "objects": []}, `, 1)
	if _, err := decodeRoot(sealedAs("root", 1, twice)); err == nil {
		t.Error("a root with a part twice is taken")
	}
	if _, err := decodeManifest(sealedAs("manifest", 2, body(m))); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a manifest of version 2: %v", err)
	}
}

// TestTheVersionBeforeIsRead: a reader per version, chosen by what the object
// states.
func TestTheVersionBeforeIsRead(t *testing.T) {
	m, r, o := examples(t)
	_, mBody, _ := bytes.Cut(m, []byte("\n"))
	_, rBody, _ := bytes.Cut(r, []byte("\n"))
	defer func() {
		delete(manifestReaders, 0)
		delete(rootReaders, 0)
		delete(objectReaders, 0)
	}()
	manifestReaders[0] = func(b []byte) (*manifest, error) { m, err := readManifest1(b); return m, err }
	rootReaders[0] = func(b []byte) (*root, error) { r, err := readRoot1(b); return r, err }
	objectReaders[0] = readObject1
	if m, err := decodeManifest(sealedAs("manifest", 0, string(mBody))); err != nil || m.Epoch != 3 {
		t.Errorf("manifest: %v", err)
	}
	if r, err := decodeRoot(sealedAs("root", 0, string(rBody))); err != nil || r.Offset != 1000 {
		t.Errorf("root: %v", err)
	}
	le.PutUint32(o[8:], 0)
	le.PutUint32(o[68:], objectSum(o))
	id := objectID{hexID(testLog().ID), 2, objectName{3, testNonce, 1, partKind}}
	if _, err := decodeObject(nil, o, id, newDecoder(1)); err != nil {
		t.Errorf("part: %v", err)
	}
	le.PutUint32(o[8:], 7)
	if _, err := decodeObject(nil, o, id, newDecoder(1)); err == nil || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("a part of version 7: %v", err)
	}
}

func TestNamesAreReadBack(t *testing.T) {
	for _, n := range []objectName{{1, testNonce, 1, rootKind}, {1<<64 - 1, nonce{}, 1<<64 - 1, partKind}} {
		if got, ok := parseName(n.String()); !ok || got != n {
			t.Errorf("%v is read as %v", n, got)
		}
	}
	for _, s := range []string{
		"", "manifest", "0000000001-0102030405060708-000001", "0000000001-0102030405060708-000001.tmp",
		"1-0102030405060708-000001.part", "0000000001-010203040506070A-000001.part", "0000000001-0102030405060708-+00001.part",
		"0000000001-0102030405060708-000001.part.part", "0000000001-0102030405060708-1-1.part",
	} {
		if n, ok := parseName(s); ok {
			t.Errorf("%q is read as %v", s, n)
		}
	}
	log := testLog().ID
	if l, p, name, ok := parseFolder(folderOf(log, 1023) + "x"); !ok || l != log || p != 1023 || name != "x" {
		t.Error(l, p, name, ok)
	}
	for _, s := range []string{"", "a/b/c", folderOf(log, 1024) + "x", strings.ToUpper(folderOf(log, 1)) + "x", folderOf(log, 1) + "x/y"} {
		if _, _, _, ok := parseFolder(s); ok {
			t.Errorf("%q is read as a partition's", s)
		}
	}
}

func FuzzManifest(f *testing.F) {
	m, r, _ := examples(f)
	f.Add(m)
	f.Add(r)
	f.Add(m[:50])
	_, body, _ := bytes.Cut(m, []byte("\n"))
	f.Add(body)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeManifest(b)
		m, err := decodeManifest(sealedAs("manifest", 1, string(b)))
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			return // a time that JSON does not have
		}
		back, err := decodeManifest(again)
		if err != nil || fmt.Sprint(back) != fmt.Sprint(m) {
			t.Errorf("%v reads %v: %v", m, back, err)
		}
	})
}

func FuzzRoot(f *testing.F) {
	_, r, _ := examples(f)
	f.Add(r)
	_, body, _ := bytes.Cut(r, []byte("\n"))
	f.Add(body)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeRoot(b)
		r, err := decodeRoot(sealedAs("root", 1, string(b)))
		if err != nil {
			return
		}
		if again, err := r.encode(); err == nil {
			back, err := decodeRoot(again)
			if err != nil || back.Key != r.Key || len(back.Parts) != len(r.Parts) || !back.entry(again).same(r.entry(again)) {
				t.Errorf("%v reads %v: %v", r, back, err)
			}
		}
	})
}

func FuzzObject(f *testing.F) {
	_, _, o := examples(f)
	f.Add(o)
	f.Add(o[:objectHeader])
	id := objectID{hexID(testLog().ID), 2, objectName{3, testNonce, 1, partKind}}
	enc, dec := newEncoder(1), newDecoder(1)
	plain, _ := encodeObject(nil, id, []byte("x"), enc)
	f.Add(plain)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeObject(nil, b, id, dec)
		// With a right header around them the bytes get as far as the codec.
		if len(b) >= objectHeader {
			c := bytes.Clone(b)
			copy(c, objectMagic)
			le.PutUint32(c[8:], 1)
			le.PutUint32(c[64:], uint32(len(c)-objectHeader))
			copy(c[16:64], o[16:64])
			le.PutUint32(c[36:], le.Uint32(b[36:]))
			le.PutUint32(c[68:], objectSum(c))
			raw, err := decodeObject(nil, c, id, dec)
			if err == nil && (len(raw) > MaxObject || len(raw) != int(le.Uint32(c[36:]))) {
				t.Errorf("%d bytes of %d", len(raw), le.Uint32(c[36:]))
			}
		}
		stored, sum := encodeObject(nil, id, b, enc)
		back, err := decodeObject(nil, stored, id, dec)
		if err != nil || !bytes.Equal(back, b) || sum != le.Uint32(stored[68:]) || len(stored) > len(b)+objectHeader {
			t.Errorf("%d bytes come back as %d: %v", len(b), len(back), err)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add(folderOf(testLog().ID, 3)+objectName{3, testNonce, 1, partKind}.String(), "0000000001-0102030405060708-000001.root")
	f.Fuzz(func(t *testing.T, key, name string) {
		if log, p, rest, ok := parseFolder(key); ok && folderOf(log, p)+rest != key {
			t.Errorf("%q is read as %v %d %q", key, log, p, rest)
		}
		if n, ok := parseName(name); ok && n.String() != name {
			t.Errorf("%q is read as %v", name, n)
		}
	})
}
