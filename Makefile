# Two commands matter: `make run` and `make test`. Settings are given as variables: make run PORT=4567 RetryDelaysSeconds=1,2,3

SHELL := /bin/sh
PYTHON ?= python3
TOOLS := .local/tools
LOCAL := $(TOOLS)/local/bin/python tools/local/stack.py
# A workspace of its own, built into the same folder: the dependencies that both have in common are compiled once.
BENCH := --manifest-path tools/bench/Cargo.toml --target-dir target

.DEFAULT_GOAL := help
.PHONY: help setup run demo watch logs test smoke conformance faults load bench cost build fmt lint clean

help: ## Show this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the pinned tools into .local/tools (the other targets do it when needed)
	@exec $(PYTHON) tools/local/setup.py

run: setup ## Bring the service up on this machine and show a delivery (FRESH=1, PORT, RECEIVER_PORT, any template parameter)
	@exec $(LOCAL) run

demo: setup ## In a minute: an endpoint that fails twice and recovers, its attempts drawn as they happen
	@exec $(LOCAL) test-env -- $(TOOLS)/local/bin/python tools/local/story.py

watch: setup ## Rebuild the api on each edit, against what `make run` brought up; WATCH_PORT
	@exec $(LOCAL) watch

logs: setup ## Follow what the functions of `make run` log
	@exec $(LOCAL) logs

test: setup ## Everything CI runs: formatting, lints, docs, unit and end-to-end tests, template, dependencies
	@exec $(PYTHON) tools/local/check.py

smoke: setup ## Go through a stack on AWS from outside: STACK=echo-webhooks, with credentials and region from the environment
	@exec $(TOOLS)/local/bin/python tools/smoke "$(STACK)"

conformance: setup ## Try the API against openapi.json; ARGS go to schemathesis
	@$(PYTHON) tools/local/setup.py conformance
	@exec $(LOCAL) test-env -- $(TOOLS)/local/bin/python tools/local/conformance.py $(ARGS)

faults: ## Fail every call to AWS on every path, in every way, and look for losses; up to 30 minutes
	cargo build --workspace --bins
	target/debug/faults

load: ## 30,000 events to good and bad receivers while the functions are killed again and again
	cargo build --workspace --bins
	target/debug/load

bench: ## Measure cold start, CPU, cost and growth; draws the charts in docs/
	cargo test $(BENCH)
	cargo build --release -p api -p delivery
	cargo build $(BENCH) --release -p echo-baselines
	cargo run $(BENCH)

cost: ## What your own volumes would cost: EVENTS, FANOUT, FAILED_SHARE and more
	@cargo run --quiet $(BENCH) -- calculate

build: setup ## Build both functions for AWS, as `sam deploy` wants them (arm64 unless Architecture=x86_64)
	@exec $(PYTHON) tools/local/build.py

fmt: ## Format the code
	cargo fmt

lint: setup ## Lints of code and template only
	@exec $(PYTHON) tools/local/check.py lint

clean: ## Remove what was built and the local state; the tools stay
	cargo clean
	rm -rf .aws-sam .local/state .local/test .local/logs .local/stack.json
