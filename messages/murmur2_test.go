package messages_test

import (
	"testing"

	"github.com/crestdb/crest/messages"
)

// TestTopicsGoWhereKafkasProducersPutThem: the hashes are those of the tests of
// Kafka's own client, which clears the sign and takes the rest modulo the number
// of partitions.
func TestTopicsGoWhereKafkasProducersPutThem(t *testing.T) {
	for topic, hash := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		// Together these partition counts tell apart all hashes but their sign.
		for _, partitions := range []int{1, 2, 3, 64, 1021, 1023, 1024} {
			id := messages.LogIdentity{Partitions: partitions, Routing: messages.RoutingMurmur2, HashKey: [32]byte{byte(partitions)}}
			want := messages.Partition(int(hash&0x7fffffff) % partitions)
			if got := messages.NewRoutes(&id).Of([]byte(topic)); got != want {
				t.Errorf("%s of %d partitions: %d, want %d", topic, partitions, got, want)
			}
		}
	}
}

// TestWritersOfAKafkaLogAgreeOnHomes, whatever their secrets: the home of an
// Idempotency-Key is where two of them meet.
func TestWritersOfAKafkaLogAgreeOnHomes(t *testing.T) {
	a := messages.LogIdentity{Partitions: 64, Routing: messages.RoutingMurmur2, HashKey: [32]byte{1}}
	b := a
	b.HashKey[0] = 2
	homes := map[messages.Partition]bool{}
	for _, key := range []string{"", "k", "request-1", "request-2", "request-3"} {
		if messages.NewRoutes(&a).Home(key) != messages.NewRoutes(&b).Home(key) {
			t.Errorf("the home of %q depends on the secret", key)
		}
		homes[messages.NewRoutes(&a).Home(key)] = true
	}
	if len(homes) < 2 {
		t.Errorf("all keys have one home: %v", homes)
	}
}
