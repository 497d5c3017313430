package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// ReadLines reads the lines of an NDJSON file, line feeds included; a name that
// ends in .zst is decompressed.
func ReadLines(name string) ([][]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer f.Close()
	r := io.Reader(f)
	if filepath.Ext(name) == ".zst" {
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read events of %s: %w", name, err)
		}
		defer z.Close()
		r = z
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", name, err)
	}
	var lines [][]byte
	for line := range bytes.Lines(text) {
		lines = append(lines, line)
	}
	return lines, nil
}
