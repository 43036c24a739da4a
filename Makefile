# SPDX-License-Identifier: Apache-2.0

GO      ?= go
VERSION ?= 1.0.0
BUILD   := build
LDFLAGS := -s -w -X main.version=$(VERSION)

# Where "make install" puts things; DESTDIR goes before all of it.
prefix     ?= /usr
sbindir    ?= $(prefix)/sbin
bindir     ?= $(prefix)/bin
libdir     ?= $(prefix)/lib
datadir    ?= $(prefix)/share
sysconfdir ?= /etc

# The smallest boxes that are to run this: routers, NAS, single-board computers.
PLATFORMS := linux/amd64 linux/arm64 linux/arm/7 linux/mipsle linux/riscv64

.PHONY: all help build demo picture test test-systemd test-packages check cross bench load fuzz install uninstall packages dist clean

all: build

## help: list what can be made
help:
	@sed -n 's/^## /  make /p' Makefile

## build: make the two programs in build/, static and stripped
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/mandos ./server
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/mandosctl ./mandosctl

## demo: show the product at work with Debian's real mandos-client
demo:
	@.ci/need demo
	@$(MAKE) --no-print-directory build
	@etc/demo/demo.sh $(BUILD)

## picture: take the README's picture of the monitor anew; needs tmux
picture: build
	docs/picture/monitor.sh $(BUILD)

## test: run all checks and all tests, with the race detector, and build for every platform
test:
	@.ci/need test
	@$(MAKE) --no-print-directory check
	$(GO) test -race -vet=off ./...
	@$(MAKE) --no-print-directory cross

## test-systemd: boot Debian under its systemd and try the service unit there; needs root
test-systemd:
	@.ci/need systemd
	$(GO) test -tags systemd -count=1 -timeout 30m ./server -run UnderSystemd

## test-packages: make the packages, install, upgrade and remove them on Debian under systemd, and follow the README there; needs root
test-packages:
	@.ci/need packages
	$(GO) test -tags packages -v -count=1 -timeout 60m ./server -run 'Package|Lintian|Archive|Newcomer'

## check: format, vet and staticcheck
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these' >&2; exit 1; }
	$(GO) vet -race ./... # as the tests are built, so that nothing is built twice
	$(GO) vet -race -tags systemd,packages ./server
	GOFLAGS="$$($(GO) env GOFLAGS) -race" $(GO) tool staticcheck ./...

## cross: build for every platform
cross:
	@set -e; for platform in $(PLATFORMS); do \
		IFS=/; set -- $$platform; unset IFS; \
		echo "building for $$platform"; \
		CGO_ENABLED=0 GOOS=$$1 GOARCH=$$2 GOARM=$$3 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o /dev/null ./server ./mandosctl; \
	done

## bench: measure, in Go's benchmarks
bench:
	$(GO) test -run '^$$' -bench . ./...

## load: measure the server under the load of many clients
load: build
	$(GO) run ./server/load -mandos $(BUILD)/mandos

## fuzz: run every fuzz target for FUZZTIME
FUZZTIME ?= 30s
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# What an installation writes over. A package's files are not ours to write.
WRITTEN_OVER = $(sbindir)/mandos $(bindir)/mandosctl $(sysconfdir)/dbus-1/system.d/mandos.conf $(sysconfdir)/init.d/mandos \
	$(libdir)/systemd/system/mandos.service $(libdir)/systemd/system/mandos.socket $(libdir)/sysusers.d/mandos.conf $(libdir)/tmpfiles.d/mandos.conf

## install: install everything below DESTDIR; existing configuration is kept. ENABLE=1 starts the service
install: build
	@test -n '$(DESTDIR)' || etc/install/service.sh refuse-owned $(WRITTEN_OVER)
	install -D -m 755 $(BUILD)/mandos $(DESTDIR)$(sbindir)/mandos
	install -D -m 755 $(BUILD)/mandosctl $(DESTDIR)$(bindir)/mandosctl
	install -d $(DESTDIR)$(sysconfdir)/mandos/clients.d
	test -e $(DESTDIR)$(sysconfdir)/mandos/mandos.conf || install -m 644 etc/mandos/mandos.conf $(DESTDIR)$(sysconfdir)/mandos/
	test -e $(DESTDIR)$(sysconfdir)/mandos/clients.conf || install -m 600 etc/mandos/clients.conf $(DESTDIR)$(sysconfdir)/mandos/
	test -e $(DESTDIR)$(sysconfdir)/default/mandos || install -D -m 644 etc/default/mandos $(DESTDIR)$(sysconfdir)/default/mandos
	install -D -m 644 etc/dbus-1/system.d/mandos.conf $(DESTDIR)$(sysconfdir)/dbus-1/system.d/mandos.conf
	install -D -m 755 etc/init.d/mandos $(DESTDIR)$(sysconfdir)/init.d/mandos
	install -D -m 644 etc/systemd/mandos.service $(DESTDIR)$(libdir)/systemd/system/mandos.service
	install -D -m 644 etc/systemd/mandos.socket $(DESTDIR)$(libdir)/systemd/system/mandos.socket
	sed -i 's|/usr/sbin/|$(sbindir)/|; s|/usr/bin/|$(bindir)/|' $(DESTDIR)$(sysconfdir)/init.d/mandos $(DESTDIR)$(libdir)/systemd/system/mandos.service
	install -D -m 644 etc/sysusers.d/mandos.conf $(DESTDIR)$(libdir)/sysusers.d/mandos.conf
	install -D -m 644 etc/tmpfiles.d/mandos.conf $(DESTDIR)$(libdir)/tmpfiles.d/mandos.conf
	install -D -m 644 -t $(DESTDIR)$(datadir)/man/man1 docs/man/*.1
	install -D -m 644 -t $(DESTDIR)$(datadir)/man/man5 docs/man/*.5
	install -D -m 644 -t $(DESTDIR)$(datadir)/man/man8 docs/man/*.8 docs/man/*.8mandos
	install -D -m 644 -t $(DESTDIR)$(datadir)/doc/mandos docs/*.md
	install -D -m 644 -t $(DESTDIR)$(datadir)/doc/mandos/decisions docs/decisions/*.md
	install -d $(DESTDIR)$(datadir)/bash-completion/completions $(DESTDIR)$(datadir)/zsh/vendor-completions $(DESTDIR)$(datadir)/fish/vendor_completions.d
	$(BUILD)/mandosctl completion bash >$(DESTDIR)$(datadir)/bash-completion/completions/mandosctl
	$(BUILD)/mandosctl completion zsh >$(DESTDIR)$(datadir)/zsh/vendor-completions/_mandosctl
	$(BUILD)/mandosctl completion fish >$(DESTDIR)$(datadir)/fish/vendor_completions.d/mandosctl.fish
	@test -n '$(DESTDIR)' || etc/install/service.sh next $(if $(ENABLE),enable)

## uninstall: remove what install installed, and stop it, but for the configuration and the state
uninstall:
	@test -n '$(DESTDIR)' || etc/install/service.sh refuse-owned $(WRITTEN_OVER)
	@test -n '$(DESTDIR)' || etc/install/service.sh stop
	rm -f $(addprefix $(DESTDIR),$(WRITTEN_OVER))
	for page in docs/man/*; do page=$${page##*/}; section=$${page##*.}; rm -f "$(DESTDIR)$(datadir)/man/man$${section%mandos}/$$page"; done
	rm -rf $(DESTDIR)$(datadir)/doc/mandos
	rm -f $(DESTDIR)$(datadir)/bash-completion/completions/mandosctl $(DESTDIR)$(datadir)/zsh/vendor-completions/_mandosctl $(DESTDIR)$(datadir)/fish/vendor_completions.d/mandosctl.fish

## packages: build the deb, rpm and apk in build/packages/, with their sums and what is linked into them
packages:
	etc/package/build.sh $(BUILD)/packages $(VERSION) deb rpm apk

## dist: build archives with an install.sh in build/dist/, for where there are no packages
dist:
	etc/package/build.sh $(BUILD)/dist $(VERSION) tar

## clean: remove what was built
clean:
	rm -rf $(BUILD)
