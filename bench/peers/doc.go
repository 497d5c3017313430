// Peers lays crest beside what people use instead: the same seeded stream goes
// through each subject, one after another, and one table says what it took.
//
//	go run ./bench/peers [flags] [SUBJECT ...]
//
// The stream is -events events of one hour: -topics topics of 11 characters by
// Zipf's law (1.07), 20 categories (one per topic for 99 % of the topics), 200
// regions by Zipf's law. It is made, and for crest encoded, before any clock
// starts; what the generator takes while it sends is a column of its own.
//
// The subjects, all of them if none is named (how names begin stands for all of
// those):
//
//	crest/http/...    a `crest serve` process: durable, embedded log, NDJSON or
//	                  msgpack, with a key per request, and with a tenth of the
//	                  memory that everything takes
//	crest/engine/...  the engine alone in this process, on one core, from
//	                  encoded records: seven windows, four kinds of cells; the
//	                  stream as it is (also on all cores), or coming again and
//	                  again for -live at 1,000,000, 200,000 and 58,000 events a
//	                  second
//	redis/...         redis-server from PATH, pipelined ZINCRBY: the 20 keys that
//	                  an event touches (five windows, four cells), the same with
//	                  increments combined by the client, and one key
//	map/...           a Go map, sorted when it is read, on one core
//	count-min/...     a count-min sketch with a heap of the first 100, on one core
//
// The first three quarters of the stream come as fast as they are taken: events
// per second and CPU are of those. Then, for at most -for, events come at half of
// that rate while boards of 100 rows are read at -reads a second, at fixed times,
// so that a late answer counts from when it was due. In the end the tops of the whole stream are compared with
// the truth; the command fails if anything that crest said of them is false.
//
// -cpuprofile writes a profile of what runs in this process; bench/budget splits
// one into stages.
package main
