package settings_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crestdb/crest/cmd/crest/settings"
)

func TestTopicsOfKafka(t *testing.T) {
	for v, want := range map[string]settings.KafkaURL{
		"kafka://127.0.0.1:9092/events":      {Brokers: []string{"127.0.0.1:9092"}, Topic: "events"},
		"kafka://a:1,b.example:9093/v.1_x-y": {Brokers: []string{"a:1", "b.example:9093"}, Topic: "v.1_x-y"},
		"kafka://[::1]:9092/t":               {Brokers: []string{"[::1]:9092"}, Topic: "t"},
	} {
		got, err := settings.ParseKafka(v)
		if err != nil || got.Topic != want.Topic || !slices.Equal(got.Brokers, want.Brokers) {
			t.Errorf("%s: got %v, %v", v, got, err)
		}
	}
	got, err := settings.ParseBrokers("a:1,b:2")
	if err != nil || got.Topic != "" || len(got.Brokers) != 2 {
		t.Errorf("brokers alone: got %v, %v", got, err)
	}
}

// load is settings of a node; more are of the environment.
func load(t *testing.T, flags map[string]string, environ ...string) *settings.Settings {
	t.Helper()
	s, err := settings.Load(settings.Sources{Environ: environ, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettingsOfKafkaGoTogether(t *testing.T) {
	const url = "kafka://h:1/t"
	for _, c := range []struct {
		name    string
		flags   map[string]string
		environ []string
		want    string // "": no error
	}{
		{"nothing", nil, nil, ""},
		{"a topic alone", map[string]string{"log": url}, nil, ""},
		{"of kafka, embedded", map[string]string{"kafka-group": "g"}, nil, "--kafka-group: kafka-group: the log is embedded"},
		{"dead letters, embedded", nil, []string{"CREST_DEAD_LETTERS=x"}, "CREST_DEAD_LETTERS: dead-letters: the log is embedded"},
		{"a default of kafka, embedded", map[string]string{"kafka-write": "block"}, nil, ""},
		{"retention of the embedded log", map[string]string{"log": url, "log-retention": "2h"}, nil, "kafka-retention"},
		{"partitions", map[string]string{"log": url, "partitions": "8"}, nil, ""},
		{"partitions twice", map[string]string{"log": url, "partitions": "8", "kafka-topic-partitions": "9"}, nil, "give one of them"},
		{"certificate without key", map[string]string{"log": url, "kafka-cert": "c"}, nil, "kafka-cert and kafka-key"},
		{"user without sasl", map[string]string{"log": url, "kafka-user": "u"}, nil, "want kafka-sasl"},
		{"password without sasl", map[string]string{"log": url, "kafka-password-file": "f"}, nil, "want kafka-sasl"},
		{"sasl without user", map[string]string{"log": url, "kafka-sasl": "plain"}, nil, "want kafka-user"},
		{"sasl without password", map[string]string{"log": url, "kafka-sasl": "plain", "kafka-user": "u"}, nil, "CREST_KAFKA_PASSWORD"},
		{"sasl", map[string]string{"log": url, "kafka-sasl": "plain", "kafka-user": "u"}, []string{"CREST_KAFKA_PASSWORD=p"}, ""},
		{"two passwords", map[string]string{"log": url, "kafka-sasl": "plain", "kafka-user": "u", "kafka-password-file": "f"}, []string{"CREST_KAFKA_PASSWORD=p"}, "give one of them"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := load(t, c.flags, c.environ...).CheckKafka()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want %q in one line", err, c.want)
			}
		})
	}
}

func TestPartitionsOfATopicByEitherName(t *testing.T) {
	for _, name := range []string{"partitions", "kafka-topic-partitions"} {
		if s := load(t, map[string]string{"log": "kafka://h:1/t", name: "8"}); s.KafkaPartitions != 8 {
			t.Errorf("%s 8: got %d", name, s.KafkaPartitions)
		}
	}
}

func TestThePasswordIsNeverShown(t *testing.T) {
	s := load(t, map[string]string{"log": "kafka://h:1/t", "kafka-sasl": "plain", "kafka-user": "u"}, "CREST_KAFKA_PASSWORD=geheim")
	if text := s.YAML(); strings.Contains(text, "geheim") || !strings.Contains(text, "******  # CREST_KAFKA_PASSWORD") {
		t.Errorf("got\n%s", text)
	}
	if p, err := s.KafkaPassword(); p != "geheim" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	s = load(t, map[string]string{"kafka-password-file": file(t, "aus der Datei\n")})
	if p, err := s.KafkaPassword(); p != "aus der Datei" || err != nil {
		t.Errorf("from a file: got %q, %v", p, err)
	}
	s = load(t, map[string]string{"kafka-password-file": file(t, "\n")})
	if p, err := s.KafkaPassword(); err == nil {
		t.Errorf("from an empty file: got %q", p)
	}
}

// Whoever puts a password where none belongs does not find it in a log.
func TestAPasswordInTheWrongPlaceIsNotShown(t *testing.T) {
	for name, value := range map[string]string{
		"log": "kafka://user:geheim@h:1/t", "s3-endpoint": "https://user:geheim@host", "store": "s4://user:geheim@bucket", "dead-letters": "user:geheim@x",
	} {
		_, err := settings.Load(settings.Sources{Flags: map[string]string{name: value}})
		if err == nil || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "--"+name+": "+name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := settings.Load(settings.Sources{Flags: map[string]string{"log": "kafka://h/t"}}); err == nil || !strings.Contains(err.Error(), `log "kafka://h/t"`) {
		t.Errorf("one without: got %v", err)
	}
}

func TestNamesOfGroups(t *testing.T) {
	for _, name := range []string{"", " ", "a b", "a\tb", "a\n", "a\x00", "\xff", strings.Repeat("a", 250)} {
		if _, err := settings.Load(settings.Sources{Flags: map[string]string{"kafka-group": name}}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if s := load(t, map[string]string{"log": "kafka://h:1/t", "kafka-group": "crest.lag/ü"}); s.KafkaGroup != "crest.lag/ü" {
		t.Errorf("got %q", s.KafkaGroup)
	}
}

// What is printed for one kind of log has nothing of the other's, and can be
// read back.
func TestYAMLIsOfTheLogInUse(t *testing.T) {
	embedded, kafka := load(t, nil).YAML(), load(t, map[string]string{"log": "kafka://h:1/t", "partitions": "8"}).YAML()
	if strings.Contains(embedded, "kafka-") || !strings.Contains(embedded, "log: embedded") {
		t.Errorf("embedded:\n%s", embedded)
	}
	if strings.Contains(kafka, "log-retention") || !strings.Contains(kafka, "kafka-topic-partitions: 8") || !strings.Contains(kafka, "log: kafka://h:1/t") {
		t.Errorf("kafka:\n%s", kafka)
	}
	for _, text := range []string{embedded, kafka} {
		s, err := settings.Load(settings.Sources{File: file(t, text)})
		if err == nil {
			err = s.CheckKafka()
		}
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestTLSOfBrokers(t *testing.T) {
	if c, err := load(t, nil).KafkaTLS(); c != nil || err != nil {
		t.Errorf("without: got %v, %v", c, err)
	}
	if c, err := load(t, map[string]string{"kafka-tls": "true"}).KafkaTLS(); c == nil || err != nil || c.RootCAs != nil || c.InsecureSkipVerify {
		t.Errorf("switched on: got %v, %v", c, err)
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	for _, flags := range []map[string]string{
		{"kafka-ca": none},
		{"kafka-ca": file(t, "no certificate")},
		{"kafka-cert": none, "kafka-key": none},
	} {
		if _, err := load(t, flags).KafkaTLS(); err == nil || !strings.Contains(err.Error(), "kafka-c") {
			t.Errorf("%v: got %v", flags, err)
		}
	}
	ca, err := os.ReadFile(filepath.Join("testdata", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := load(t, map[string]string{"kafka-ca": file(t, string(ca))}).KafkaTLS(); err != nil || c.RootCAs == nil {
		t.Errorf("with a CA: got %v, %v", c, err)
	}
}
