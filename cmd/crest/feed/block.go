package feed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/crestdb/crest/cmd/crest/input"
)

// maxBlockBytes ends a block before its number of events does, so that it
// stays well below a node's limit. Changing it moves the blocks' boundaries: a
// new progressVersion.
const maxBlockBytes = 4 << 20

// Block is what one request carries. Immutable once a Source has handed it
// over.
type Block struct {
	Number int // from 0
	Key    string
	Body   []byte  // what a request carries
	Lines  []int64 // where each event begins in its file
	start  int     // where the first event begins in Body
	ends   []int   // where each event ends in Body

	Rejected []Rejection // by the reader
}

// Rejection is an event that was not taken.
type Rejection struct {
	Line   int64
	Reason string
	Event  []byte // as it was sent; nil if it was not
	// More is how many further events up to LastLine were rejected without a
	// reason: a node names the first 100 of a request. Then Line is where they
	// may begin.
	More     int
	LastLine int64
}

// Events is the number of events, those rejected by the reader included.
func (b *Block) Events() int { return len(b.Lines) + len(b.Rejected) }

// Event is event i of the body.
func (b *Block) Event(i int) []byte {
	start := b.start
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.Body[start:b.ends[i]]
}

// Range is the first and the last line of the block.
func (b *Block) Range() (first, last int64) {
	if n := len(b.Lines); n > 0 {
		first, last = b.Lines[0], b.Lines[n-1]
	}
	if n := len(b.Rejected); n > 0 {
		if first == 0 || b.Rejected[0].Line < first {
			first = b.Rejected[0].Line
		}
		last = max(last, b.Rejected[n-1].Line)
	}
	return first, last
}

// packHead is the head of a msgpack array with a length of 32 bits. Several
// maps in an array are a batch however few they are.
const packHead = 0xdd

// newBlock is an empty block.
func newBlock(number int, f input.Format) *Block {
	b := &Block{Number: number}
	if f == input.Msgpack {
		b.Body = append(b.Body, packHead, 0, 0, 0, 0)
		b.start = len(b.Body)
	}
	return b
}

// finish completes the body and gives the block its key.
func (b *Block) finish(id Identity) {
	if b.start > 0 {
		binary.BigEndian.PutUint32(b.Body[1:], uint32(len(b.Lines)))
	}
	b.Key = id.key(b.Number, b.Body)
}

// add appends an event.
func (b *Block) add(data []byte, line int64) {
	b.Body = append(b.Body, data...)
	b.Lines = append(b.Lines, line)
	b.ends = append(b.ends, len(b.Body))
}

// Identity tells one feeding from every other; keys follow from it.
type Identity [sha256.Size]byte

// RandomIdentity is that of a feeding which nobody can resume.
func RandomIdentity() Identity {
	var id Identity
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Fingerprint tells a file from others by its size and its ends.
type Fingerprint struct {
	Size int64  `json:"size"`
	Hash string `json:"sha256_of_ends"`
}

// FingerprintOf reads the first and last 64 KiB of a file.
func FingerprintOf(path string) (Fingerprint, error) {
	f, err := os.Open(path)
	if err != nil {
		return Fingerprint{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Fingerprint{}, err
	}
	if !info.Mode().IsRegular() {
		return Fingerprint{}, fmt.Errorf("%s is not a regular file", path)
	}
	const end = 64 << 10
	h := sha256.New()
	for _, part := range []*io.SectionReader{
		io.NewSectionReader(f, 0, end),
		io.NewSectionReader(f, max(0, info.Size()-end), end),
	} {
		if _, err := io.Copy(h, part); err != nil {
			return Fingerprint{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return Fingerprint{Size: info.Size(), Hash: hex.EncodeToString(h.Sum(nil))}, nil
}

// key is the Idempotency-Key of a block.
func (id Identity) key(number int, body []byte) string {
	content := sha256.Sum256(body)
	b := append(id[:], content[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	sum := sha256.Sum256(b)
	return "crest-" + hex.EncodeToString(sum[:16])
}

// Cutter cuts a file into blocks: a Source whose blocks follow from the file
// and Events alone.
type Cutter struct {
	File     *input.File
	Identity Identity
	Events   int // a block

	number int
	done   bool
}

// Next is the next block, io.EOF behind the last one.
func (c *Cutter) Next(context.Context) (*Block, error) {
	if c.done {
		return nil, io.EOF
	}
	b := newBlock(c.number, c.File.Format())
	for b.Events() < c.Events && len(b.Body) < maxBlockBytes {
		e, err := c.File.Next()
		if errors.Is(err, io.EOF) {
			c.done = true
			break
		}
		if err != nil {
			return nil, err
		}
		if e.Data == nil {
			b.Rejected = append(b.Rejected, Rejection{Line: e.Line, Reason: e.Reason})
		} else {
			b.add(e.Data, e.Line)
		}
	}
	if b.Events() == 0 {
		return nil, io.EOF
	}
	c.number++
	b.finish(c.Identity)
	return b, nil
}
