package input

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// Format is how events are written.
type Format string

// The formats.
const (
	NDJSON  Format = "ndjson"
	CSV     Format = "csv"
	Msgpack Format = "msgpack"
)

// Formats lists them, for help texts.
var Formats = []string{string(NDJSON), string(CSV), string(Msgpack)}

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case NDJSON, CSV, Msgpack:
		return f, nil
	}
	return "", fmt.Errorf("format %q: want %s", s, strings.Join(Formats, ", "))
}

// FormatOf tells a file's format by its name; .gz and .zst do not count.
func FormatOf(path string) (Format, error) {
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch filepath.Ext(name) {
	case ".ndjson", ".jsonl", ".json":
		return NDJSON, nil
	case ".csv":
		return CSV, nil
	case ".msgpack", ".mpk":
		return Msgpack, nil
	}
	return "", fmt.Errorf("%s: the name does not tell the format; give --format %s", path, strings.Join(Formats, "|"))
}

// Event is one event of a file.
type Event struct {
	// Data is the event as a server takes it, a line of NDJSON with its line
	// feed or one msgpack value; valid until the next call. Nil: the event is
	// rejected already.
	Data   []byte
	Reason string // why, if Data is nil
	// Line is where the event begins, from 1; in msgpack, its number.
	Line int64
}

// File is an open file of events.
type File struct {
	name    string
	format  Format
	size    int64 // bytes on disk, compressed if it is; -1: unknown
	read    atomic.Int64
	closers []func() error
	next    func() (Event, error)
}

// Open opens a file; "" as format means by its name.
func Open(path string, format Format) (*File, error) {
	if format == "" {
		var err error
		if format, err = FormatOf(path); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	file, err := open(f, path, format, size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file.closers = append(file.closers, f.Close)
	return file, nil
}

// Stream reads events from r, such as standard input; name is for messages.
func Stream(r io.Reader, name string, format Format) (*File, error) {
	return open(r, name, format, -1)
}

func open(r io.Reader, name string, format Format, size int64) (*File, error) {
	f := &File{name: name, format: format, size: size}
	plain, err := f.decompress(bufio.NewReaderSize(&counted{r, &f.read}, 256<<10))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch format {
	case NDJSON:
		f.next = newLines(plain).next
	case CSV:
		rows, err := newRows(plain)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, f.explain(err))
		}
		f.next = rows.next
	case Msgpack:
		f.next = newMaps(plain).next
	default:
		return nil, fmt.Errorf("%s: format %q: want %s", name, format, strings.Join(Formats, ", "))
	}
	return f, nil
}

// decompress looks at the first bytes: no event in any format begins like a
// compressed file.
func (f *File) decompress(r *bufio.Reader) (*bufio.Reader, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, f.explain(err)
		}
		f.closers = append(f.closers, z.Close)
		return bufio.NewReaderSize(z, 256<<10), nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		f.closers = append(f.closers, func() error { z.Close(); return nil })
		return bufio.NewReaderSize(z, 256<<10), nil
	}
	return r, nil
}

// Next is the next event, io.EOF behind the last one. Any other error means
// that the rest cannot be read.
func (f *File) Next() (Event, error) {
	e, err := f.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("%s: %w", f.name, f.explain(err))
	}
	return e, err
}

// explain says what a user can do about an error of reading.
func (f *File) explain(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file is cut off; get it again, whole", err)
	}
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, zstd.ErrCRCMismatch) || errors.Is(err, zstd.ErrMagicMismatch) {
		return fmt.Errorf("%w: the file is damaged; get it again", err)
	}
	return err
}

// MediaType is the type of a body of events.
func (f *File) MediaType() string {
	if f.format == Msgpack {
		return "application/msgpack"
	}
	return "application/x-ndjson"
}

// Format is how the file is written.
func (f *File) Format() Format { return f.format }

// Size is the file's size on disk, -1 if it is not known.
func (f *File) Size() int64 { return f.size }

// Read is how many of these bytes have been read. Safe to call from any
// goroutine.
func (f *File) Read() int64 { return f.read.Load() }

// Close closes the file.
func (f *File) Close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
