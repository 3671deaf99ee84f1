# Robson's Makefile. `make help` lists what there is.
#
# It needs git, make and Go, nothing else: tools are built by `go install` at the versions below into .bin,
# and PostgreSQL is found, installed or fetched by scripts/ensure-postgres.sh.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

MODULES := . proto test
BIN := $(CURDIR)/.bin
BUILD := $(CURDIR)/.build
ROBSON := $(BIN)/robson
PEERS := $(BUILD)/peers

# --- pinned tools: one folder per version, so that a new pin is a new build and an old one is never used by mistake
BUF_VERSION := v1.75.0
PROTOC_GEN_GO_VERSION := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
GOLANGCI_LINT_VERSION := v2.15.0
GRPCURL_VERSION := v1.9.4
PROTOVALIDATE_VERSION := v1.2.0

BUF := $(BIN)/buf-$(BUF_VERSION)/buf
PROTOC_GEN_GO := $(BIN)/protoc-gen-go-$(PROTOC_GEN_GO_VERSION)/protoc-gen-go
PROTOC_GEN_GO_GRPC := $(BIN)/protoc-gen-go-grpc-$(PROTOC_GEN_GO_GRPC_VERSION)/protoc-gen-go-grpc
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GRPCURL := $(BIN)/grpcurl-$(GRPCURL_VERSION)/grpcurl
PROTOVALIDATE := $(BUILD)/protovalidate/.$(PROTOVALIDATE_VERSION)

# --- settings a person may give on the command line
MARKET_DATA ?= auto
DATA_DIR ?=
TEST_TIMEOUT ?= 12m
ROUNDS ?= 40
DURATION ?= 6s
SEED ?=
FUZZ_TIME ?= 30s
SIZE ?=
BENCH_FLAGS ?=
ROBSON_MARKET_DATA ?= $(wildcard $(CURDIR)/../shared/data)
export ROBSON_MARKET_DATA

# What the binary calls itself; an image's build has no git.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
STAMP := $(if $(VERSION),-X github.com/robson/robson/cmd/robson/internal/cli.stamp=$(VERSION))

# The race detector wants cgo, and cgo wants a C compiler.
RACE := $(shell cc=$$(go env CC); if [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$${cc%% *}" >/dev/null 2>&1; then echo -race; fi)

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z\/-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
.PHONY: demo
demo: build postgres ## Watch a whole order life (MARKET_DATA=klines.json for real market data)
	@$(ROBSON) demo --market-data "$(MARKET_DATA)"

.PHONY: up
up: build postgres ## Run all services with a private PostgreSQL that keeps its data (DATA_DIR=dir for another place)
	@$(ROBSON) up $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

.PHONY: down
down: build ## Stop the server that a killed `make up` left behind; the data stays
	@$(ROBSON) down $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

.PHONY: migrate/up
migrate/up: build ## Bring the database of ROBSON_DATABASE_URL to the newest schema
	@$(ROBSON) migrate up

.PHONY: migrate/down
migrate/down: build ## Take back the newest migration in the database of ROBSON_DATABASE_URL
	@$(ROBSON) migrate down

##@ Build
.PHONY: build
build: ## Build the robson binary (static) into .bin
	@CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags="$(STAMP)" -o $(ROBSON) ./cmd/robson

.PHONY: gen
gen: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) $(PROTOVALIDATE) ## Generate Go from the contracts
	@PATH="$(dir $(PROTOC_GEN_GO)):$(dir $(PROTOC_GEN_GO_GRPC)):$$PATH" $(BUF) generate

.PHONY: fmt
fmt: $(BUF) $(GOLANGCI_LINT) $(PROTOVALIDATE) ## Format Go and protos
	@$(BUF) format -w proto
	for m in $(MODULES); do (cd $$m && $(GOLANGCI_LINT) fmt); done

.PHONY: tidy
tidy: ## go mod tidy in every module
	@for m in $(MODULES); do (cd $$m && go mod tidy); done

.PHONY: proto-baseline
proto-baseline: $(BUF) $(PROTOVALIDATE) ## Accept today's contracts as what `buf breaking` compares with
	@$(BUF) build proto --exclude-source-info -o proto/baseline.binpb

##@ Test
.PHONY: test
test: build postgres ## Test all modules, with -race where there is a C compiler
	@for m in $(MODULES); do
		echo "== go test $(RACE) ($$m)"
		(cd $$m && ROBSON_BINARY=$(ROBSON) go test $(RACE) -timeout $(TEST_TIMEOUT) ./...)
	done

.PHONY: test/fast
test/fast: RACE :=
test/fast: test ## The same without the race detector

.PHONY: chaos
chaos: build postgres ## Break what the event log stands on, for long (ROUNDS=40 DURATION=6s SEED=any)
	@(cd test && ROBSON_BINARY=$(ROBSON) go test $(RACE) -count 1 -timeout 6h -v ./chaos -chaos.long -chaos.rounds=$(ROUNDS) -chaos.duration=$(DURATION) $(if $(SEED),-chaos.seed=$(SEED)))

# An input that finds something new is shortened by a few tries only: the default is a minute for each.
.PHONY: fuzz
fuzz: ## Fuzz every target (FUZZ_TIME=30s each)
	@grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' cmd pkg services | sort | while IFS=: read -r file func; do
		echo "== $${func#func } ($$(dirname $$file))"
		go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x "./$$(dirname $$file)" </dev/null
	done

.PHONY: bench
bench: build postgres ## Measure appends, beside raw SQL in the same run (SIZE=10m: a log of ten million events; BENCH_FLAGS=-help)
	@(cd test && ROBSON_BINARY=$(ROBSON) go run ./bench -result-dir $(BUILD)/bench $(if $(SIZE),-size $(SIZE)) $(BENCH_FLAGS))

.PHONY: bench-peers
bench-peers: $(PEERS)/.installed build postgres ## Measure appends beside message-db and Emmett on the same PostgreSQL (wants node and npm; BENCH_FLAGS=-help)
	@(cd test && ROBSON_BINARY=$(ROBSON) go run ./bench -result-dir $(BUILD)/bench -peers $(PEERS) $(BENCH_FLAGS))

# The peers and the program that drives one of them, installed where nothing is committed.
$(PEERS)/.installed: $(addprefix test/bench/peers/,package.json package-lock.json emmett.mjs)
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || {
		echo "bench-peers wants Node.js 20 or newer and npm: apt install nodejs npm"; exit 1;
	}
	mkdir -p $(PEERS)
	cp $^ $(PEERS)
	(cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	touch $@

##@ Check
.PHONY: check
check: verify/gen verify/tidy vet lint verify/breaking ## All that needs no running system: generated code, tidiness, vet, lint, contracts

.PHONY: lint
lint: $(GOLANGCI_LINT) $(BUF) $(PROTOVALIDATE) ## golangci-lint in every module, buf lint
	@$(BUF) lint proto
	for m in $(MODULES); do
		[ -n "$$(cd $$m && go list ./... 2>/dev/null)" ] || continue
		echo "== golangci-lint ($$m)"
		(cd $$m && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...)
	done

.PHONY: lint/fix
lint/fix: $(GOLANGCI_LINT) ## Let golangci-lint put right what it can without changing what code does
	@for m in $(MODULES); do
		(cd $$m && $(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml --fix --enable-only nolintlint,testifylint,unconvert,usetesting ./... >/dev/null || true)
	done

.PHONY: vet
vet: ## go vet in every module
	@for m in $(MODULES); do (cd $$m && go vet ./...); done

.PHONY: verify/gen
verify/gen: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) $(PROTOVALIDATE) ## The committed generated code is what the contracts give
	@rm -rf $(BUILD)/gen
	PATH="$(dir $(PROTOC_GEN_GO)):$(dir $(PROTOC_GEN_GO_GRPC)):$$PATH" $(BUF) generate -o $(BUILD)/gen
	diff -r $(BUILD)/gen/proto/gen/go proto/gen/go || { echo "generated code is not what the contracts give: run make gen"; exit 1; }

.PHONY: verify/tidy
verify/tidy: ## go mod tidy would change nothing
	@for m in $(MODULES); do (cd $$m && go mod tidy -diff); done

.PHONY: verify/breaking
verify/breaking: $(BUF) $(PROTOVALIDATE) ## No contract breaks against proto/baseline.binpb
	@$(BUF) breaking proto --against proto/baseline.binpb

##@ Containers
.PHONY: image
image: ## Build the image robson:local, the binary in a Go image
	@docker build -f deploy/Dockerfile --build-arg VERSION=$(VERSION) -t robson:local .

.PHONY: image/local
image/local: ## Build the image robson:local from a binary built here; pulls nothing
	@rm -rf $(BUILD)/image && mkdir -p $(BUILD)/image/data
	CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags="-s -w $(STAMP)" -o $(BUILD)/image/robson ./cmd/robson
	for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
		[ -e "$$f" ] || continue
		cp "$$f" $(BUILD)/image/ca-certificates.crt
		break
	done
	docker build -f deploy/Dockerfile --target local -t robson:local .

.PHONY: image/postgres
image/postgres: ## Build the image robson-postgres:15 from Debian packages, where no registry can be reached (as root)
	@scripts/postgres-image.sh

.PHONY: compose-secrets
compose-secrets: ## Make the passwords and tokens of docker-compose.yml, once
	@scripts/compose-secrets.sh

##@ Tools
.PHONY: postgres
postgres: ## Make sure there is a PostgreSQL 15+ to start
	@scripts/ensure-postgres.sh

.PHONY: tools
tools: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) $(GOLANGCI_LINT) $(GRPCURL) ## Build the pinned tools into .bin

.PHONY: clean
clean: ## Remove what was built; never the data
	@rm -rf $(BUILD) $(ROBSON)

# $(call install,package@version) builds a tool into the folder of its target.
install = @mkdir -p $(dir $@); echo "== installing $(1)"; GOWORK=off GOFLAGS= GOBIN=$(patsubst %/,%,$(dir $@)) go install $(1)

$(BUF):
	$(call install,github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION))
$(PROTOC_GEN_GO):
	$(call install,google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION))
$(PROTOC_GEN_GO_GRPC):
	$(call install,google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION))
$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))
$(GRPCURL):
	$(call install,github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION))

$(PROTOVALIDATE):
	@rm -rf $(BUILD)/protovalidate && mkdir -p $(BUILD)/protovalidate/buf/validate
	dir=$$(GOWORK=off go mod download -json github.com/bufbuild/protovalidate@$(PROTOVALIDATE_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')
	install -m 0644 "$$dir/proto/protovalidate/buf/validate/validate.proto" $(BUILD)/protovalidate/buf/validate/validate.proto
	touch $@
