package kafka

import "testing"

// Events outside of the partition of their topic are counted, and said once, if
// all producers are said to key by topic.
func TestStraysAreCounted(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		rig, text := newCursorRig(t), new(lines)
		rig.log.cfg.Keyed, rig.log.cfg.Logger = keyed, text.logger()
		here := rig.log.reading.routes.Of([]byte("b"))
		elsewhere := ""
		for _, name := range []string{"c", "d", "e", "f", "g", "h"} {
			if rig.log.reading.routes.Of([]byte(name)) != here {
				elsewhere = name
			}
		}
		rig.add("none", 1000, setAttributes(8), value("b"), value("b\n"+elsewhere+"\n"+elsewhere), value("!no event"), value(elsewhere))
		h := rig.read(here, 0, 1<<20)
		if len(h.events) != 5 || h.refused != 1 {
			t.Errorf("keyed %v: %d events, %d refused: they are counted all the same", keyed, len(h.events), h.refused)
		}
		want, told := uint64(0), 0
		if keyed {
			want, told = 3, 1
		}
		if got := rig.log.Strays(); got != want || text.count("not in the partition of its topic") != told || text.count("offset=1") != told {
			t.Errorf("keyed %v: %d strays, want %d; told: %s", keyed, got, want, &text.b)
		}
	}
}

func TestNamesThatBrokersWouldNotTakeAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		ok     bool
	}{
		{func(c *Config) {}, true},
		{func(c *Config) { c.Group, c.ClientID = "crest/lag:1ü", "crest-host.example" }, true},
		{func(c *Config) { c.Group = "a b" }, false},
		{func(c *Config) { c.Group = "a\n" }, false},
		{func(c *Config) { c.ClientID = "a\x00" }, false},
		{func(c *Config) { c.ClientID = "a\xff" }, false},
		{func(c *Config) { c.Topic = "a b" }, false},
		{func(c *Config) { c.Topic = "a/b" }, false},
		{func(c *Config) { c.Topic = ".." }, false},
		{func(c *Config) { c.DeadTopic = "ä" }, false},
		{func(c *Config) { c.DeadTopic, c.DeadFile = "-", "file" }, true},
	} {
		cfg := DefaultConfig()
		cfg.Topic = brokerTopic
		c.change(&cfg)
		if err := cfg.check(); (err == nil) != c.ok {
			t.Errorf("topic %q, dead letters %q, group %q, client %q: %v", cfg.Topic, cfg.DeadTopic, cfg.Group, cfg.ClientID, err)
		}
	}
}
