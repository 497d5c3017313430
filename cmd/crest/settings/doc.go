// Package settings turns a configuration file, the environment and flags into
// the settings of a node: file < environment < flag, over the defaults.
//
// It guarantees that nothing is guessed: an unknown name, a value that cannot
// be, or one given twice in a file is an error of one line that names where it
// stands and what is accepted. It remembers which settings were given, since
// some belong to the log and are only changed by whoever names them.
//
// It belongs to cmd/crest, the only part of the project that reads flags,
// environment and files; it knows nothing of nodes.
package settings
