package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/eventlog"
	"github.com/crestdb/crest/persistence/eventlog/kafka"
)

// A data folder belongs to one kind of log. Started with the other kind, by a
// setting that was forgotten, a node would begin to count from nothing, beside
// what it has counted.

// usedEmbedded is an error if the data folder has an embedded log.
func (c *Config) usedEmbedded() error {
	name := filepath.Join(c.Data, "log", eventlog.IdentityFile)
	there, err := exists(c.fs(), name)
	if err != nil || !there {
		return wrap("look for an embedded log", err)
	}
	return fmt.Errorf("%s has an embedded log (%s): leave --log out to go on with it, or start with another --data and --store", c.Data, name)
}

// usedWithKafka is an error if the data folder, or the store of a folder that has
// no log yet, was used with a topic.
func (c *Core) usedWithKafka(ctx context.Context) error {
	const advice = "give --log kafka://HOST:PORT/%s to go on with it, or start with another --data and --store"
	fsys := c.cfg.fs()
	name := filepath.Join(c.cfg.Data, secretName)
	there, err := exists(fsys, name)
	if err != nil {
		return wrap("look for the secret of a topic", err)
	}
	if there {
		return fmt.Errorf("the log of %s is a topic of Kafka (%s): "+advice, c.cfg.Data, name, "TOPIC")
	}
	there, err = exists(fsys, filepath.Join(c.cfg.Data, "log", eventlog.IdentityFile))
	if err != nil || there {
		return wrap("look for the log", err)
	}
	if err := c.openObjects(ctx); err != nil {
		return err
	}
	topics, err := kafka.TopicsIn(ctx, c.objects)
	if err != nil || len(topics) == 0 {
		return err
	}
	return fmt.Errorf("the snapshots in %s are of topic %s of Kafka: "+advice, c.objects, topics[0], topics[0])
}

func exists(fsys persistence.FS, name string) (bool, error) {
	f, err := fsys.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}
