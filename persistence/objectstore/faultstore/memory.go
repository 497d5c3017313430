package faultstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/crestdb/crest/persistence/objectstore"
)

// Memory is a Store in memory.
type Memory struct {
	mu      sync.Mutex
	objects map[string]object
	puts    int
}

type object struct {
	body    []byte
	version objectstore.Version
}

var _ objectstore.Store = (*Memory)(nil)

// NewMemory is an empty store.
func NewMemory() *Memory { return &Memory{objects: map[string]object{}} }

// put stores an object if the version that is there ("": none) is admitted.
func (m *Memory) put(ctx context.Context, op, key string, body []byte, admit func(now objectstore.Version) error) (objectstore.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx, key); err != nil {
		return "", fmt.Errorf("%s %s: %w", op, key, err)
	}
	if err := admit(m.objects[key].version); err != nil {
		return "", fmt.Errorf("%s %s: %w", op, key, err)
	}
	m.puts++
	v := objectstore.Version(fmt.Sprintf("v%d", m.puts))
	m.objects[key] = object{slices.Clone(body), v}
	return v, nil
}

func (m *Memory) usable(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return objectstore.CheckKey(key)
}

// Put stores an object.
func (m *Memory) Put(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	return m.put(ctx, "put", key, body, func(objectstore.Version) error { return nil })
}

// PutIfAbsent stores an object unless there is one.
func (m *Memory) PutIfAbsent(ctx context.Context, key string, body []byte) (objectstore.Version, error) {
	return m.put(ctx, "put if absent", key, body, func(now objectstore.Version) error {
		if now != "" {
			return objectstore.ErrExists
		}
		return nil
	})
}

// PutIfMatch replaces an object of a version.
func (m *Memory) PutIfMatch(ctx context.Context, key string, body []byte, v objectstore.Version) (objectstore.Version, error) {
	return m.put(ctx, "put if unchanged", key, body, func(now objectstore.Version) error {
		if v == "" || now != v {
			return objectstore.ErrChanged
		}
		return nil
	})
}

// Get is an object and its version.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, objectstore.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.usable(ctx, key)
	o, ok := m.objects[key]
	if err == nil && !ok {
		err = objectstore.ErrNotFound
	}
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return append([]byte{}, o.body...), o.version, nil
}

// GetRange is a part of an object.
func (m *Memory) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	if at < 0 || n < 0 {
		return nil, fmt.Errorf("get %s: range of %d bytes at %d", key, n, at)
	}
	body, _, err := m.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	body = body[min(at, int64(len(body))):]
	return body[:min(n, int64(len(body)))], nil
}

// List calls each for the objects of a prefix.
func (m *Memory) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	for _, i := range m.infos(prefix) {
		if err := each(i); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) infos(prefix string) []objectstore.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []objectstore.Info
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			all = append(all, objectstore.Info{Key: key, Size: int64(len(m.objects[key].body))})
		}
	}
	return all
}

// Delete takes an object away.
func (m *Memory) Delete(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	delete(m.objects, key)
	return nil
}

func (m *Memory) String() string { return "memory:" }

// Keys are the keys of all objects, ascending.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Damage replaces an object's body by what change makes of it and leaves its
// version; nil takes the object away. It reports whether there was one.
func (m *Memory) Damage(key string, change func(body []byte) []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return false
	}
	if o.body = change(slices.Clone(o.body)); o.body == nil {
		delete(m.objects, key)
	} else {
		m.objects[key] = o
	}
	return true
}
