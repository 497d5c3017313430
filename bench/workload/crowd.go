package workload

import (
	"math"
	"time"
)

// maxCrowdShare bounds what all crowds of a moment take together, so that the
// rest of the stream never dies.
const maxCrowdShare = 0.9

// life is how long a crowd is part of the stream: six half-lives after the
// peak it is down to 1/64 and ends.
func (c *Crowds) life() time.Duration { return c.Rise + c.Hold + 6*c.HalfLife }

// share is the part of the stream that a crowd of this age takes.
func (c *Crowds) share(age time.Duration) float64 {
	switch {
	case age < 0 || age >= c.life():
		return 0
	case age < c.Rise:
		x := float64(age) / float64(c.Rise)
		return c.Share * x * x
	case age < c.Rise+c.Hold:
		return c.Share
	}
	return c.Share * math.Exp2(-float64(age-c.Rise-c.Hold)/float64(c.HalfLife))
}

// crowdShare is a crowd under way: its number, and the upper end of its part
// of [0, 1), the crowds before it included.
type crowdShare struct {
	number int
	upTo   float64
}

// active appends the crowds under way at a moment after the start.
func (c *Crowds) active(dst []crowdShare, at time.Duration) []crowdShare {
	if c.Every == 0 || at < c.First {
		return dst
	}
	newest := int((at - c.First) / c.Every)
	oldest := max(0, int((at-c.First-c.life())/c.Every))
	sum := 0.0
	for k := oldest; k <= newest; k++ {
		if s := c.share(at - c.First - time.Duration(k)*c.Every); s > 0 {
			sum += s
			dst = append(dst, crowdShare{k, sum})
		}
	}
	if sum > maxCrowdShare {
		for i := range dst {
			dst[i].upTo *= maxCrowdShare / sum
		}
	}
	return dst
}
