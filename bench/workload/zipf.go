package workload

import (
	"math"
	"math/rand/v2"
)

// zipf draws 0 … n-1 with probability ∝ 1/(k+1)^s, for any s ≥ 0, in constant
// time and memory: rejection-inversion (Hörmann & Derflinger, "Rejection-
// inversion to generate variates from monotone discrete distributions", 1996).
// math/rand/v2 has the same for s > 1 only; popularity has s around 1.
type zipf struct {
	n        float64
	s        float64
	low      float64 // H(1.5) - h(1)
	high     float64 // H(n + 0.5)
	shortcut float64 // up to here a draw is accepted without evaluating H
}

func newZipf(n int, s float64) *zipf {
	z := &zipf{n: float64(n), s: s}
	z.low = z.integral(1.5) - 1
	z.high = z.integral(z.n + 0.5)
	z.shortcut = 2 - z.inverse(z.integral(2.5)-math.Pow(2, -s))
	return z
}

func (z *zipf) draw(r *rand.Rand) int {
	for {
		u := z.high + r.Float64()*(z.low-z.high)
		x := z.inverse(u)
		k := math.Floor(min(max(x, 1), z.n) + 0.5)
		k = min(k, z.n)
		if k-x <= z.shortcut || u >= z.integral(k+0.5)-math.Pow(k, -z.s) {
			return int(k) - 1
		}
	}
}

// integral is H(x) = ∫ t^-s dt from 1 to x.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	return expm1Ratio((1-z.s)*log) * log
}

// inverse is the x with H(x) = y.
func (z *zipf) inverse(y float64) float64 {
	t := max(-1, y*(1-z.s)) // rounding must not take it below the pole
	return math.Exp(log1pRatio(t) * y)
}

// expm1Ratio is (e^x - 1)/x, also around 0, where s is near 1.
func expm1Ratio(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2
}

// log1pRatio is ln(1+x)/x, also around 0.
func log1pRatio(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x/2
}

// alias draws from a small fixed distribution with one 64-bit number (Walker's
// alias method). The number may be random, or a hash that is to decide once
// and for all.
type alias struct {
	keep  []uint32 // of 2^32: how often slot i stays itself
	other []uint8
}

// zipfWeights are 1/(k+1)^s for k = 0 … n-1.
func zipfWeights(n int, s float64) []float64 {
	w := make([]float64, n)
	for k := range w {
		w[k] = math.Pow(float64(k+1), -s)
	}
	return w
}

func newAlias(weights []float64) *alias {
	n := len(weights)
	a := &alias{keep: make([]uint32, n), other: make([]uint8, n)}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	scaled := make([]float64, n)
	var small, large []int
	for i, w := range weights {
		scaled[i] = w / total * float64(n)
		if scaled[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for i := range a.keep {
		a.keep[i], a.other[i] = math.MaxUint32, uint8(i)
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = uint32(scaled[s]*math.MaxUint32), uint8(l)
		if scaled[l] -= 1 - scaled[s]; scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return a
}

func (a *alias) pick(bits uint64) int {
	i := bits >> 32 * uint64(len(a.keep)) >> 32
	if uint32(bits) <= a.keep[i] {
		return int(i)
	}
	return int(a.other[i])
}
