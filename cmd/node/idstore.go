package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/crestdb/crest/actors"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/reserve"
	"github.com/crestdb/crest/persistence/runs"
)

// idStores keeps the partitions' runs of event ids. A run that cannot be
// written is no reason to fail its partition: its ids are in memory until it is
// there, and a new file can be tried as often as need be. So it is, and meanwhile
// no events are taken; what is counted can be asked for.
type idStores struct {
	fs      persistence.FS
	dir     string
	reserve *reserve.Reserve
	logger  *slog.Logger

	once     sync.Once
	stopping chan struct{} // closed once nothing is tried again

	mu sync.Mutex
	// failing are the partitions with a run that could not be written, and why.
	failing map[messages.Partition]error
}

// runRetry is how long after a failure a run is written again.
const runRetry = time.Second

func newIDStores(cfg *Config, r *reserve.Reserve) *idStores {
	return &idStores{
		fs: cfg.fs(), dir: filepath.Join(cfg.Data, "ids"), reserve: r, logger: cfg.Logger,
		stopping: make(chan struct{}), failing: map[messages.Partition]error{},
	}
}

// open is where a partition's runs are kept.
func (s *idStores) open(p messages.Partition) (actors.RunStore, error) {
	store := &idStore{partition: p, all: s}
	err := s.reserve.Do("the folder of event ids", func() (err error) {
		store.Store, err = runs.Open(s.fs, filepath.Join(s.dir, strconv.Itoa(int(p))))
		return err
	})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// stop ends the trying: what cannot be written now fails.
func (s *idStores) stop() { s.once.Do(func() { close(s.stopping) }) }

// err is why no events can be taken for now: an error that wraps
// messages.ErrStopped; nil if they can.
func (s *idStores) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, err := range s.failing {
		return fmt.Errorf("%w: event ids of partition %d cannot be written: %w", messages.ErrStopped, p, err)
	}
	return nil
}

func (s *idStores) note(p messages.Partition, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.failing[p]
	switch {
	case err == nil && was:
		delete(s.failing, p)
		s.logger.Info("event ids can be written again", "partition", p)
	case err != nil:
		s.failing[p] = err
		if !was {
			s.logger.Error("event ids cannot be written: no events are taken until they can; free space, or see to the disk",
				"dir", s.dir, "partition", p, "error", err, "again_in", runRetry)
		}
	}
}

// waiting is how many partitions have a run that cannot be written.
func (s *idStores) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failing)
}

// idStore is one partition's.
type idStore struct {
	*runs.Store
	partition messages.Partition
	all       *idStores
}

// Create makes a run, and tries again until the disk takes it or the node
// stops. An error of its sources is the caller's at once.
func (s *idStore) Create(name string, write func(io.Writer) error) error {
	for {
		var sources error
		err := s.all.reserve.Do("a run of event ids", func() error {
			sources = nil
			return s.Store.Create(name, func(w io.Writer) error {
				to := &tap{w: w}
				err := write(to)
				if to.err == nil {
					sources = err
				}
				return err
			})
		})
		if err == nil || sources != nil {
			s.all.note(s.partition, nil)
			return err
		}
		s.all.note(s.partition, err)
		select {
		case <-s.all.stopping:
			return err
		case <-time.After(runRetry):
		}
	}
}

// Remove takes a run's name away. If it cannot, the file is left over, and is
// removed at the next start: nothing refers to it.
func (s *idStore) Remove(name string) error {
	err := s.Store.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.all.logger.Warn("a run of event ids that is not needed any more could not be removed; the next start tries again",
			"dir", s.all.dir, "partition", s.partition, "error", err)
		return nil
	}
	return err
}

// tap remembers whether it was the writer that failed.
type tap struct {
	w   io.Writer
	err error
}

func (t *tap) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	if err != nil {
		t.err = err
	}
	return n, err
}
