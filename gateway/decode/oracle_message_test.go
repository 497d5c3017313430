package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/messages/eventpb"
)

// judgeText is what should become of text that nothing was said about; false:
// refused as a whole. one judges an event.
func judgeText(value []byte, one func(tree) verdict) (events []verdict, ok bool) {
	text := bytes.TrimPrefix(value, byteOrderMark)
	first, rest, ok := firstValue(text)
	all, many := first.([]tree)
	if !many {
		all = []tree{first}
	}
	for _, e := range all {
		ok = ok && depthOf(e) <= MaxDepth
	}
	if !ok && !severalLines(text) {
		return nil, false
	}
	if !ok {
		return judgeLines(text, one), true
	}
	for _, e := range all {
		events = append(events, one(e))
	}
	behind := bytes.TrimLeft(rest, " \t\r\n")
	_, lines, several := bytes.Cut(rest, []byte{'\n'})
	switch {
	case len(behind) == 0:
		return events, len(events) > 0
	case !several || len(lines) < len(behind):
		return nil, false
	case many || !events[0].accepted:
		return judgeLines(text, one), true
	}
	return append(events, judgeLines(lines, one)...), true
}

// firstValue is the object or array that a text begins with.
func firstValue(text []byte) (t tree, rest []byte, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	var first json.RawMessage
	if d.Decode(&first) != nil {
		return nil, nil, false
	}
	rest = text[d.InputOffset():]
	if t, ok = jsonTree(text[:d.InputOffset()]); !ok {
		return nil, nil, false
	}
	switch t.(type) {
	case []tree, members:
		return t, rest, true
	}
	return nil, nil, false
}

func judgeLines(text []byte, one func(tree) verdict) (events []verdict) {
	for _, line := range bytes.Split(text, []byte{'\n'}) {
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		t, ok := jsonTree(line)
		if !ok || depthOf(t) > MaxDepth {
			events = append(events, verdict{})
			continue
		}
		events = append(events, one(t))
	}
	return events
}

// judgeSeen judges an event that may be in an envelope.
func judgeSeen(t tree) verdict {
	has := map[string]bool{}
	all, _ := t.(members)
	for _, m := range all {
		has[m.key.(string)] = true
	}
	if has["specversion"] && (has["data"] || has["data_base64"] || !has["topic"] && !has["video_id"]) {
		return judgeCloudEvent(t)
	}
	return judge(t)
}

// judgeCloudEvent judges an event in an envelope.
func judgeCloudEvent(t tree) verdict {
	all, ok := t.(members)
	if !ok || !sane(t) {
		return verdict{}
	}
	attributes, names := map[string]tree{}, []string{"specversion", "id", "source", "time", "datacontenttype", "data", "data_base64"}
	for _, m := range all {
		key := m.key.(string)
		if variant(key, names) && !contains(names, key) {
			return verdict{}
		}
		attributes[key] = m.value
	}
	text := func(key string) string {
		s, is := attributes[key].(string)
		ok = ok && (is || attributes[key] == nil)
		return s
	}
	version, id, source, at, media, encoded := text("specversion"), text("id"), text("source"), text("time"), text("datacontenttype"), text("data_base64")
	if !ok || !strings.HasPrefix(version, "1.") || id == "" || source == "" {
		return verdict{}
	}
	data, isObject := attributes["data"].(members)
	_, isText := attributes["data_base64"].(string)
	var v verdict
	switch {
	case attributes["data"] != nil && !isObject, isObject == isText:
		return verdict{}
	case isObject:
		v = judge(data)
	default:
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return verdict{}
		}
		v = judgeEncoded(media, raw)
	}
	return within(v, source+"/"+id, at)
}

// judgeEncoded judges the event of a data_base64.
func judgeEncoded(media string, raw []byte) verdict {
	switch strings.ToLower(strings.TrimSpace(strings.Split(media, ";")[0])) {
	case "", "application/json":
		t, ok := jsonTree(raw)
		if _, is := t.(members); !ok || !is || depthOf(t) > MaxDepth {
			return verdict{}
		}
		return judge(t)
	case "application/protobuf":
		return judgeProtoEvent(raw)
	}
	return verdict{}
}

// within gives an event what it lacks of its envelope's id and time.
func within(v verdict, id, at string) verdict {
	if !v.accepted {
		return v
	}
	if !v.record.HasTime && at != "" && !judgeTime(&v.record, at) {
		return verdict{}
	}
	if len(v.record.ID) == 0 {
		if !judgeTexts(&v.record, map[string]tree{"topic": string(v.record.Topic), "event_id": id, "category": string(v.record.Category), "region": string(v.record.Region)}) {
			return verdict{}
		}
	}
	return v
}

// judgeProtobuf is what should become of a protobuf body.
func judgeProtobuf(body []byte) (events []verdict, ok bool) {
	if len(body) == 0 {
		return nil, false
	}
	if num, _, n := protowire.ConsumeTag(body); n < 0 || num != 3 {
		return []verdict{judgeProtoEvent(body)}, true
	}
	for len(body) > 0 {
		num, typ, n := protowire.ConsumeTag(body)
		if n < 0 || num != 3 || typ != protowire.BytesType {
			return nil, false
		}
		event, length := protowire.ConsumeBytes(body[n:])
		if length < 0 {
			return nil, false
		}
		events = append(events, judgeProtoEvent(event))
		body = body[n+length:]
	}
	return events, true
}

// judgeProtoEvent lets the generated type read an event, and judges it as the
// object that has its fields as keys, its attributes among them.
func judgeProtoEvent(src []byte) verdict {
	var e eventpb.Event
	if proto.Unmarshal(src, &e) != nil {
		return verdict{}
	}
	// What the generated type had in it that it does not know: fields of another
	// type, or of a batch.
	for u := e.ProtoReflect().GetUnknown(); len(u) > 0; {
		num, _, n := protowire.ConsumeField(u)
		if u = u[n:]; num == protoEvents || e.ProtoReflect().Descriptor().Fields().ByNumber(num) != nil {
			return verdict{}
		}
	}
	all := members{}
	seen := map[protowire.Number]bool{}
	for rest := src; len(rest) > 0; {
		num, _, n := protowire.ConsumeField(rest)
		field := rest[:n]
		rest = rest[n:]
		if num == protoAttributes {
			var one eventpb.Event // the entry alone
			if proto.Unmarshal(field, &one) != nil {
				panic("an entry of a map that was read before")
			}
			for k, v := range one.Attributes {
				all = append(all, member{k, v})
			}
		} else if e.ProtoReflect().Descriptor().Fields().ByNumber(num) != nil && seen[num] {
			return verdict{}
		}
		seen[num] = true
	}
	add := func(key string, t tree, there bool) {
		if there {
			all = append(all, member{key, t})
		}
	}
	add("topic", e.Topic, e.Topic != "")
	add("video_id", e.VideoId, e.VideoId != "")
	add("user_id", e.UserId, e.UserId != "")
	add("event_id", e.EventId, e.EventId != "")
	add("category", e.Category, e.Category != "")
	add("region", e.Region, e.Region != "")
	add("lang", e.Lang, e.Lang != "")
	add("source", e.Source, e.Source != "")
	add("device", e.Device, e.Device != "")
	add("session_id", e.SessionId, e.SessionId != "")
	add("timestamp", integer(jsonOf(e.GetTimestamp())), e.Timestamp != nil)
	add("count", integer(jsonOf(e.Count)), e.Count != 0)
	add("watch_time_sec", packNumber(e.GetWatchTimeSec(), 64), e.WatchTimeSec != nil)
	add("completed", e.GetCompleted(), e.Completed != nil)
	return judge(all)
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// agreeRecords fails unless a message became what the oracle says.
func agreeRecords(t interface {
	Helper()
	Fatalf(string, ...any)
}, out []byte, records int, refused []messages.Refusal, want []verdict, ok bool) []messages.Record {
	t.Helper()
	if !ok {
		if records != 0 || len(refused) != 1 || refused[0].Index != 0 || refused[0].Reason == "" || len(out) != 0 {
			t.Fatalf("%d records, %v; the oracle refuses it as one", records, refused)
		}
		return nil
	}
	bad := map[int]bool{}
	for _, r := range refused {
		if bad[r.Index] || r.Reason == "" {
			t.Fatalf("refused twice or without a reason: %v", refused)
		}
		bad[r.Index] = true
	}
	var all []messages.Record
	for i, v := range want {
		if n := len(refused); n > 0 && i > refused[n-1].Index && refused[n-1].More > 0 {
			bad[i] = !v.accepted // those have no refusal of their own
		}
		if v.accepted == bad[i] {
			t.Fatalf("event %d of %d: the oracle accepts it: %v; refused %v", i, len(want), v.accepted, refused)
		}
		if v.accepted {
			var r messages.Record
			rest, err := r.ReadFrom(out)
			if err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			out, all = rest, append(all, r)
		}
	}
	if len(out) != 0 || records != len(all) || messages.RefusedEvents(refused) != len(want)-len(all) {
		t.Fatalf("%d records and %d refusals of %d events, %d bytes left", records, messages.RefusedEvents(refused), len(want), len(out))
	}
	return all
}
