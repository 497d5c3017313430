// Package metrics measures the edge and shows what others measured, for
// Prometheus. It is the one package that imports the Prometheus client; others
// hand their measurements over as Samples, read at each scrape, so that no
// number is kept twice.
package metrics
