package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/vmihailenco/msgpack/v5"
)

// brokers are a cluster in this process; topic "events" has partitions, if any.
func brokers(t *testing.T, partitions int32) (addr string) {
	t.Helper()
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	if partitions > 0 {
		opts = append(opts, kfake.SeedTopics(partitions, "events"))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// records are all of topic "events".
func records(t *testing.T, addr string, want int) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	for len(all) < want && ctx.Err() == nil {
		all = append(all, c.PollFetches(ctx).Records()...)
	}
	return all
}

// produce writes records as another producer might; those without a key go where
// they like.
func produce(t *testing.T, addr string, list ...*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(t.Context(), list...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestServeCountsATopicOfKafka(t *testing.T) {
	addr := brokers(t, 4)
	file := write(t, "events.csv", eventsCSV)
	crest(t, "ingest", file, "--kafka", addr).want(t, 1, "sent 5 events, 1 rejected", "line 5: timestamp")
	crest(t, "ingest", file, "--kafka", addr).want(t, 0, "nothing to do")
	n := serveNode(t, t.TempDir(), "--log", "kafka://"+addr+"/events", "--clock", "event")
	soon(t, `"count_estimate": 4,`, "count", "a", "--window", "all", "--addr", n.addr, "-o", "json")
	crest(t, "top", "--window", "all", "--addr", n.addr).want(t, 0, "c, d")
}

// What other producers' consumers see: a record of JSON per event, keyed by
// topic, in the partition where Kafka's own producer would put it.
func TestIngestWritesToKafkaAsAnybodyWould(t *testing.T) {
	addr := brokers(t, 16)
	var lines strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, `{"topic":"t%d","event_id":"%d","made_up":[%d]}`+"\n", i%40, i, i)
	}
	lines.WriteString(`{"topic":""}` + "\n" + `{"topic":"x"` + "\n" + `[{"topic":"a"},{"topic":"b"}]` + "\n")
	crest(t, "ingest", write(t, "e.ndjson", lines.String()), "--kafka", "kafka://"+addr+"/events").want(t, 1, "sent 303 events, 3 rejected", "line 301: topic", "line 302: ", "line 303: 2 events in one line")

	packed, err := msgpack.Marshal([]map[string]any{{"topic": "packed", "user_id": "u", "made_up": 1}, {"count": 3}})
	if err != nil {
		t.Fatal(err)
	}
	crest(t, "ingest", write(t, "e.msgpack", string(packed)), "--kafka", addr+"/events", "--kafka-compression", "zstd").want(t, 1, "sent 2 events, 1 rejected")

	all := records(t, addr, 301)
	if len(all) != 301 {
		t.Fatalf("%d records, want 301", len(all))
	}
	partitions := map[string]int32{}
	for _, r := range all {
		var event struct {
			Topic  string `json:"topic"`
			MadeUp any    `json:"made_up"`
			User   string `json:"user_id"`
		}
		if err := json.Unmarshal(r.Value, &event); err != nil || event.Topic != string(r.Key) || event.MadeUp == nil {
			t.Errorf("record %s: %s, %v", r.Key, r.Value, err)
		}
		if event.Topic == "packed" && event.User != "u" {
			t.Errorf("msgpack became %s", r.Value)
		}
		partitions[string(r.Key)] = r.Partition
	}
	// franz-go's default partitioner is Kafka's.
	for topic, p := range partitions {
		twin := &kgo.Record{Key: []byte(topic), Value: []byte("{}")}
		produce(t, addr, twin)
		if twin.Partition != p {
			t.Errorf("%s is in partition %d, others put it into %d", topic, p, twin.Partition)
		}
	}
}

func TestIngestIntoKafkaSaysWhatIsWrong(t *testing.T) {
	addr := brokers(t, 0)
	file := write(t, "e.ndjson", `{"topic":"a"}`+"\n")
	crest(t, "ingest", file, "--kafka", addr).want(t, 1, "topic is not there", "crest serve --log kafka://"+addr+"/events")
	if got := crest(t, "ingest", file, "--kafka", "user:geheim@h:1/t"); strings.Contains(got.err, "geheim") {
		t.Errorf("it shows the password: %s", got.err)
	}
	crest(t, "ingest", file, "--kafka", "nowhere").want(t, 2, "HOST:PORT")
	crest(t, "ingest", file, "--kafka", addr, "--addr", "http://h").want(t, 2, "--kafka and --addr")
	crest(t, "ingest", file, "--kafka-user", "u").want(t, 2, "want --kafka HOST:PORT/TOPIC")
	crest(t, "ingest", file, "--kafka", addr, "--kafka-sasl", "plain").want(t, 2, "kafka-user")
}

// Kafka remembers no keys: what was under way when a run broke down is not sent
// again unless told so.
func TestWhatMayBeInKafkaIsNotSentAgain(t *testing.T) {
	addr := brokers(t, 2)
	file := write(t, "e.ndjson", `{"topic":"a","event_id":"1"}`+"\n"+`{"topic":"b","event_id":"2"}`+"\n")
	progress := filepath.Join(t.TempDir(), "progress")
	args := []string{"ingest", file, "--kafka", addr, "--progress", progress}
	crest(t, args...).want(t, 0, "sent 2 events")
	content, err := os.ReadFile(progress)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	if state["batch"] != float64(producedBatch) {
		t.Errorf("a block has %v events, want %d", state["batch"], producedBatch)
	}
	state["complete"], state["done_blocks"], state["events"] = false, 0, 0
	state["unresolved"] = []map[string]any{{"block": 0, "since": time.Now(), "key": "k"}}
	if content, err = json.Marshal(state); err == nil {
		err = os.WriteFile(progress, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	crest(t, args...).want(t, 1, "lines 1 to 2", "count it twice", "--unresolved resend", "topic events")
	crest(t, append(args, "--unresolved", "resend")...).want(t, 0, "sent 2 events")
	if n := len(records(t, addr, 4)); n != 4 {
		t.Errorf("%d records, want 4", n)
	}
}

// levels are what crest doctor found, by what it is about.
func levels(t *testing.T, code int, args ...string) map[string]string {
	t.Helper()
	got := crest(t, append([]string{"doctor", "-o", "json"}, args...)...)
	if got.code != code {
		t.Errorf("exit code %d, want %d: %s%s", got.code, code, got.out, got.err)
	}
	var v struct {
		Findings []struct{ Level, About string }
	}
	if err := json.Unmarshal([]byte(got.out), &v); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	all := map[string]string{}
	for _, f := range v.Findings {
		all[f.About] = f.Level
	}
	return all
}

func TestDoctorExplainsATopic(t *testing.T) {
	addr := brokers(t, 0)
	data := t.TempDir()
	at := []string{"--log", "kafka://" + addr + "/events", "--data", data}
	if got := levels(t, 0, at...); got["topic"] != "good" {
		t.Errorf("a topic that is to be made: %v", got)
	}
	if got := levels(t, 1, append(at, "--kafka-no-create")...); got["topic"] != "wrong" {
		t.Errorf("a topic that is not to be made: %v", got)
	}

	n := serveNode(t, data, "--log", "kafka://"+addr+"/events", "--kafka-topic-partitions", "4")
	file := write(t, "e.ndjson", `{"topic":"a"}`+"\n"+`{"topic":"b"}`+"\n")
	crest(t, "ingest", file, "--addr", n.addr).want(t, 0)
	crest(t, "ingest", file, "--kafka", addr, "--progress", "none").want(t, 0)
	got := levels(t, 0, at...) // beside the node
	if got["identity"] != "good" || got["partitions"] != "good" || got["stamps"] != "good" || got["keys"] != "note" || got["formats"] != "good" || got["copies"] != "warning" {
		t.Errorf("a topic that crest has made: %v", got)
	}
	if got := levels(t, 0, append(at, "--kafka-keyed")...); got["keys"] != "good" {
		t.Errorf("keyed: %v", got)
	}

	produce(t, addr, &kgo.Record{Key: []byte("user-7"), Value: []byte(`{"topic":"c"}`)}, &kgo.Record{Key: []byte("x"), Value: []byte(`{"topic":`)})
	if got := levels(t, 1, append(at, "--kafka-keyed")...); got["keys"] != "wrong" || got["refused"] != "warning" {
		t.Errorf("not keyed, and poison: %v", got)
	}
	crest(t, append([]string{"doctor"}, at...)...).want(t, 0, "costs: ", "do: ", "events-dead-letters")
	n.stop()

	// A name that was mistyped is not what the snapshots are of.
	if got := levels(t, 1, "--log", "kafka://"+addr+"/evnets", "--data", data); got["store"] != "wrong" || got["topic"] != "note" {
		t.Errorf("a mistyped topic: %v", got)
	}
	crest(t, "serve", "--http", "127.0.0.1:0", "--log", "kafka://"+addr+"/evnets", "--data", data).want(t, 1, "name events in --log")
	crest(t, "serve", "--http", "127.0.0.1:0", "--data", data).want(t, 1, "is a topic of Kafka")
	for _, command := range []string{"ls", "cat", "verify"} {
		crest(t, "log", command, "--data", data).want(t, 1, "is a topic of Kafka", "crest doctor")
	}

	// The same name in another cluster: not the log that the snapshots are of.
	other := brokers(t, 4)
	if got := levels(t, 1, "--log", "kafka://"+other+"/events", "--data", data); got["identity"] != "wrong" {
		t.Errorf("another topic: %v", got)
	}
}

// A header of crest's that no crest has written is refused, and so it says.
func TestDoctorFindsForgedRecords(t *testing.T) {
	addr := brokers(t, 4)
	produce(t, addr, &kgo.Record{Key: []byte("c"), Value: []byte(`{"topic":"c"}`), Headers: []kgo.RecordHeader{{Key: "crest", Value: []byte{1, 2}}}},
		&kgo.Record{Key: []byte("c"), Value: []byte(`{"topic":"c"}`)})
	if got := levels(t, 0, "--log", "kafka://"+addr+"/events", "--data", t.TempDir()); got["refused"] != "warning" {
		t.Errorf("got %v", got)
	}
}

func TestDoctorSaysWhatItNeeds(t *testing.T) {
	crest(t, "doctor").want(t, 2, "--log kafka://HOST:PORT/TOPIC", "crest log verify")
	crest(t, "doctor", "--log", "kafka://h:1/t", "--sample", "-1").want(t, 2, "--sample")
	crest(t, "doctor", "--log", "kafka://h:1/t", "-o", "xml").want(t, 2, "--output")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "crest.yaml"), []byte("log: kafka://h:1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	crest(t, "doctor", "--config", filepath.Join(dir, "crest.yaml")).want(t, 2, "crest.yaml:1")
}

// A store of snapshots of a topic is backed up and brought back with what it says
// of the topic, and the topic brings what came after.
func TestSnapshotsOfATopicAreRestored(t *testing.T) {
	addr := brokers(t, 2)
	data, backup := t.TempDir(), "dir:"+filepath.Join(t.TempDir(), "backup")
	serve := []string{"--log", "kafka://" + addr + "/events"}
	n := serveNode(t, data, serve...)
	send := func() {
		t.Helper()
		crest(t, "ingest", write(t, "e.ndjson", `{"topic":"a"}`+"\n"+`{"topic":"b"}`+"\n"), "--addr", n.addr, "--progress", "none").want(t, 0)
	}
	counted := func(want int) {
		t.Helper()
		soon(t, fmt.Sprintf(`"count_estimate": %d,`, want), "count", "a", "--window", "all", "--addr", n.addr, "-o", "json")
	}
	send()
	counted(1)
	resp, err := http.Post("http://"+n.addr+"/api/v1/admin/snapshot", "", nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	crest(t, "snapshot", "restore", "--from", "dir:"+filepath.Join(data, "store"), "--store", backup, "--store-only").want(t, 0, "topic events of Kafka")
	crest(t, "snapshot", "verify", "--store", backup).want(t, 0, "the snapshots are sound")
	send()
	counted(2)
	n.stop()
	if err := os.RemoveAll(filepath.Join(data, "store")); err != nil {
		t.Fatal(err)
	}
	crest(t, "snapshot", "restore", "--from", backup, "--data", data).want(t, 0, "topic events of Kafka", "crest doctor")
	if got := levels(t, 0, append(serve, "--data", data)...); got["identity"] != "good" {
		t.Errorf("doctor: %v", got)
	}
	n = serveNode(t, data, serve...)
	counted(2)
	send()
	counted(3)
}

func TestSigtermWhileBrokersDoNotAnswerEndsTheStart(t *testing.T) {
	r := inBackground(t, "serve", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--log", "kafka://127.0.0.1:1/events")
	r.says(t, "127.0.0.1:1")
	r.stop(t).want(t, 0, "stopped before")
}
