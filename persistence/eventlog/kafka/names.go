package kafka

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkTopicName says what is wrong with the name of a topic, by Kafka's rules. It
// also becomes the name of an object.
func checkTopicName(v string) error {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if v == "" || len(v) > 249 || v == "." || v == ".." || strings.Trim(v, legal) != "" {
		return fmt.Errorf("kafka: topic %q: want 1 to 249 letters, digits, '.', '_' and '-'", v)
	}
	return nil
}

// checkWord says what is wrong with another name that brokers and their tools are
// told: some take anything, and some do not.
func checkWord(what, v string) error {
	bad := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError }
	if len(v) > 249 || strings.ContainsFunc(v, bad) {
		return fmt.Errorf("kafka: %s %q: want at most 249 bytes without spaces and control characters", what, v)
	}
	return nil
}

// checkNames names the first that cannot be.
func (c *Config) checkNames() error {
	for _, topic := range []string{c.Topic, c.deadTopic()} {
		if topic == "" { // of dead letters: there is none
			continue
		}
		if err := checkTopicName(topic); err != nil {
			return err
		}
	}
	if err := checkWord("client id", c.ClientID); err != nil {
		return err
	}
	return checkWord("group", c.Group)
}
