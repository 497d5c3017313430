package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Cluster is a few brokers, all of them controllers, too. Topics have three
// replicas unless they say otherwise, and a write with acks=all wants two of them.
type Cluster []*Broker

// NewCluster makes the folders of n brokers, at least three, in dir, as New does.
func NewCluster(ctx context.Context, libs, dir string, n int) (Cluster, error) {
	dirs := make([]string, n)
	for i := range dirs {
		dirs[i] = filepath.Join(dir, strconv.Itoa(i+1))
		if err := os.Mkdir(dirs[i], 0o700); err != nil {
			return nil, fmt.Errorf("new cluster: %w", err)
		}
	}
	c, err := newBrokers(libs, dirs, oneOf)
	if err != nil {
		return nil, fmt.Errorf("new cluster: %w", err)
	}
	id := clusterID()
	if err := Cluster(c).each(func(b *Broker) error { return b.format(ctx, id) }); err != nil {
		return nil, fmt.Errorf("new cluster: %w", err)
	}
	return c, nil
}

// Start starts all brokers and waits until they answer.
func (c Cluster) Start(ctx context.Context) error {
	return c.each(func(b *Broker) error { return b.Start(ctx) })
}

// Kill ends all brokers at once.
func (c Cluster) Kill() {
	_ = c.each(func(b *Broker) error {
		b.Kill()
		return nil
	})
}

// Addrs is where they listen, with commas between.
func (c Cluster) Addrs() string {
	var list []string
	for _, b := range c {
		list = append(list, b.Addr())
	}
	return strings.Join(list, ",")
}

// each does something with all brokers side by side.
func (c Cluster) each(f func(*Broker) error) error {
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for i, b := range c {
		wg.Go(func() { errs[i] = f(b) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
