package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/settings"
	"github.com/crestdb/crest/messages"
	"github.com/crestdb/crest/persistence/objectstore"
	"github.com/crestdb/crest/persistence/snapshot"
)

func newSnapshot(w world) *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Look into a store of snapshots, and restore from it",
		Long: `Look into a store of snapshots, and restore from it. ls and verify change
nothing, and the node may be running. A node takes snapshots by itself; POST
/api/v1/admin/snapshot makes it take them at once.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSnapshotLs(w), newSnapshotVerify(w), newSnapshotRestore(w))
	return c
}

// storeFlags say where snapshots are: what serve takes, by the same names.
type storeFlags struct {
	world
	data, store, endpoint, region string
	log                           string
}

func (s *storeFlags) addFlags(c *cobra.Command) {
	env := func(name, def string) string {
		if v := s.getenv(name); v != "" {
			return v
		}
		return def
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&s.data, "data", env("CREST_DATA", settings.Default().Data), "data folder `DIR` of the node (env CREST_DATA)")
	c.Flags().StringVar(&s.store, "store", env("CREST_STORE", ""), "store of the snapshots, `dir:PATH|s3://BUCKET/PREFIX` (env CREST_STORE; default dir:DATA/store)")
	c.Flags().StringVar(&s.endpoint, "s3-endpoint", env("CREST_S3_ENDPOINT", ""), "`URL` of the server of s3:// stores, if it is not AWS's (env CREST_S3_ENDPOINT)")
	c.Flags().StringVar(&s.region, "s3-region", env("CREST_S3_REGION", ""), "`REGION` of s3:// stores (env CREST_S3_REGION)")
	c.Flags().StringVar(&s.log, "log", "", "snapshots of this log only, by its `ID` or the beginning of it")
}

// check fills in what was not given and refuses what is wrong.
func (s *storeFlags) check() error {
	if s.store == "" {
		s.store = settings.DefaultStore(s.data)
	}
	if err := settings.CheckStore(s.store); err != nil {
		return usage("--%s: %w", settings.Shown("store", s.store), err)
	}
	if s.endpoint != "" {
		if err := settings.CheckEndpoint(s.endpoint); err != nil {
			return usage("--s3-endpoint: %w", err)
		}
	}
	return nil
}

// look opens the store to be read only, once all flags are right.
func (s *storeFlags) look(ctx context.Context, o *output) (objectstore.Store, error) {
	if err := errors.Join(o.check(), s.check()); err != nil {
		return nil, err
	}
	return s.open(ctx, s.store, false)
}

// open opens a store; whoever gets it calls closeStore. A folder that is not
// there is made if make is true: else it is a mistake.
func (s *storeFlags) open(ctx context.Context, where string, make bool) (objectstore.Store, error) {
	if path, ok := strings.CutPrefix(where, "dir:"); ok && !make {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no store of snapshots in %s: name the node's data folder with --data, or its store with --store (%w)", path, err)
		}
	}
	cfg := objectstore.DefaultConfig()
	cfg.Endpoint, cfg.Region, cfg.PathStyle = s.endpoint, s.region, s.endpoint != ""
	return objectstore.Open(ctx, where, cfg)
}

// closeStore gives a store back; that it fails has no consequences by now.
func closeStore(s objectstore.Store) {
	if c, ok := s.(io.Closer); ok {
		_ = c.Close()
	}
}

// listings are what a store has, of the log that is meant or of all.
func (s *storeFlags) listings(ctx context.Context, store objectstore.Store) ([]snapshot.Listing, error) {
	all, err := snapshot.List(ctx, store)
	if err != nil || s.log == "" {
		return all, err
	}
	var kept []snapshot.Listing
	for _, l := range all {
		if strings.HasPrefix(logText(l.Log), strings.ToLower(s.log)) {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%v has no snapshots of a log %s; it has those of %s", store, s.log, logsText(all))
	}
	return kept, nil
}

// oneLog is the log that all listings are of.
func oneLog(store objectstore.Store, listings []snapshot.Listing) (messages.LogID, error) {
	switch logs := snapshot.Logs(listings); len(logs) {
	case 1:
		return logs[0], nil
	case 0:
		return messages.LogID{}, fmt.Errorf("%v has no snapshots", store)
	default:
		return messages.LogID{}, usage("%v has snapshots of several logs (%s): say which with --log ID", store, logsText(listings))
	}
}

func logText(id messages.LogID) string { return hex.EncodeToString(id[:]) }

func logsText(listings []snapshot.Listing) string {
	var ids []string
	for _, id := range snapshot.Logs(listings) {
		ids = append(ids, logText(id))
	}
	if len(ids) == 0 {
		return "no log"
	}
	return strings.Join(ids, ", ")
}
