package eventlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"crypto/rand"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
)

const (
	metaName  = "log.meta"
	metaMagic = "CRESTLOG"
	metaFixed = 72 // without settings and checksum
	metaMax   = 4 << 10
)

// newIdentity is that of a log made with cfg.
func newIdentity(cfg *Config) messages.LogIdentity {
	id := messages.LogIdentity{
		Partitions: cfg.Partitions,
		Clock:      cfg.Clock,
		Settings:   cfg.Settings,
	}
	if id.Partitions == 0 {
		id.Partitions = 16
	}
	if id.Clock == 0 {
		id.Clock = messages.ClockWall
	}
	if id.Settings == (messages.Settings{}) {
		id.Settings = messages.DefaultSettings()
	}
	// crypto/rand.Read never fails.
	_, _ = rand.Read(id.ID[:])
	if cfg.HashKey != nil {
		id.HashKey = *cfg.HashKey
	} else {
		_, _ = rand.Read(id.HashKey[:])
	}
	return id
}

// matches refuses a configuration that asks for another log than the one that
// is there.
func (c *Config) matches(id *messages.LogIdentity) error {
	switch {
	case c.Partitions != 0 && c.Partitions != id.Partitions:
		return fmt.Errorf("the log was made with %d partitions, not %d: that cannot be changed", id.Partitions, c.Partitions)
	case c.Clock != 0 && c.Clock != id.Clock:
		return fmt.Errorf("the log was made with clock %v, not %v: that cannot be changed", id.Clock, c.Clock)
	case c.HashKey != nil && *c.HashKey != id.HashKey:
		return errors.New("the log was made with another hash key: that cannot be changed")
	}
	return nil
}

func encodeMeta(id *messages.LogIdentity) []byte {
	b := make([]byte, 0, 128)
	b = append(b, metaMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = append(b, id.ID[:]...)
	b = le.AppendUint32(b, uint32(id.Partitions))
	b = le.AppendUint32(b, uint32(id.Clock))
	b = append(b, id.HashKey[:]...)
	settings := id.Settings.AppendTo(nil)
	b = le.AppendUint32(b, uint32(len(settings)))
	b = append(b, settings...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMeta(b []byte) (messages.LogIdentity, error) {
	var id messages.LogIdentity
	bad := func(reason string) (messages.LogIdentity, error) {
		return id, &CorruptError{File: metaName, Reason: reason}
	}
	if len(b) < metaFixed+4 || string(b[:8]) != metaMagic {
		return bad("not a log's identity")
	}
	if v := le.Uint32(b[8:]); v > formatVersion {
		return id, &VersionError{File: metaName, Version: v}
	} else if v != formatVersion {
		return bad(fmt.Sprintf("format version %d: this program reads %d", v, formatVersion))
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != le.Uint32(b[len(body):]) {
		return bad(errChecksum.Error())
	}
	copy(id.ID[:], b[12:])
	id.Partitions = int(le.Uint32(b[28:]))
	id.Clock = messages.Clock(le.Uint32(b[32:]))
	copy(id.HashKey[:], b[36:])
	if int(le.Uint32(b[68:])) != len(body)-metaFixed || id.Partitions < 1 || id.Partitions > messages.MaxPartitions {
		return bad("impossible contents")
	}
	var err error
	if id.Settings, err = messages.ParseSettings(body[metaFixed:]); err != nil {
		return bad(err.Error())
	}
	return id, nil
}

// readMeta reads a log's identity; fs.ErrNotExist if there is no log.
func readMeta(fsys persistence.FS, dir string) (messages.LogIdentity, error) {
	b, err := readSmall(fsys, filepath.Join(dir, metaName), metaMax)
	if err != nil {
		return messages.LogIdentity{}, err
	}
	return decodeMeta(b)
}

func writeMeta(fsys persistence.FS, dir string, id *messages.LogIdentity) error {
	return makeFile(fsys, dir, metaName, func(f persistence.File) error {
		_, err := f.WriteAt(encodeMeta(id), 0)
		return err
	})
}

// readSmall reads a file, or its first atMost bytes.
func readSmall(fsys persistence.FS, path string, atMost int64) ([]byte, error) {
	f, err := fsys.OpenRead(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	b := make([]byte, min(size, atMost))
	if err == nil {
		err = readFull(f, b, 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return b, nil
}
