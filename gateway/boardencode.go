package gateway

import (
	"strconv"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/messages"
)

// rowBytes is about what a row takes as JSON, beside its topic.
const rowBytes = 150

// encodeBoard is a board as JSON with a line end, byte for byte as encode
// writes api.NewBoard. The rows are written by hand: boards that many ask for
// are encoded up to ten times a second each, and by reflection that took longer
// than all reads between two of them.
func encodeBoard(b *messages.Board) ([]byte, error) {
	rows := b.Rows
	short := *b
	short.Rows = nil
	head, err := encode(api.NewBoard(&short))
	if err != nil {
		return nil, err
	}
	head = head[:len(head)-len("]}\n")] // topics stand last
	out := make([]byte, 0, len(head)+len(rows)*(rowBytes+messages.MaxTopicBytes/16))
	out = append(out, head...)
	for i := range rows {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendRow(out, i+1, &rows[i]); err != nil {
			return nil, err
		}
	}
	return append(out, "]}\n"...), nil
}

func appendRow(out []byte, place int, r *messages.Row) ([]byte, error) {
	out = strconv.AppendInt(append(out, `{"rank":`...), int64(place), 10)
	out, err := appendText(append(out, `,"topic":`...), r.Topic)
	if err != nil {
		return nil, err
	}
	out = strconv.AppendUint(append(out, `,"count_estimate":`...), r.Count.Estimate, 10)
	out = strconv.AppendUint(append(out, `,"lower_bound":`...), r.Count.Lower, 10)
	out = strconv.AppendUint(append(out, `,"upper_bound":`...), r.Count.Upper, 10)
	out = strconv.AppendUint(append(out, `,"score":`...), r.Count.Lower, 10)
	out = strconv.AppendBool(append(out, `,"certified":`...), r.Certified)
	return append(out, '}'), nil
}

// appendText appends a topic as a JSON string; encoding/json knows what to do
// where it is not plain.
func appendText(out []byte, topic string) ([]byte, error) {
	if plainText(topic) {
		out = append(out, '"')
		out = append(out, topic...)
		return append(out, '"'), nil
	}
	text, err := encode(topic)
	if err != nil {
		return nil, err
	}
	return append(out, text[:len(text)-1]...), nil
}
