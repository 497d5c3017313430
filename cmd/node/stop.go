package node

import (
	"context"
	"fmt"
	"time"
)

// logTimeout is how long the log may take to be closed once the rest hangs.
const logTimeout = 5 * time.Second

// begin starts the core. If the node is to stop meanwhile it waits StopTimeout
// for that and no longer: a store that hangs cannot be told to stop. Then false
// is returned, and the core is nobody's any more.
func (n *Node) begin(ctx context.Context) (bool, error) {
	started, late := make(chan error), make(chan struct{})
	go func() {
		err := n.core.Start()
		select {
		case started <- err:
		case <-late:
			_ = n.core.Close() // nobody is left to tell
			close(n.gone)
		}
	}()
	select {
	case err := <-started:
		return true, err
	case <-ctx.Done():
	}
	patience := time.NewTimer(n.core.cfg.StopTimeout)
	defer patience.Stop()
	select {
	case err := <-started:
		return true, err
	case <-patience.C:
	}
	close(late)
	n.core.cfg.Logger.Error("the node stops while it loads its snapshots: their store hangs; nothing is lost", "waited", n.core.cfg.StopTimeout)
	return false, nil
}

// end takes the last snapshots and closes everything. A store that does not
// answer, or a disk that hangs, is given up after StopTimeout and a little: the
// log has all there is, and what is left behind ends with the process.
func (n *Node) end() error {
	ended := make(chan error, 1)
	go func() {
		defer close(n.gone)
		n.core.LastSnapshot()
		ended <- n.core.Close()
	}()
	late := time.NewTimer(n.core.cfg.StopTimeout + logTimeout)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
	}
	n.core.cfg.Logger.Error("the node stops before its last snapshots are done: the store or a disk hangs; nothing that was acknowledged is lost, the next start replays more of the log",
		"waited", n.core.cfg.StopTimeout+logTimeout)
	closed := make(chan error, 1)
	go func() { closed <- n.core.log.Close() }()
	late.Reset(logTimeout)
	select {
	case err := <-closed:
		return wrap("close log", err)
	case <-ended: // at last
		return nil
	case <-late.C:
		return fmt.Errorf("the log's disk hangs; what was acknowledged is on it")
	}
}
