package main

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crestdb/crest/bench/truth"
)

// course is one stream on its way through crest, with every budget at once: all
// are asked the same at the same moments.
type course struct {
	*config
	name         string
	events       truth.Events
	sent, topics int
	wanted, rows int  // at the end: rows that the true tops asked for are of, and all there are
	need         need // with shares of it alone
	rng          *rand.Rand
	surveys      []*survey
}

// compare sends a stream to a subject of each budget and compares along the
// way.
func (c *config) compare(ctx context.Context, name string) (_ *course, err error) {
	lines, err := c.lines(name)
	if err != nil {
		return nil, err
	}
	s := &course{config: c, name: streamName(name), rng: rand.New(rand.NewPCG(c.seed, 2))}
	defer s.close()
	if err := s.open(ctx, lines); err != nil {
		return nil, err
	}
	stops := []int{len(lines)}
	for range c.moments - 1 {
		stops = append(stops, 1+s.rng.IntN(len(lines)))
	}
	slices.Sort(stops)
	sent := 0
	for _, stop := range stops {
		for _, l := range lines[sent:stop] {
			if err := s.events.AddLine(l); err != nil {
				return nil, err
			}
		}
		for _, v := range s.surveys {
			if err := v.subject.send(ctx, lines[sent:stop]); err != nil {
				return nil, err
			}
		}
		sent = stop
		if err := s.look(ctx); err != nil {
			return nil, err
		}
	}
	s.sent, s.topics = s.events.Len(), len(s.events.Topics())
	return s, nil
}

// streamName is what a stream is called in tables.
func streamName(name string) string {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	return base
}

// open starts what is compared, and finds out what memory it has.
func (s *course) open(ctx context.Context, lines [][]byte) error {
	for _, memory := range s.memory {
		v := newSurvey(memory)
		if memory != "" {
			n, share, err := budget(memory)
			if err != nil {
				return err
			}
			if share && s.need.bytes == 0 {
				if s.need, err = needOf(ctx, lines, s.shards); err != nil {
					return err
				}
			}
			if v.bytes = int64(n); share {
				v.bytes = int64(n * float64(s.need.bytes))
			}
		}
		if s.share > 0 {
			v.peerBytes = v.bytes / int64(s.share)
		}
		if s.surveys = append(s.surveys, v); s.tables {
			v.subject = newTables(&s.events, s.shards, v.bytes)
			continue
		}
		node, err := s.node(ctx, memory)
		if err != nil {
			return err
		}
		v.subject = node
	}
	return nil
}

func (s *course) close() {
	for _, v := range s.surveys {
		if t, ok := v.subject.(*tables); ok {
			v.held = t.held
		}
		if v.subject != nil {
			v.subject.close()
		}
		v.subject = nil
	}
	s.events = truth.Events{} // only the scores are wanted from here on
}
