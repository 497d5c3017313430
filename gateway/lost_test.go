package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// What an engine says of what needs partition 3, which has lost its log, or has
// failed otherwise.
var (
	lostPartition   = &messages.PartitionError{Partition: 3, Cause: fmt.Errorf("%w: trimmed to 8", messages.ErrLost)}
	brokenPartition = &messages.PartitionError{Partition: 3, Cause: errors.New("bit rot")}
)

// TestAFailedPartitionIsNamed wherever something needs it, with its cause, and with
// what can be done about it.
func TestAFailedPartitionIsNamed(t *testing.T) {
	for _, c := range []struct {
		err          *messages.PartitionError
		code, advice string
	}{
		{lostPartition, "partition_lost", "a restart alone does not help"},
		{brokenPartition, "partition_failed", "must be restarted"},
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.err, e.ready = fmt.Errorf("gather: %w", c.err), c.err })
		for name, ask := range map[string]func() map[string]any{
			"question": func() map[string]any { return problemAs(t, s.get(t, "/api/v1/trending"), 503) },
			"readyz":   func() map[string]any { return problemAs(t, s.get(t, "/readyz"), 503) },
			"snapshot": func() map[string]any {
				return problemAs(t, s.do(t, http.MethodPost, "/api/v1/admin/snapshot", ""), 503)
			},
		} {
			p := ask()
			if p["code"] != c.code || p["partition"] != 3.0 || p["cause"] != c.err.Cause.Error() || !strings.Contains(p["detail"].(string), c.advice) {
				t.Errorf("%s: %v", name, p)
			}
		}
		if h := decodeAs[api.Health](t, s.get(t, "/api/v1/health")); h.Status != "degraded" || !strings.Contains(h.Reason, "partition 3: "+c.err.Cause.Error()) {
			t.Errorf("health %+v", h)
		}
	}
}

// TestWithAFailedPartitionTheEngineIsAsked, and decides what it can answer and take.
func TestWithAFailedPartitionTheEngineIsAsked(t *testing.T) {
	s := newTestServer(t)
	s.engine.set(func(e *fakeEngine) { e.ready = lostPartition })
	if c := decodeAs[api.Count](t, s.get(t, "/api/v1/count?topic=aaa")); c.Estimate != 3 {
		t.Errorf("count %+v", c)
	}
	it := newIngestTest(t, nil)
	it.node.set(func(n *fakeNode) { n.readyErr = lostPartition })
	if re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody); re.status != 200 || it.node.frameCount() != 1 {
		t.Errorf("%d %s", re.status, re.body)
	}
	it.node.set(func(n *fakeNode) { n.admitErr = lostPartition })
	if re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody); re.status != 503 || re.fields["partition"] != 3.0 || it.node.frameCount() != 1 {
		t.Errorf("%d %s", re.status, re.body)
	}
	it.node.set(func(n *fakeNode) { n.admitErr, n.seenErr = nil, lostPartition })
	if re := it.send(eventsPath, `{"topic":"a"}`, typeHeader, jsonBody, "Idempotency-Key", "k"); re.status != 503 || re.fields["code"] != "partition_lost" || it.node.frameCount() != 1 {
		t.Errorf("%d %s", re.status, re.body)
	}
}

// TestATotalWithoutAPartitionHasNoUpperBound: what the partition holds is anybody's guess.
func TestATotalWithoutAPartitionHasNoUpperBound(t *testing.T) {
	for _, c := range []struct {
		total messages.Count
		want  string
	}{
		{messages.Count{Lower: 60, Estimate: 60, Upper: math.MaxUint64}, `"window_total":60,"window_total_lower_bound":60,"window_total_upper_bound":null,`},
		{messages.ExactCount(0), `"window_total":0,"window_total_lower_bound":0,"window_total_upper_bound":0,`},
	} {
		s := newTestServer(t)
		s.engine.set(func(e *fakeEngine) { e.total = c.total })
		for _, w := range []string{
			s.get(t, "/api/v1/count?topic=aaa").Body.String(),
			s.do(t, http.MethodPost, "/api/v1/counts", `{"topics":["aaa"]}`, "Content-Type", "application/json").Body.String(),
		} {
			if !json.Valid([]byte(w)) || !strings.Contains(w, c.want) {
				t.Errorf("%s, want in it %s", w, c.want)
			}
		}
	}
}
