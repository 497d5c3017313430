package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// brokerArg, before a number of events, has the binary of the tests be the
// broker.
const brokerArg = "broker"

// broker is a Kafka in another process, which ends when it is stopped and when
// this one ends, however that comes.
type broker struct {
	addr  string // HOST:PORT
	cmd   *exec.Cmd
	life  io.Closer     // its input: it ends with it
	ended chan struct{} // closed when the process is gone
}

var errBrokerEnded = errors.New("the broker has ended")

// startBroker returns when the topic is filled. The broker outlives ctx until it
// is stopped, so that a node beside it can end in order.
func startBroker(ctx context.Context, bin string, events int) (*broker, error) {
	cmd := exec.Command(bin, brokerArg, strconv.Itoa(events))
	cmd.Stderr = os.Stderr
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, life.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	b := &broker{cmd: cmd, life: life, ended: make(chan struct{})}
	filling := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if !filling() {
		err = ctx.Err()
	}
	go func() {
		defer close(b.ended)
		cmd.Wait() // it says itself what went wrong
	}()
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("the broker has not filled its topic: %w", err)
	}
	b.addr = strings.TrimSpace(line)
	return b, nil
}

// during is ctx as long as the broker is there.
func (b *broker) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-b.ended:
			cancel(errBrokerEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// stop ends the process and waits for it.
func (b *broker) stop() {
	b.life.Close()
	b.cmd.Process.Kill()
	<-b.ended
}
