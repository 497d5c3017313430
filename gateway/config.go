package gateway

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/crestdb/crest/gateway/api"
	"github.com/crestdb/crest/gateway/metrics"
	"github.com/crestdb/crest/messages"
)

// Config is how the edge behaves and what it tells about its node.
type Config struct {
	// Node is what the edge knows of the node it stands in front of.
	Node Node
	// Logger takes what no client is told. Default: slog.Default().
	Logger *slog.Logger

	// HeaderTimeout bounds the time from a connection's (or request's) first
	// byte to the end of its header, so that slow senders hold no connection.
	// Default 10 s.
	HeaderTimeout time.Duration
	// ReadTimeout bounds the reading of a whole request. Default 2 min: a full
	// body of 16 MiB at 1 Mbit/s just fits.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time from the end of a header to the end of the
	// answer, the reading of the body included. Default 3 min.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection without requests. Default 2 min.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds a request's header. Default 32 KiB.
	MaxHeaderBytes int
	// MaxConnections bounds connections open at once; further ones wait in the
	// listener's backlog until one closes. Default 8192.
	MaxConnections int

	// Now is the node clock, the same for stamps and questions. Required.
	Now func() messages.Micros
	// MaxBody bounds the body of an ingest request, decoded. Default 16 MiB.
	MaxBody int
	// MaxInFlight bounds what ingest requests in flight hold together, at least
	// four bodies. Default 128 MiB.
	MaxInFlight int64
	// MaxWait bounds how long an ingest request waits for its part of
	// MaxInFlight; then it is refused (429). Default 1 s.
	MaxWait time.Duration
	// KeepUserIDs stores users as they came, not as keyed hashes. Default off.
	KeepUserIDs bool
	// HomeFirst says that the log does not take frames whole: each block lands by
	// itself, other gateways append between them, and a crash tears a request
	// apart. Then requests with an Idempotency-Key ask the key's home partition
	// first. Default off, as the embedded log wants it.
	HomeFirst bool
	// AnswerBytes bounds the encoded boards that are kept. Default 8 MiB.
	AnswerBytes int

	// QueryTimeout bounds the engine's work on a question, waiting for after=
	// included. Default 5 s.
	QueryTimeout time.Duration
	// SnapshotTimeout bounds the snapshots that somebody asks for; less than
	// WriteTimeout. Default 2 min.
	SnapshotTimeout time.Duration
	// DrainTimeout bounds how long requests in flight may take once the node
	// stops; then they are cut off. Default 10 s.
	DrainTimeout time.Duration
}

// Node is what the edge tells about the node. The functions are called by
// many goroutines at once and must not block.
type Node struct {
	Name    string
	Role    string // "single": a node that is no part of a cluster
	Version string
	Started time.Time
	// Log is nil, or why the log takes no events. Optional.
	Log func() error
	// LogStatus is how a log outside of the node is. Optional: nil for the
	// embedded one.
	LogStatus func() LogStatus
	// Budget is how the memory of the rest of the node is split, and what is
	// used; the edge adds its own parts. Optional.
	Budget func() []api.Share
	// Samples are further measurements for GET /metrics, such as those of the
	// log. Optional.
	Samples func() []metrics.Sample
}

// DefaultConfig has every default; Now has to be set, and Node should be.
func DefaultConfig() Config {
	return Config{
		Node:            Node{Name: "crest", Role: "single", Version: "dev", Started: time.Now()},
		Logger:          slog.Default(),
		HeaderTimeout:   10 * time.Second,
		ReadTimeout:     2 * time.Minute,
		WriteTimeout:    3 * time.Minute,
		IdleTimeout:     2 * time.Minute,
		MaxHeaderBytes:  32 << 10,
		MaxConnections:  8192,
		MaxBody:         16 << 20,
		MaxInFlight:     128 << 20,
		MaxWait:         time.Second,
		AnswerBytes:     8 << 20,
		QueryTimeout:    5 * time.Second,
		SnapshotTimeout: 2 * time.Minute,
		DrainTimeout:    10 * time.Second,
	}
}

// Validate names the first field out of range, its value and the range.
func (c *Config) Validate() error {
	durations := []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"header timeout", c.HeaderTimeout, 10 * time.Millisecond, time.Minute},
		{"read timeout", c.ReadTimeout, c.HeaderTimeout, time.Hour},
		{"write timeout", c.WriteTimeout, c.QueryTimeout, time.Hour},
		{"idle timeout", c.IdleTimeout, 10 * time.Millisecond, time.Hour},
		{"query timeout", c.QueryTimeout, time.Millisecond, time.Minute},
		{"snapshot timeout", c.SnapshotTimeout, time.Millisecond, c.WriteTimeout},
		{"drain timeout", c.DrainTimeout, 0, 10 * time.Minute},
	}
	for _, d := range durations {
		if d.value < d.min || d.value > d.max {
			return fmt.Errorf("gateway: %s %v: want %v to %v", d.name, d.value, d.min, d.max)
		}
	}
	switch {
	case c.Logger == nil:
		return fmt.Errorf("gateway: no logger")
	case c.Node.Name == "" || c.Node.Role == "" || c.Node.Version == "" || c.Node.Started.IsZero():
		return fmt.Errorf("gateway: node %q, role %q, version %q, started %v: want all of them", c.Node.Name, c.Node.Role, c.Node.Version, c.Node.Started)
	case c.Now == nil:
		return fmt.Errorf("gateway: no clock")
	case c.AnswerBytes < 0:
		return fmt.Errorf("gateway: answer bytes %d: want 0 or more", c.AnswerBytes)
	case c.MaxHeaderBytes < 4<<10 || c.MaxHeaderBytes > 1<<20:
		return fmt.Errorf("gateway: max header bytes %d: want 4 KiB to 1 MiB", c.MaxHeaderBytes)
	case c.MaxConnections < 1 || c.MaxConnections > 1<<20:
		return fmt.Errorf("gateway: max connections %d: want 1 to %d", c.MaxConnections, 1<<20)
	}
	return nil
}
