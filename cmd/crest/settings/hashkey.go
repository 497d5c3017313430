package settings

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// HashKey reads the secret of --hash-key-file: 32 bytes as they are, or 64
// hexadecimal digits on a line. It is nil if there is no such file.
func (s *Settings) HashKey() (*[32]byte, error) {
	if s.HashKeyFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(s.HashKeyFile)
	if err != nil {
		return nil, fmt.Errorf("hash-key-file: %w", err)
	}
	var key [32]byte
	if len(content) == len(key) {
		copy(key[:], content)
		return &key, nil
	}
	digits := strings.TrimSpace(string(content))
	if len(digits) == hex.EncodedLen(len(key)) {
		if _, err := hex.Decode(key[:], []byte(digits)); err == nil {
			return &key, nil
		}
	}
	return nil, fmt.Errorf("hash-key-file %s: want 32 bytes, or 64 hexadecimal digits", s.HashKeyFile)
}
