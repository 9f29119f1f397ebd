# The verbs of this project; people and CI use the same. Without `just` on the
# machine, ./just installs it into target/ and takes the same words.

# List the verbs.
default:
    @just --justfile {{justfile()}} --list --unsorted

# See two filters act on captured APISIX requests.
demo:
    cargo run --locked -- demo

# Build the runner for production: target/release/runner.
release:
    cargo build --locked --release -p runner

# Build every example filter to target/modules/NAME.wasm.
examples *NAMES:
    examples-wasm/build {{NAMES}}

# NAMES are languages of `runner new`; all of them, where none is named.
# Build the project of every language to target/languages/.
languages *NAMES:
    templates/build-all {{NAMES}}

# PEER_SOCKET, PEER_PLUGIN and PEER_CONF in the environment name another runner
# to measure on the same work. Ten minutes; --quick takes one or two.
# Measure the runner beside a floor, into bench/results/.
bench *OPTIONS: examples
    cargo build --locked --release -p runner -p bench
    target/release/measure matrix {{OPTIONS}}

# PEER_... as above.
# Measure the same filter in every language, into bench/results/.
bench-languages *OPTIONS: languages
    cargo build --locked --release -p runner -p bench
    target/release/measure languages --modules target/languages/modules {{OPTIONS}}

# Needs valgrind; some minutes.
# Count the instructions of a request with callgrind, into bench/results/.
callgrind *OPTIONS: examples
    cargo build --locked --release -p runner -p bench
    target/release/measure instructions {{OPTIONS}}

# A minute; --help of target/release/siege names what else it takes.
# Put every hostile guest before the release build, under load.
attack *OPTIONS: examples
    cargo build --locked --release -p runner
    cargo build --locked --release -p siege
    target/release/siege attack {{OPTIONS}}

# Soak the release build: guests, restarts, hang-ups, for so many minutes.
soak MINUTES *OPTIONS: examples
    cargo build --locked --release -p runner
    cargo build --locked --release -p siege
    target/release/siege soak {{MINUTES}} {{OPTIONS}}

# Two minutes. Nothing may fail, be late or stay behind.
# Replace a module of the release build again and again, under load.
swaps *OPTIONS:
    cargo build --locked --release -p runner
    cargo build --locked --release -p siege
    target/release/siege swaps {{OPTIONS}}

# Three minutes; --isolation process for processes of their own.
# Put a tenant with ten times the load beside a quiet one, in front of the release build.
noisy *OPTIONS: examples
    cargo build --locked --release -p runner
    cargo build --locked --release -p siege
    target/release/siege noisy {{OPTIONS}}

# Install what the tests need, then run all of them.
test: setup examples languages check-gen
    cargo test --locked --workspace

# cargo-fuzz where there is a nightly compiler, the stable engine for the rest.
# Attack whatever reads bytes from outside, each target for so many seconds.
fuzz SECONDS="60":
    fuzz/run {{SECONDS}}

# Install what the tests need beyond cargo, into target/tools/.
setup:
    tests/setup

# Write what is generated from schema/ and wit/.
gen:
    schema/generate
    tests/js-types/generate
    GENERATE=1 cargo test --locked -p runner --test generated

# Fail if the generated code is not what schema/ gives.
check-gen:
    schema/generate --check
    tests/js-types/generate --check

# Fail on anything rustfmt or clippy would change.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Format everything.
fmt:
    cargo fmt --all

# What CI runs.
ci: demo test lint
