package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/crestdb/crest/messages"
)

// address is where an actor is reached.
type address = *actor.PID

// behaviour is what an actor does: a short loop around a state machine. The
// system calls it for one message at a time.
type behaviour interface {
	// receive handles one message.
	receive(m mail)
	// failed is called once, after a panic; the actor receives nothing more.
	failed(cause error)
}

// mail is one message with what its receiver may do with it.
type mail struct {
	ctx  actor.Context
	body any
}

// started is an actor's first message.
type started struct{}

// stopping is its last one.
type stopping struct{}

// failure answers a request that an actor could not take: it has failed.
type failure struct {
	err     error
	request any
}

// from is who sent the message, nil if nobody waits for an answer.
func (m mail) from() address { return m.ctx.Sender() }

func (m mail) send(to address, body any) {
	if to != nil {
		m.ctx.Send(to, body)
	}
}

// request sends with this actor as the one to answer.
func (m mail) request(to address, body any) { m.ctx.Request(to, body) }

// answer sends to whoever sent the message.
func (m mail) answer(body any) {
	if to := m.ctx.Sender(); to != nil {
		m.ctx.Send(to, body)
	}
}

// inbox is a way for a goroutine of this actor to send to it.
func (m mail) inbox() func(body any) {
	root, self := m.ctx.ActorSystem().Root, m.ctx.Self()
	return func(body any) { root.Send(self, body) }
}

// after sends body to this actor in d.
func (m mail) after(d time.Duration, body any) *time.Timer {
	send := m.inbox()
	return time.AfterFunc(d, func() { send(body) })
}

// stop ends this actor after this message.
func (m mail) stop() { m.ctx.Stop(m.ctx.Self()) }

// system runs actors. It is the only user of protoactor in this package:
// mailboxes are unbounded there, so every sender here is bounded by credits
// (ingest to shard), by the number of requests in flight at the gateway (asks)
// or by one message a gather (merger to shards).
type system struct {
	actors *actor.ActorSystem
	log    *slog.Logger

	mu    sync.Mutex
	hosts map[string]*host // running, by the id of their address
}

func newSystem(log *slog.Logger) *system {
	quiet := slog.New(slog.DiscardHandler)
	return &system{
		// protoactor reports every start and dead letter; what matters to an
		// operator is reported by the actors themselves.
		actors: actor.NewActorSystem(
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
			actor.WithDeadLetterThrottleInterval(deadLetters),
		),
		log:   log,
		hosts: make(map[string]*host),
	}
}

// spawn starts an actor under a name that no running actor has.
func (s *system) spawn(name string, b behaviour) (address, error) {
	h := &host{behaviour: b, name: name, log: s.log, gone: make(chan struct{})}
	// The default supervisor would restart a panicked actor with empty state.
	supervisor := actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective })
	props := actor.PropsFromProducer(func() actor.Actor { return h }, actor.WithSupervisor(supervisor), actor.WithGuardian(supervisor))
	pid, err := s.actors.Root.SpawnNamed(props, name)
	if err != nil {
		return nil, fmt.Errorf("spawn actor %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[pid.Id] = h
	return pid, nil
}

// Errors of ask: the time is up; the actor has ended.
var (
	errNoAnswer = errors.New("no answer in time")
	errGone     = errors.New("the actor has ended")
)

// ask sends a message and waits for its answer.
func (s *system) ask(to address, body any, timeout time.Duration) (any, error) {
	answer, err := s.actors.Root.RequestFuture(to, body, timeout).Result()
	switch {
	case errors.Is(err, actor.ErrTimeout):
		return nil, errNoAnswer
	case errors.Is(err, actor.ErrDeadLetter):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("ask actor %s: %w", to.Id, err)
	}
	switch a := answer.(type) {
	case failure:
		return nil, a.err
	case error:
		return nil, a
	}
	return answer, nil
}

// tell sends a message that nobody waits for.
func (s *system) tell(to address, body any) { s.actors.Root.Send(to, body) }

// stop ends an actor after the message it has under way and waits for it. What
// is in its mailbox is dropped.
func (s *system) stop(a address) {
	s.mu.Lock()
	h := s.hosts[a.Id]
	delete(s.hosts, a.Id)
	s.mu.Unlock()
	s.actors.Root.Stop(a)
	if h != nil {
		<-h.gone
	}
}

// end stops an actor after the messages it has, without waiting for it.
func (s *system) end(a address) {
	s.forget(a)
	s.actors.Root.Poison(a)
}

// forget is for an actor that ends by itself.
func (s *system) forget(a address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hosts, a.Id)
}

// deadLetters is how long protoactor's goroutine lives that a message to an actor
// which has ended starts; by default it is a second.
const deadLetters = time.Millisecond

// shutdown ends the system; every actor has been stopped before. The last of them
// may have sent to one before it: what that started has no end but its time.
func (s *system) shutdown() {
	s.actors.Shutdown()
	time.Sleep(2 * deadLetters)
}

// host adapts a behaviour to protoactor and stops it for good when it panics:
// its state is then not to be trusted, and only a replay of the log makes it
// anew.
type host struct {
	behaviour behaviour
	name      string
	log       *slog.Logger
	gone      chan struct{} // closed when the actor has ended
	dead      error
}

func (h *host) Receive(ctx actor.Context) {
	body := ctx.Message()
	switch body.(type) {
	case *actor.Started:
		body = started{}
	case *actor.Stopping:
		body = stopping{}
	case *actor.Stopped:
		close(h.gone)
		return
	case actor.SystemMessage, actor.AutoReceiveMessage:
		return
	}
	m := mail{ctx, body}
	if h.dead != nil {
		m.answer(failure{h.dead, body})
		return
	}
	defer func() {
		if r := recover(); r != nil {
			h.dead = fmt.Errorf("%w: actor %s: %v", messages.ErrPartition, h.name, r)
			h.log.Error("actor failed; restart the node to recover it from the log", "actor", h.name, "panic", r, "stack", string(debug.Stack()))
			h.behaviour.failed(h.dead)
			m.answer(failure{h.dead, body})
		}
	}()
	h.behaviour.receive(m)
}
