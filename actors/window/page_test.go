package window

import (
	"slices"
	"testing"
)

// TestCapacitiesAreThoseOfTheAllocator: pages that grow to them waste nothing
// beside the room that is counted.
func TestCapacitiesAreThoseOfTheAllocator(t *testing.T) {
	if !slices.IsSorted(capacities[:]) || capacities[len(capacities)-1] != pageRows {
		t.Errorf("capacities are %v", capacities)
	}
	for _, n := range capacities {
		// What append makes is rounded up to a size that there is.
		if got := cap(append([]row(nil), make([]row, n)...)); got != n {
			t.Errorf("%d rows take the room of %d", n, got)
		}
	}
	for n := range pageRows {
		if c := grown(n, false); c <= n || c > n+max(1, 3*n/4) {
			t.Errorf("%d rows grow to %d", n, c)
		}
	}
}
