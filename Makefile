# make run     builds and starts a server with sample data
# make test    everything that must pass
# `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Recipes share cargo's build directory and its lock: nothing is won by running two at a time.
.NOTPARALLEL:

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR

VENV := .venv
VENV_STAMP := $(VENV)/.installed
REQUIREMENTS := tests/drivers/requirements.txt
PYTHON_OLDEST := 3.11
RUST_OLDEST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: help run build test test-rust test-drivers lint bench crash differential clean cargo packages

help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: build ## builds, starts a server on ./kalamdb-data, fills in sample data at its first start
	@deploy/run.sh "$(CARGO_TARGET_DIR)/debug/kalamdb"

build: cargo packages
	cargo build --workspace --bins

test: test-rust test-drivers ## all tests: Rust, then the drivers (Python, JDBC)

test-rust: cargo packages ## the Rust tests: units, docs, and the real server as a child process
	cargo test --workspace

# The tests' own build makes the binary too: nothing is compiled for the drivers alone.
test-drivers: cargo packages ## the driver tests against the real server
	@cargo test --workspace --no-run --quiet
	@tests/drivers/run.sh $(VENV_STAMP)

# The stamp is as new as the requirements it was made from.
$(VENV_STAMP): $(REQUIREMENTS)
	python3 -c 'import sys; v = "$(PYTHON_OLDEST)"; sys.exit(None if sys.version_info >= tuple(map(int, v.split("."))) else f"python3 is {sys.version.split()[0]}, the drivers need {v} or newer")'
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	touch $@

lint: cargo packages ## rustfmt, clippy and rustdoc without warnings, licences and advisories
	@if cargo fmt --version >/dev/null 2>&1; \
	then echo "cargo fmt --all --check"; cargo fmt --all --check; \
	else echo "NOT CHECKED: formatting (rustup component add rustfmt)"; fi
	@if cargo clippy --version >/dev/null 2>&1; \
	then echo "cargo clippy"; cargo clippy --workspace --all-targets -- -D warnings; \
	else echo "NOT CHECKED: clippy (rustup component add clippy)"; fi
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace
	@if cargo deny --version >/dev/null 2>&1; \
	then cargo deny --log-level error check bans licenses sources; \
	  if cargo deny --log-level error fetch db 2>/dev/null; \
	  then cargo deny --log-level error check advisories; \
	  else echo "NOT CHECKED: advisories (their database cannot be reached)"; fi; \
	else echo "NOT CHECKED: licences and advisories (cargo install cargo-deny)"; fi

crash: cargo packages ## kills the server 50 times under load and counts what is left (5 minutes)
	KALAMDB_CRASH_ROUNDS=50 cargo test --workspace --test it crash -- --nocapture

bench: cargo packages $(VENV_STAMP) ## the benchmarks, with an optimised build
	cargo build --release --workspace --bins --examples
	cargo bench --workspace --bench '*'
	$(VENV)/bin/python tests/drivers/bench/run.py --binary "$(CARGO_TARGET_DIR)/release/kalamdb"

differential: cargo packages $(VENV_STAMP) ## thousands of random statements beside DuckDB
	cargo build --workspace --bins
	cd tests/drivers && ../../$(VENV)/bin/python -m differential.run

clean: ## removes what was built, and the Python environment; never data
	cargo clean
	rm -rf $(VENV) tests/drivers/jdbc/target

cargo:
	@command -v cargo >/dev/null || deploy/install-packages.sh rust || { \
	  echo "Rust is missing: install it as https://rustup.rs says, then run make again"; exit 1; }
	@rustc --version | awk -v oldest=$(RUST_OLDEST) '{ split($$2, have, "."); split(oldest, need, "."); \
	  if (have[1] < need[1] || (have[1] == need[1] && have[2] + 0 < need[2] + 0)) { \
	    print "Rust is " $$2 ", KalamDB needs " oldest " or newer: rustup update"; exit 1 } }'

packages:
	@deploy/install-packages.sh build
