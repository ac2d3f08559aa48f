# wpod: `make` lists the targets. Everything made lies in build/, rust/target, .venv and wpod/libexec.
SHELL := /bin/sh
PREFIX ?= /usr/local
DESTDIR ?=
VENV := .venv
# What pytest makes of the tests is kept below build, also for whoever wants no __pycache__: seconds for each worker.
PYTEST := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath build/pycache) $(VENV)/bin/python -m pytest
# Two workers: what starts containers waits now and then, but starting commands and compiling guests does not. Each
# begins with a row of neighbours, which share what their fixtures make, and takes over from the other one at the end.
JOBS ?= 2
WORKERS := -n $(JOBS) --dist worksteal
STAMPS := build/stamps
RUST_SOURCES := $(shell find rust -path '*/target*' -prune -o -type f -print 2>/dev/null)
PARTS := wpod/libexec/wpod-runner wpod/libexec/wpod-monitor wpod/libexec/wpod-network wpod/libexec/wpod-meter \
	wpod/libexec/wpod-aot-compiler wpod/libexec/wpod-pasta-pages.so
CARGO := cargo --locked --quiet

.PHONY: help demo test unit contract bench bench-guard lint snapshots pictures docs shell build install uninstall vm clean \
	check-toolchain packages test-packages account
.DELETE_ON_ERROR:

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: check-toolchain packages $(STAMPS)/environment $(STAMPS)/rust $(STAMPS)/pywamr ## build everything for use from this checkout (.venv/bin/wpod)

check-toolchain:
	@packaging/check-toolchain.sh

packages:
	@packaging/system-packages.sh build run

test-packages:
	@packaging/system-packages.sh build run test

account:
	@packaging/test-account.sh

$(STAMPS):
	@mkdir -p $@

$(STAMPS)/environment: packaging/requirements-development.txt packaging/make-environment.sh | check-toolchain packages $(STAMPS)
	packaging/make-environment.sh $(abspath $(VENV))
	@touch $@

$(STAMPS)/rust: $(RUST_SOURCES) $(if $(filter-out $(wildcard $(PARTS)),$(PARTS)),missing-parts) | $(STAMPS)/environment
	rust/build.sh
	@touch $@

.PHONY: missing-parts
missing-parts:

$(STAMPS)/pywamr: $(STAMPS)/rust packaging/build-pywamr.sh
	packaging/build-pywamr.sh
	@touch $@

demo: ## a wasm and a native container side by side, and their memory
	@$(MAKE) --no-print-directory -s build
	@packaging/system-packages.sh demo
	@$(VENV)/bin/python examples/demo.py

lint: build ## ruff, mypy, rustfmt, clippy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd rust && cargo fmt --all --check
	cd rust && $(CARGO) clippy --workspace --all-targets -- -D warnings

unit: build ## the fast tests
	$(PYTEST) tests/unit tests/meta $(WORKERS)

contract: build test-packages account ## one suite over wasm and native, and over podman, which proves the suite
	$(PYTEST) tests/contract $(WORKERS)

test: build test-packages account lint ## set everything up, lint, test
	cd rust && $(CARGO) test --workspace
	WPOD_TESTS_FORBID_SKIPS=1 $(PYTEST) $(WORKERS) tests --ignore=tests/vm

bench: build ## memory and times against podman, crun, runc and containerd (as root, on an idle machine)
	@packaging/system-packages.sh test bench
	$(VENV)/bin/python -m bench.run_all

bench-guard: build ## which ratios have grown since the recorded ones (as root, minutes)
	@packaging/system-packages.sh test bench
	$(VENV)/bin/python -m bench.guard

snapshots: build ## write the expected outputs of tests/cli anew
	WPOD_TESTS_WRITE_SNAPSHOTS=1 $(PYTEST) tests/cli/test_snapshots.py $(WORKERS)

pictures: build ## the pictures of wpod top in docs/ and tests/ anew, from recordings
	$(VENV)/bin/python -m tests.tui.pictures

docs: build ## write what is made from the option table: completions and docs/compatibility.md
	$(VENV)/bin/python -m wpod.cli.generate

shell: build ## a shell with wpod and a store that is thrown away
	@packaging/throw-away-shell.sh

install: build ## install for all users: PREFIX=/usr/local DESTDIR=
	packaging/install.sh "$(DESTDIR)$(PREFIX)" "$(PREFIX)"
	@echo "installed: $(DESTDIR)$(PREFIX)/bin/wpod"

uninstall:
	rm -rf "$(DESTDIR)$(PREFIX)/lib/wpod"
	rm -f "$(DESTDIR)$(PREFIX)/lib/systemd/system/wpod@.service" "$(DESTDIR)$(PREFIX)/lib/systemd/user/wpod@.service"
	rm -f "$(DESTDIR)$(PREFIX)/bin/wpod" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/wpod" \
		"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_wpod" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/wpod.fish"

vm: build ## systemd, cgroup v2 and delegation, in a virtual machine (minutes)
	@packaging/system-packages.sh vm demo
	$(PYTEST) tests/vm -s

clean: ## remove what was built, caches included
	rm -rf build $(VENV) rust/target wpod/libexec .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
