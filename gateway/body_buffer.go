package gateway

import (
	"context"
	"sync"
)

// Body buffers come in a few sizes, each eight times the last. A body begins
// in the smallest and moves up as bytes arrive, so that a slow sender holds
// little, whatever it announced; copying adds a seventh. Buffers above the
// largest size are made to measure and not kept.
var bodySizes = [...]int{4 << 10, 32 << 10, 256 << 10, 2 << 20}

var bodyPools [len(bodySizes)]sync.Pool // of *[]byte, by size

// bodyBuffer is one body in memory; its capacity is taken from the budget.
type bodyBuffer struct {
	budget *budget
	limit  int // of its length; one byte more is held, to notice
	data   []byte
}

// grow moves to the next size. It must not be called when full tells that
// there is none.
func (b *bodyBuffer) grow(ctx context.Context) error {
	size := nextBodySize(cap(b.data), b.limit+1)
	if err := b.budget.take(ctx, int64(size)); err != nil {
		return err
	}
	next := newBodyBytes(size)
	next = append(next, b.data...)
	b.release()
	b.data = next
	return nil
}

// full tells whether the buffer holds more than a body may have.
func (b *bodyBuffer) full() bool { return len(b.data) > b.limit }

// room is the free part of the buffer.
func (b *bodyBuffer) room() []byte { return b.data[len(b.data):cap(b.data)] }

// release gives the memory back. The buffer may be used again.
func (b *bodyBuffer) release() {
	size := cap(b.data)
	for i, s := range bodySizes {
		if s == size {
			data := b.data[:0]
			bodyPools[i].Put(&data)
		}
	}
	b.data = nil
	b.budget.give(int64(size))
}

// nextBodySize is the size after one; most bounds it, except that all bodies
// begin in a buffer of the smallest size.
func nextBodySize(size, most int) int {
	for i, s := range bodySizes {
		if s > size {
			if i > 0 && s > most {
				return most
			}
			return s
		}
	}
	return min(8*size, most)
}

func newBodyBytes(size int) []byte {
	for i, s := range bodySizes {
		if s == size {
			if p, ok := bodyPools[i].Get().(*[]byte); ok {
				return *p
			}
		}
	}
	return make([]byte, 0, size)
}
