package objectstore

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/crestdb/crest/persistence"
)

const (
	headerMagic   = "CRESTOBJ"
	headerFormat  = 1
	headerBytes   = 40
	headerChecked = 36 // bytes before the checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header stands before the body in an object's file: FORMAT.md.
type header struct {
	nonce [16]byte
	size  int64 // of the body
	sum   uint32
}

// newHeader is that of a state that has never been before.
func newHeader(key string, body []byte) header {
	h := header{size: int64(len(body))}
	_, _ = rand.Read(h.nonce[:]) // never fails
	b := h.encode()
	h.sum = headerSum(b[:headerChecked], key)
	return h
}

func (h *header) version() Version {
	if *h == (header{}) {
		return ""
	}
	return Version(hex.EncodeToString(h.nonce[:]))
}

// headerSum covers the key as well: a file under another object's name is
// none.
func headerSum(checked []byte, key string) uint32 {
	return crc32.Update(crc32.Checksum(checked, castagnoli), castagnoli, []byte(key))
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, headerMagic...)
	b = binary.LittleEndian.AppendUint32(b, headerFormat)
	b = append(b, h.nonce[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.size))
	return binary.LittleEndian.AppendUint32(b, h.sum)
}

func decodeHeader(b []byte, key string) (header, error) {
	var h header
	if len(b) != headerBytes || string(b[:8]) != headerMagic {
		return h, fmt.Errorf("%w: not an object's file", ErrDamaged)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != headerFormat {
		return h, fmt.Errorf("format version %d: this program reads %d", v, headerFormat)
	}
	sum := binary.LittleEndian.Uint32(b[headerChecked:])
	if sum != headerSum(b[:headerChecked], key) {
		return h, fmt.Errorf("%w: the header does not fit its checksum, or is another object's", ErrDamaged)
	}
	copy(h.nonce[:], b[12:])
	h.size, h.sum = int64(binary.LittleEndian.Uint64(b[28:])), sum
	return h, nil
}

// readHeader reads a file's header and refuses a file that is not as long as
// it says.
func readHeader(f persistence.File, key string) (header, error) {
	size, err := f.Size()
	if err != nil {
		return header{}, err
	}
	b := make([]byte, min(size, headerBytes))
	if err := readFull(f, b, 0); err != nil {
		return header{}, err
	}
	h, err := decodeHeader(b, key)
	if err == nil && h.size != size-headerBytes {
		err = fmt.Errorf("%w: %d bytes of %d are there", ErrDamaged, size-headerBytes, h.size)
	}
	if err != nil {
		return header{}, err
	}
	return h, nil
}

// readFull fills b from an offset on.
func readFull(f io.ReaderAt, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
