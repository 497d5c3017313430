package sketch

import "math"

// maxDepth bounds the rows of a sketch: δ ≥ e^-16, about 10^-7.
const maxDepth = 16

// Depth is the number of rows for which a reading exceeds its error with a
// probability of at most delta: d = ⌈ln 1/δ⌉ (Cormode & Muthukrishnan 2005,
// theorem 1).
func Depth(delta float64) int {
	return min(max(int(math.Ceil(math.Log(1/delta))), 1), maxDepth)
}

// Epsilon is the error of a width, as a share of everything counted: with
// probability 1−δ a reading is at most ε·N above the truth, ε = e/w.
func Epsilon(width int) float64 { return math.E / float64(width) }

// Width is the width of slots sketches of one depth that together fit into
// bytes, or the one that epsilon asks for, w = ⌈e/ε⌉, if that is less: memory
// wins. At least 1.
func Width(bytes int64, depth, slots int, epsilon float64) int {
	groups := (slots + lanes - 1) / lanes
	fits := bytes / (int64(depth) * int64(groups) * lanes * counterBytes)
	asked := math.Ceil(math.E / epsilon)
	return int(max(min(float64(fits), asked), 1))
}
