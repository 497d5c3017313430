package main

import (
	"sync"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/gateway/client"
)

// The forms that events are sent in.
const (
	formatNDJSON  = "ndjson"
	formatMsgpack = "msgpack"
)

// contentTypes are the forms' names in HTTP.
var contentTypes = map[string]string{formatNDJSON: client.NDJSON, formatMsgpack: client.MsgPack}

// source is the stream that all workers of a loop draw from.
type source struct {
	format string     // see formats
	mu     sync.Mutex // guards stream; workers draw a whole body at a time
	stream *workload.Stream
}

func (c *config) source() (*source, error) {
	cfg, err := workload.Mix(c.mix)
	if err != nil {
		return nil, err
	}
	cfg.Topics, cfg.IDs, cfg.Seed = c.topics, c.ids, c.seed
	s, err := workload.New(cfg)
	if err != nil {
		return nil, err
	}
	return &source{format: c.format, stream: s}, nil
}

// body appends n events, to be stamped at their arrival.
func (s *source) body(dst []byte, n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var e workload.Event
	for range n {
		s.stream.Next(&e)
		e.Time = 0
		if s.format == formatMsgpack {
			dst = e.AppendMsgpack(dst)
		} else {
			dst = e.AppendJSON(dst)
		}
	}
	return dst
}

// bodies makes request bodies of n events for one worker. Events without ids
// are made beforehand and sent again and again, so that making them takes
// nothing from the node; those with ids have to be made as they are sent.
type bodies struct {
	from  *source
	n     int
	fresh []byte   // with ids: the last one made
	ring  [][]byte // without
	at    int
}

// Bounds of what one worker makes beforehand.
const (
	ringBodies = 4096
	ringBytes  = 8 << 20
)

func newBodies(from *source, n int, ids bool) *bodies {
	b := &bodies{from: from, n: n}
	for size := 0; !ids && len(b.ring) < ringBodies && size < ringBytes; {
		body := from.body(nil, n)
		b.ring = append(b.ring, body)
		size += len(body)
	}
	return b
}

// next is the next body; it stays valid until the call after.
func (b *bodies) next() []byte {
	if len(b.ring) == 0 {
		b.fresh = b.from.body(b.fresh[:0], b.n)
		return b.fresh
	}
	b.at = (b.at + 1) % len(b.ring)
	return b.ring[b.at]
}
