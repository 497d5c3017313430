package workload

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/crestdb/crest/messages"
)

// Stream yields the events of a Config one after another, without end.
type Stream struct {
	cfg        Config
	rng        *rand.Rand
	topics     *zipf
	categories *alias
	regions    *alias

	seq uint64  // events so far
	now float64 // µs of stream time since the start

	// What changes slowly is worked out once per refreshEvery.
	refreshAt float64
	gap       float64 // mean µs between two events
	crowds    []crowdShare
}

// refreshEvery is how often rate and crowds are worked out again, in µs of
// stream time.
const refreshEvery = 50_000

// New is the stream of a Config, at its beginning.
func New(c Config) (*Stream, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Stream{
		cfg:    c,
		rng:    rand.New(rand.NewPCG(c.Seed, 0x63726573742f3031)),
		topics: newZipf(c.Topics, c.Exponent),
	}
	if c.Categories > 0 {
		s.categories = newAlias(zipfWeights(c.Categories, 0.7))
	}
	if c.Regions > 0 {
		s.regions = newAlias(zipfWeights(c.Regions, 1))
	}
	return s, nil
}

// Next fills in the next event. Times never go back.
func (s *Stream) Next(e *Event) {
	if s.now >= s.refreshAt {
		s.refresh()
	}
	s.now += s.rng.ExpFloat64() * s.gap
	s.seq++

	number := s.pickTopic()
	traits := mix(number ^ s.cfg.Seed*0x9e3779b97f4a7c15)
	*e = Event{
		Topic: topicOf(traits),
		Time:  s.cfg.Start + messages.Micros(s.now),
		Count: 1,
	}
	if s.categories != nil {
		e.Category = CategoryNames[s.pickCategory(traits)]
	}
	if s.regions != nil {
		e.Region = RegionNames[s.pickRegion(traits)]
	}
	if s.cfg.Users > 0 {
		e.User = 1 + s.rng.Uint64N(uint64(s.cfg.Users))
	}
	if s.cfg.IDs {
		e.ID = s.eventID()
	}
	if s.cfg.MaxCount > 1 {
		e.Count = 1 + s.rng.Uint64N(s.cfg.MaxCount)
	}
}

// eventID is distinct within the stream, since mix is a bijection, and most
// likely so across seeds.
func (s *Stream) eventID() uint64 {
	if id := mix(s.seq + mix(s.cfg.Seed)); id != 0 {
		return id
	}
	return mix(mix(s.cfg.Seed)) // the id of event 0, which there is not
}

func (s *Stream) refresh() {
	s.refreshAt = s.now + refreshEvery
	rate := s.cfg.Rate
	if d := s.cfg.Diurnal; d.Depth > 0 {
		rate *= 1 + d.Depth*math.Sin(2*math.Pi*s.now/micros(d.Period))
	}
	s.gap = 1e6 / rate
	s.crowds = s.cfg.Crowds.active(s.crowds[:0], time.Duration(s.now*float64(time.Microsecond)))
}

// pickTopic draws the number of a topic: below Topics an ordinary one, by
// rank; from there on the crowds'.
func (s *Stream) pickTopic() uint64 {
	if n := len(s.crowds); n > 0 {
		if u := s.rng.Float64(); u < s.crowds[n-1].upTo {
			for _, c := range s.crowds {
				if u < c.upTo {
					return uint64(s.cfg.Topics + c.number)
				}
			}
		}
	}
	for {
		k := uint64(s.topics.draw(s.rng))
		if s.cfg.Drift.Depth == 0 || s.rng.Float64() < s.popularity(k) {
			return k
		}
	}
}

// popularity is how much of its best a topic draws now, 1 - Depth … 1. Events
// are thinned out by it, so ranks change all the time and smoothly.
func (s *Stream) popularity(number uint64) float64 {
	h := mix(number + 0x5851f42d4c957f2d)
	phase := float64(uint32(h)) / (1 << 32)
	stretch := 0.5 + float64(h>>32)/(1<<32)
	turns := s.now/(micros(s.cfg.Drift.Period)*stretch) + phase
	return 1 - s.cfg.Drift.Depth*(0.5-0.5*math.Cos(2*math.Pi*turns))
}

// pickCategory gives 99 of 100 topics one category, and the others two that
// take turns at random.
func (s *Stream) pickCategory(traits uint64) int {
	h := mix(traits + 1)
	first := s.categories.pick(h)
	if n := s.cfg.Categories; n > 1 && h%100 == 0 && s.rng.Uint64()&1 == 0 {
		return (first + 1 + int(mix(h)%uint64(n-1))) % n
	}
	return first
}

func (s *Stream) pickRegion(traits uint64) int {
	if s.rng.Float64() < s.cfg.HomeShare {
		return s.regions.pick(mix(traits + 2))
	}
	return s.regions.pick(s.rng.Uint64())
}

// micros is a length of time in µs.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// mix is a bijection of 64 bits in which every bit depends on all (the
// finaliser of SplitMix64, Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
