package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	Good    Level = "good"    // nothing to do
	Note    Level = "note"    // worth knowing
	Warning Level = "warning" // costs something, or will
	Wrong   Level = "wrong"   // crest refuses to start, or events are lost or counted wrong
)

// Finding is one thing found.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // one word or two
	What  string `json:"what"`
	Costs string `json:"costs,omitempty"`
	Do    string `json:"do,omitempty"`
}

// Worst is the worst level of the findings.
func Worst(findings []Finding) Level {
	order := []Level{Good, Note, Warning, Wrong}
	worst := Good
	for _, f := range findings {
		if slices.Index(order, f.Level) > slices.Index(order, worst) {
			worst = f.Level
		}
	}
	return worst
}

// Examine judges a topic.
func Examine(f *Facts) []Finding {
	if !f.Exists {
		return slices.Concat(place(f), absent(f), access(f))
	}
	var all []Finding
	for _, check := range []func(*Facts) []Finding{
		place, identity, partitions, beginning, clock, keys, formats, retention, copies, cleanup, sizes, access,
	} {
		all = append(all, check(f)...)
	}
	return all
}

// place is about what the data folder and the store were used with before.
func place(f *Facts) []Finding {
	var found []Finding
	if f.Embedded {
		found = append(found, Finding{Wrong, "data", "the data folder has an embedded log",
			"a start is refused: what that log has would not be counted", "leave --log out to go on with it; or name another --data and --store"})
	}
	if f.Other != "" {
		found = append(found, Finding{Wrong, "store", fmt.Sprintf("the store of snapshots is of topic %s, not %s", f.Other, f.Topic),
			"a start is refused: a name that was mistyped would be counted from its beginning",
			fmt.Sprintf("name %s in --log; or start with an empty --store and --data, or another --store", f.Other)})
	}
	return found
}

// absent is about a topic that is not there.
func absent(f *Facts) []Finding {
	switch {
	case f.Other != "" || f.Embedded: // what is wrong with that comes first
		return []Finding{{Note, "topic", f.Topic + " is not there", "", ""}}
	case f.Kept != nil:
		return []Finding{{Wrong, "topic", fmt.Sprintf("%s is not there, but the store of snapshots knows it as a log that was used", f.Topic),
			"a start is refused: the events behind the snapshots are gone with the topic",
			"name the right cluster; or start with another --store to count from nothing"}}
	case f.Node.NoCreate:
		return []Finding{{Wrong, "topic", f.Topic + " is not there, and --kafka-no-create forbids to make it", "a start is refused",
			fmt.Sprintf("make it: kafka-topics.sh --create --topic %s --partitions %d --config message.timestamp.type=LogAppendTime", f.Topic, f.Node.Partitions)}}
	}
	replication := "as many copies as the brokers make by themselves"
	if f.Node.Replication > 0 {
		replication = strconv.Itoa(f.Node.Replication) + " copies"
	}
	kept := "for ever"
	if f.Node.Retention > 0 {
		kept = length(f.Node.Retention)
	}
	return []Finding{{Good, "topic", fmt.Sprintf("%s is not there: crest serve makes it, with %d partitions, %s, kept %s, stamped by the brokers", f.Topic, f.Node.Partitions, replication, kept),
		"", "the number of partitions cannot be changed later: --kafka-topic-partitions"}}
}

// identity compares the topic with what the snapshots are of.
func identity(f *Facts) []Finding {
	k := f.Kept
	if k == nil {
		return []Finding{{Good, "identity", fmt.Sprintf("cluster %s, topic id %s; no snapshots of it yet", or(f.ClusterID, "without an id"), or(f.TopicID, "none")), "", ""}}
	}
	wrong := func(what string) []Finding {
		return []Finding{{Wrong, "identity", what, "a start is refused: offsets mean other events there, and counting on would be wrong",
			"name the topic that the snapshots are of; or start with another --store to count this one from its beginning"}}
	}
	switch {
	case k.ClusterID != f.ClusterID:
		return wrong(fmt.Sprintf("the snapshots are of cluster %s, this is %s", k.ClusterID, f.ClusterID))
	case k.TopicID != f.TopicID:
		return wrong(fmt.Sprintf("the snapshots are of a topic of this name with id %s, this one has %s: it was deleted and made again", k.TopicID, f.TopicID))
	case k.Partitions != f.Partitions:
		return wrong(fmt.Sprintf("the snapshots are of %d partitions, the topic has %d: topics have moved between them", k.Partitions, f.Partitions))
	}
	found := []Finding{{Good, "identity", fmt.Sprintf("cluster %s, topic id %s, %d partitions: what the snapshots are of", f.ClusterID, f.TopicID, f.Partitions), "", ""}}
	if len(f.Behind) > 0 {
		found = append(found, Finding{Wrong, "snapshots", fmt.Sprintf("the topic begins behind the newest snapshot of %s", partitionList(f.Behind)),
			"what lies between is lost to crest; those partitions are marked as failed, and answers that need them are refused",
			"restore the records, or a newer snapshot; or start with another --store to count from where the topic begins now"})
	}
	return found
}

func partitions(f *Facts) []Finding {
	var found []Finding
	if len(f.Leaderless) > 0 {
		found = append(found, Finding{Wrong, "leaders", fmt.Sprintf("no broker leads %s", partitionList(f.Leaderless)),
			"they can be neither read nor written until one does", "start the brokers that have them"})
	}
	switch n := f.Partitions; {
	case n > 1024:
		found = append(found, Finding{Wrong, "partitions", fmt.Sprintf("%d partitions", n), "a start is refused: crest takes at most 1024", "use a topic with fewer"})
	case n < 4:
		found = append(found, Finding{Warning, "partitions", count(n, "partition"),
			"a partition is counted by one core, at most about a million events a second, and the number cannot be raised once crest has snapshots of it",
			"make topics with 16 to 64"})
	default:
		found = append(found, Finding{Good, "partitions", count(n, "partition"), "", ""})
	}
	return found
}

// beginning says where counting begins.
func beginning(f *Facts) []Finding {
	if f.Kept != nil || f.End == 0 {
		return nil
	}
	what := fmt.Sprintf("a first start counts the %s that the topic has", count(int(f.End-min(f.Begin, f.End)), "record"))
	if f.Begin > 0 {
		what += fmt.Sprintf("; %s before them are gone", count(int(f.Begin), "record"))
	}
	return []Finding{{Note, "beginning", what, "", ""}}
}

// clock is about who stamps the arrivals.
func clock(f *Facts) []Finding {
	kind := f.Settings["message.timestamp.type"]
	if kind == "" && f.Sample.Records > 0 {
		kind = "CreateTime"
		if f.Sample.AppendTime == f.Sample.Records {
			kind = "LogAppendTime"
		}
	}
	switch kind {
	case "LogAppendTime":
		return []Finding{{Good, "stamps", "LogAppendTime: the brokers stamp arrivals", "", ""}}
	case "CreateTime":
		return []Finding{{Warning, "stamps", "CreateTime: the producers stamp arrivals",
			"a producer whose clock is ahead by up to --max-ahead moves the time of its partition: late is judged, and ids are forgotten, by it; a record further ahead is refused by the reader's clock, so a replay may judge it differently; events without a timestamp count when the producer says",
			"kafka-configs.sh --alter --entity-type topics --entity-name " + f.Topic + " --add-config message.timestamp.type=LogAppendTime"}}
	}
	return []Finding{{Note, "stamps", "who stamps arrivals is not known", "", ""}}
}

// keys is about how topics go to partitions.
func keys(f *Facts) []Finding {
	s := &f.Sample
	const do = "key records by the event's topic with the default (murmur2) partitioner"
	all := s.Keyed + s.Unkeyed
	switch {
	case all == 0 && f.Node.Keyed:
		return []Finding{{Note, "keys", "--kafka-keyed is set, and there is no record of others to compare it with", "", ""}}
	case all == 0:
		return nil
	case s.Unkeyed > 0 && f.Node.Keyed:
		return []Finding{{Wrong, "keys", fmt.Sprintf("%d of %d records of others are not in the partition of their topic (one is %s), but --kafka-keyed is set", s.Unkeyed, all, s.Example),
			"counts and boards would lack what is in other partitions", "leave --kafka-keyed out; or " + do}}
	case s.Unkeyed > 0:
		return []Finding{{Warning, "keys", fmt.Sprintf("%d of %d records of others are not in the partition of their topic (one is %s)", s.Unkeyed, all, s.Example),
			"counts are right, since parts are added; but every question asks all partitions, boards have wider bounds where memory is short, and an event_id is recognised within a partition only", do}}
	case f.Node.Keyed:
		return []Finding{{Good, "keys", fmt.Sprintf("all %d records of others are in the partition of their topic", all), "", ""}}
	}
	return []Finding{{Note, "keys", fmt.Sprintf("all %d records of others are in the partition of their topic", all),
		"without --kafka-keyed every question asks all partitions all the same", "if every producer does so, give --kafka-keyed"}}
}

// formats is about what is in the records.
func formats(f *Facts) []Finding {
	s := &f.Sample
	var found []Finding
	if s.Err != "" {
		found = append(found, Finding{Warning, "sample", "the newest records could not be read: " + s.Err, "nothing is said about what is in them", ""})
	}
	if s.Records > 0 {
		var parts []string
		if s.Own > 0 {
			parts = append(parts, fmt.Sprintf("%d written by crest", s.Own))
		}
		for _, name := range slices.Sorted(maps.Keys(s.Formats)) {
			parts = append(parts, fmt.Sprintf("%d of %s", s.Formats[name], name))
		}
		what := fmt.Sprintf("of the newest %s: %s", count(s.Records, "record"), strings.Join(parts, ", "))
		if s.foreign() > 0 {
			what += fmt.Sprintf(" (%s)", count(s.Events, "event"))
		}
		found = append(found, Finding{Good, "formats", what, "", ""})
	}
	if s.Refusals > 0 {
		r := s.Refused[0]
		what := fmt.Sprintf("%d of %s would be refused, the first at %d/%d: %s", s.Refusals, count(s.Events+s.Refusals, "event"), r.Partition, r.Offset, r.Reason)
		level := Warning
		if s.Events == 0 && s.Refusals > s.Forged {
			level = Wrong
		}
		found = append(found, Finding{level, "refused", what, "they are not counted; they go to " + f.Node.DeadLetters,
			"have the producers send what POST /api/v1/events takes; --kafka-format fixes the format where it is guessed wrong"})
	}
	if s.Late > 0 {
		found = append(found, Finding{Note, "age", fmt.Sprintf("%s older than 30 days", count(s.Late, "event")), "they count in the window all only", ""})
	}
	return found
}

// shortest is how long records should stay for an operator to mend what broke.
const shortest = 24 * time.Hour

func retention(f *Facts) []Finding {
	var found []Finding
	if v, ok := f.Settings["retention.ms"]; ok {
		ms, err := strconv.ParseInt(v, 10, 64)
		kept := time.Duration(min(ms, int64(100*365*24*time.Hour/time.Millisecond))) * time.Millisecond
		// Of three kept snapshots the newest may be damaged, and the next under way.
		need := 4 * f.Node.SnapshotEvery
		switch {
		case err != nil:
		case ms < 0:
			found = append(found, Finding{Good, "retention", "records are kept for ever", "", ""})
		case kept < need:
			found = append(found, Finding{Wrong, "retention", fmt.Sprintf("records are kept %s; snapshots need four times --snapshot-every, %s", length(kept), length(need)),
				"what is deleted before it is in a snapshot cannot be counted again: a restart, or a damaged snapshot, loses it and fails its partition",
				"raise retention.ms, a week is usual; or lower --snapshot-every"})
		case kept < shortest:
			found = append(found, Finding{Warning, "retention", fmt.Sprintf("records are kept %s", length(kept)),
				"crest may be down, or behind, no longer than that: what is deleted unread is lost, and its partition fails", "raise retention.ms, a week is usual"})
		default:
			found = append(found, Finding{Good, "retention", fmt.Sprintf("records are kept %s", length(kept)), "", ""})
		}
	}
	if v := f.Settings["retention.bytes"]; v != "" && v != "-1" {
		found = append(found, Finding{Warning, "retention", fmt.Sprintf("retention.bytes %s per partition", v),
			"much traffic deletes records sooner than retention.ms says; crest warns when it comes near to what it has not read", "set retention.bytes=-1, or watch the headroom in crest status"})
	}
	return found
}

func copies(f *Facts) []Finding {
	var found []Finding
	insync, _ := strconv.Atoi(f.Settings["min.insync.replicas"])
	switch {
	case f.Copies == 0:
	case f.Copies == 1:
		found = append(found, Finding{Warning, "copies", "one copy of each partition", "a broker's disk that is lost takes acknowledged events with it, and its partitions stand still while it is down",
			"use replication 3 with min.insync.replicas=2"})
	case insync >= f.Copies:
		found = append(found, Finding{Warning, "copies", fmt.Sprintf("%d copies, min.insync.replicas %d", f.Copies, insync), "one broker that is down stops all writing to its partitions: events are refused (503)", fmt.Sprintf("set min.insync.replicas=%d", f.Copies-1)})
	case insync == 1:
		found = append(found, Finding{Warning, "copies", fmt.Sprintf("%d copies, min.insync.replicas 1", f.Copies), "an event may be acknowledged that is on one broker alone, and is lost with it", "set min.insync.replicas=2"})
	default:
		found = append(found, Finding{Good, "copies", fmt.Sprintf("%d copies, min.insync.replicas %d", f.Copies, insync), "", ""})
	}
	if f.Copies > 0 && f.InSync < f.Copies {
		found = append(found, Finding{Warning, "in sync", fmt.Sprintf("a partition has %d of %d copies in sync", f.InSync, f.Copies), "fewer brokers may fail than were meant to", "see to the brokers"})
	}
	if f.Settings["unclean.leader.election.enable"] == "true" {
		found = append(found, Finding{Warning, "leaders", "unclean.leader.election.enable", "a broker that lacks acknowledged events may become the leader: they are lost, and other events get their offsets", "set unclean.leader.election.enable=false"})
	}
	return found
}

func cleanup(f *Facts) []Finding {
	if !strings.Contains(f.Settings["cleanup.policy"], "compact") {
		return nil
	}
	return []Finding{{Wrong, "cleanup", "cleanup.policy=" + f.Settings["cleanup.policy"], "compaction keeps the last record of each key alone: all others are lost, and a replay counts less than before", "set cleanup.policy=delete"}}
}

func sizes(f *Facts) []Finding {
	most, err := strconv.Atoi(f.Settings["max.message.bytes"])
	if err != nil {
		return nil
	}
	switch need := f.Node.MaxRecord + 10_000; {
	case most < need:
		return []Finding{{Warning, "sizes", fmt.Sprintf("max.message.bytes %d, and crest writes records of up to %d", most, need), "large requests are refused (503) where they do not compress to that", fmt.Sprintf("set max.message.bytes=%d or more", need)}}
	case most > 16<<20:
		return []Finding{{Note, "sizes", fmt.Sprintf("max.message.bytes %d", most), "a batch is read whole: memory beyond --memory for a moment, in each partition that has such", ""}}
	}
	return nil
}

// access is about the way to the brokers.
func access(f *Facts) []Finding {
	if f.Node.SASL == "" || f.Node.TLS {
		return nil
	}
	cost := "who listens on the way can read and change events"
	if f.Node.SASL == "plain" {
		cost = "the password crosses the network in clear"
	}
	return []Finding{{Warning, "access", "kafka-sasl " + f.Node.SASL + " without TLS", cost, "give --kafka-tls, or --kafka-ca FILE"}}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// partitionList names some partitions.
func partitionList(list []int) string {
	const most = 8
	var b strings.Builder
	b.WriteString("partition")
	if len(list) > 1 {
		b.WriteByte('s')
	}
	for i, p := range list {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(list)-most)
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d", p)
	}
	return b.String()
}

// length is a duration in its largest whole unit.
func length(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return count(int(d/(24*time.Hour)), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return count(int(d/time.Hour), "hour")
	}
	return d.String()
}
