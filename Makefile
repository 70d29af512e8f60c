# `make run` and `make test` work on a fresh clone with nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test lint types pytest check bench bench-peers bench-workers bench-sessions bench-phone bench-check bench-profile exam soak fuzz console screenshots docs lock clean

run: $(READY) .env
	@$(BIN)/switchboard serve

# The checks run beside the tests. Each of the three processes takes whole files, so that a server for all tests of a file
# starts once.
test: $(READY)
	$(MAKE) --no-print-directory -j 3 lint types pytest

pytest: $(READY) tests/clients/node_modules api/console/vendor_build/node_modules
	$(BIN)/pytest -n 3 --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# OpenAI's Node client, the AI SDK and axe-core for tests, and the libraries of the console. Without npm, tests that need them are skipped.
%/node_modules: %/package-lock.json
	@if command -v npm >/dev/null; then cd $* && npm ci --no-audit --no-fund --loglevel=error && touch node_modules; \
	else echo "npm is not installed: the tests that need $@ are skipped"; fi

# Writes api/console/assets/vendor from the libraries in package-lock.json.
console: api/console/vendor_build/node_modules
	node api/console/vendor_build/build.mjs

# Writes docs/reference and docs/models.schema.json from the code, and builds the site into build/docs. Needs no network.
docs: $(READY)
	$(BIN)/switchboard check --schema > docs/models.schema.json
	$(BIN)/python -m api.docs.reference docs/reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Writes docs/images. Needs Chromium.
screenshots: $(READY)
	$(BIN)/python -m tests.support.screenshots
	$(BIN)/python -m tests.support.moving_picture

check: $(READY)
	$(BIN)/switchboard check

bench: $(READY)
	$(BIN)/python -m bench --out docs/bench

bench-peers: $(READY)
	$(BIN)/python -m bench --peers --out docs/bench

bench-workers: $(READY)
	$(BIN)/python -m bench --workers

bench-sessions: $(READY)
	$(BIN)/python -m bench.sessions $(if $(PEERS),--peers)

# First token on the relay, and 512 conversations at once. CALLS=128 is a smaller load.
CALLS ?= 512
bench-phone: $(READY)
	$(BIN)/python -m bench.phone --calls $(CALLS)

# Fails if a turn costs more than bench/baseline.json allows. UPDATE=1 writes the current cost to the baseline.
bench-check: $(READY)
	$(BIN)/python -m bench.check $(if $(UPDATE),--update)

bench-profile: $(READY)
	$(BIN)/python -m bench.profile

# Tests failover from the caller's side; docs/failover.md has the results.
exam: $(READY)
	$(BIN)/python -m bench.exam

# `make soak MINUTES=3 STREAMS=60` is a short form.
MINUTES ?= 15
STREAMS ?= 200
soak: $(READY)
	$(BIN)/python -m bench.soak --minutes $(MINUTES) --streams $(STREAMS) --out docs/bench

# Sends 100,000 generated and damaged requests, and values to every parser; docs/fuzzing.md has the results.
fuzz: $(READY)
	$(BIN)/python -m bench.fuzz
	FUZZ=20 $(BIN)/pytest -m hypothesis

.env: | $(READY)
	@$(BIN)/python -m config.first_run

# The stamp is written last, so that an interrupted installation is repeated.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Switchboard needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m config.install_progress requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Rewrites the lock file from pyproject.toml. Needs uv. The lock file must not contain an index URL.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --no-annotate --upgrade --group dev -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
