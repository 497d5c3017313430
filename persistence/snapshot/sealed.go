package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strconv"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Manifests and roots are a line that states kind, format version and
// checksum, and JSON behind it.

var errChecksum = errors.New("its checksum does not match its bytes")

// seal puts the line before a body.
func seal(kind string, version uint32, body any) ([]byte, error) {
	b, err := json.MarshalIndent(body, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	b = append(b, '\n')
	return append(sealLine(kind, version, b), b...), nil
}

func sealLine(kind string, version uint32, body []byte) []byte {
	line := fmt.Appendf(nil, "crest-%s %d crc32c ", kind, version)
	sum := crc32.Update(crc32.Checksum(line, castagnoli), castagnoli, body)
	return fmt.Appendf(line, "%08x\n", sum)
}

// sealSum is the checksum that a sealed text states.
func sealSum(sealed []byte) uint32 {
	line, _, _ := bytes.Cut(sealed, []byte("\n"))
	sum, err := strconv.ParseUint(string(line[max(0, len(line)-8):]), 16, 32)
	if err != nil {
		panic("snapshot: the text is not sealed")
	}
	return uint32(sum)
}

// unseal checks the line, and the body against it. A version that known does
// not have is refused before the rest is looked at.
func unseal[R any](kind string, sealed []byte, known map[uint32]R) (body []byte, reader R, err error) {
	line, body, _ := bytes.Cut(sealed, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("crest-"+kind+" "))
	if !ok {
		return nil, reader, fmt.Errorf("it is no %s", kind)
	}
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	version, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil {
		return nil, reader, fmt.Errorf("it is no %s", kind)
	}
	reader, ok = known[uint32(version)]
	if !ok {
		return nil, reader, errVersion(uint32(version), known)
	}
	if !bytes.Equal(sealed[:len(line)], bytes.TrimSuffix(sealLine(kind, uint32(version), body), []byte("\n"))) {
		return nil, reader, errChecksum
	}
	return body, reader, nil
}

func errVersion[R any](version uint32, known map[uint32]R) error {
	return fmt.Errorf("it is of format version %d, and this program reads %v", version, slices.Sorted(maps.Keys(known)))
}

// parseBody reads JSON that has the fields of v and nothing else.
func parseBody(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something behind its end")
	}
	return nil
}
