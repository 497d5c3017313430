package eventlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

const (
	formatVersion = 1 // of every file of the log; a reader of N reads N and N-1 (there is no 0)

	segmentMagic  = "CRESTSEG"
	segmentFixed  = 76 // header without base offsets and checksum
	segmentSuffix = ".seg"
	tempSuffix    = ".tmp"
)

// header begins a segment. It says where the segment before it ends and what
// it takes over, so the segments are a chain that can be checked link by link,
// and the existence of a segment proves its predecessor complete.
type header struct {
	log    messages.LogID
	number uint64
	// previousEnd is the length of the segment before this one; what lies
	// behind it in that file was never acknowledged, or was copied into this
	// one. 0 for segment 0.
	previousEnd int64
	// synced bytes of this segment were durable before it got its name.
	synced int64
	// stamp is the largest of any frame before this segment.
	stamp messages.Micros
	// salt makes the checksums of two segments differ.
	salt [8]byte
	// base is the next offset of every partition at the segment's first frame.
	base []messages.Offset

	// seed of the frames' checksums: the header's own.
	seed uint32
}

func segmentName(number uint64) string { return fmt.Sprintf("%020d%s", number, segmentSuffix) }

func parseSegmentName(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil
}

func headerSize(partitions int) int64 { return segmentFixed + 8*int64(partitions) + 4 }

// encode also sets h.seed.
func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize(len(h.base)))
	b = append(b, segmentMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, uint32(cap(b)))
	b = append(b, h.log[:]...)
	b = le.AppendUint64(b, h.number)
	b = le.AppendUint64(b, uint64(h.previousEnd))
	b = le.AppendUint64(b, uint64(h.synced))
	b = le.AppendUint64(b, uint64(h.stamp))
	b = append(b, h.salt[:]...)
	b = le.AppendUint32(b, uint32(len(h.base)))
	for _, o := range h.base {
		b = le.AppendUint64(b, uint64(o))
	}
	h.seed = crc32.Checksum(b, castagnoli)
	return le.AppendUint32(b, h.seed)
}

// readHeader reads and checks the header of segment number of the log. The
// error is a *CorruptError if the bytes are at fault.
func readHeader(f persistence.File, number uint64, id *messages.LogIdentity) (*header, error) {
	b := make([]byte, headerSize(id.Partitions))
	name := segmentName(number)
	if err := readFull(f, b, 0); err != nil {
		if errors.Is(err, errShort) {
			return nil, &CorruptError{File: name, Reason: "shorter than its header"}
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	bad := func(reason string) (*header, error) { return nil, &CorruptError{File: name, Reason: reason} }
	if string(b[:8]) != segmentMagic {
		return bad("not a segment")
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return bad(fmt.Sprintf("format version %d: this program reads %d", v, formatVersion))
	}
	seed := crc32.Checksum(b[:len(b)-4], castagnoli)
	if seed != le.Uint32(b[len(b)-4:]) {
		return bad("header checksum")
	}
	h := &header{
		number:      le.Uint64(b[32:]),
		previousEnd: int64(le.Uint64(b[40:])),
		synced:      int64(le.Uint64(b[48:])),
		stamp:       messages.Micros(le.Uint64(b[56:])),
		base:        make([]messages.Offset, id.Partitions),
		seed:        seed,
	}
	copy(h.log[:], b[16:])
	copy(h.salt[:], b[64:])
	for i := range h.base {
		h.base[i] = messages.Offset(le.Uint64(b[segmentFixed+8*i:]))
	}
	switch {
	case h.log != id.ID:
		return bad("it belongs to another log")
	case int(le.Uint32(b[72:])) != id.Partitions || int64(le.Uint32(b[12:])) != int64(len(b)):
		return bad("another number of partitions than the log's")
	case h.number != number:
		return bad(fmt.Sprintf("it is segment %d under another name", h.number))
	case h.synced < int64(len(b)):
		return bad("impossible header")
	}
	return h, nil
}

// makeSegment makes a segment that begins with h. fill, if there is one,
// writes the frames behind the header, h.synced bytes in all, before anybody
// can see the file: it appears complete and durable, or not at all.
func makeSegment(fsys persistence.FS, dir string, h *header, fill func(persistence.File) error) error {
	// crypto/rand.Read never fails.
	_, _ = rand.Read(h.salt[:])
	b := h.encode()
	return makeFile(fsys, dir, segmentName(h.number), func(f persistence.File) error {
		if _, err := f.WriteAt(b, 0); err != nil {
			return err
		}
		if fill != nil {
			return fill(f)
		}
		return nil
	})
}

// makeFile makes a file that appears under its name complete and durable, or
// not at all.
func makeFile(fsys persistence.FS, dir, name string, write func(persistence.File) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make %s: %w", name, err)
		}
	}()
	path := filepath.Join(dir, name)
	f, err := fsys.Create(path + tempSuffix)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

var errShort = errors.New("end of file")

// readFull fills b from at on, or returns errShort if the file ends before.
func readFull(f persistence.File, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || isEOF(err) {
		return errShort
	}
	return err
}
