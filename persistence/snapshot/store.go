package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/time/rate"

	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
)

var (
	// ErrFenced is wrapped by every error of a Partition once somebody else has
	// taken the partition over. Whoever gets it is not the owner any more: stop
	// publishing, drop the state, take over anew or leave it.
	ErrFenced = errors.New("the partition has another owner now")
	// ErrUnreadable is wrapped by errors that say that there are snapshots, and
	// that none of them can be used. Starting from nothing would lose what they
	// have: that is for a person to decide.
	ErrUnreadable = errors.New("there are snapshots, but none can be used")
)

// Store keeps the snapshots of one log. All its methods may be called
// concurrently.
type Store struct {
	objects objectstore.Store
	log     messages.LogIdentity
	cfg     Config
	enc     *zstd.Encoder
	dec     *zstd.Decoder
	limit   *rate.Limiter // nil: no bound
}

// New is a store of a log's snapshots. Nothing is read or written yet.
func New(objects objectstore.Store, log *messages.LogIdentity, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fillIn()
	s := &Store{objects: objects, log: *log, cfg: cfg, enc: newEncoder(cfg.InFlight), dec: newDecoder(cfg.InFlight)}
	if cfg.BytesPerSecond > 0 {
		s.limit = rate.NewLimiter(rate.Limit(cfg.BytesPerSecond), MaxObject)
	}
	return s, nil
}

func (s *Store) place(p messages.Partition) place {
	return place{objects: s.objects, log: s.log.ID, partition: p, inFlight: s.cfg.InFlight, dec: s.dec}
}

// put stores an object under a name that nobody else writes to. A failed put
// may have happened, and doing it again does no harm: so it is tried twice.
func (s *Store) put(ctx context.Context, key string, body []byte) error {
	if s.limit != nil {
		for at := 0; at < len(body); at += MaxObject {
			if err := s.limit.WaitN(ctx, min(MaxObject, len(body)-at)); err != nil {
				return err
			}
		}
	}
	_, err := s.objects.Put(ctx, key, body)
	if err != nil && ctx.Err() == nil {
		_, err = s.objects.Put(ctx, key, body)
	}
	return err
}

const (
	// takeAttempts bounds how often Take starts again because the owner before
	// it saved at the same moment.
	takeAttempts = 16
	// lookTime bounds reading a manifest back after a put that failed. It goes on
	// when the caller's time is over: what is not known makes the next call slow.
	lookTime = 10 * time.Second
)

// Take makes the caller the owner of a partition, and fences the owner before.
// Of several who take it at the same moment, those who come too late get
// ErrFenced.
//
// It refuses a partition whose manifest is damaged, of another log identity or
// partition count (ErrIdentity), or missing while there are snapshots
// (ErrUnreadable).
func (s *Store) Take(ctx context.Context, p messages.Partition) (*Partition, error) {
	part, err := s.take(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("take partition %d over in %v: %w", p, s.objects, err)
	}
	return part, nil
}

func (s *Store) take(ctx context.Context, p messages.Partition) (*Partition, error) {
	if int(p) >= s.log.Partitions {
		return nil, fmt.Errorf("the log has %d partitions", s.log.Partitions)
	}
	t := &Partition{
		store: s, place: s.place(p), id: identityOf(&s.log, p), nonce: newNonce(),
		op: make(chan struct{}, 1), putting: make(chan struct{}, 1), roots: map[string]*root{},
	}
	met := uint64(0)
	for range takeAttempts {
		m, v, taken, err := t.claim(ctx)
		if err != nil {
			return nil, err
		}
		if taken {
			return t.begin(m, v), nil
		}
		switch {
		case met == 0:
			met = m.Epoch
		case m.Epoch > met:
			return nil, t.othersError(ctx)
		}
		v, err = t.place.putManifest(ctx, m, v)
		if err == nil {
			return t.begin(m, v), nil
		}
		current, v, lookErr := t.look(ctx)
		switch {
		case lookErr == nil && t.wrote(current): // the answer was lost
			return t.begin(current, v), nil
		case !errors.Is(err, objectstore.ErrChanged) && !errors.Is(err, objectstore.ErrExists):
			return nil, err
		}
	}
	return nil, fmt.Errorf("its manifest changed %d times meanwhile", takeAttempts)
}

// begin is t as the owner, by a manifest that is in the store.
func (t *Partition) begin(m *manifest, v objectstore.Version) *Partition {
	t.epoch, t.manifest, t.version, t.writes = m.Epoch, m, v, m.Write
	return t
}

// claim is the manifest with which t would be the owner, and the version of
// that which it would replace; "" if there is none. Or it is the manifest that
// is there, if t is the owner already.
func (t *Partition) claim(ctx context.Context) (m *manifest, v objectstore.Version, taken bool, err error) {
	m, v, err = t.place.manifest(ctx)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		epoch, err := t.firstEpoch(ctx)
		if err != nil {
			return nil, "", false, err
		}
		m = &manifest{identity: t.id, Epoch: epoch}
	case err != nil:
		var damage *DamageError
		if errors.As(err, &damage) {
			return nil, "", false, fmt.Errorf("%w: %w; `crest snapshot restore` makes a manifest from the roots that are there", ErrUnreadable, err)
		}
		return nil, "", false, err
	default:
		if err := m.check(&t.id); err != nil {
			return nil, "", false, t.place.damage(manifestName, err)
		}
		if t.wrote(m) {
			return m, v, true, nil
		}
		m = m.clone()
		m.Epoch++
	}
	m.Nonce, m.Owner, m.Write, m.Written = t.nonce, t.store.cfg.Owner, 1, t.store.cfg.stamp()
	return m, v, false, nil
}

// firstEpoch is one above all that have left an object. A partition without a
// manifest has no roots either: a manifest comes before anything else.
func (t *Partition) firstEpoch(ctx context.Context) (uint64, error) {
	var epoch uint64
	err := t.place.list(ctx, func(n objectName, _ objectstore.Info) error {
		epoch = max(epoch, n.epoch)
		if n.kind == rootKind {
			return fmt.Errorf("%w: %s is there, but %s is missing; `crest snapshot restore` makes one from the roots that are there",
				ErrUnreadable, t.place.key(n.String()), t.place.key(manifestName))
		}
		return nil
	})
	return epoch + 1, err
}

// othersError is ErrFenced, with who it was that came first if that can be seen.
func (t *Partition) othersError(ctx context.Context) error {
	m, _, err := t.look(ctx)
	if err != nil {
		return ErrFenced
	}
	return fencedBy(m)
}

func fencedBy(m *manifest) error {
	return fmt.Errorf("%w: %q, since epoch %d", ErrFenced, m.Owner, m.Epoch)
}

// list calls each for every root and part in the folder. Anything else in it
// is passed over.
func (p *place) list(ctx context.Context, each func(objectName, objectstore.Info) error) error {
	folder := p.key("")
	return p.objects.List(ctx, folder, func(i objectstore.Info) error {
		if len(i.Key) <= len(folder) || i.Key[:len(folder)] != folder {
			return nil
		}
		n, ok := parseName(i.Key[len(folder):])
		if !ok {
			return nil
		}
		return each(n, i)
	})
}
