package settings

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Sources are where settings come from.
type Sources struct {
	File    string            // path of a YAML file, "" for none
	Environ []string          // NAME=value, as os.Environ gives it
	Flags   map[string]string // flags given, by name without dashes
}

// Load puts the sources over the defaults. Its errors are the user's to mend,
// and of one line. Each value is in its own range; whether they go together is
// for the node to say.
func Load(src Sources) (*Settings, error) {
	s := Default()
	s.given = map[string]Origin{}
	if src.File != "" {
		if err := s.loadFile(src.File); err != nil {
			return nil, err
		}
	}
	if err := s.loadEnviron(src.Environ); err != nil {
		return nil, err
	}
	for _, d := range Table {
		if v, ok := src.Flags[d.Name]; ok {
			if err := d.set(&s, Origin("--"+d.Name), v); err != nil {
				return nil, err
			}
		}
	}
	s.deriveDefaults()
	return &s, nil
}

// loadFile reads a YAML file: one mapping from names to plain values.
func (s *Settings) loadFile(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return fmt.Errorf("%s: %s", path, oneLine(err))
	}
	if len(doc.Content) == 0 {
		return nil // empty, or nothing but comments
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: want lines such as \"memory: 1GiB\"", path, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		origin := Origin(fmt.Sprintf("%s:%d", path, key.Line))
		d := find(key.Value)
		if d == nil {
			return fmt.Errorf("%s: unknown setting %q; there are %s", origin, key.Value, names())
		}
		if earlier, ok := s.given[d.Name]; ok {
			return fmt.Errorf("%s: %s stands already at %s; keep one", origin, d.Name, earlier)
		}
		if value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null" {
			return fmt.Errorf("%s: %s: want one plain value", origin, d.Name)
		}
		if err := d.set(s, origin, value.Value); err != nil {
			return err
		}
	}
	return nil
}

// loadEnviron reads the variables that begin with CREST_.
func (s *Settings) loadEnviron(environ []string) error {
	var unknown []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if name == PasswordVariable {
			s.password = value
		}
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(otherVariables, name) || serviceLink(name) {
			continue
		}
		i := slices.IndexFunc(Table, func(d *Setting) bool { return d.Env() == name })
		if i < 0 {
			unknown = append(unknown, name)
			continue
		}
		if err := Table[i].set(s, Origin(name), value); err != nil {
			return err
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("unknown environment variable %s: CREST_ variables are settings, of which there are %s", unknown[0], names())
	}
	return nil
}

// otherVariables begin with CREST_ too but are no settings: the address that
// reading commands take, the configuration file, and a secret, which is never
// shown.
var otherVariables = []string{AddrVariable, ConfigVariable, PasswordVariable}

// Variables beside those of the settings.
const (
	AddrVariable   = "CREST_ADDR"
	ConfigVariable = "CREST_CONFIG"
	// PasswordVariable has the password for kafka-sasl, in place of
	// kafka-password-file.
	PasswordVariable = "CREST_KAFKA_PASSWORD"
)

// serviceLink recognises what Kubernetes puts into the environment of every
// pod beside a service called crest: CREST_SERVICE_HOST, CREST_PORT,
// CREST_PORT_8080_TCP_ADDR and the like.
func serviceLink(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

func names() string {
	all := make([]string, len(Table))
	for i, d := range Table {
		all[i] = d.Name
	}
	return strings.Join(all, ", ")
}

// oneLine makes one line of a YAML error.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
}
