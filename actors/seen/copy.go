package seen

import (
	"encoding/binary"
	"fmt"
)

// Copy writes a run's bytes, the blocks as they are read and the index as it is
// in memory. A block without its checksum is an error, and is not written.
func Copy(out Writer, r *Run, in ReaderAt) error {
	buf := make([]byte, chunkBlocks*BlockBytes)
	for b := 0; b < len(r.fences); {
		end := min(b+chunkBlocks, len(r.fences))
		chunk, err := r.chunk(b, end, in, buf)
		if err != nil {
			return err
		}
		if _, err := out.Write(chunk); err != nil {
			return err
		}
		b = end
	}
	return r.writeIndex(out, buf)
}

// chunk reads blocks from b to end and checks them.
func (h Header) chunk(b, end int, in ReaderAt, buf []byte) ([]byte, error) {
	_, _, last := h.place(end - 1)
	buf = buf[:(end-1-b)*BlockBytes+last]
	if n, err := in.ReadAt(buf, int64(b)*BlockBytes); n < len(buf) {
		return nil, fmt.Errorf("read %d blocks of run %s from %d on: %w", end-b, h.Name(), b, err)
	}
	for i := b; i < end; i++ {
		if _, err := h.checked(i, buf[(i-b)*BlockBytes:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// writeIndex writes the fences, the filter and their checksum.
func (r *Run) writeIndex(out Writer, buf []byte) error {
	check := uint32(len(r.fences))
	for _, words := range [...][]uint64{r.fences, r.filter} {
		for len(words) > 0 {
			n := min(len(words), cap(buf)/8)
			buf = buf[:0]
			for _, w := range words[:n] {
				buf = binary.LittleEndian.AppendUint64(buf, w)
			}
			words, check = words[n:], sum(int(check), buf)
			if _, err := out.Write(buf); err != nil {
				return err
			}
		}
	}
	_, err := out.Write(binary.LittleEndian.AppendUint32(buf[:0], check))
	return err
}
