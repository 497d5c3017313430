package doctor

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// healthy is a topic that crest has made and used, and that nothing is wrong
// with.
func healthy() Facts {
	return Facts{
		Topic: "events", Exists: true, ClusterID: "c1", TopicID: "aa", Partitions: 64, Copies: 3, InSync: 3,
		Settings: map[string]string{
			"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000", "retention.bytes": "-1", "min.insync.replicas": "2",
			"cleanup.policy": "delete", "max.message.bytes": "1048588", "unclean.leader.election.enable": "false",
		},
		End:    1000,
		Kept:   &Kept{ClusterID: "c1", TopicID: "aa", Partitions: 64},
		Sample: Sample{Records: 100, Own: 40, Formats: map[string]int{"json": 60}, Events: 60, Keyed: 60, AppendTime: 100},
		Node:   Node{Partitions: 64, Retention: 7 * 24 * time.Hour, Keyed: true, SnapshotEvery: 10 * time.Minute, MaxRecord: 900_000, DeadLetters: "events-dead-letters"},
	}
}

func TestNothingIsWrongWithAGoodTopic(t *testing.T) {
	f := healthy()
	for _, found := range Examine(&f) {
		if found.Level != Good {
			t.Errorf("%+v", found)
		}
	}
	f.Kept = nil
	if found := Examine(&f); Worst(found) != Note {
		t.Errorf("before the first start: %+v", found)
	}
}

func TestEachFaultIsFound(t *testing.T) {
	set := func(name, value string) func(*Facts) { return func(f *Facts) { f.Settings[name] = value } }
	for _, c := range []struct {
		name  string
		fault func(*Facts)
		level Level
		about string
		says  []string // somewhere in the finding
	}{
		{"missing, to be made", func(f *Facts) { f.Exists, f.Kept = false, nil }, Good, "topic", []string{"makes it, with 64 partitions", "7 days"}},
		{"missing, not to be made", func(f *Facts) { f.Exists, f.Kept, f.Node.NoCreate = false, nil, true }, Wrong, "topic", []string{"--kafka-no-create", "--partitions 64"}},
		{"deleted", func(f *Facts) { f.Exists = false }, Wrong, "topic", []string{"knows it as a log"}},
		{"another topic", func(f *Facts) { f.Kept, f.Other = nil, "evts" }, Wrong, "store", []string{"is of topic evts, not events", "name evts in --log", "start is refused"}},
		{"another topic, that is to be made", func(f *Facts) { f.Exists, f.Kept, f.Other = false, nil, "evts" }, Wrong, "store", []string{"is of topic evts"}},
		{"an embedded log", func(f *Facts) { f.Kept, f.Embedded = nil, true }, Wrong, "data", []string{"embedded log", "leave --log out"}},
		{"another cluster", func(f *Facts) { f.ClusterID = "c2" }, Wrong, "identity", []string{"c1", "c2", "start is refused"}},
		{"made again", func(f *Facts) { f.TopicID = "bb" }, Wrong, "identity", []string{"aa", "bb", "deleted and made again"}},
		{"more partitions", func(f *Facts) { f.Partitions = 65 }, Wrong, "identity", []string{"64 partitions", "65"}},
		{"retention ran ahead", func(f *Facts) { f.Behind = []int{3, 5} }, Wrong, "snapshots", []string{"partitions 3, 5", "failed"}},
		{"no leader", func(f *Facts) { f.Leaderless = []int{7} }, Wrong, "leaders", []string{"partition 7"}},
		{"one partition", func(f *Facts) { f.Partitions, f.Kept.Partitions = 1, 1 }, Warning, "partitions", []string{"1 partition", "one core"}},
		{"too many partitions", func(f *Facts) { f.Partitions, f.Kept.Partitions = 1025, 1025 }, Wrong, "partitions", []string{"1024"}},
		{"CreateTime", set("message.timestamp.type", "CreateTime"), Warning, "stamps", []string{"CreateTime", "replay", "LogAppendTime"}},
		{"CreateTime by the sample", func(f *Facts) { delete(f.Settings, "message.timestamp.type"); f.Sample.AppendTime = 99 }, Warning, "stamps", []string{"CreateTime"}},
		{"not keyed, and said to be", func(f *Facts) { f.Sample.Keyed, f.Sample.Unkeyed, f.Sample.Example = 50, 10, "3/17" }, Wrong, "keys", []string{"10 of 60", "3/17", "leave --kafka-keyed out"}},
		{"not keyed", func(f *Facts) { f.Node.Keyed, f.Sample.Unkeyed = false, 10 }, Warning, "keys", []string{"10 of 70", "parts are added"}},
		{"keyed, and not said so", func(f *Facts) { f.Node.Keyed = false }, Note, "keys", []string{"give --kafka-keyed"}},
		{"poison", func(f *Facts) {
			f.Sample.Refusals, f.Sample.Refused = 2, []Refused{{3, 17, "topic is missing"}}
		}, Warning, "refused", []string{"2 of 62", "3/17", "topic is missing", "events-dead-letters"}},
		{"poison alone", func(f *Facts) {
			f.Sample.Events, f.Sample.Refusals, f.Sample.Refused = 0, 60, []Refused{{3, 17, "no JSON"}}
		}, Wrong, "refused", []string{"60 of 60", "--kafka-format"}},
		{"a forged header", func(f *Facts) {
			f.Sample = Sample{Records: 10, Own: 10, Forged: 1, AppendTime: 10, Refusals: 1, Refused: []Refused{{3, 17, "no header of crest"}}}
		}, Warning, "refused", []string{"1 of 1", "3/17"}},
		{"no sample", func(f *Facts) { f.Sample = Sample{Err: "not allowed"} }, Warning, "sample", []string{"not allowed"}},
		{"old events", func(f *Facts) { f.Sample.Late = 5 }, Note, "age", []string{"5 events"}},
		{"hours", set("retention.ms", "7200000"), Warning, "retention", []string{"2 hours"}},
		{"minutes", set("retention.ms", "600000"), Wrong, "retention", []string{"10m", "40m", "--snapshot-every"}},
		{"by size", set("retention.bytes", "1000000"), Warning, "retention", []string{"1000000"}},
		{"for ever", set("retention.ms", "-1"), Good, "retention", []string{"for ever"}},
		{"one copy", func(f *Facts) { f.Copies, f.InSync = 1, 1 }, Warning, "copies", []string{"one copy"}},
		{"all in sync", set("min.insync.replicas", "3"), Warning, "copies", []string{"stops all writing", "min.insync.replicas=2"}},
		{"one in sync", set("min.insync.replicas", "1"), Warning, "copies", []string{"one broker alone"}},
		{"not in sync", func(f *Facts) { f.InSync = 2 }, Warning, "in sync", []string{"2 of 3"}},
		{"unclean", set("unclean.leader.election.enable", "true"), Warning, "leaders", []string{"lost"}},
		{"compacted", set("cleanup.policy", "compact,delete"), Wrong, "cleanup", []string{"cleanup.policy=delete"}},
		{"small records", set("max.message.bytes", "100000"), Warning, "sizes", []string{"100000", "910000"}},
		{"huge records", set("max.message.bytes", "104857600"), Note, "sizes", []string{"memory"}},
		{"a password in clear", func(f *Facts) { f.Node.SASL = "plain" }, Warning, "access", []string{"in clear", "--kafka-tls"}},
		{"scram in clear", func(f *Facts) { f.Node.SASL = "scram-sha-512" }, Warning, "access", []string{"read and change"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.fault(&f)
			all := Examine(&f)
			i := slices.IndexFunc(all, func(found Finding) bool { return found.Level == c.level && found.About == c.about })
			if i < 0 {
				t.Fatalf("not found: %+v", all)
			}
			text := all[i].What + all[i].Costs + all[i].Do
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("%+v does not say %q", all[i], want)
				}
			}
			if c.level == Wrong && (all[i].Costs == "" || all[i].Do == "") {
				t.Errorf("%+v does not say what it costs and what to do", all[i])
			}
			if worst := Worst(all); worst != c.level {
				t.Errorf("the worst of all is %s: %+v", worst, all)
			}
		})
	}
}
