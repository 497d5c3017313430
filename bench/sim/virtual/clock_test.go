package virtual

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/messages"
)

// TestBoardsAfterTheClockWasSetBackAndARestart: a snapshot has slid with the node
// clock of its time; a node that starts from it goes on from there, though the
// wall clock is an hour behind and the log's last stamp is too.
func TestBoardsAfterTheClockWasSetBackAndARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(1)
		p.clock, p.orderly, p.engineMemory, p.dedupMemory = messages.ClockWall, true, 0, 0
		s := newSim(p)
		wrong := s.watch(func() {
			s.reboot()
			s.sendSome()
			s.pass(30 * time.Minute)
			s.look() // which slides
			s.wallStep.Add(-int64(time.Hour / time.Microsecond))
			s.stop(true)
			s.reboot()
			s.look()
		})
		if wrong != "" {
			t.Error(wrong)
		}
	})
}
