package kafka

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

func testHealth(text *lines) *health {
	return &health{logger: text.logger(), failing: map[messages.Partition]failure{}, began: "a write failed", over: "no write fails any more"}
}

// That what was tried is given up is no news of the broker: a partition stays
// failed until something is written, or its leader answers.
func TestAWriteThatIsGivenUpMakesNothingHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := new(lines)
		h := testHealth(text)
		h.failed(3, io.EOF)
		time.Sleep(2 * patience)
		h.gaveUp(3)
		if err := h.err(); !errors.Is(err, messages.ErrStopped) {
			t.Errorf("given up: %v", err)
		}
		h.probed([]int64{0, 0, 0, -1})
		if err := h.err(); err == nil {
			t.Error("its leader did not answer, and it is healthy")
		}
		h.probed([]int64{0, 0, 0, 7})
		if err := h.err(); err != nil {
			t.Errorf("its leader answers: %v", err)
		}
		h.gaveUp(3) // was not failing
		h.failed(3, io.EOF)
		time.Sleep(2 * patience)
		h.probed([]int64{0, 0, 0, 7})
		if err := h.err(); err == nil {
			t.Error("somebody tries and fails, and it is healthy")
		}
		h.gaveUp(3)
		h.failed(3, io.EOF) // the next one tries
		h.probed([]int64{0, 0, 0, 7})
		if err := h.err(); err == nil {
			t.Error("the next one tries and fails, and it is healthy")
		}
		h.forget(3)
		if text.count("no write fails any more") > 0 {
			t.Errorf("nothing was written, and it is said that no write fails: %s", &text.b)
		}
		h.failed(3, io.EOF)
		h.fine(3)
		if text.count("no write fails any more") != 1 {
			t.Errorf("it was written, and nobody says so: %s", &text.b)
		}
	})
}

// The same with a writer: while brokers are away events are refused, whatever was
// given up, and taken again once they are back.
func TestBrokersThatStayAwayAreNotFine(t *testing.T) {
	b := newBroker(t)
	cfg, text := writerConfig(b), new(lines)
	cfg.GiveUp, cfg.Logger = 3*time.Second, text.logger()
	l := openLog(t, cfg)
	mustAppend(t, l, frameOf(1, 1, 1))
	b.setDown(true)
	if err := l.Append(t.Context(), frameOf(1, 1, 1), make(messages.Position, 4)); !errors.Is(err, messages.ErrStopped) {
		t.Fatalf("brokers are away: %v", err)
	}
	eventually(t, "the log says that it takes nothing", func() bool { return l.Err() != nil })
	// Whatever is tried meanwhile fails, the watch's polls too, and says nothing else.
	tried := b.tries()
	eventually(t, "the brokers are tried again", func() bool {
		if l.Err() == nil {
			t.Fatal("it is healthy while the brokers are away")
		}
		return b.tries() >= tried+8
	})
	b.setDown(false)
	eventually(t, "the log takes events again", func() bool { return l.Err() == nil })
	l.cfg.GiveUp = DefaultConfig().GiveUp
	mustAppend(t, l, frameOf(1, 1, 1))
	if n := text.count("no write fails any more"); n > 0 {
		t.Errorf("said %d times that no write fails, and none was tried: %s", n, &text.b)
	}
}

// Nothing is written by a write that is refused.
func TestARefusedWriteEndsNoFailure(t *testing.T) {
	b := newBroker(t)
	cfg, text := writerConfig(b), new(lines)
	cfg.Logger = text.logger()
	l := openLog(t, cfg)
	tries := 0
	b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		code := kafkago.NotEnoughReplicas
		if tries++; tries > 1 {
			code = kafkago.TopicAuthorizationFailed
		}
		answer := req.ResponseKind().(*kmsg.ProduceResponse)
		of, part := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		part.Partition, part.ErrorCode = 1, int16(code)
		of.Topic, of.Partitions = brokerTopic, append(of.Partitions, part)
		answer.Topics = append(answer.Topics, of)
		return answer, nil, true
	})
	err := l.Append(t.Context(), frameOf(1, 1, 1), make(messages.Position, 4))
	if !errors.Is(err, kafkago.TopicAuthorizationFailed) {
		t.Fatal(err)
	}
	if text.count("a write failed") != 1 || text.count("no write fails any more") > 0 || l.Err() != nil {
		t.Errorf("%v: %s", l.Err(), &text.b)
	}
}

// A partition that cannot be read is named by itself.
func TestPartitionsThatCannotBeReadAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newCursorRig(t)
		rig.log.reading.health = *testHealth(new(lines))
		rig.log.reading.health.failed(5, io.EOF)
		unread := make([]bool, 8)
		rig.log.Unread(unread)
		if unread[5] {
			t.Error("once is nothing")
		}
		time.Sleep(patience)
		rig.log.Unread(unread)
		if !unread[5] || unread[4] || unread[6] {
			t.Errorf("got %v", unread)
		}
		rig.log.reading.health.fine(5)
		if rig.log.Unread(unread); unread[5] {
			t.Error("it can be read again")
		}
	})
}

// What to do about an error stands behind it, however long the error is.
func TestAdviceIsNotCutOff(t *testing.T) {
	long := errors.New(strings.Repeat("brokers have much to say; ", 50))
	err := explained(errors.Join(long, kafkago.TopicAuthorizationFailed))
	for _, err := range []error{err, brief(err), explained(err), unreached(err)} {
		if text := err.Error(); !strings.HasSuffix(text, "the user needs Describe, Read and Write on the topic") || len(text) > 400 || !errors.Is(err, kafkago.TopicAuthorizationFailed) {
			t.Errorf("got %d bytes: %s", len(text), text)
		}
	}
	refused := &refusedTopicError{"events", "grant the user Create", long}
	if text := refused.Error(); !strings.HasSuffix(text, "grant the user Create") || len(text) > 400 {
		t.Errorf("got %d bytes: %s", len(text), text)
	}
}

func TestAppendsAreRefusedWhileAPartitionKeepsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{logger: writerLogger(), failing: map[messages.Partition]failure{}}
		long := errors.New(strings.Repeat("x", 1<<20))
		h.failed(1, long)
		h.failed(2, long)
		time.Sleep(patience - 1)
		if err := h.err(); err != nil {
			t.Fatalf("before its time: %v", err)
		}
		h.failed(1, long)
		time.Sleep(time.Nanosecond)
		err := h.err()
		if !errors.Is(err, messages.ErrStopped) || len(err.Error()) > 500 {
			t.Fatalf("%d bytes: %v", len(fmt.Sprint(err)), err)
		}
		h.fine(1)
		if h.err() == nil {
			t.Fatal("the other one still fails")
		}
		h.fine(2)
		h.fine(2)
		if err := h.err(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAppendFailsAtOnceWhileWritesKeepFailing(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	l.health.failing[3] = failure{since: time.Now().Add(-patience), last: errors.New("away")}
	l.health.count.Store(1)
	err := l.Append(t.Context(), frameOf(1, 1, 0), make(messages.Position, 4))
	if !errors.Is(err, messages.ErrStopped) || !strings.Contains(err.Error(), "away") {
		t.Fatal(err)
	}
	l.health.fine(3)
	mustAppend(t, l, frameOf(1, 1, 0))
}
