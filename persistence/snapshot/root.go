package snapshot

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// root is one snapshot: what it is of, and which parts it has. It never
// changes once it is written.
type root struct {
	identity
	Key     string          `json:"key"` // its own, in the partition's folder
	Owner   string          `json:"owner"`
	Offset  messages.Offset `json:"offset"`
	Arrival messages.Micros `json:"arrival"`
	Format  uint32          `json:"format"`
	Saved   time.Time       `json:"saved"` // for people only
	Parts   []*part         `json:"parts"` // as they were written
}

// part is named bytes, kept in objects one behind the other.
type part struct {
	Name    string    `json:"name"`
	Raw     int64     `json:"raw"` // bytes
	CRC     uint32    `json:"crc"` // of the raw bytes
	Objects []*object `json:"objects"`
}

// object is one stored object of a part.
type object struct {
	Key  string `json:"key"`  // in the partition's folder
	Size int64  `json:"size"` // bytes as stored, header included
	CRC  uint32 `json:"crc"`  // as its header states it
}

const (
	rootVersion = 1
	maxRoot     = 256 << 20
	// MaxPartName bounds the names of parts, in bytes.
	MaxPartName = 256
)

var rootReaders = map[uint32]func(body []byte) (*root, error){1: readRoot1}

func (r *root) encode() ([]byte, error) { return seal("root", rootVersion, r) }

func decodeRoot(b []byte) (*root, error) {
	body, read, err := unseal("root", b, rootReaders)
	if err != nil {
		return nil, err
	}
	return read(body)
}

func readRoot1(body []byte) (*root, error) {
	r := &root{}
	if err := parseBody(body, r); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	if n, ok := parseName(r.Key); !ok || n.kind != rootKind {
		return nil, fmt.Errorf("its key %q is impossible", r.Key)
	}
	names := map[string]bool{}
	for _, p := range r.Parts {
		if p == nil || checkPartName(p.Name) != nil || names[p.Name] || p.Raw < 0 {
			return nil, fmt.Errorf("its list of parts is impossible")
		}
		names[p.Name] = true
		if p.Raw > int64(len(p.Objects))*MaxObject || (p.Raw == 0) != (len(p.Objects) == 0) {
			return nil, fmt.Errorf("part %q of %d bytes in %d objects is impossible", p.Name, p.Raw, len(p.Objects))
		}
		for _, o := range p.Objects {
			if o == nil || o.Size < objectHeader || o.Size > MaxObject {
				return nil, fmt.Errorf("an object of part %q is impossible", p.Name)
			}
			if n, ok := parseName(o.Key); !ok || n.kind != partKind {
				return nil, fmt.Errorf("object %q of part %q is impossible", o.Key, p.Name)
			}
		}
	}
	return r, nil
}

func checkPartName(name string) error {
	if name == "" || len(name) > MaxPartName || !utf8.ValidString(name) {
		return fmt.Errorf("part name %q: want 1 to %d bytes of UTF-8", name, MaxPartName)
	}
	return nil
}

func (r *root) info() *messages.SnapshotInfo {
	return &messages.SnapshotInfo{Partition: r.Partition, Offset: r.Offset, Arrival: r.Arrival, Format: r.Format}
}

// entry names the root in a manifest, given its encoded form.
func (r *root) entry(encoded []byte) rootEntry {
	e := rootEntry{
		Key: r.Key, Size: int64(len(encoded)), CRC: sealSum(encoded),
		Offset: r.Offset, Arrival: r.Arrival, Format: r.Format, Saved: r.Saved,
	}
	for _, p := range r.Parts {
		for _, o := range p.Objects {
			e.Bytes = min(e.Bytes, math.MaxInt64-o.Size) + o.Size
		}
	}
	return e
}

// same compares what two entries say. Times are equal by the moment.
func (e rootEntry) same(o rootEntry) bool {
	ok := e.Saved.Equal(o.Saved)
	e.Saved = o.Saved
	return ok && e == o
}

// part finds a part by its name; nil without one.
func (r *root) part(name string) *part {
	for _, p := range r.Parts {
		if p.Name == name {
			return p
		}
	}
	return nil
}
