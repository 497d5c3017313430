package messages_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crestdb/crest/messages"
)

// TestCountsAddUp: what lies within the bounds of the parts lies within those
// of the sum, at the largest number too.
func TestCountsAddUp(t *testing.T) {
	count := rapid.Custom(func(t *rapid.T) messages.Count {
		lower := rapid.Uint64().Draw(t, "lower")
		estimate := rapid.Uint64Range(lower, math.MaxUint64).Draw(t, "estimate")
		return messages.Count{Lower: lower, Estimate: estimate, Upper: rapid.Uint64Range(estimate, math.MaxUint64).Draw(t, "upper")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := count.Draw(t, "a"), count.Draw(t, "b")
		sum := a.Add(b)
		if sum != b.Add(a) {
			t.Fatalf("%v + %v depends on the order", a, b)
		}
		if sum.Lower > sum.Estimate || sum.Estimate > sum.Upper {
			t.Fatalf("%v + %v = %v is out of order", a, b, sum)
		}
		if sum.Lower < max(a.Lower, b.Lower) {
			t.Fatalf("%v + %v = %v wrapped", a, b, sum)
		}
	})
	if got, want := messages.ExactCount(2).Add(messages.ExactCount(3)), messages.ExactCount(5); got != want || !got.Exact() {
		t.Errorf("2 + 3 = %v", got)
	}
}

func TestNotKeptNamesTheFinest(t *testing.T) {
	err := &messages.NotKeptError{Finest: 20 * messages.Minute}
	if !strings.Contains(err.Error(), "20m;") {
		t.Errorf("%q does not name 20m", err)
	}
}
