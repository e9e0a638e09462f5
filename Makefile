SHELL := /bin/bash
# The newest Python that the project runs on, on the path or of pyenv.
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do \
  for p in python$$v $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$v.*/bin/python$$v; do \
    $$p -c '' 2>/dev/null && echo $$p && exit; done; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
export DAGSTER_HOME := $(CURDIR)
export DAGSTER_DISABLE_TELEMETRY := yes
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
# Where an environment forbids bytecode, each process of a test would compile the project again.
export PYTHONDONTWRITEBYTECODE :=

# What is computed and how it is stored: the tests of a minute.
QUICK := $(addprefix fx_assets_tests/,specs features evaluation models quality bundles series \
  sources/test_http.py sources/test_ecb_bars.py lake/test_tables.py lake/test_bitemporal.py \
  test_calendars.py test_tables.py)

.PHONY: help run universe dev serve test quick coverage snapshot docs test-slow lint security compare format bench bench-gate drill bench-serving bench-intraday bench-images lock aws images up down smoke clean

help:  ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

# uv is many times faster than pip; where it cannot be had, or cannot reach the index, pip does it.
define install
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install -q --disable-pip-version-check uv || true
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --compile-bytecode --no-deps $(1) 2>/dev/null \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $(1)
endef

$(VENV)/installed: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "The project runs on Python 3.11 to 3.13, and $(VENV) has " + sys.version.split()[0] + ". Remove the folder and name another: make run PYTHON=python3.11")'
	@echo "Installing the pinned dependencies into $(VENV) ..."
	$(call install,-r requirements.txt)
	$(call install,-e .)
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(call install,-r requirements-dev.txt)
	@touch $@

run: $(VENV)/installed  ## Real prices to judged forecasts, doing only what is stale
	@$(BIN)/fx-assets run

universe: $(VENV)/installed  ## Every ECB currency against the euro, in one graph
	@$(BIN)/fx-assets universe

dev: $(VENV)/installed  ## Dagster on port 3000 and MLflow on port 5000
	@$(BIN)/fx-assets dev

serve: $(VENV)/installed  ## Forecasts over REST, and a page, on port 8000
	@$(BIN)/python -m serving

test: $(VENV)/installed-dev  ## The tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow"

quick: $(VENV)/installed-dev  ## The tests of a minute: no graph, no server
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not long and not browser and not daemon" $(QUICK)

coverage: $(VENV)/installed-dev  ## The tests, and whether they reach as much of the code as pyproject.toml asks
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow" --cov --cov-report=term:skip-covered

snapshot: $(VENV)/installed-dev  ## Write what the asset graph and the pictures of the code are; look at the difference
	@$(BIN)/python -m fx_assets_tests.asset_graph
	@$(BIN)/python -m fx_assets_tests.dependencies

docs: $(VENV)/installed-dev  ## The documentation as a site in site/, without a network; broken links fail
	@$(BIN)/mkdocs build --quiet --clean

test-slow: $(VENV)/installed-dev  ## What takes minutes: the packaged forecasts, judged from nothing, against pinned numbers
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow $(SLOW)

lint: $(VENV)/installed-dev  ## Style, types, layers and every declared YAML file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/fx-assets check
	@$(BIN)/dg check defs

# What tests and recorded answers hold looks like secrets: there only the forms of real ones count.
LOOKS_LIKE = $(addprefix --disable-plugin ,KeywordDetector HexHighEntropyString Base64HighEntropyString BasicAuthDetector)

security: $(VENV)/installed-dev  ## Secrets in files, weaknesses of the workflows (of the code: lint)
	@$(BIN)/zizmor --offline --quiet .github
	@git ls-files -z -- ':!fx_assets_tests' ':!requirements*.txt' ':!deploy/requirements*.txt' \
	  | xargs -0 $(BIN)/detect-secrets-hook --exclude-lines 'user:password@|(SecretName|secretName|auth-secret): '
	@git ls-files -z -- fx_assets_tests | xargs -0 $(BIN)/detect-secrets-hook $(LOOKS_LIKE)

BASE ?= origin/main
compare: $(VENV)/installed  ## What a change does to the forecasts, beside BASE (default origin/main)
	@$(BIN)/fx-assets compare $(BASE) --report data/compare/report.md

format: $(VENV)/installed-dev  ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench-serving: $(VENV)/installed-dev  ## The server under load, beside hello-world and mlflow models serve
	@$(BIN)/python -m benchmarks.serving --soak 60

bench: $(VENV)/installed-dev  ## Speed, false promotions, false alarms and how soon drift is found
	@$(BIN)/python -m benchmarks.pipeline
	@$(BIN)/python -m benchmarks.promotion_simulation
	@$(BIN)/python -m benchmarks.universe_rates
	@$(BIN)/python -m benchmarks.densities
	@$(BIN)/python -m benchmarks.economics
	@$(BIN)/python -m benchmarks.pools
	@$(BIN)/python -m benchmarks.drift_delays
	@$(BIN)/python -m benchmarks.monitoring

bench-gate: $(VENV)/installed-dev  ## Planted faults that the gate finds, honest extremes that it holds back
	@$(BIN)/python -m benchmarks.gate

bench-intraday: $(VENV)/installed-dev  ## A million minute bars, five million of features, an hourly build
	@$(BIN)/python -m benchmarks.features
	@$(BIN)/python -m benchmarks.intraday

drill: $(VENV)/installed-dev  ## Two simulated years with everything that goes wrong; nothing may be lost
	@$(BIN)/python -m benchmarks.drill

lock: $(VENV)/installed-dev  ## Choose the newest versions that resolve together
	@$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --group dev -c requirements.txt -o requirements-dev.txt

	@$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --extra production --extra celery --extra kubernetes --extra openlineage pyproject.toml -c requirements.txt -o deploy/requirements-platform.txt
	@$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --group serving -c requirements.txt -o deploy/requirements-serving.txt
	@$(BIN)/uv pip compile -q --universal --no-emit-index-url --no-header --python-version 3.11 deploy/aws/requirements.in -o deploy/aws/requirements.txt

# checkov pins what the platform has newer: it lives in an environment of its own.
CLOUD := .venv-aws
$(CLOUD)/installed: $(VENV)/installed deploy/aws/requirements.txt
	@test -x $(CLOUD)/bin/python || $(PYTHON) -m venv $(CLOUD)
	@echo "Installing what makes and checks the stacks of AWS into $(CLOUD) ..."
	@VIRTUAL_ENV=$(CLOUD) $(BIN)/uv pip install -q --no-deps -r deploy/aws/requirements.txt 2>/dev/null \
	  || $(CLOUD)/bin/python -m pip install -q --disable-pip-version-check --no-deps -r deploy/aws/requirements.txt
	@touch $@

aws: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 1
aws: $(CLOUD)/installed  ## The stacks of AWS as templates in deploy/aws/cdk.out, looked at by cfn-lint and checkov; takes Node
	@$(CLOUD)/bin/python deploy/aws/app.py
	@cd deploy/aws && $(CURDIR)/$(CLOUD)/bin/cfn-lint
	@cd deploy/aws && $(CURDIR)/$(CLOUD)/bin/checkov --config-file .checkov.yaml

# What is built says from which version and commit.
LABELS = --build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
  --build-arg COMMIT=$(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
COMPOSE = DOCKER_GID=$$(stat -c %g /var/run/docker.sock) \
  $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) \
  -f deploy/compose.yaml --env-file deploy/.env

deploy/.env:
	@umask 077 && sed "s/^FX_PASSWORD=.*/FX_PASSWORD=$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')/" deploy/.env.example > $@

images:  ## The images fx-assets-serving and fx-assets-platform; IMAGE_OPTIONS are docker build's
	@docker build $(IMAGE_OPTIONS) $(LABELS) -f deploy/Dockerfile --target serving -t fx-assets-serving .
	@docker build $(IMAGE_OPTIONS) $(LABELS) -f deploy/Dockerfile --target platform -t fx-assets-platform .

up: deploy/.env images  ## One server: PostgreSQL, a store, Dagster, MLflow, forecasts, monitoring, in containers
	@$(COMPOSE) up -d
	@echo "Dagster: http://127.0.0.1:3000   MLflow: :5000   forecasts: :8000   SQL: :8001   Grafana: :3001"

down:  ## Stop the server; what it has stored stays
	@$(COMPOSE) down

smoke: $(VENV)/installed-dev  ## The whole server from nothing to a served forecast, in real containers, then gone again
	@$(BIN)/python -m pytest -m containers fx_assets_tests/containers

bench-images: $(VENV)/installed-dev  ## How soon a server answers in a container, beside one outside
	@$(BIN)/python -m benchmarks.images

clean:  ## Forget every table, run and experiment
	rm -rf data fx.duckdb
