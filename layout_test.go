// Package crest holds the rules of the house: which folder may know which
// other, which package may import which library, and what every package owes
// its reader. It has no code of its own.
package crest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/crestdb/crest"

// knows lists, per top-level folder, which other folders it may import.
// actors, cluster, persistence and gateway never know each other: cmd/node
// joins them, and bench measures the whole.
var knows = map[string][]string{
	"messages":    {},
	"actors":      {"messages"},
	"cluster":     {"messages"},
	"persistence": {"messages"},
	"gateway":     {"messages"},
	"cmd":         {"actors", "bench/workload", "cluster", "gateway", "messages", "persistence"},
	"bench":       {"actors", "bench", "cluster", "cmd", "gateway", "messages", "persistence"},
}

// libraries lists who may import which third-party library: folders, with
// everything below them, or single files. A library belongs to as few places
// as can be, so that it can be replaced in one. Names that end in _test.go
// stand for all test files below the folder.
var libraries = map[string][]string{
	"github.com/HdrHistogram/hdrhistogram-go": {"bench/load"},
	"github.com/asynkron/protoactor-go":       {"actors/system.go"},
	"github.com/Shopify/toxiproxy/v2":         {"bench/sim/*_test.go"},
	"github.com/aws/aws-sdk-go-v2":            {"persistence/objectstore"},
	"github.com/aws/smithy-go":                {"persistence/objectstore"}, // the SDK's errors
	"github.com/cockroachdb/pebble/v2":        {"persistence"},             // its vfs alone
	"github.com/dchest/siphash":               {"actors", "gateway", "messages"},
	"github.com/gofrs/flock":                  {"persistence"},
	"github.com/johannesboyne/gofakes3":       {"persistence/objectstore/*_test.go"},
	"github.com/keilerkonzept/topk":           {"bench/peers"},
	"github.com/klauspost/compress":           {"bench/lines.go", "cmd/crest", "gateway", "persistence/snapshot"},
	"github.com/pb33f/libopenapi":             {"gateway/*_test.go"},
	"github.com/pb33f/libopenapi-validator":   {"gateway/*_test.go"},
	"github.com/prometheus/client_golang":     {"gateway/metrics"},
	"github.com/rivo/uniseg":                  {"cmd/crest"},
	"github.com/rs/zerolog":                   {"bench/sim/*_test.go"}, // toxiproxy's log
	"github.com/schollz/progressbar/v3":       {"cmd/crest"},
	"github.com/segmentio/kafka-go":           {"persistence/eventlog/kafka"},
	"github.com/spf13/cobra":                  {"cmd/crest"},
	"github.com/spf13/pflag":                  {"cmd/crest"}, // cobra's flags
	"github.com/twmb/franz-go":                {"*_test.go"}, // a client that is not ours
	"github.com/vmihailenco/msgpack/v5":       {"bench/*_test.go", "cmd/crest", "gateway/*_test.go"},
	"go.uber.org/goleak":                      {"*_test.go"},
	"go.yaml.in/yaml/v3":                      {"cmd/crest"},
	"golang.org/x/sync":                       {"actors", "bench", "cmd", "gateway", "persistence"},
	"golang.org/x/sys":                        {"persistence"},
	"golang.org/x/term":                       {"cmd/crest"},
	"golang.org/x/time":                       {"persistence/snapshot"},
	"google.golang.org/protobuf":              {"bench/sim/*_test.go", "gateway/decode", "messages/eventpb"},
	"pgregory.net/rapid":                      {"*_test.go"},
}

// pure are the packages that are plain state machines and values: no
// goroutine, no clock, no randomness, no I/O.
var pure = []string{"actors/rank", "actors/seen", "actors/sketch", "actors/window", "messages"}

// designed are the folders that explain themselves in a DESIGN.md.
var designed = []string{"actors", "cluster", "gateway", "persistence"}

// Lines a file may have before a reader wants another name for a part of it.
const (
	maxLines     = 600
	maxTestLines = 1000
)

// source is one Go file of the tree.
type source struct {
	name string // slash-separated, from the root
	dir  string
	test bool
	text []byte
	*ast.File
}

// walk calls f for every file and folder of the project.
func walk(t *testing.T, f func(name string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case name == ".":
			return nil
		case d.IsDir() && (d.Name()[0] == '.' || d.Name() == "testdata" || name == "bin" || name == "data"):
			return fs.SkipDir
		}
		f(name, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses every Go file of the project.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(name) != ".go" {
			return
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), text, file})
	})
	return all
}

// imports are the paths a file imports.
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has read it as a string
		}
		paths = append(paths, p)
	}
	return paths
}

// uses tells whether a file refers to one of the names (such as "time.Now").
// Packages are taken to go by the last element of their path.
func (s *source) uses(names ...string) (found []string) {
	ast.Inspect(s.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && slices.Contains(names, pkg.Name+"."+sel.Sel.Name) {
				found = append(found, pkg.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return found
}

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

func withinAny(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(name, f) })
}

func TestSevenFolders(t *testing.T) {
	rooms := slices.Sorted(maps.Keys(knows))
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() && !strings.Contains(name, "/") && !slices.Contains(rooms, name) {
			t.Errorf("%s: an eighth top-level folder beside %v", name, rooms)
		}
	})
	for _, folder := range designed {
		if _, err := os.Stat(folder + "/DESIGN.md"); err != nil {
			t.Errorf("%s has no DESIGN.md", folder)
		}
	}
}

func TestImportDirection(t *testing.T) {
	for _, s := range sources(t) {
		room, _, _ := strings.Cut(s.dir, "/")
		for _, p := range s.imports() {
			other, ours := strings.CutPrefix(p, module+"/")
			if ours && !within(other, room) && !withinAny(other, knows[room]) {
				t.Errorf("%s imports %s: %s may know only %v", s.name, other, room, knows[room])
			}
		}
	}
}

// mayImport tells whether a rule of libraries lets a file in.
func mayImport(s *source, rules []string) bool {
	return slices.ContainsFunc(rules, func(rule string) bool {
		if folder, ok := strings.CutSuffix(rule, "*_test.go"); ok {
			return s.test && strings.HasPrefix(s.name, folder)
		}
		return within(s.name, rule)
	})
}

func TestLibraries(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			if host, _, _ := strings.Cut(p, "/"); !strings.Contains(host, ".") || within(p, module) {
				continue // the standard library, and ours
			}
			library := ""
			for l := range libraries {
				if within(p, l) && len(l) > len(library) {
					library = l
				}
			}
			switch {
			case library == "":
				t.Errorf("%s imports %s, which is not in the list of libraries", s.name, p)
			case !mayImport(&s, libraries[library]):
				t.Errorf("%s imports %s, which is kept to %v", s.name, p, libraries[library])
			}
		}
	}
}

// TestPackagesIntroduceThemselves: what for, what it guarantees, who owns it.
func TestPackagesIntroduceThemselves(t *testing.T) {
	introduced := map[string]bool{}
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.Name.Name, "_test")
		if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "misc"}, name) {
			t.Errorf("%s: package %s says nothing about what is in it", s.name, name)
		}
		if s.test && s.dir != "." {
			continue
		}
		doc := s.Doc.Text()
		proper := strings.HasPrefix(doc, "Package "+name+" ") || (name == "main" && doc != "")
		introduced[s.dir] = introduced[s.dir] || proper
	}
	for _, dir := range slices.Sorted(maps.Keys(introduced)) {
		if !introduced[dir] {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

// TestPureCoresStayPure keeps clocks, randomness, I/O and goroutines out of
// the packages that are tested by replaying messages. Readers and writers of
// package io are what their callers hand them. What protoc generates sets its
// descriptors up once.
func TestPureCoresStayPure(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !withinAny(s.dir, pure) || strings.HasSuffix(s.name, ".pb.go") {
			continue
		}
		for _, p := range s.imports() {
			if withinAny(p, []string{"io/fs", "io/ioutil", "log", "math/rand", "net", "os", "sync", "syscall", "crypto/rand"}) {
				t.Errorf("%s imports %s", s.name, p)
			}
		}
		for _, name := range s.uses("time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.NewTimer", "time.NewTicker", "time.AfterFunc") {
			t.Errorf("%s uses %s", s.name, name)
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s starts or talks to a goroutine", s.name)
			}
			return true
		})
	}
}

// TestSettingsComeFromMain: only main packages look at flags and environment
// (and the instruments, which hand theirs on to the node they start).
func TestSettingsComeFromMain(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.Name.Name == "main" || within(s.dir, "bench") {
			continue
		}
		if slices.Contains(s.imports(), "flag") {
			t.Errorf("%s imports flag", s.name)
		}
		for _, name := range s.uses("os.Args", "os.Environ", "os.ExpandEnv", "os.Getenv", "os.LookupEnv") {
			t.Errorf("%s uses %s", s.name, name)
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, s := range sources(t) {
		limit := maxLines
		if s.test {
			limit = maxTestLines
		}
		if lines := bytes.Count(s.text, []byte("\n")); lines > limit {
			t.Errorf("%s has %d lines: more than %d want another name for a part of it", s.name, lines, limit)
		}
	}
}
