# `make run` and `make test` each work alone on a fresh clone: all they need is Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test lint types check bench bench-peers bench-workers bench-sessions bench-check bench-profile exam soak lock clean

run: $(READY) .env
	$(BIN)/switchboard serve

test: lint types tests/clients/node_modules
	$(BIN)/pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# The Node client of tests/clients; without npm those tests are skipped by name.
tests/clients/node_modules: tests/clients/package-lock.json
	@if command -v npm >/dev/null; then cd tests/clients && npm ci --no-audit --no-fund --loglevel=error && touch node_modules; \
	else echo "npm is not installed: the tests with OpenAI's Node client are skipped"; fi

check: $(READY)
	$(BIN)/switchboard check

bench: $(READY)
	$(BIN)/python -m bench --out docs/bench

bench-peers: $(READY)
	$(BIN)/python -m bench --peers --out docs/bench

bench-workers: $(READY)
	$(BIN)/python -m bench --workers

bench-sessions: $(READY)
	$(BIN)/python -m bench.sessions

# Whether a turn costs more than bench/baseline.json says; UPDATE=1 agrees to what it costs now.
bench-check: $(READY)
	$(BIN)/python -m bench.check $(if $(UPDATE),--update)

bench-profile: $(READY)
	$(BIN)/python -m bench.profile

# What a caller notices when providers fail; docs/failover.md has the table.
exam: $(READY)
	$(BIN)/python -m bench.exam

soak: $(READY)
	$(BIN)/python -m bench.soak --minutes 10 --callers 30

.env: | $(READY)
	$(BIN)/python -m config.first_run

# The stamp is written last, so an install that was interrupted is taken up again.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Switchboard needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Rewrites the lock from pyproject.toml; needs uv. No index address may end up in it.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --no-annotate --upgrade --group dev -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
