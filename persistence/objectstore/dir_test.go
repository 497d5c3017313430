package objectstore_test

import (
	"testing"

	"github.com/crestdb/crest/persistence"
	"github.com/crestdb/crest/persistence/objectstore"
)

func openDir(t *testing.T, fsys persistence.FS, root string) *objectstore.Directory {
	t.Helper()
	d, err := objectstore.Dir(fsys, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
