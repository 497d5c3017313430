package settings_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/messages"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crest.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsNeedNothing(t *testing.T) {
	s, err := settings.Load(settings.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Store != "dir:data/store" || s.LogRetention != time.Hour || s.SnapshotEvery != 10*time.Minute || s.S3Endpoint != "" {
		t.Errorf("got store %q, retention %v, snapshots every %v, endpoint %q", s.Store, s.LogRetention, s.SnapshotEvery, s.S3Endpoint)
	}
	if s.Data != "./data" || s.HTTP != "127.0.0.1:8080" || s.Memory != 1<<30 || s.DedupMemory != 1<<28 || s.Partitions != 16 {
		t.Errorf("got %+v", s)
	}
	for _, d := range settings.Table {
		if origin, ok := s.Given(d.Name); ok {
			t.Errorf("%s counts as given at %s", d.Name, origin)
		}
	}
}

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	const content = "memory: 64MiB\nmax-regions: 1\nhttp: :1\nkeep-user-ids: true\n"
	for _, c := range []struct {
		name    string
		environ []string
		flags   map[string]string
		memory  int64
		regions int
		http    string
		origin  settings.Origin // of max-regions, without the folder
	}{
		{"file alone", nil, nil, 64 << 20, 1, ":1", "crest.yaml:2"},
		{"environment over file", []string{"CREST_MAX_REGIONS=2", "HOME=/"}, nil, 64 << 20, 2, ":1", "CREST_MAX_REGIONS"},
		{"flag over both", []string{"CREST_MAX_REGIONS=2", "CREST_HTTP=:2"}, map[string]string{"max-regions": "3"}, 64 << 20, 3, ":2", "--max-regions"},
		{"flag over file", nil, map[string]string{"memory": "96MiB", "http": ":3"}, 96 << 20, 1, ":3", "crest.yaml:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := settings.Load(settings.Sources{File: file(t, content), Environ: c.environ, Flags: c.flags})
			if err != nil {
				t.Fatal(err)
			}
			if s.Memory != c.memory || s.MaxRegions != c.regions || s.HTTP != c.http || !s.KeepUserIDs {
				t.Errorf("got memory %d, max-regions %d, http %s, keep-user-ids %v", s.Memory, s.MaxRegions, s.HTTP, s.KeepUserIDs)
			}
			origin, ok := s.Given("max-regions")
			if !ok || filepath.Base(string(origin)) != string(c.origin) {
				t.Errorf("max-regions given at %q, want %q", origin, c.origin)
			}
			if _, ok := s.Given("partitions"); ok {
				t.Error("partitions counts as given")
			}
		})
	}
}

func TestDefaultsFollowMemory(t *testing.T) {
	s, err := settings.Load(settings.Sources{Flags: map[string]string{"memory": "64MiB"}})
	if err != nil || s.DedupMemory != 16<<20 || s.MaxBody != 2<<20 {
		t.Errorf("got dedup-memory %d, max-body %d, %v", s.DedupMemory, s.MaxBody, err)
	}
}

func TestTheStoreFollowsTheData(t *testing.T) {
	s, err := settings.Load(settings.Sources{Environ: []string{"CREST_DATA=/var/crest"}})
	if err != nil || s.Store != "dir:/var/crest/store" {
		t.Errorf("got %q, %v", s.Store, err)
	}
	if s, err = settings.Load(settings.Sources{Flags: map[string]string{"data": "/var/crest", "store": "dir:/mnt/store"}}); err != nil || s.Store != "dir:/mnt/store" {
		t.Errorf("got %q, %v", s.Store, err)
	}
}

func TestEveryValueIsRead(t *testing.T) {
	s, err := settings.Load(settings.Sources{Flags: map[string]string{
		"data": "/var/crest", "http": "0.0.0.0:80", "memory": "4GiB", "dedup-memory": "1.5GiB", "clock": "event", "epsilon": "0.01", "delta": "1e-4",
		"partitions": "8", "max-categories": "4096", "max-regions": "1000", "dedup-window": "1h", "max-ahead": "0",
		"max-body": "1MB", "min-free": "0", "log-level": "debug", "log-format": "json", "hash-key-file": "key", "keep-user-ids": "true",
		"store": "s3://b/p", "s3-endpoint": "http://h:9000", "s3-region": "eu", "snapshot-every": "90s", "log-retention": "2d",
		"log": "kafka://h:1/t", "kafka-topic-partitions": "9", "kafka-replication": "3", "kafka-retention": "0", "kafka-no-create": "true", "kafka-keyed": "true",
		"kafka-format": "ndjson", "kafka-write": "event", "kafka-compression": "zstd", "kafka-group": "g", "dead-letters": "file",
		"kafka-tls": "true", "kafka-ca": "ca", "kafka-cert": "cert", "kafka-key": "pem", "kafka-sasl": "scram-sha-256", "kafka-user": "u", "kafka-password-file": "pw",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Settings{
		Data: "/var/crest", HTTP: "0.0.0.0:80", Memory: 4 << 30, DedupMemory: 3 << 29, Epsilon: 0.01, Delta: 0.0001, Clock: messages.ClockEvent,
		Partitions: 8, MaxCategories: 4096, MaxRegions: 1000, DedupWindow: time.Hour, MaxAhead: 0,
		MaxBody: 1e6, MinFree: 0, LogLevel: slog.LevelDebug, LogFormat: "json", HashKeyFile: "key", KeepUserIDs: true,
		Store: "s3://b/p", S3Endpoint: "http://h:9000", S3Region: "eu", SnapshotEvery: 90 * time.Second, LogRetention: 48 * time.Hour,
		Log: "kafka://h:1/t", KafkaPartitions: 9, KafkaReplication: 3, KafkaRetention: 0, KafkaNoCreate: true, KafkaKeyed: true,
		KafkaFormat: "ndjson", KafkaWrite: "event", KafkaCompression: "zstd", KafkaGroup: "g", DeadLetters: "file",
		KafkaTLSOn: true, KafkaCA: "ca", KafkaCert: "cert", KafkaKey: "pem", KafkaSASL: "scram-sha-256", KafkaUser: "u", KafkaPasswordFile: "pw",
	}
	got := reflect.ValueOf(*s)
	for i := range got.NumField() {
		if f := got.Type().Field(i); f.IsExported() && !got.Field(i).Equal(reflect.ValueOf(want).Field(i)) {
			t.Errorf("%s is %v, want %v", f.Name, got.Field(i), reflect.ValueOf(want).Field(i))
		}
	}
}

func TestErrorsAreOneClearLine(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		environ []string
		flags   map[string]string
		want    []string
	}{
		{name: "unknown key", file: "memory: 1GiB\nmemroy: 2GiB\n", want: []string{"crest.yaml:2", `unknown setting "memroy"`, "max-body"}},
		{name: "nested", file: "logs:\n  level: debug\n", want: []string{"crest.yaml:1", `unknown setting "logs"`}},
		{name: "key twice", file: "memory: 1GiB\nhttp: :1\nmemory: 2GiB\n", want: []string{"crest.yaml:3", "memory", "crest.yaml:1"}},
		{name: "value in file", file: "\nclock: lunar\n", want: []string{"crest.yaml:2", `clock "lunar"`, "wall or event"}},
		{name: "no value", file: "memory:\n", want: []string{"crest.yaml:1", "memory", "plain value"}},
		{name: "list value", file: "memory: [1, 2]\n", want: []string{"crest.yaml:1", "plain value"}},
		{name: "list file", file: "- memory\n", want: []string{"crest.yaml:1", "memory: 1GiB"}},
		{name: "no YAML", file: "memory: \"1\n", want: []string{"crest.yaml", "line"}},
		{name: "unknown variable", environ: []string{"CREST_MEMROY=1GiB"}, want: []string{"CREST_MEMROY", "memory"}},
		{name: "value in variable", environ: []string{"CREST_PARTITIONS=0"}, want: []string{"CREST_PARTITIONS", `partitions "0"`, "1 to 1024"}},
		{name: "empty variable", environ: []string{"CREST_DATA="}, want: []string{"CREST_DATA", "folder"}},
		{name: "size", flags: map[string]string{"memory": "12XB"}, want: []string{"--memory", `"12XB"`, "512MiB"}},
		{name: "size too small", flags: map[string]string{"memory": "1"}, want: []string{"--memory", "at least 32MiB"}},
		{name: "negative size", flags: map[string]string{"max-body": "-1MiB"}, want: []string{"--max-body", "512MiB"}},
		{name: "duration", flags: map[string]string{"dedup-window": "10"}, want: []string{"--dedup-window", "1s to 24h", "10m"}},
		{name: "duration too long", flags: map[string]string{"dedup-window": "2d"}, want: []string{"--dedup-window", "1s to 24h"}},
		{name: "epsilon", flags: map[string]string{"epsilon": "1"}, want: []string{"--epsilon", "0.000001 to 0.5"}},
		{name: "delta", flags: map[string]string{"delta": "NaN"}, want: []string{"--delta", "0.000001 to 0.5"}},
		{name: "partitions", flags: map[string]string{"partitions": "1025"}, want: []string{"--partitions", "1 to 1024"}},
		{name: "categories", flags: map[string]string{"max-categories": "65536"}, want: []string{"--max-categories", "1 to 65535"}},
		{name: "regions", flags: map[string]string{"max-regions": "many"}, want: []string{"--max-regions", "1 to 65535"}},
		{name: "address", flags: map[string]string{"http": "8080"}, want: []string{"--http", "HOST:PORT"}},
		{name: "port", flags: map[string]string{"http": ":80800"}, want: []string{"--http", "HOST:PORT"}},
		{name: "log level", flags: map[string]string{"log-level": "loud"}, want: []string{"--log-level", "debug, info"}},
		{name: "log format", flags: map[string]string{"log-format": "xml"}, want: []string{"--log-format", "text or json"}},
		{name: "store", flags: map[string]string{"store": "/var/store"}, want: []string{"--store", "dir:PATH or s3://BUCKET/PREFIX"}},
		{name: "store without a folder", environ: []string{"CREST_STORE=dir:"}, want: []string{"CREST_STORE", "dir:PATH"}},
		{name: "store without a bucket", file: "store: s3://\n", want: []string{"crest.yaml:1", "s3://BUCKET/PREFIX"}},
		{name: "endpoint", flags: map[string]string{"s3-endpoint": "localhost:9000"}, want: []string{"--s3-endpoint", "http://HOST:PORT"}},
		{name: "endpoint with a user", flags: map[string]string{"s3-endpoint": "http://u:geheim@h"}, want: []string{"--s3-endpoint", "AWS_ACCESS_KEY_ID"}},
		{name: "retention", flags: map[string]string{"log-retention": "-1h"}, want: []string{"--log-retention", "0s to 365d"}},
		{name: "snapshots too often", flags: map[string]string{"snapshot-every": "0"}, want: []string{"--snapshot-every", "1s to 24h"}},
		{name: "log", flags: map[string]string{"log": "kafka"}, want: []string{"--log", "embedded or kafka://HOST:PORT"}},
		{name: "log without a topic", flags: map[string]string{"log": "kafka://h:1"}, want: []string{"--log", "no topic"}},
		{name: "log with an empty topic", flags: map[string]string{"log": "kafka://h:1/"}, want: []string{"--log", `topic ""`}},
		{name: "log with a topic that cannot be", flags: map[string]string{"log": "kafka://h:1/a/b"}, want: []string{"--log", "249 letters"}},
		{name: "broker without a port", flags: map[string]string{"log": "kafka://h:1,g/t"}, want: []string{"--log", `broker "g"`, "127.0.0.1:9092"}},
		{name: "log with a user", flags: map[string]string{"log": "kafka://u@h:1/t"}, want: []string{"--log", "kafka-password-file"}},
		{name: "kafka format", environ: []string{"CREST_KAFKA_FORMAT=xml"}, want: []string{"CREST_KAFKA_FORMAT", "auto, json, ndjson, msgpack, protobuf or cloudevents"}},
		{name: "kafka write", flags: map[string]string{"kafka-write": "all"}, want: []string{"--kafka-write", "block or event"}},
		{name: "kafka retention", flags: map[string]string{"kafka-retention": "20000d"}, want: []string{"--kafka-retention", "0s to 3650d"}},
		{name: "dead letters", flags: map[string]string{"dead-letters": "a b"}, want: []string{"--dead-letters", "249 letters"}},
		{name: "kafka tls", flags: map[string]string{"kafka-tls": "on"}, want: []string{"--kafka-tls", "true or false"}},
		{name: "switch", flags: map[string]string{"keep-user-ids": "perhaps"}, want: []string{"--keep-user-ids", "true or false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := settings.Sources{Environ: c.environ, Flags: c.flags}
			if c.file != "" {
				src.File = file(t, c.file)
			}
			_, err := settings.Load(src)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestMissingFileIsAnError(t *testing.T) {
	if _, err := settings.Load(settings.Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("no error")
	}
}

func TestOtherVariablesAreLeftAlone(t *testing.T) {
	_, err := settings.Load(settings.Sources{Environ: []string{
		"CREST_ADDR=http://x", "CREST_CONFIG=f", "CREST_SERVICE_HOST=10.0.0.1", "CREST_PORT=tcp://10.0.0.1:80", "CREST_PORT_80_TCP_ADDR=10.0.0.1",
	}})
	if err != nil {
		t.Error(err)
	}
}

func TestYAMLReadsBackAsItIs(t *testing.T) {
	first, err := settings.Load(settings.Sources{
		Environ: []string{"CREST_DATA=/srv/a # b: \"c\""},
		Flags:   map[string]string{"memory": "3GB", "clock": "event", "hash-key-file": "null", "max-ahead": "0s", "dedup-window": "90s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	second, err := settings.Load(settings.Sources{File: file(t, first.YAML())})
	if err != nil {
		t.Fatalf("%v\n%s", err, first.YAML())
	}
	a, b := reflect.ValueOf(*first), reflect.ValueOf(*second)
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.IsExported() && !a.Field(i).Equal(b.Field(i)) {
			t.Errorf("%s is %v, read back %v\n%s", f.Name, a.Field(i), b.Field(i), first.YAML())
		}
	}
}

func TestYAMLSaysWhereFrom(t *testing.T) {
	s, err := settings.Load(settings.Sources{Environ: []string{"CREST_HTTP=:99"}, Flags: map[string]string{"memory": "8GiB"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"data: ./data", "# default\n", "http: :99", "# CREST_HTTP\n", "memory: 8GiB", "# --memory\n", "dedup-memory: 2GiB", "dedup-window: 10m",
	} {
		if !strings.Contains(s.YAML(), want) {
			t.Errorf("does not say %q:\n%s", want, s.YAML())
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "1KiB": 1024, "512MiB": 512 << 20, "1.5GiB": 3 << 29, "2TiB": 2 << 40, "16MB": 16e6, "1 GiB": 1 << 30, "7B": 7,
	} {
		n, err := settings.ParseSize(text)
		if err != nil || n != want {
			t.Errorf("%q: got %d, %v; want %d", text, n, err, want)
		}
		if back, err := settings.ParseSize(settings.FormatSize(want)); err != nil || back != want {
			t.Errorf("%d is formatted as %q, read back as %d, %v", want, settings.FormatSize(want), back, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1e9", "0x10", "NaN", "Inf", "1gib", "9999999999TiB", "1_000", "1.5.5MiB", "+5"} {
		if n, err := settings.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, n)
		}
	}
}

func TestHashKey(t *testing.T) {
	raw := strings.Repeat("k", 32)
	for _, c := range []struct{ name, content, err string }{
		{"raw", raw, ""},
		{"hex", strings.Repeat("6b", 32) + "\n", ""},
		{"short", "k", "want 32 bytes"},
		{"no hex", strings.Repeat("x", 64), "64 hexadecimal digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := settings.Settings{HashKeyFile: file(t, c.content)}
			key, err := s.HashKey()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), strings.TrimSpace(c.content)+" ") {
					t.Errorf("got error %v", err)
				}
				return
			}
			if err != nil || string(key[:]) != raw {
				t.Errorf("got %v, %v", key, err)
			}
		})
	}
	if key, err := new(settings.Settings).HashKey(); key != nil || err != nil {
		t.Errorf("without a file: got %v, %v", key, err)
	}
}
