package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/crestdb/crest/cmd/crest/settings"
)

// durationFlag is a length of time that may be given in days too.
type durationFlag time.Duration

func (d *durationFlag) Set(s string) error {
	v, err := settings.ParseDuration(s)
	if err != nil {
		return errors.New("want a duration such as 30s, 5m or 1d")
	}
	*d = durationFlag(v)
	return nil
}

func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (*durationFlag) Type() string { return "D" }

// factorFlag is a positive factor: 60, 0.5, 60x or 60×.
type factorFlag float64

func (f *factorFlag) Set(s string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSuffix(s, "x"), "×"), 64)
	if err != nil || !(v > 0 && v <= 1e9) {
		return errors.New("want a factor above 0, such as 1, 60x or 0.5")
	}
	*f = factorFlag(v)
	return nil
}

func (f *factorFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*f), 'g', -1, 64) + "×"
}

func (*factorFlag) Type() string { return "N×" }

// rateFlag is a number of events per second.
type rateFlag float64

func (r *rateFlag) Set(s string) error {
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	if err != nil || !(v > 0 && v <= 1e9) {
		return errors.New("want events per second, above 0")
	}
	*r = rateFlag(v)
	return nil
}

func (r *rateFlag) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*r), 'f', -1, 64)
}

func (*rateFlag) Type() string { return "N" }
