package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// bodyReader reads and decompresses bodies within a size limit and a budget.
type bodyReader struct {
	limit  int // decoded bytes of one body
	budget *budget
	gzips  sync.Pool // of *gzip.Reader
	zstd   *zstd.Decoder
}

// The most that bodyReader accepts as zstd window. Bodies are decoded in one
// piece, so a window takes no memory of its own.
const zstdWindow = 128 << 20

// gzipBytes is about what a gzip reader holds.
const gzipBytes = 48 << 10

func newBodyReader(limit int, b *budget) *bodyReader {
	d, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return &bodyReader{limit: limit, budget: b, zstd: d}
}

func (br *bodyReader) close() { br.zstd.Close() }

// read brings the whole body of a request, decoded. The caller releases it,
// also after an error.
func (br *bodyReader) read(r *http.Request, encoding encoding) (*bodyBuffer, error) {
	body := &bodyBuffer{budget: br.budget, limit: br.limit}
	if r.ContentLength > int64(br.limit) {
		return body, br.tooLarge()
	}
	ctx := r.Context()
	wire := &wire{src: r.Body, limit: int64(br.limit)}
	var err error
	switch encoding {
	case encodingNone:
		err = fill(ctx, body, wire)
	case encodingGzip:
		err = br.gunzip(ctx, body, wire)
	case encodingZstd:
		err = br.unzstd(ctx, body, wire)
	}
	switch {
	case body.full() || wire.over:
		return body, br.tooLarge()
	case wire.err != nil:
		return body, badRequest("The body could not be read to its end (%v); send it again.", wire.err)
	}
	return body, err
}

func (br *bodyReader) tooLarge() error {
	return &refusal{
		status: http.StatusRequestEntityTooLarge,
		title:  "Body too large",
		detail: fmt.Sprintf("The body has more than %d bytes, before or after decompression. Send it in several requests.", br.limit),
		extra:  map[string]any{"limit": br.limit},
	}
}

// fill reads src to its end, or until the body is full. What goes wrong with
// src is a *sourceError.
func fill(ctx context.Context, body *bodyBuffer, src io.Reader) error {
	for {
		if len(body.data) == cap(body.data) {
			if body.full() {
				return nil
			}
			if err := body.grow(ctx); err != nil {
				return err
			}
		}
		n, err := src.Read(body.room())
		body.data = body.data[:len(body.data)+n]
		switch {
		case body.full() || err == io.EOF:
			return nil
		case err != nil:
			return &sourceError{err}
		}
	}
}

func (br *bodyReader) gunzip(ctx context.Context, body *bodyBuffer, wire *wire) error {
	if err := br.budget.take(ctx, gzipBytes); err != nil {
		return err
	}
	defer br.budget.give(gzipBytes)
	z, _ := br.gzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer br.gzips.Put(z)
	if err := z.Reset(wire); err != nil {
		return broken("gzip", &sourceError{err})
	}
	return broken("gzip", fill(ctx, body, z))
}

// unzstd reads the compressed body first and decodes it in one piece, so that
// the memory it takes is that of the two buffers and not what a frame's header
// asks for. Where the result does not fit it starts again with more room.
func (br *bodyReader) unzstd(ctx context.Context, body *bodyBuffer, wire *wire) error {
	packed := &bodyBuffer{budget: br.budget, limit: br.limit}
	defer packed.release()
	if err := fill(ctx, packed, wire); err != nil || wire.over {
		return err
	}
	for {
		body.data = body.data[:0]
		if err := body.grow(ctx); err != nil {
			return err
		}
		data, err := br.zstd.DecodeAll(packed.data, body.data)
		switch {
		case err == nil:
			body.data = data
			return nil
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return broken("zstd", &sourceError{err})
		case cap(body.data) > br.limit:
			body.data = body.data[:br.limit+1] // which is one too many
			return nil
		}
	}
}

// sourceError is an error of what is read, not of the place it is read to.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// broken is the answer to a compressed body that cannot be decompressed.
func broken(format string, err error) error {
	var source *sourceError
	switch {
	case !errors.As(err, &source):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("The %s body ends too early. Nothing of it is counted; send it again.", format)
	}
	return badRequest("The %s body is broken, or something follows it (%v). Nothing of it is counted.", format, source.error)
}

// wire reads a body as it is sent. It tells trouble with the connection from
// trouble with what was sent, and stops behind limit bytes: a body that is
// larger compressed than it may be decompressed is not worth reading on.
type wire struct {
	src   io.Reader
	limit int64
	read  int64
	over  bool
	err   error
}

func (w *wire) Read(p []byte) (int, error) {
	if w.over {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := w.src.Read(p)
	w.read += int64(n)
	if w.read > w.limit {
		w.over = true
		return n, io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
