# make            builds bin/crest
# make demo       a node, a lively stream and the moving board (ARGS="--for 1m" to stop by itself)
# make test       go vet and the tests of every package, with the race detector where goroutines meet
# make integration  the real binary over real HTTP, with a real Kafka and S3: killed, restarted, retried
#                 against (see bench/sim)
# make bench      Go benchmarks, then every table of bench/, at sizes that end within about ten minutes;
#                 crest beside Redis wants Debian's redis-server. For published sizes see bench/README.md
# make proto      messages/eventpb from messages/event.proto; wants Debian's protobuf-compiler
# make profile    what the compiler is guided by (cmd/crest/default.pgo), anew; about a minute
# make lint       gofmt, go vet, staticcheck, govulncheck

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build demo test integration bench proto profile lint clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TOOLS := $(CURDIR)/.cache/tools
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
PROTOC_GEN_GO := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12

# ST1005 wants errors in lower case; those of Validate begin with a field's name.
CHECKS := inherit,-ST1005

# Plain state machines and values: the race detector finds nothing there and
# makes their long property tests ten times slower.
PURE := ^github.com/crestdb/crest(|/messages|/actors/(rank|sketch|window)|/bench/.*)$$

build:
	go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/crest ./cmd/crest

demo: build
	bin/crest demo $(ARGS)

test:
	go vet ./...
	go list ./... | grep -E '$(PURE)' | xargs go test -timeout 10m
	go list ./... | grep -vE '$(PURE)' | xargs go test -race -timeout 10m

# What is behind the build tag e2e.
E2E := ./bench/sim/kafka ./bench/sim

# CREST_DATA=DIR adds the recorded streams in DIR, CREST_CYCLES=200 the long
# run of kills; see bench/README.md.
integration:
	go vet -tags e2e $(E2E)
	go test -tags e2e -count=1 -v -p 1 -timeout 40m $(E2E)

BENCHTIME ?= 100ms
BENCH_EVENTS ?= 1000000
BENCH_TOPICS ?= 100000
bench: build
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...
	go run ./bench/accuracy -bin bin/crest
	go run ./bench/load -bin bin/crest -repeat 1
	go run ./bench/limits -events $(BENCH_EVENTS) -topics $(BENCH_TOPICS)
	go run ./bench/budget -events $(BENCH_EVENTS) -topics $(BENCH_TOPICS) -live 10s
	go run ./bench/peers -bin bin/crest -events $(BENCH_EVENTS) -topics $(BENCH_TOPICS) -live 10s

proto: $(TOOLS)/protoc-gen-go
	protoc --plugin=$< --go_out=messages/eventpb --go_opt=paths=source_relative -I messages event.proto

# The build takes it by itself. What it names and is not there any more costs
# nothing, but gains nothing either: make it anew when the hot path has changed.
profile:
	go run ./bench/profile -o cmd/crest/default.pgo

lint: $(TOOLS)/staticcheck $(TOOLS)/govulncheck
	@files=$$(gofmt -l .); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi; echo "gofmt: clean"
	go vet ./... && go vet -tags e2e $(E2E)
	$(TOOLS)/staticcheck -checks $(CHECKS) ./... && $(TOOLS)/staticcheck -checks $(CHECKS) -tags e2e $(E2E) && echo "staticcheck: clean"
	@if out=$$($(TOOLS)/govulncheck ./... 2>&1); then echo "$$out"; \
	elif grep -q 'fetching vulnerabilities' <<<"$$out"; then \
		echo "govulncheck: SKIPPED, its database could not be reached, so nothing is known about vulnerabilities:"; \
		echo "$$out"; \
	else echo "$$out"; exit 1; fi

# Outside of go.mod: what checks the code is no part of the program.
$(TOOLS)/staticcheck: Makefile
	GOBIN=$(TOOLS) go install $(STATICCHECK) && touch $@
$(TOOLS)/govulncheck: Makefile
	GOBIN=$(TOOLS) go install $(GOVULNCHECK) && touch $@
$(TOOLS)/protoc-gen-go: Makefile
	GOBIN=$(TOOLS) go install $(PROTOC_GEN_GO) && touch $@

clean:
	rm -rf bin .cache
