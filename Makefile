# make run    the site, in the foreground: HOST, PORT, TASKMONITOR_DATA and the rest of docs/operators.md
# make demo   fill a running site with work
# make test   all that CI runs
# make faults kill, stop and mislead it, again and again: FAULTS_ROUNDS, FAULTS_SEED (docs/reliability.md)
# make bench  measure
# make shots screenshots of every page into SHOTS (var/shots)
# make lock   take newer versions of what it is built on

PYTHON := $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r
NPM := npm ci --silent --no-audit --no-fund --ignore-scripts

.PHONY: run demo test faults bench shots lock

run: .venv/run node_modules/run
	@exec .venv/bin/python manage.py up

demo: .venv/run
	@exec .venv/bin/python manage.py demo

test: .venv/test node_modules/test
	@exec tests/run

faults: .venv/test
	@FAULTS_ROUNDS=$${FAULTS_ROUNDS:-200} exec .venv/bin/python -m pytest -q -s tests/faults

bench: .venv/test
	@exec .venv/bin/python -m bench

shots: .venv/test node_modules/test
	@exec .venv/bin/python -m tests.browser.screenshots $${SHOTS:-var/shots}

LOCK := .venv/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header

lock: .venv/bin/uv
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	$(LOCK) --group clients -c requirements-dev.lock -o requirements-clients.lock
	$(LOCK) --group collections --no-deps -o requirements-collections.lock
	npm update --package-lock-only --no-audit --no-fund

# What is installed carries the time of its lock file, so that nothing is installed twice.
.venv/run: requirements.lock | .venv/bin/python
	$(PIP) $<
	@touch $@

.venv/test: requirements-dev.lock | .venv/bin/python
	$(PIP) $<
	@touch $@

# What the pages' scripts take from npm. They do without, and are the worse for it.
node_modules/run: package-lock.json
	@if command -v npm >/dev/null; then $(NPM) --omit=dev && touch $@; \
	else echo "npm is not installed: open pages lose selection and focus whenever something changes." >&2; fi

node_modules/test: package-lock.json
	$(NPM)
	@touch $@ node_modules/run

.venv/bin/uv: | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/bin/python:
ifeq ($(PYTHON),)
	@echo "Python 3.11 or newer is needed: neither python3.11 nor python3 is that." >&2; exit 1
endif
	$(PYTHON) -m venv .venv
