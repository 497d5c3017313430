package node

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Retention that has run ahead of what is counted fails the partition it did so
// in, and no other.
func TestAPartitionThatLostWhatComesNextFailsAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		lost int // partition
		says string
		rest uint64 // counted of the other one
	}{
		{"that has no snapshot", 0, "counting began at offset 1, and the topic has been trimmed to 2 since", 3},
		{"that has one", 1, "it ends at offset 1, and the log was trimmed to 2", 2},
	} {
		t.Run(c.name, func(t *testing.T) { losing(t, c.lost, c.says, c.rest) })
	}
}

func losing(t *testing.T, lost int, says string, rest uint64) {
	cluster := brokers(t, 2)
	cfg := onKafka(t, cluster, t.TempDir())
	topics := topicOfEach(2)
	event := func(p int) [2]string { return [2]string{topics[p], `{"topic":"` + topics[p] + `"}`} }
	foreign(t, cluster, event(0), event(1))
	cutOff(t, cluster, 0, 1) // before crest came: nothing that it has to count
	n := run(t, cfg)
	n.eventually(t, topics[1], 1)
	n.inLedger(t, 1, 1, 0)
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	foreign(t, cluster, event(0), event(1), event(0), event(1))
	cutOff(t, cluster, int32(lost), 2) // one that no snapshot has

	var log heard
	cfg.Logger = logTo(&log)
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	asked := newClient(t, second.Addr())
	defer func() {
		asked.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	awaitRight(t, func() string {
		st, err := asked.Status(t.Context())
		if err != nil || !strings.Contains(st.Partitions[lost].Failed, says) || st.Partitions[1-lost].Failed != "" || st.Partitions[1-lost].Counted != rest {
			return fmt.Sprintf("status %+v, %v", st, err)
		}
		return ""
	})
	if len(log.lines(says)) == 0 {
		t.Errorf("nothing is logged: %q", log.lines(""))
	}
}

// cutOff has a partition begin at an offset, as retention does.
func cutOff(t *testing.T, c *kfake.Cluster, partition int32, to int64) {
	t.Helper()
	admin, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	part := kmsg.NewDeleteRecordsRequestTopicPartition()
	part.Partition, part.Offset = partition, to
	topic.Topic, topic.Partitions = "events", append(topic.Partitions, part)
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 1000
	answer, err := req.RequestWith(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	if code := answer.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("delete records: error %d", code)
	}
}
