package objectstore_test

import (
	"fmt"
	"testing"

	"github.com/crestdb/crest/persistence/objectstore"
)

// BenchmarkDirectory is a folder on the machine's own file system: what a
// manifest and a part of a snapshot cost.
func BenchmarkDirectory(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 20} {
		d, err := objectstore.Dir(nil, b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		body := make([]byte, size)
		v, err := d.Put(b.Context(), "k", body)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("put-if-match/bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if v, err = d.PutIfMatch(b.Context(), "k", body, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("get/bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, err := d.Get(b.Context(), "k"); err != nil {
					b.Fatal(err)
				}
			}
		})
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
