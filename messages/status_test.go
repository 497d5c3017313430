package messages_test

import (
	"reflect"
	"testing"

	"github.com/crestdb/crest/messages"
)

// fill sets every number of a struct to n, so that a field that a sum leaves
// out is found, also one added later.
func fill(v reflect.Value, n uint64) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint64:
		v.SetUint(n)
	}
}

func TestSumsLeaveNothingOut(t *testing.T) {
	var ledger, two, want messages.Ledger
	fill(reflect.ValueOf(&ledger).Elem(), 1)
	fill(reflect.ValueOf(&two).Elem(), 2)
	fill(reflect.ValueOf(&want).Elem(), 3)
	want.Epoch = 2 // an epoch is a version, not an amount
	if ledger.Sum(two); ledger != want {
		t.Errorf("got %+v, want %+v", ledger, want)
	}

	var memory, one, sum messages.Memory
	fill(reflect.ValueOf(&memory).Elem(), 1)
	fill(reflect.ValueOf(&one).Elem(), 1)
	fill(reflect.ValueOf(&sum).Elem(), 2)
	if memory.Sum(one); memory != sum {
		t.Errorf("got %+v, want %+v", memory, sum)
	}
	if got, want := sum.Engine()+sum.Dedup, int64(2*reflect.TypeFor[messages.Memory]().NumField()); got != want {
		t.Errorf("engine and dedup are %d of %d", got, want)
	}
}
