package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/crestdb/crest/persistence"
)

// Put stores an object.
func (d *Directory) Put(ctx context.Context, key string, body []byte) (Version, error) {
	v, err := d.put(ctx, key, body, nil)
	return v, failed("put", key, err)
}

// PutIfAbsent stores an object unless there is one.
func (d *Directory) PutIfAbsent(ctx context.Context, key string, body []byte) (Version, error) {
	v, err := d.put(ctx, key, body, func(now Version) error {
		if now != "" {
			return ErrExists
		}
		return nil
	})
	return v, failed("put if absent", key, err)
}

// PutIfMatch replaces an object of a version.
func (d *Directory) PutIfMatch(ctx context.Context, key string, body []byte, v Version) (Version, error) {
	next, err := d.put(ctx, key, body, func(now Version) error {
		if v == "" || now != v {
			return ErrChanged
		}
		return nil
	})
	return next, failed("put if unchanged", key, err)
}

// failed names an operation that did not succeed.
func failed(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}

// put writes the object aside, then takes its turn and, if the version that is
// there ("": none) is admitted, gives it its name. A nil admit replaces what
// may be damaged too.
func (d *Directory) put(ctx context.Context, key string, body []byte, admit func(now Version) error) (Version, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return "", err
	}
	h := newHeader(key, body)
	temp := filepath.Join(d.folder(tempsName), fmt.Sprintf("%s-%d", d.id, d.temps.Add(1)))
	err := d.writeTemp(temp, &h, body)
	if err == nil {
		err = d.change(ctx,
			func() error {
				if admit == nil {
					return nil
				}
				now, err := d.version(key)
				if err != nil {
					return err
				}
				return admit(now)
			},
			func() error { return d.fs.Rename(temp, d.file(key)) })
	}
	if err != nil {
		// What stays behind, the next opening removes.
		_ = d.fs.Remove(temp)
		return "", err
	}
	return h.version(), nil
}

// writeTemp makes a durable file that has no name yet.
func (d *Directory) writeTemp(name string, h *header, body []byte) error {
	f, err := d.fs.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(h.encode(), 0)
	if err == nil && len(body) > 0 {
		_, err = f.WriteAt(body, headerBytes)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// change does apply if check allows it, durably. A refusal is durable as well:
// what it was founded on stays.
func (d *Directory) change(ctx context.Context, check, apply func() error) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := check()
	if refused != nil && !errors.Is(refused, ErrExists) && !errors.Is(refused, ErrChanged) {
		return refused
	}
	d.unsynced = true
	if refused == nil {
		if err := apply(); err != nil {
			return err
		}
	}
	if err := d.syncLocked(); err != nil {
		return err
	}
	return refused
}

// syncLocked makes the names of the objects durable. File systems that keep a
// journal do not forget a change of a folder that they failed to write: a
// later sync either does it or fails too.
func (d *Directory) syncLocked() error {
	if err := d.fs.SyncDir(d.folder(objectsName)); err != nil {
		return err
	}
	d.unsynced = false
	return nil
}

// version is that of an object, "" if there is none.
func (d *Directory) version(key string) (Version, error) {
	f, err := d.fs.OpenRead(d.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	h, err := readHeader(f, key)
	return h.version(), errors.Join(err, f.Close())
}

// openObject opens an object of which no power loss can take anything back.
func (d *Directory) openObject(key string) (persistence.File, error) {
	if err := d.rlock(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	f, err := d.fs.OpenRead(d.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	return f, err
}

// rlock takes mu for reading, after a sync that is due.
func (d *Directory) rlock() error {
	for {
		d.mu.RLock()
		if !d.unsynced {
			return nil
		}
		d.mu.RUnlock()
		d.mu.Lock()
		err := d.syncLocked()
		d.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// Get is an object and its version.
func (d *Directory) Get(ctx context.Context, key string) ([]byte, Version, error) {
	body, v, err := d.read(ctx, key, 0, -1)
	return body, v, failed("get", key, err)
}

// GetRange is a part of an object.
func (d *Directory) GetRange(ctx context.Context, key string, at, n int64) ([]byte, error) {
	err := checkRange(at, n)
	if err != nil {
		return nil, failed("get", key, err)
	}
	body, _, err := d.read(ctx, key, at, n)
	return body, failed("get", key, err)
}

// read is up to n bytes of an object, with a negative n all.
func (d *Directory) read(ctx context.Context, key string, at, n int64) ([]byte, Version, error) {
	if err := errors.Join(CheckKey(key), ctx.Err()); err != nil {
		return nil, "", err
	}
	f, err := d.openObject(key)
	if err != nil {
		return nil, "", err
	}
	h, err := readHeader(f, key)
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	left := max(0, h.size-at)
	if n < 0 || n > left {
		n = left
	}
	body := make([]byte, n)
	if err := errors.Join(readFull(f, body, headerBytes+at), f.Close()); err != nil {
		return nil, "", err
	}
	return body, h.version(), nil
}

// List calls each for the objects of a prefix.
func (d *Directory) List(ctx context.Context, prefix string, each func(Info) error) error {
	if err := d.rlock(); err != nil {
		return failed("list", prefix, err)
	}
	names, err := d.fs.List(d.folder(objectsName))
	d.mu.RUnlock()
	if err != nil {
		return failed("list", prefix, err)
	}
	var keys []string
	for _, name := range names {
		// A file that somebody else has put here is no object.
		if key := strings.ReplaceAll(name, "+", "/"); strings.HasPrefix(key, prefix) && CheckKey(key) == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys) // '/' and '+' have different places among the other bytes
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return failed("list", prefix, err)
		}
		f, err := d.fs.OpenRead(d.file(key))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return failed("list", prefix, err)
		}
		size, err := f.Size()
		if err = errors.Join(err, f.Close()); err != nil {
			return failed("list", prefix, err)
		}
		if err := each(Info{Key: key, Size: max(0, size-headerBytes)}); err != nil {
			return err
		}
	}
	return nil
}

// Delete takes an object away.
func (d *Directory) Delete(ctx context.Context, key string) error {
	err := errors.Join(CheckKey(key), ctx.Err())
	if err == nil {
		err = d.change(ctx, func() error { return nil }, func() error {
			err := d.fs.Remove(d.file(key))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
	}
	return failed("delete", key, err)
}
