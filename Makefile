.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-kill test-browser test-fuzz fresh docs bench bench-api bench-events soak wheel sbom audit lock clean
MAKEFLAGS += --no-print-directory
# A foreign Python's paths must not leak into the project's own environments.
unexport PYTHONPATH PYTHONHOME
# Hundreds of tests start Python: each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
export PYTHON

BIN = .venv/test/bin
CHECKED = $(wildcard loanmetrics benchmarks tests scripts docs/site)
UV ?= uv
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--fork-strategy fewest --no-header --no-annotate --no-emit-index-url --no-emit-find-links

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## from a fresh clone to figures: install, load the sample lender, compute, show
	@scripts/environment run
	@scripts/demo

test: ## lint, types and tests (PYTEST="-k embedded -x" to narrow)
	@scripts/environment test
	$(BIN)/ruff check $(CHECKED) notebooks
	$(BIN)/ruff format --check $(CHECKED) notebooks
	$(BIN)/mypy $(CHECKED)
	$(BIN)/pytest -n 2 --dist worksteal --durations=10 $(PYTEST)

test-long: ## the laws on many more random books and histories (hours)
	@scripts/environment test
	LOANMETRICS_MACHINES=500 LOANMETRICS_EXAMPLES=2000 $(BIN)/pytest -n 2 -s tests/laws tests/store/test_interleavings.py

test-kill: ## kill -9 of real runs at every step and at random moments: KILLS=240 (a quarter of an hour)
	@scripts/environment test
	LOANMETRICS_KILLS=$(or $(KILLS),240) $(BIN)/pytest -n 2 -rP tests/faults/test_kills.py \
		tests/jobs/test_killed_backfill.py

fresh: ## write anew what follows from the catalogue: docs/metrics.md, the sample's figures on file
	@scripts/environment test
	$(BIN)/python -m loanmetrics.reference > docs/metrics.md
	LOANMETRICS_GOLDEN=write $(BIN)/pytest -q tests/test_golden.py

docs: ## the documentation as pages, to be read without a network: dist/docs/index.html
	@scripts/environment docs
	.venv/docs/bin/python -m sphinx --fail-on-warning --keep-going --quiet -c docs/site -d dist/doctrees . dist/docs

bench: ## measure speed and memory beside peers: SIZE=0.1m, 0.3m, 1m, 3m or 10m (ONLY="P4 P5" to narrow)
	@scripts/environment bench
	.venv/bench/bin/python benchmarks/bench.py --size $(or $(SIZE),1m) $(if $(ONLY),--only $(ONLY))
	.venv/bench/bin/python benchmarks/report.py

bench-api: ## measure the HTTP API under load beside a hand-written one: SIZE=0.1m or 1m (ONLY=P9)
	@scripts/environment test
	@scripts/environment bench
	$(BIN)/python benchmarks/api.py --size $(or $(SIZE),1m) $(if $(ONLY),--only $(ONLY)) \
		--packages "$$(echo $(CURDIR)/.venv/bench/lib/python*/site-packages)"
	.venv/bench/bin/python benchmarks/report.py

bench-events: ## measure from a payment's commit to a fresh answer: SIZE=0.1m or 1m (EVERY=1: the worker's --every)
	@scripts/environment test
	@scripts/environment bench
	$(BIN)/python benchmarks/events.py --size $(or $(SIZE),1m) $(if $(EVERY),--every $(EVERY))
	.venv/bench/bin/python benchmarks/report.py

soak: ## an hour of everything at once, with restarts: MINUTES=60 SIZE=0.1m (RATE=requests a second)
	@scripts/environment test
	@scripts/environment bench
	$(BIN)/python benchmarks/soak.py --size $(or $(SIZE),0.1m) --minutes $(or $(MINUTES),60) $(if $(RATE),--rate $(RATE))
	.venv/bench/bin/python benchmarks/report.py

wheel: ## build the wheel and run the demo from it, in an empty environment outside of this checkout
	@scripts/environment run
	@scripts/wheel

sbom: ## what users install, as a CycloneDX bill of materials: dist/loanmetrics.cdx.json
	@scripts/environment run
	@scripts/environment supply
	@scripts/sbom

audit: ## known vulnerabilities of what users install (asks the package index)
	@scripts/environment supply
	@scripts/audit

test-browser: ## the dashboard in a real browser (needs Chromium; LOANMETRICS_PICTURES=DIR keeps pictures)
	@scripts/environment browser
	.venv/browser/bin/pytest tests/browser

test-fuzz: ## the HTTP API held to its own description, for longer (half an hour)
	@scripts/environment test
	LOANMETRICS_FUZZ=500 $(BIN)/pytest -n 2 tests/api/test_openapi.py

lock: ## refresh requirements/*.txt (needs uv; UPGRADE=1 takes newer releases)
	@command -v $(UV) >/dev/null || { echo "error: uv is not installed (pip install uv)" >&2; exit 1; }
	$(COMPILE) pyproject.toml $(if $(UPGRADE),--upgrade) --extra embedded --extra http --group build -o requirements/run.txt
	$(COMPILE) pyproject.toml $(if $(UPGRADE),--upgrade) --all-extras --group build --group test \
		-c requirements/run.txt -o requirements/test.txt
	$(COMPILE) pyproject.toml $(if $(UPGRADE),--upgrade) --extra embedded --group build --group bench \
		-c requirements/run.txt -o requirements/bench.txt
	$(COMPILE) pyproject.toml $(if $(UPGRADE),--upgrade) --all-extras --group build --group test --group browser \
		-c requirements/test.txt -o requirements/browser.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group build --group supply -c requirements/run.txt -o requirements/supply.txt
	$(COMPILE) pyproject.toml $(if $(UPGRADE),--upgrade) --extra http --extra notebook --group build --group docs \
		-c requirements/test.txt -o requirements/docs.txt

clean: ## remove the environments and the demo's data
	@scripts/clean
