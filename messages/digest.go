package messages

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/dchest/siphash"
)

// Digest is a state digest: Σ H(topic, category, region, slice) × count
// mod 2^128 over everything counted, with H = SipHash-128 under a fixed public
// key. Sums do not depend on order or grouping, so the same log prefix gives
// the same digest on every node and for everybody who recomputes it.
type Digest struct{ Hi, Lo uint64 }

// The public key of the digest: the ASCII text "crest/digest/v1!".
const (
	digestK0 = 0x69642f7473657263
	digestK1 = 0x2131762f74736567
)

// Add counts an event (or several alike) in: slice is the start of its 5 s
// slice; category and region are the names it counts under, "" for none,
// "other" past the bound. scratch is reused for the hashed bytes and returned.
func (d *Digest) Add(topic, category, region []byte, slice Micros, count uint64, scratch []byte) []byte {
	b := appendBytes(scratch[:0], topic)
	b = appendBytes(b, category)
	b = appendBytes(b, region)
	b = binary.LittleEndian.AppendUint64(b, uint64(slice))
	lo, hi := siphash.Hash128(digestK0, digestK1, b)
	pHi, pLo := bits.Mul64(lo, count)
	pHi += hi * count
	var carry uint64
	d.Lo, carry = bits.Add64(d.Lo, pLo, 0)
	d.Hi, _ = bits.Add64(d.Hi, pHi, carry)
	return b
}

// Sum adds another digest.
func (d *Digest) Sum(o Digest) {
	var carry uint64
	d.Lo, carry = bits.Add64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, o.Hi, carry)
}

// String is the digest as 32 hexadecimal digits, high half first.
func (d Digest) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.Hi)
	binary.BigEndian.PutUint64(b[8:], d.Lo)
	return hex.EncodeToString(b[:])
}
