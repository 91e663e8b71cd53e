# The two main commands are `make run` and `make test`. Settings are variables: make run PORT=4567 RetryDelaysSeconds=1,2,3

SHELL := /bin/sh
PYTHON ?= python3
TOOLS := .local/tools
LOCAL := $(TOOLS)/local/bin/python tools/local/stack.py
# A workspace of its own, built into the same folder: the dependencies that both have in common are compiled once.
BENCH := --manifest-path tools/bench/Cargo.toml --target-dir target

.DEFAULT_GOAL := help
.PHONY: help setup run demo watch logs test smoke conformance clients faults load bench cost build fmt lint clean

help: ## Show this table
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the pinned tools into .local/tools (the other targets do it when needed)
	@exec $(PYTHON) tools/local/setup.py

run: setup ## Start the service on this machine and show a delivery (FRESH=1, PORT, RECEIVER_PORT, any template parameter)
	@exec $(LOCAL) run

demo: setup ## Draw the attempts to an endpoint that fails twice and recovers; takes a minute
	@exec $(LOCAL) test-env -- $(TOOLS)/local/bin/python tools/local/story.py

watch: setup ## Rebuild the api on each edit, with the tables and queues of `make run`; WATCH_PORT
	@exec $(LOCAL) watch

logs: setup ## Follow the logs of the functions of `make run`
	@exec $(LOCAL) logs

test: setup ## Run the checks of CI: formatting, lints, docs, unit and end-to-end tests, template, dependencies
	@exec $(PYTHON) tools/local/check.py

smoke: setup ## Check a stack on AWS from outside: STACK=echo-webhooks, with credentials and region from the environment
	@exec $(TOOLS)/local/bin/python tools/smoke "$(STACK)"

conformance: setup ## Compare the API with openapi.json; ARGS go to schemathesis
	@$(PYTHON) tools/local/setup.py conformance
	@exec $(LOCAL) test-env -- $(TOOLS)/local/bin/python tools/local/conformance.py $(ARGS)

clients: ## Make typed clients in TypeScript, Python and Rust into target/clients (ONLY="python rust"); docs/clients.md
	@exec $(PYTHON) tools/local/clients.py $(ONLY)

faults: ## Fail every call to AWS on every path, in every way, and look for lost events; up to 30 minutes
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
	@echo 'Compiling the calculator: the first time takes some minutes, later a second.'
	@cargo run --quiet $(BENCH) -- calculate $(MAKEOVERRIDES)

build: setup ## Build both functions for AWS, as `sam deploy` wants them (arm64 unless Architecture=x86_64)
	@exec $(PYTHON) tools/local/build.py

fmt: ## Format the Rust, the Python and the JavaScript
	cargo fmt --all
	rustfmt --edition 2024 docs/clients/rust/src/main.rs
	@$(PYTHON) tools/local/setup.py lint biome
	$(TOOLS)/lint/bin/ruff format
	$(TOOLS)/biome/node_modules/.bin/biome format --write functions/api docs/verify docs/clients

lint: setup ## Run only the lints of the code and the template
	@exec $(PYTHON) tools/local/check.py lint

clean: ## Remove the build results and the local state, but not the tools
	cargo clean
	rm -rf .aws-sam .local/state .local/test .local/logs .local/stack.json
