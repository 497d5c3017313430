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
	started := make(chan error, 1)
	go func() { started <- n.core.Start() }()
	select {
	case err := <-started:
		return true, err
	case <-ctx.Done():
	}
	late := time.NewTimer(n.core.cfg.StopTimeout)
	defer late.Stop()
	select {
	case err := <-started:
		return true, err
	case <-late.C:
	}
	n.core.cfg.Logger.Error("the node stops while it loads its snapshots: their store hangs; nothing is lost", "waited", n.core.cfg.StopTimeout)
	return false, nil
}

// end takes the last snapshots and closes everything. A store that does not
// answer, or a disk that hangs, is given up after StopTimeout and a little: the
// log has all there is, and what is left behind ends with the process.
func (n *Node) end() error {
	ended := make(chan error, 1)
	go func() {
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
	n.core.cfg.Logger.Error("the node stops without its last snapshots: their store hangs; nothing that was acknowledged is lost, the next start replays more of the log",
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
