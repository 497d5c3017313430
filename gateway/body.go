package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/crestdb/crest/messages"
)

// bodyReader reads and decompresses bodies within a size limit and a budget.
type bodyReader struct {
	limit  int // decoded bytes of one body
	budget *budget
	gzips  sync.Pool // of *gzip.Reader
	zstds  chan *zstd.Decoder
}

// A zstd decoder holds up to its window, whatever the body. So there are few
// of them, outside of the budget; requests take turns, each for the time of the
// decoding only. 8 MiB is what every decoder must support (RFC 8878); encoders
// ask for more only if told so.
const (
	zstdDecoders = 2
	zstdWindow   = 8 << 20
)

// gzipBytes is about what a gzip reader holds.
const gzipBytes = 48 << 10

func newBodyReader(limit int, b *budget) *bodyReader {
	br := &bodyReader{limit: limit, budget: b, zstds: make(chan *zstd.Decoder, zstdDecoders)}
	for range zstdDecoders {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			panic(err) // the options are constants
		}
		br.zstds <- d
	}
	return br
}

// close releases the decoders. Nobody reads any more.
func (br *bodyReader) close() {
	for range zstdDecoders {
		d := <-br.zstds
		d.Close()
		br.zstds <- d // so that close can be called again
	}
}

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
	defer func() {
		_ = z.Reset(bytes.NewReader(nil)) // lets go of the body
		br.gzips.Put(z)
	}()
	if err := z.Reset(wire); err != nil {
		return broken("gzip", &sourceError{err})
	}
	return broken("gzip", fill(ctx, body, z))
}

// unzstd reads the compressed body to its end before it takes a decoder, so
// that no slow sender holds one.
func (br *bodyReader) unzstd(ctx context.Context, body *bodyBuffer, wire *wire) error {
	packed := &bodyBuffer{budget: br.budget, limit: br.limit}
	defer packed.release()
	if err := fill(ctx, packed, wire); err != nil || wire.over {
		return err
	}
	d, err := br.takeDecoder(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = d.Reset(nil) // lets go of packed
		br.zstds <- d
	}()
	if err := d.Reset(bytes.NewReader(packed.data)); err != nil {
		return broken("zstd", &sourceError{err})
	}
	return broken("zstd", fill(ctx, body, d))
}

// takeDecoder waits for a decoder, as long as a request waits for bytes.
func (br *bodyReader) takeDecoder(ctx context.Context) (*zstd.Decoder, error) {
	timer := time.NewTimer(br.budget.wait)
	defer timer.Stop()
	select {
	case d := <-br.zstds:
		return d, nil
	case <-timer.C:
		return nil, &messages.RefusedError{Reason: "too many requests are being decompressed", RetryAfter: time.Second}
	case <-ctx.Done():
		return nil, ctx.Err()
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
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return badRequest("The %s body needs a window of more than %d bytes. Nothing of it is counted; compress it without --long.", format, zstdWindow)
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
