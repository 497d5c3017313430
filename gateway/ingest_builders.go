package gateway

import (
	"sync"

	"github.com/crestdb/crest/gateway/decode"
)

// builderPool keeps builders between requests, small ones apart from large
// ones: otherwise each of many builders would sooner or later have served a
// large batch, and be as large for ever.
type builderPool struct {
	config       decode.Config
	small, large sync.Pool // of *decode.Builder
}

const (
	smallBody       = 16 << 10 // bodies up to this get a small builder
	smallBuilder    = 128 << 10
	largestReusable = 8 << 20 // builders above are not kept
)

func (p *builderPool) get(body int) *decode.Builder {
	pool := &p.small
	if body > smallBody {
		pool = &p.large
	}
	if b, ok := pool.Get().(*decode.Builder); ok {
		return b
	}
	return decode.NewBuilder(p.config)
}

func (p *builderPool) put(b *decode.Builder) {
	switch size := b.Capacity(); {
	case size <= smallBuilder:
		p.small.Put(b)
	case size <= largestReusable:
		p.large.Put(b)
	}
}
