package messages_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/crestdb/crest/messages"
)

func routesOf(partitions int, secret byte) messages.Routes {
	id := messages.LogIdentity{Partitions: partitions}
	id.HashKey[0] = secret
	return messages.NewRoutes(&id)
}

// TestRoutesSpread: topics and keys fall on the partitions as evenly as chance
// has it. The number per partition is binomial; 6 standard deviations off in
// any of 64 partitions is a chance below 10^-6.
func TestRoutesSpread(t *testing.T) {
	const n, partitions = 100_000, 64
	routes := routesOf(partitions, 1)
	mean := float64(n) / partitions
	limit := 6 * math.Sqrt(mean*(1-1.0/partitions))
	for name, of := range map[string]func(string) messages.Partition{
		"topics": func(s string) messages.Partition { return routes.Of([]byte(s)) },
		"keys":   routes.Home,
	} {
		var hits [partitions]float64
		for i := range n {
			hits[of(fmt.Sprintf("video-%d", i))]++
		}
		for p, got := range hits {
			if math.Abs(got-mean) > limit {
				t.Errorf("%s: partition %d has %.0f of %d, want %.0f ± %.0f", name, p, got, n, mean, limit)
			}
		}
	}
}

// TestRoutesDependOnTheSecret: who does not know it cannot aim at a partition.
func TestRoutesDependOnTheSecret(t *testing.T) {
	const n, partitions = 10_000, 16
	a, b := routesOf(partitions, 1), routesOf(partitions, 2)
	same := 0
	for i := range n {
		topic := []byte(fmt.Sprintf("video-%d", i))
		if again := routesOf(partitions, 1); a.Of(topic) != again.Of(topic) {
			t.Fatalf("%s moves", topic)
		}
		if a.Of(topic) == b.Of(topic) {
			same++
		}
	}
	const mean = float64(n) / partitions
	if math.Abs(float64(same)-mean) > 6*math.Sqrt(mean) {
		t.Errorf("%d of %d topics stay under another secret, want about %.0f", same, n, mean)
	}
}

func TestRoutesOfOnePartition(t *testing.T) {
	r := routesOf(1, 0)
	if r.Partitions() != 1 || r.Of([]byte("a")) != 0 || r.Home("k") != 0 {
		t.Error("one partition is not 0")
	}
}
