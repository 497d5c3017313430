package main

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/crestdb/crest/bench/workload"
	"github.com/crestdb/crest/messages"
)

// stream is events by number, 0 … events−1.
type stream struct {
	events, topics uint64
	seed           uint64
	regions        *alias
	pick           func(i, h uint64) (topic uint64) // from the event's number and its random bits
}

// event is one of a stream.
type event struct {
	topic  uint64
	region uint8 // of workload.RegionNames
	at     messages.Micros
}

// The times of all streams: ages at the end go from oldest to youngest.
var streamEnd = messages.MicrosOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))

const oldest, youngest = 35 * 24 * time.Hour, 5 * time.Second

// agesSpan is ln(oldest/youngest).
var agesSpan = math.Log(float64(oldest) / float64(youngest))

// at is the i-th event.
func (s *stream) at(i uint64) event {
	h := mix(i ^ s.seed)
	topic := s.pick(i, h)
	home := mix(topic + 1)
	if r := mix(h + 1); r%10 >= 3 { // 3 of 10 come from the topic's home region
		home = mix(r)
	}
	return event{topic: topic, region: uint8(s.regions.pick(home)), at: s.timeOf(i)}
}

// timeOf never goes back.
func (s *stream) timeOf(i uint64) messages.Micros {
	u := float64(i) / float64(s.events)
	age := float64(oldest.Microseconds()) * math.Exp(-u*agesSpan)
	return streamEnd - messages.Micros(age)
}

// from is the first event at m or later.
func (s *stream) from(m messages.Micros) uint64 {
	low, high := uint64(0), s.events
	for low < high {
		if mid := (low + high) / 2; s.timeOf(mid) < m {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// newZipf is a stream of topics by Zipf's law, each of which occurs: every
// n-th event takes the next one in turn, in no order of rank.
func newZipf(events, topics, seed uint64, exponent float64) *stream {
	weights := newAlias(int(topics), exponent)
	turn := max(2, events/topics)
	return &stream{
		events: events, topics: topics, seed: seed, regions: newAlias(len(workload.RegionNames), 1),
		pick: func(i, h uint64) uint64 {
			if i%turn == 0 && i/turn < topics {
				return i / turn * 2654435761 % topics // a prime: it meets each once
			}
			return uint64(weights.pick(h))
		},
	}
}

// Topics of a riser stream: the head, the riser, then one per event.
const (
	headTopics = 200
	riserTopic = headTopics
	firstOnce  = headTopics + 1
)

// newRiser is a stream of topics that come once, but for one event in 1,000 of
// the head, and a riser whose share grows from 0 at a tenth of the stream to
// one event in 50,000.
func newRiser(events, seed uint64) *stream {
	head := newAlias(headTopics, 1)
	return &stream{
		events: events, topics: events + firstOnce, seed: seed, regions: newAlias(len(workload.RegionNames), 1),
		pick: func(i, h uint64) uint64 {
			r := mix(h + 2)
			grown := (float64(i)/float64(events) - 0.1) / 0.9
			switch {
			case float64(r>>11)/(1<<53) < grown/50_000:
				return riserTopic
			case r%1000 == 0:
				return uint64(head.pick(mix(r)))
			}
			return firstOnce + i
		},
	}
}

// appendJSON writes an event as a line.
func (e *event) appendJSON(b []byte) []byte {
	b = append(b, `{"topic":"`...)
	b = appendName(b, e.topic)
	b = append(b, `","region":"`...)
	b = append(b, workload.RegionNames[e.region]...)
	b = append(b, `","timestamp":`...)
	b = strconv.AppendInt(b, int64(e.at), 10)
	return append(b, '}', '\n')
}

// Names of topics are their numbers, scrambled so that order and length say
// nothing: 11 characters, such as videos have.
const (
	scramble1, scramble2     = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	unscramble1, unscramble2 = 0xf1de83e19937733d, 0xcfee444d8b59a89b // inverses modulo 2^64
)

func appendName(b []byte, topic uint64) []byte {
	z := (topic + 1) * scramble1
	z = (z ^ z>>32) * scramble2
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], z)
	return base64.RawURLEncoding.AppendEncode(b, raw[:])
}

func nameOf(topic uint64) string { return string(appendName(nil, topic)) }

// number is the topic of a name; false: it is nobody's.
func (s *stream) number(name string) (uint64, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil || len(raw) != 8 {
		return 0, false
	}
	z := binary.LittleEndian.Uint64(raw) * unscramble2
	topic := (z^z>>32)*unscramble1 - 1
	return topic, topic < s.topics
}

// alias draws 0 … n−1 by Zipf's law in constant time from 64 random bits
// (Walker 1977, as Vose 1991 builds it).
type alias struct {
	keep  []uint32 // of 2^32, how likely a column stays
	other []uint32
}

func newAlias(n int, exponent float64) *alias {
	weights, sum := make([]float64, n), 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -exponent)
		sum += weights[i]
	}
	a := &alias{make([]uint32, n), make([]uint32, n)}
	var small, large []uint32
	for i := range weights {
		if weights[i] *= float64(n) / sum; weights[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = uint32(weights[s]*math.MaxUint32), l
		if weights[l] += weights[s] - 1; weights[l] < 1 {
			large, small = large[:len(large)-1], append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.keep[i], a.other[i] = math.MaxUint32, i
	}
	return a
}

func (a *alias) pick(h uint64) int {
	column, rest := bits.Mul64(h, uint64(len(a.keep)))
	if uint32(rest>>32) <= a.keep[column] {
		return int(column)
	}
	return int(a.other[column])
}

// mix is SplitMix64's finaliser.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
