package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/crestdb/crest/persistence/objectstore"
)

// openObjects opens the store of snapshots, and makes sure that it can have one
// owner of a partition at a time.
func (c *Core) openObjects(ctx context.Context) error {
	if c.objects != nil {
		return nil // it was looked into already
	}
	where := c.cfg.Store
	if where == "" {
		where = "dir:" + filepath.Join(c.cfg.Data, "store")
	}
	o := objectstore.DefaultConfig()
	o.FS, o.Endpoint, o.Region, o.PathStyle = c.cfg.FS, c.cfg.S3Endpoint, c.cfg.S3Region, c.cfg.S3Endpoint != ""
	return c.reserve.Do("the store of snapshots", func() error {
		objects, err := objectstore.Open(ctx, where, o)
		if err != nil {
			return fmt.Errorf("open the store of snapshots: %w", err)
		}
		opened, _ := objects.(io.Closer)
		if c.ground.Objects != nil {
			objects = c.ground.Objects(objects)
		}
		if err := objectstore.Probe(ctx, objects); err != nil {
			err = fmt.Errorf("store of snapshots %s: %w", objects, err)
			if opened != nil {
				err = errors.Join(err, opened.Close())
			}
			return err
		}
		c.objects, c.opened = objects, opened
		return nil
	})
}

// closeObjects ends the use of the store; nothing of it may be under way.
func (c *Core) closeObjects() error {
	if c.opened == nil {
		return nil
	}
	return wrap("close the store of snapshots", c.opened.Close())
}
