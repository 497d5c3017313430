package kafka

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crestdb/crest/messages"
)

// anotherClient is a client of another library.
func anotherClient(t *testing.T, b *broker) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// poison is a record at an offset, with so many events that cannot be counted.
func poison(offset int64, events int) (*record, []messages.Refusal) {
	r := &record{
		offset: offset, time: 1_700_000_000_000, key: fmt.Appendf(nil, "key %d", offset), value: fmt.Appendf(nil, "value \xff %d", offset),
		headers: []messages.Header{{Key: []byte("content-type"), Value: []byte("text/poison")}},
	}
	var refused []messages.Refusal
	for i := range events {
		refused = append(refused, messages.Refusal{Index: i, Reason: fmt.Sprintf("reason %d", i)})
	}
	return r, refused
}

// settle waits for all letters, also while a slow machine has them wait for their
// topic.
func settle(t *testing.T, l *Log) {
	t.Helper()
	for p := range messages.Partition(l.id.Partitions) {
		eventually(t, "the letters are settled", func() bool { return l.Settle(t.Context(), p) == nil })
	}
}

// lettersIn are the letters in the topic of dead letters, each once: one is written
// again where it is not known whether it was.
func lettersIn(t *testing.T, b *broker) (all []*kgo.Record) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range topicRecords(t, b, brokerTopic+"-dead-letters")[0] {
		if !seen[string(r.Key)] {
			all = append(all, r)
		}
		seen[string(r.Key)] = true
	}
	return all
}

// letterLines are those of a dead-letter file.
func letterLines(t *testing.T, name string) (all []letterLine) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		var line letterLine
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		all = append(all, line)
	}
	return all
}

func TestDeadLettersGoToTheirTopic(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadFile = filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	l.dead.timeout = testTimeout // before the first letter: a topic that is slow is none that fails
	var want []string
	for offset := range int64(300) {
		r, refused := poison(offset, 1+int(offset%3))
		l.refuse(2, r, refused)
		for i := range refused {
			want = append(want, fmt.Sprintf("2/%d/%d", offset, i))
		}
		clear(r.value) // it is the fetch's to use again
	}
	settle(t, l)
	if got := l.DeadLetters(); got != uint64(len(want)) {
		t.Errorf("%d dead letters, want %d", got, len(want))
	}
	var got []string
	for _, r := range lettersIn(t, b) {
		got = append(got, string(r.Key))
		h := map[string]string{}
		for _, header := range r.Headers {
			h[header.Key] = string(header.Value)
		}
		if key := h["partition"] + "/" + h["offset"] + "/" + h["index"]; key != string(r.Key) || h["reason"] != "reason "+h["index"] || h["content-type"] != "text/poison" ||
			string(r.Value) != "value \xff "+h["offset"] ||
			h["timestamp"] != strconv.FormatInt(r.Timestamp.UnixMilli(), 10) || len(h) != 6 {
			t.Fatalf("letter %+v", r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d letters, want %d", len(got), len(want))
	}
	if _, err := os.Stat(cfg.DeadFile); err == nil {
		t.Error("the file was made as well")
	}
}

func TestDeadLettersGoToTheFileWhileTheirTopicCannotBeWritten(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadFile = filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	for offset := range int64(50) {
		r, refused := poison(offset, 2)
		l.refuse(3, r, refused)
	}
	settle(t, l)
	got := letterLines(t, cfg.DeadFile)
	if len(got) != 100 {
		t.Fatalf("%d lines", len(got))
	}
	for i, line := range got {
		if line.Topic != brokerTopic || line.Partition != 3 || line.Offset != int64(i/2) || line.Index != i%2 || line.Reason != fmt.Sprintf("reason %d", i%2) ||
			line.Key != fmt.Sprintf("key %d", i/2) || line.KeyBase64 != nil || line.Value != "" ||
			!slices.EqualFunc(line.Headers, []letterHeader{{Key: "content-type", Value: "text/poison"}}, sameHeader) || !bytes.Equal(line.ValueBase64, fmt.Appendf(nil, "value \xff %d", i/2)) {
			t.Fatalf("line %d: %+v", i, line)
		}
	}
	fault.Remove()
}

// TestARecordOfManyRefusedEventsMakesFewLetters: a megabyte of empty lines must
// not become a terabyte of dead letters.
func TestARecordOfManyRefusedEventsMakesFewLetters(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadTopic, cfg.DeadFile = "-", filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	refused := make([]messages.Refusal, 100_000)
	for i := range refused {
		refused[i] = messages.Refusal{Index: 3 + i, Reason: "no"}
	}
	value := bytes.Repeat([]byte("{}\n"), len(refused))
	l.refuse(1, &record{offset: 7, key: []byte("k"), value: value}, refused)
	settle(t, l)
	if got := l.DeadLetters(); got != uint64(len(refused)) {
		t.Errorf("%d dead letters, want %d", got, len(refused))
	}
	got, events := letterLines(t, cfg.DeadFile), 0
	for i, line := range got {
		events += max(1, line.Events)
		switch {
		case line.Offset != 7 || line.Index != 3+i:
			t.Fatalf("line %d: %+v", i, line)
		case i == 0 && (line.Value != string(value) || line.Key != "k" || line.ValueIn != nil):
			t.Errorf("the first line has %d bytes of the record's %d", len(line.Value), len(value))
		case i > 0 && (line.Value != "" || line.ValueIn == nil || *line.ValueIn != 3):
			t.Fatalf("line %d: %+v", i, line)
		}
	}
	if len(got) != lettersOfRecord+1 || events != len(refused) {
		t.Errorf("%d lines for %d events, want %d for %d", len(got), events, lettersOfRecord+1, len(refused))
	}
}

func sameHeader(a, b letterHeader) bool {
	return a.Key == b.Key && a.Value == b.Value && bytes.Equal(a.KeyBase64, b.KeyBase64) && bytes.Equal(a.ValueBase64, b.ValueBase64)
}

// A line has everything that the record had, so that it can be produced again.
func TestALetterInTheFileHasTheWholeRecord(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadTopic, cfg.DeadFile = "-", filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	r := &record{offset: 7, key: []byte("k\xff\x00"), value: []byte("v"), headers: []messages.Header{
		{Key: []byte("a"), Value: []byte("é")}, {Key: []byte("a"), Value: []byte("\xfe")}, {Key: []byte("\x80"), Value: nil},
	}}
	l.refuse(0, r, []messages.Refusal{{Reason: "no"}})
	settle(t, l)
	got := letterLines(t, cfg.DeadFile)
	if len(got) != 1 || got[0].Key != "" || !bytes.Equal(got[0].KeyBase64, r.key) || got[0].Value != "v" ||
		!slices.EqualFunc(got[0].Headers, []letterHeader{{Key: "a", Value: "é"}, {Key: "a", ValueBase64: []byte("\xfe")}, {KeyBase64: []byte("\x80")}}, sameHeader) {
		t.Errorf("%+v", got)
	}
}

func TestDeadLettersWithoutATopic(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadTopic, cfg.DeadFile = "-", filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	l.refuse(0, &record{offset: 7, value: []byte(`{"text":1}`)}, []messages.Refusal{{Index: 4, Reason: "no"}})
	if err := l.Close(); err != nil { // it writes what waits
		t.Fatal(err)
	}
	if got := letterLines(t, cfg.DeadFile); len(got) != 1 || got[0].Value != `{"text":1}` || got[0].Index != 4 {
		t.Errorf("%+v", got)
	}
}

// What a partition is told to put aside waits for nothing, however many come and
// whatever the topic does.
func TestDeadLettersDoNotHoldAPartitionUp(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadFile = filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	l.dead.timeout = 2 * testTimeout // before the first letter
	b.setDown(true)
	value := bytes.Repeat([]byte("x"), 1<<20)
	const n = 22 // of which 16 may wait
	longest := time.Duration(0)
	for offset := range int64(n) {
		began := time.Now()
		l.refuse(1, &record{offset: offset, value: value}, []messages.Refusal{{Reason: "too large"}})
		longest = max(longest, time.Since(began))
	}
	if longest > testTimeout {
		t.Errorf("one took %v, while the topic is tried", longest)
	}
	l.dead.mu.Lock()
	waiting := l.dead.bytes
	l.dead.mu.Unlock()
	if waiting > maxLetters {
		t.Errorf("%d bytes wait", waiting)
	}
	b.setDown(false)
	settle(t, l)
	offsets := map[int64]bool{}
	for _, line := range letterLines(t, cfg.DeadFile) { // those that had no room
		offsets[line.Offset] = true
	}
	if len(offsets) == 0 {
		t.Error("nothing is in the file")
	}
	for _, r := range lettersIn(t, b) {
		for _, h := range r.Headers {
			if h.Key == "offset" {
				offset, err := strconv.ParseInt(string(h.Value), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				offsets[offset] = true
			}
		}
	}
	if len(offsets) != n {
		t.Errorf("%d of %d letters are in the file or the topic", len(offsets), n)
	}
}

func TestDeadLettersGoToTheFileWhileBrokersAreAway(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.DeadFile = filepath.Join(t.TempDir(), "letters")
	l := openLog(t, cfg)
	l.dead.timeout = 50 * time.Millisecond // before the first letter
	b.setDown(true)
	for offset := range int64(3) {
		l.refuse(1, &record{offset: offset}, []messages.Refusal{{Reason: "no"}})
	}
	settle(t, l)
	if got := letterLines(t, cfg.DeadFile); len(got) != 3 {
		t.Errorf("%d letters in the file, want 3", len(got))
	}
}

// A record that the dead letters' topic does not take goes to the file, and its
// neighbours to the topic.
func TestALetterTooLargeForItsTopicGoesToTheFile(t *testing.T) {
	b := newBroker(t)
	if err := b.CreateTopic(brokerTopic+"-dead-letters", 1, map[string]string{"max.message.bytes": "10000"}); err != nil {
		t.Fatal(err)
	}
	cfg := writerConfig(b)
	cfg.DeadFile, cfg.Compression = filepath.Join(t.TempDir(), "letters"), "none"
	l := openLog(t, cfg)
	l.dead.timeout = testTimeout // before the first letter
	for offset := range int64(9) {
		r := &record{offset: offset, value: bytes.Repeat([]byte("v"), 100)}
		if offset == 4 {
			r.value = bytes.Repeat([]byte("v"), 20_000)
		}
		l.refuse(1, r, []messages.Refusal{{Reason: "no"}})
	}
	settle(t, l)
	if got := lettersIn(t, b); len(got) != 8 {
		t.Errorf("%d letters in the topic", len(got))
	}
	if got := letterLines(t, cfg.DeadFile); len(got) != 1 || got[0].Offset != 4 || len(got[0].Value) != 20_000 {
		t.Errorf("%d letters in the file", len(got))
	}
}

func TestWhatIsReadAndRefusedIsPutAside(t *testing.T) {
	b := newBroker(t)
	l := openLog(t, writerConfig(b))
	if err := anotherClient(t, b).ProduceSync(t.Context(), &kgo.Record{Topic: brokerTopic, Partition: 2, Value: []byte("nobody reads this")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	blocks := readAll(t, l, 2, 1)
	if len(blocks) != 1 || blocks[0].Refused != 1 || blocks[0].Records != 0 {
		t.Fatalf("%+v", blocks)
	}
	settle(t, l)
	if got := lettersIn(t, b); len(got) != 1 || string(got[0].Key) != "2/0/0" || string(got[0].Value) != "nobody reads this" {
		t.Errorf("%+v", got)
	}
}

func TestCountedOffsetsAreCommittedToTheGroup(t *testing.T) {
	b := newBroker(t)
	cfg := writerConfig(b)
	cfg.Group = "crest-lag"
	l := openLog(t, cfg)
	loading := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.NotCoordinator, Count: 2})
	if err := l.Commit(t.Context(), messages.Position{3, 0, 5, 0}); err != nil || loading.Hits() != 2 {
		t.Fatal(loading.Hits(), err)
	}
	if err := l.Commit(t.Context(), messages.Position{4, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = cfg.Group
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = cfg.Group
	req.Groups = append(req.Groups, rg)
	resp, err := req.RequestWith(t.Context(), anotherClient(t, b))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]int64{}
	for _, g := range resp.Groups {
		for _, rt := range g.Topics {
			for _, rp := range rt.Partitions {
				got[rp.Partition] = rp.Offset
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(map[int32]int64{0: 4, 2: 5, 3: 1}) {
		t.Errorf("committed %v", got)
	}
	fault := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	defer fault.Remove()
	if err := l.Commit(t.Context(), messages.Position{9, 0, 0, 0}); err == nil || !strings.Contains(err.Error(), kafkago.GroupAuthorizationFailed.Title()) {
		t.Error(err)
	}
}
