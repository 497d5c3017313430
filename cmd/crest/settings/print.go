package settings

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML is the settings in force as a file that Load reads back, each with a
// comment that says where it comes from, without those that mean nothing where
// the log is. Secrets stay in the files that hold them: only their paths are
// settings.
func (s *Settings) YAML() string {
	type line struct{ text, origin string }
	lines, width := make([]line, 0, len(Table)), 0
	for _, d := range Table {
		value := d.format(s)
		if value == "" {
			continue // nothing given and no default: absent says the same
		}
		origin, ok := s.Given(d.Name)
		if !ok && s.elsewhere(d.Name) {
			continue
		}
		if !ok {
			origin = "default"
		}
		text := d.Name + ": " + scalar(value)
		width = max(width, len(text))
		lines = append(lines, line{text, string(origin)})
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%-*s  # %s\n", width, l.text, l.origin)
	}
	if s.password != "" {
		fmt.Fprintf(&b, "# the password for kafka-sasl: ******  # %s\n", PasswordVariable)
	}
	return b.String()
}

// elsewhere tells whether a setting means nothing where the log is.
func (s *Settings) elsewhere(name string) bool {
	if _, ok := s.InKafka(); ok {
		return name == "partitions" || name == "log-retention"
	}
	return forKafka(name)
}

// scalar quotes a value where it would not be read back as it is.
func scalar(v string) string {
	var doc yaml.Node
	if yaml.Unmarshal([]byte("key: "+v), &doc) == nil && len(doc.Content) == 1 && len(doc.Content[0].Content) == 2 {
		if n := doc.Content[0].Content[1]; n.Kind == yaml.ScalarNode && n.Value == v && n.ShortTag() != "!!null" {
			return v
		}
	}
	return strconv.Quote(v)
}
