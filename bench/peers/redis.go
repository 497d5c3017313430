package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crestdb/crest/bench"
	"github.com/crestdb/crest/bench/tape"
	"github.com/crestdb/crest/messages"
)

// redisSubject is Redis with a sorted set for each window and cell, as rankings
// are made with it. Nothing ever leaves a set.
type redisSubject struct {
	windows  int  // 4 cells for each; 0: one key for everything
	combined bool // the client adds up the increments of -flush events
}

// writers are connections that send increments at once. Redis has one thread
// for all; two keep it busy while the other's replies are read.
const writers = 2

// keyOf is the sorted set of a window and a cell.
func keyOf(w messages.Window, c messages.Cell) string {
	return "top:" + w.String() + ":" + c.Category + ":" + c.Region
}

func (s redisSubject) measure(ctx context.Context, t *trial) (r *reading, err error) {
	server, err := startRedis(ctx, t.redis)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	events := t.firstPart(t.events)
	r = &reading{}
	before, err := bench.UsageOf(server.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	start, own := time.Now(), bench.OwnCPU()
	if err := s.send(ctx, t, server.addr, t.tape.Events[:events], pace{}); err != nil {
		return nil, err
	}
	elapsed, own := time.Since(start), bench.OwnCPU()-own
	after, err := bench.UsageOf(server.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	r.paces(events, elapsed, after.CPU-before.CPU, own)
	second := events + t.secondPart(t.events, r)
	if err := s.read(ctx, t, server.addr, r, t.tape.Events[events:second]); err != nil {
		return nil, err
	}
	if err := s.send(ctx, t, server.addr, t.tape.Events[second:], pace{}); err != nil {
		return nil, err
	}
	return r, s.look(t, server, r)
}

// read reads boards while events come.
func (s redisSubject) read(ctx context.Context, t *trial, addr string, r *reading, events []tape.Event) error {
	var conns [readers]*redisConn
	for i := range conns {
		c, err := dialRedis(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		conns[i] = c
	}
	var err error
	r.reads, err = t.reading(ctx, func(_ context.Context, reader int, q question) error {
		if s.windows == 0 {
			q = question{window: messages.WindowAll}
		}
		_, err := conns[reader].ask("ZREVRANGE", keyOf(q.window, q.cell), "0", strconv.Itoa(boardRows-1), "WITHSCORES")
		return err
	}, func() error { return s.send(ctx, t, addr, events, half(r)) })
	return err
}

func (s redisSubject) look(t *trial, server *redisServer, r *reading) error {
	u, err := bench.UsageOf(server.cmd.Process.Pid)
	if err != nil {
		return err
	}
	c, err := dialRedis(server.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	r.resident = u.Resident
	if r.held, err = c.usedMemory(); err != nil {
		return err
	}
	cells := t.judge.cells
	if s.windows == 0 {
		cells = cells[:1]
	}
	for _, cell := range cells {
		answer, err := c.ask("ZREVRANGE", keyOf(messages.WindowAll, cell), "0", strconv.Itoa(boardRows-1), "WITHSCORES")
		if err != nil {
			return err
		}
		var rows []row
		for i := 0; i+1 < len(answer); i += 2 {
			n, err := strconv.ParseFloat(answer[i+1], 64)
			if err != nil {
				return fmt.Errorf("redis: score %q", answer[i+1])
			}
			rows = append(rows, row{answer[i], n})
		}
		t.judge.board(&r.found, cell, rows)
	}
	return nil
}

// send writes the increments of events over all connections and waits for
// every reply.
func (s redisSubject) send(ctx context.Context, t *trial, addr string, events []tape.Event, p pace) error {
	p.perSecond /= writers
	g, ctx := errgroup.WithContext(ctx)
	for w := range writers {
		g.Go(func() error {
			c, err := dialRedis(addr)
			if err != nil {
				return err
			}
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			return s.pipeline(ctx, t, c, p, events[len(events)*w/writers:len(events)*(w+1)/writers])
		})
	}
	return g.Wait()
}

// pipelinesAhead is how many of -pipeline commands may wait for their replies.
const pipelinesAhead = 4

// pipeline sends on one connection, and reads replies meanwhile.
func (s redisSubject) pipeline(ctx context.Context, t *trial, c *redisConn, rate pace, events []tape.Event) error {
	sent := make(chan int, pipelinesAhead) // replies to read; a full channel holds the writer back
	replies := make(chan error, 1)
	go func() { replies <- c.drain(sent) }()
	p := &pipe{conn: c, names: t.tape.Topics, size: t.pipeline, sent: sent, heads: map[target]string{}}
	var err error
	for at := 0; at < len(events) && err == nil; {
		part := events[at:min(at+s.together(t), len(events))]
		if err = rate.wait(ctx, at); err == nil {
			err = s.write(p, part)
		}
		at += len(part)
	}
	if err == nil {
		err = p.flush()
	}
	close(sent)
	if replied := <-replies; replied != nil {
		return replied // what ails the writer follows from it
	}
	return err
}

// drain reads as many replies as it is told of. After an error it closes the
// connection, so that the writer fails too, and goes on listening to it.
func (c *redisConn) drain(sent <-chan int) (err error) {
	for n := range sent {
		for ; n > 0 && err == nil; n-- {
			if _, err = c.bulkLine(); err != nil {
				c.Close()
			}
		}
	}
	return err
}

// bulkLine reads a short string that holds no line end, as scores are.
func (c *redisConn) bulkLine() ([]byte, error) {
	if _, err := c.line(); err != nil {
		return nil, err
	}
	return c.line()
}

// target is a sorted set: a window and the numbers of a cell's names.
type target struct {
	window           uint8 // in readWindows
	category, region uint8
}

// each calls f for the sets that an event counts in.
func (s redisSubject) each(e *tape.Event, f func(target) error) error {
	if s.windows == 0 {
		return f(target{window: uint8(len(readWindows) - 1)})
	}
	for w := range uint8(s.windows) {
		for _, k := range [...]target{{w, 0, 0}, {w, e.Category, 0}, {w, 0, e.Region}, {w, e.Category, e.Region}} {
			if err := f(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// together is how many events a writer sends between two looks at the clock.
func (s redisSubject) together(t *trial) int {
	if s.combined {
		return max(1, t.flush/writers)
	}
	return max(1, t.pipeline/max(1, 4*s.windows))
}

func (s redisSubject) write(p *pipe, events []tape.Event) error {
	if s.combined {
		return s.combine(p, events)
	}
	for i := range events {
		e := &events[i]
		if err := s.each(e, func(k target) error { return p.increment(k, e.Topic, 1) }); err != nil {
			return err
		}
	}
	return nil
}

// combine adds the increments of events up and sends the sums.
func (s redisSubject) combine(p *pipe, events []tape.Event) error {
	type member struct {
		target
		topic uint32
	}
	sums := map[member]int{}
	oneWindow := redisSubject{windows: 1} // all have the same: added up once
	for i := range events {
		e := &events[i]
		_ = oneWindow.each(e, func(k target) error { sums[member{k, e.Topic}]++; return nil })
	}
	for m, n := range sums {
		for w := range uint8(s.windows) {
			m.window = w
			if err := p.increment(m.target, m.topic, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// pipe collects commands and sends them size at a time.
type pipe struct {
	conn  *redisConn
	names []string
	size  int
	sent  chan<- int
	heads map[target]string // of commands, up to the increment
	buf   []byte
	n     int // commands in buf
}

func (p *pipe) increment(k target, topic uint32, by int) error {
	head, ok := p.heads[k]
	if !ok {
		cell := messages.Cell{Category: tape.CategoryName(k.category), Region: tape.RegionName(k.region)}
		key := keyOf(readWindows[k.window], cell)
		head = fmt.Sprintf("*4\r\n$7\r\nZINCRBY\r\n$%d\r\n%s\r\n$", len(key), key)
		p.heads[k] = head
	}
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], int64(by), 10)
	name := p.names[topic]
	p.buf = append(p.buf, head...)
	p.buf = strconv.AppendInt(p.buf, int64(len(number)), 10)
	p.buf = append(p.buf, "\r\n"...)
	p.buf = append(p.buf, number...)
	p.buf = append(p.buf, "\r\n$"...)
	p.buf = strconv.AppendInt(p.buf, int64(len(name)), 10)
	p.buf = append(p.buf, "\r\n"...)
	p.buf = append(p.buf, name...)
	p.buf = append(p.buf, "\r\n"...)
	if p.n++; p.n < p.size {
		return nil
	}
	return p.flush()
}

func (p *pipe) flush() error {
	if p.n == 0 {
		return nil
	}
	p.sent <- p.n // the reader goes on taking these until the channel is closed
	if _, err := p.conn.Write(p.buf); err != nil {
		return fmt.Errorf("write to redis: %w", err)
	}
	p.buf, p.n = p.buf[:0], 0
	return nil
}
