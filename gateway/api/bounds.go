package api

import (
	"strconv"
	"time"

	"github.com/crestdb/crest/messages"
)

// Bounds is what is known of a count: lower ≤ true ≤ upper, and the estimate
// lies between them.
type Bounds struct {
	Estimate uint64 `json:"count_estimate"`
	Lower    uint64 `json:"lower_bound"`
	Upper    uint64 `json:"upper_bound"`
}

// NewBounds converts a count.
func NewBounds(c messages.Count) Bounds {
	return Bounds{Estimate: c.Estimate, Lower: c.Lower, Upper: c.Upper}
}

// Interval is the stretch of time an answer is about, [start, end), and the
// engine time it was computed at.
type Interval struct {
	WindowStart time.Time `json:"window_start"`
	WindowEnd   time.Time `json:"window_end"`
	AsOf        time.Time `json:"as_of"`
}

// NewInterval converts a moment.
func NewInterval(m messages.Moment) Interval {
	return Interval{WindowStart: m.Start.Time(), WindowEnd: m.End.Time(), AsOf: m.AsOf.Time()}
}

// Scope names the cell an answer is about; null means any.
type Scope struct {
	Region   *string `json:"region"`
	Category *string `json:"category"`
}

// NewScope converts a cell.
func NewScope(c messages.Cell) Scope {
	return Scope{Region: orNull(c.Region), Category: orNull(c.Category)}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Error is the error of an answer in words and, for its sketches, in numbers
// (0 while everything is exact).
type Error struct {
	ErrorBound string  `json:"error_bound"`
	Epsilon    float64 `json:"epsilon"`
	Delta      float64 `json:"delta"`
}

// NewError describes the error of an answer. An answer can be inexact without
// any sketch: a cell folded into "other" has bounds but no epsilon.
func NewError(exact bool, e messages.SketchError) Error {
	bound := "±0%"
	switch {
	case exact:
	case e.Epsilon > 0:
		bound = "±" + strconv.FormatFloat(100*e.Epsilon, 'g', 3, 64) + "%"
	default:
		bound = "see lower_bound and upper_bound"
	}
	return Error{ErrorBound: bound, Epsilon: e.Epsilon, Delta: e.Delta}
}

// Total is the count of a whole cell.
type Total struct {
	Estimate uint64 `json:"total_estimate"`
	Lower    uint64 `json:"total_lower_bound"`
	Upper    uint64 `json:"total_upper_bound"`
}

// NewTotal converts a cell's count.
func NewTotal(c messages.Count) Total {
	return Total{Estimate: c.Estimate, Lower: c.Lower, Upper: c.Upper}
}
