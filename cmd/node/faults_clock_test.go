package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/client"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/persistencetest"
)

// stepped is a core in virtual time whose wall clock is off by what the test
// says.
type stepped struct {
	t    *testing.T
	cfg  Config
	off  messages.Micros
	log  heard
	core *Core
}

func newStepped(t *testing.T) *stepped {
	s := &stepped{t: t, cfg: testConfig("/data")}
	two := 2
	s.cfg.Partitions, s.cfg.FS, s.cfg.Reserve = &two, persistencetest.New(1), 0
	s.cfg.Logger = logTo(&s.log)
	s.open()
	return s
}

func (s *stepped) open() {
	s.t.Helper()
	var err error
	s.core, err = OpenCore(context.Background(), s.cfg, Ground{
		Wall: func() messages.Micros { return messages.MicrosOf(time.Now()) + s.off },
		Log:  func(c *eventlog.Config) { c.FreeSpace = func(string) (int64, error) { return 1 << 50, nil } },
	})
	if err == nil {
		err = s.core.Start()
	}
	if err == nil {
		err = s.core.Engine().WaitReady(context.Background())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stepped) close() {
	s.t.Helper()
	s.core.Edge().Close(context.Background())
	s.core.LastSnapshot()
	if err := s.core.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stepped) restart() {
	s.t.Helper()
	s.close()
	s.open()
}

// pass lets time go by while somebody looks at the node now and then.
func (s *stepped) pass(d time.Duration) {
	s.t.Helper()
	last := s.core.Now()
	for range 20 {
		time.Sleep(d / 20)
		now := s.core.Now()
		if now < last {
			s.t.Fatalf("the node clock went back from %d to %d", last, now)
		}
		last = now
	}
}

func (s *stepped) do(method, path, body string, out any) int {
	s.t.Helper()
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	q.Header.Set("Content-Type", client.NDJSON)
	w := httptest.NewRecorder()
	s.core.Edge().Handler().ServeHTTP(w, q)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			s.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	return w.Code
}

// send wants an event to be acknowledged.
func (s *stepped) send(id string) {
	s.t.Helper()
	var got api.Ingested
	if code := s.do(http.MethodPost, "/api/v1/events", fmt.Sprintf(`{"topic":"t","event_id":"%s"}`+"\n", id), &got); code != http.StatusOK && code != http.StatusAccepted {
		s.t.Fatalf("id %s: %d", id, code)
	}
	pos := make(messages.Position, 2)
	s.core.Log().Ends(pos)
	if err := s.core.Engine().Await(context.Background(), pos); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stepped) want(window string, n uint64) {
	s.t.Helper()
	var got api.Count
	if code := s.do(http.MethodGet, "/api/v1/count?topic=t&window="+window, "", &got); code != http.StatusOK || got.Lower != n {
		s.t.Errorf("window %s: %d counted (status %d), want %d", window, got.Lower, code, n)
	}
}

// TestAStepBackOfTheWallClock sets the wall clock back by an hour, while the node
// runs and between two starts: no stamp goes back, ids stay known, windows
// slide on, if slowly, and it is said.
func TestAStepBackOfTheWallClock(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStepped(t)
				defer s.close()
				s.pass(time.Minute)
				s.send("a")
				s.send("b")
				before := s.core.Now()
				s.off -= messages.Hour
				if restart {
					s.restart()
				}
				s.pass(time.Minute)
				if now := s.core.Now(); now < before || now > before+messages.Minute {
					t.Errorf("a minute later the node clock has moved by %v", (now - before).Duration())
				}
				if ahead := s.core.clock.Ahead(); ahead < 59*messages.Minute {
					t.Errorf("the node clock is said to be %v ahead", ahead.Duration())
				}
				s.send("a") // known
				s.send("c")
				s.want("5m", 3)
				s.want("all", 3)
				s.restart() // again, in the middle of it
				s.send("b")
				s.want("5m", 3)
				s.pass(20 * time.Minute) // ten for the node clock
				s.want("5m", 0)
				s.want("1h", 3)
				// Once each start that finds it so, and once by the one that sees it happen.
				s.log.want(t, map[bool]int{false: 2, true: 3}[restart], "the wall clock is behind the node clock")
				s.pass(2 * time.Hour)
				if ahead := s.core.clock.Ahead(); ahead > messages.Second || ahead < -messages.Second {
					t.Errorf("two hours later the node clock is %v ahead", ahead.Duration())
				}
				s.send("d")
				s.want("all", 4)
			})
		})
	}
}

// TestAStepForwardOfTheWallClock sets it an hour ahead: the node clock follows
// once that has lasted, or at the next start; what was counted moves out of the
// short windows as if the hour had gone by, ids outlast the window at most, and
// every event goes on to count.
func TestAStepForwardOfTheWallClock(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStepped(t)
				defer s.close()
				s.pass(time.Minute)
				s.send("a")
				before := s.core.Now()
				s.off += messages.Hour
				if restart {
					s.restart()
				} else {
					s.pass(9 * time.Second)
					s.send("a")
					s.want("5m", 1) // not yet
					s.pass(4 * time.Second)
					s.log.want(t, 1, "the node clock follows a forward step of the wall clock")
				}
				if now := s.core.Now(); now < before+messages.Hour {
					t.Errorf("the node clock has moved by %v", (now - before).Duration())
				}
				s.want("5m", 0)
				s.want("all", 1)
				s.send("b")
				s.send("b")
				s.want("5m", 1)
				s.want("all", 2)
				s.restart()
				s.send("b")
				s.want("all", 2)
				// And back: the hour that was too much is slewed away.
				s.off -= messages.Hour
				s.pass(time.Minute)
				s.send("b")
				s.send("c")
				s.want("5m", 2)
				s.want("all", 3)
			})
		})
	}
}

// TestAStepThatIsTakenBackIsNotFollowed sets the wall clock ahead for a moment.
func TestAStepThatIsTakenBackIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStepped(t)
		defer s.close()
		s.pass(time.Minute)
		s.send("a")
		s.off += messages.Hour
		s.pass(5 * time.Second)
		s.send("b")
		s.off -= messages.Hour
		s.pass(time.Minute)
		s.send("a")
		s.want("5m", 2)
		s.log.want(t, 0, "follows a forward step")
		if ahead := s.core.clock.Ahead(); ahead > messages.Second || ahead < -messages.Second {
			t.Errorf("the node clock is %v ahead", ahead.Duration())
		}
	})
}
