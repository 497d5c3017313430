package virtual

import (
	"fmt"
	"time"

	"github.com/crestdb/crest/messages"
)

// promises is what clients were told of what they sent: from it follows what
// each topic counts at least and at most, whatever became of the node.
type promises struct {
	window messages.Micros
	claims map[string]*claim // by what makes an event the same
	topics map[string][]*claim
}

// claim is one event with all the attempts to have it counted: those that share
// its id, or the Idempotency-Key of its request, or a single one.
type claim struct {
	topic    string
	count    uint64
	certain  bool // it was acknowledged
	attempts []span
}

// span is when an attempt that may be in the log was stamped, at the earliest
// and at the latest.
type span struct{ from, to messages.Micros }

// slack is how much later than its answer an attempt may come to be in the log,
// behind the stamps of others.
const slack = messages.Minute

func newPromises(window time.Duration) *promises {
	return &promises{window: messages.Micros(window / time.Microsecond), claims: map[string]*claim{}, topics: map[string][]*claim{}}
}

// note accounts for an attempt: identity "" is an event that is like no other.
func (p *promises) note(identity, topic string, count uint64, at span, certain bool) {
	c := p.claims[identity]
	if identity == "" || c == nil {
		c = &claim{topic: topic, count: count}
		p.topics[topic] = append(p.topics[topic], c)
		if identity != "" {
			p.claims[identity] = c
		}
	}
	at.to += slack
	c.attempts = append(c.attempts, at)
	c.certain = c.certain || certain
}

// least and most are how often an event counts. Of two attempts that lie closer
// together than the dedup window at most one does.
func (c *claim) least() uint64 {
	if c.certain {
		return c.count
	}
	return 0
}

func (c *claim) most(window messages.Micros) uint64 {
	n, last := uint64(0), messages.Micros(0)
	for _, a := range c.attempts {
		if n == 0 || a.to-last >= window {
			n, last = n+1, a.from
		}
	}
	return n * c.count
}

// kept tells whether every topic counts what was promised.
func (p *promises) kept(counted map[string]uint64) error {
	for topic, n := range counted {
		if len(p.topics[topic]) == 0 {
			return fmt.Errorf("topic %q counts %d, but was never sent", topic, n)
		}
	}
	for topic, claims := range p.topics {
		var least, most uint64
		for _, c := range claims {
			least += c.least()
			most += c.most(p.window)
		}
		if n := counted[topic]; n < least || n > most {
			return fmt.Errorf("topic %q counts %d: what was acknowledged are %d, what was sent %d at most", topic, n, least, most)
		}
	}
	return nil
}
