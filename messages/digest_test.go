package messages_test

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

// counted is one term of a digest.
type counted struct {
	topic, category, region string
	slice                   messages.Micros
	count                   uint64
}

func anyCounted() *rapid.Generator[counted] {
	return rapid.Custom(func(t *rapid.T) counted {
		return counted{
			topic:    rapid.StringN(1, 20, -1).Draw(t, "topic"),
			category: rapid.SampledFrom([]string{"", "music", messages.OtherName}).Draw(t, "category"),
			region:   rapid.SampledFrom([]string{"", "IN"}).Draw(t, "region"),
			slice:    messages.Micros(rapid.Int64().Draw(t, "moment") / 2).Floor(messages.SliceLength),
			count:    rapid.Uint64().Draw(t, "count"),
		}
	})
}

// TestDigestAgainstFormat recomputes digests as FORMAT.md words it, in
// unbounded integers and with a SipHash of its own.
func TestDigestAgainstFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(anyCounted(), 0, 20).Draw(t, "events")
		var d messages.Digest
		var scratch []byte
		sum := new(big.Int)
		for _, e := range events {
			scratch = d.Add([]byte(e.topic), []byte(e.category), []byte(e.region), e.slice, e.count, scratch)
			sum.Add(sum, new(big.Int).Mul(hashOfFormat(e), new(big.Int).SetUint64(e.count)))
		}
		sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 128))
		if want := fmt.Sprintf("%032x", sum); d.String() != want {
			t.Fatalf("got %s, want %s for %+v", d, want, events)
		}
	})
}

// TestDigestIgnoresOrderAndGrouping: parts added up in any order, and counts
// split in two, give the same digest.
func TestDigestIgnoresOrderAndGrouping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(anyCounted(), 1, 20).Draw(t, "events")
		shuffled := rapid.Permutation(events).Draw(t, "order")
		var whole messages.Digest
		for _, e := range events {
			whole.Add([]byte(e.topic), []byte(e.category), []byte(e.region), e.slice, e.count, nil)
		}
		parts := make([]messages.Digest, 3)
		for i, e := range shuffled {
			some := e.count / 3
			parts[i%3].Add([]byte(e.topic), []byte(e.category), []byte(e.region), e.slice, some, nil)
			parts[(i+1)%3].Add([]byte(e.topic), []byte(e.category), []byte(e.region), e.slice, e.count-some, nil)
		}
		var sum messages.Digest
		for _, p := range parts {
			sum.Sum(p)
		}
		if sum != whole {
			t.Fatalf("got %s, want %s", sum, whole)
		}
	})
}

// TestDigestFieldsAreSeparate: bytes moved from one field to the next are
// another event.
func TestDigestFieldsAreSeparate(t *testing.T) {
	seen := map[messages.Digest]counted{}
	for _, e := range []counted{
		{"ab", "", "", 0, 1}, {"a", "b", "", 0, 1}, {"a", "", "b", 0, 1}, {"", "ab", "", 0, 1},
		{"ab", "", "", messages.SliceLength, 1}, {"ab", "", "", -messages.SliceLength, 1}, {"ab", "", "", 0, 2},
	} {
		var d messages.Digest
		d.Add([]byte(e.topic), []byte(e.category), []byte(e.region), e.slice, e.count, nil)
		if other, ok := seen[d]; ok {
			t.Errorf("%+v and %+v have the same digest", e, other)
		}
		seen[d] = e
	}
}

// TestDigestExample is the example of FORMAT.md.
func TestDigestExample(t *testing.T) {
	var d messages.Digest
	d.Add([]byte("worldcup2025"), []byte("sports"), []byte("IN"), 1_764_000_000*messages.Second, 3, nil)
	const want = "a618d66a2bad8a3b78a8cbd550ccef47"
	if d.String() != want {
		t.Errorf("got %s, want %s", d, want)
	}
}

func hashOfFormat(e counted) *big.Int {
	var b []byte
	for _, field := range []string{e.topic, e.category, e.region} {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(e.slice))
	first, second := sipHash128([]byte("crest/digest/v1!"), b)
	h := new(big.Int).SetUint64(second)
	return h.Or(h.Lsh(h, 64), new(big.Int).SetUint64(first))
}

// sipHash128 is SipHash-2-4 with 128 bits of output (Aumasson & Bernstein
// 2012), written from the paper and its reference code; first is the little
// end of the output.
func sipHash128(key, data []byte) (first, second uint64) {
	k0, k1 := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[3]
			v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
			v[0] += v[3]
			v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
			v[2] += v[1]
			v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	absorb := func(m uint64) {
		v[3] ^= m
		rounds(2)
		v[0] ^= m
	}
	length := len(data)
	for ; len(data) >= 8; data = data[8:] {
		absorb(binary.LittleEndian.Uint64(data))
	}
	var last [8]byte
	copy(last[:], data)
	last[7] = byte(length)
	absorb(binary.LittleEndian.Uint64(last[:]))
	v[2] ^= 0xee
	rounds(4)
	first = v[0] ^ v[1] ^ v[2] ^ v[3]
	v[1] ^= 0xdd
	rounds(4)
	return first, v[0] ^ v[1] ^ v[2] ^ v[3]
}

func BenchmarkDigestAdd(b *testing.B) {
	topic, category, region := []byte("dQw4w9WgXcQ"), []byte("Music"), []byte("IN")
	var d messages.Digest
	var scratch []byte
	b.ReportAllocs()
	for b.Loop() {
		scratch = d.Add(topic, category, region, 1_764_000_000*messages.Second, 1, scratch)
	}
}
