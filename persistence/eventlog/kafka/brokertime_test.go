package kafka

import (
	"testing"

	"github.com/crestdb/crest/messages"
)

// What brokers have stamped is told, what producers have is not.
func TestBrokerTimeIsTheBrokers(t *testing.T) {
	rig := newCursorRig(t)
	if at := rig.log.BrokerTime(); at != 0 {
		t.Errorf("before anything was read: %v", at)
	}
	stamped := func(millis int64) func([]byte) {
		return func(b []byte) {
			setAttributes(8)(b)
			be.PutUint64(b[35:], uint64(millis))
		}
	}
	rig.add("none", milli, stamped(milli+20), value("a"))
	rig.add("none", milli, stamped(milli+10), value("b"))
	rig.add("none", milli+1000, nil, value("c"))
	rig.read(0, 0, 0)
	if at := rig.log.BrokerTime(); at != messages.Micros(milli+20)*1000 {
		t.Errorf("got %v, want %v", at.Time(), milli+20)
	}
}
