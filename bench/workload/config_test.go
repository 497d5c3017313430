package workload_test

import (
	"strings"
	"testing"
	"time"

	"github.com/crestdb/crest/bench/workload"
)

func TestValidateNamesTheField(t *testing.T) {
	for want, change := range map[string]func(*workload.Config){
		"Start":          func(c *workload.Config) { c.Start = -1 },
		"Rate":           func(c *workload.Config) { c.Rate = 0 },
		"Topics":         func(c *workload.Config) { c.Topics = 0 },
		"Exponent":       func(c *workload.Config) { c.Exponent = -0.1 },
		"Categories":     func(c *workload.Config) { c.Categories = 21 },
		"Regions":        func(c *workload.Config) { c.Regions = 1000 },
		"HomeShare":      func(c *workload.Config) { c.HomeShare = 1.1 },
		"Users":          func(c *workload.Config) { c.Users = -1 },
		"MaxCount":       func(c *workload.Config) { c.MaxCount = 0 },
		"Diurnal.Depth":  func(c *workload.Config) { c.Diurnal = workload.Diurnal{Depth: 1, Period: time.Hour} },
		"Diurnal.Period": func(c *workload.Config) { c.Diurnal = workload.Diurnal{Depth: 0.5} },
		"Drift.Depth":    func(c *workload.Config) { c.Drift = workload.Drift{Depth: 2, Period: time.Hour} },
		"Drift.Period":   func(c *workload.Config) { c.Drift = workload.Drift{Depth: 0.5} },
		"Crowds.Every":   func(c *workload.Config) { c.Crowds.Every = time.Millisecond },
		"Crowds.First":   func(c *workload.Config) { c.Crowds.Every, c.Crowds.First = time.Minute, -1 },
		"Crowds.Share":   func(c *workload.Config) { c.Crowds.Every, c.Crowds.Share = time.Minute, 0.95 },
		"Crowds: Rise":   func(c *workload.Config) { c.Crowds.Every, c.Crowds.Share, c.Crowds.Rise = time.Minute, 0.5, -1 },
		"Crowds: one": func(c *workload.Config) {
			c.Crowds = workload.Crowds{Every: time.Second, Share: 0.5, Hold: time.Hour}
		},
	} {
		c := workload.DefaultConfig()
		change(&c)
		_, err := workload.New(c)
		if err == nil || !strings.HasPrefix(err.Error(), "workload: "+want) {
			t.Errorf("%s: got error %v", want, err)
		}
	}
}

func TestMixSaysWhichThereAre(t *testing.T) {
	for _, name := range workload.MixNames {
		c := mixOf(t, name)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := workload.Mix("calm")
	if err == nil || !strings.Contains(err.Error(), "lively") {
		t.Errorf("got error %v, want one that lists the names", err)
	}
}
