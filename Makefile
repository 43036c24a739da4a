# SPDX-License-Identifier: Apache-2.0

GO      ?= go
VERSION ?= 1.0.0
BUILD   := build
LDFLAGS := -s -w -X main.version=$(VERSION)

# The smallest boxes that are to run this: routers, NAS, single-board computers.
PLATFORMS := linux/amd64 linux/arm64 linux/arm/7 linux/mipsle linux/riscv64

.PHONY: all build demo test check race fuzz bench load cross clean

all: build

## build: make the two programs in build/, static and stripped
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/mandos ./server
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/mandosctl ./mandosctl

## demo: show the product at work with Debian's real mandos-client
demo:
	@.ci/need demo
	@$(MAKE) --no-print-directory build
	@etc/demo/demo.sh $(BUILD)

## test: run all tests, with the race detector, and all checks
test:
	@.ci/need test
	@$(MAKE) --no-print-directory check cross
	$(GO) test -race ./...

## check: format, vet and staticcheck
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these' >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

## cross: build for every platform
cross:
	@set -e; for platform in $(PLATFORMS); do \
		IFS=/; set -- $$platform; unset IFS; \
		echo "building for $$platform"; \
		CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 GOARM=$$3 $(GO) build -o /dev/null ./server; \
		CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 GOARM=$$3 $(GO) build -o /dev/null ./mandosctl; \
	done

## clean: remove what was built
clean:
	rm -rf $(BUILD)
