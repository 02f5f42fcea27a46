# The commands of this repository; `make` alone lists them. What they do is in tools/localcloud/__main__.py.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_OF_VENV := .venv/bin/python
INSTALLED := .venv/installed
INSTALLED_BENCH := .venv/installed-bench
# The first of these that is 3.11 or later makes the virtual environment; PYTHON=... names another.
PYTHON ?=
PYTHONS := python3 python3.13 python3.12 python3.11 python3.14
RECENT_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Given to pytest: make test PYTEST="-k rotation"
PYTEST ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# STACK of the environment may be anything, so only the one on make's command line counts.
STACK_OPTION = $(if $(findstring command line,$(origin STACK)),--stack "$$STACK")
STACK_NAME = $(if $(findstring command line,$(origin STACK)),"$$STACK",local)

.PHONY: up
up: $(INSTALLED) ## Set up the local cloud and run `pulumi up` on it: make up [STACK=engines]; again: goes on or changes nothing
	@$(PYTHON_OF_VENV) -m tools.localcloud up $(STACK_OPTION)

.PHONY: down
down: ## Stop the local cloud and remove its data, state and plugins (not .venv and the built engine)
	@python=$(PYTHON_OF_VENV); [ -x $$python ] || python=$(or $(PYTHON),python3); $$python -m tools.localcloud.down

.PHONY: start
start: $(INSTALLED) ## Start the emulator and the stack's servers, without `pulumi up`
	@$(PYTHON_OF_VENV) -m tools.localcloud start $(STACK_OPTION)

.PHONY: stop
stop: $(INSTALLED) ## Stop the emulator and all servers; their data stay
	@$(PYTHON_OF_VENV) -m tools.localcloud stop

# SECRET of the environment may be anything, so only the one on make's command line counts.
.PHONY: rotate
rotate: $(INSTALLED) ## Renew a password now and log in with it: make rotate [STACK=engines] [SECRET=name]
	@$(PYTHON_OF_VENV) -m tools.localcloud rotate $(STACK_OPTION) $(if $(findstring command line,$(origin SECRET)),"$$SECRET")

.PHONY: env
env: $(INSTALLED) ## Print what leads a shell to the local cloud, as `. .local/env` does
	@$(PYTHON_OF_VENV) -m tools.localcloud env

# STATUS is given to the command: make status STATUS="--html status.html"
STATUS =
.PHONY: status
status: $(INSTALLED) ## Compare the stack file with AWS: make status [STATUS=--json]
	@. .local/env && pulumi stack output --stack $(STACK_NAME) --json | \
	  $(PYTHON_OF_VENV) -m operations status --stack $(STACK_NAME) --outputs - --fail-on none $(STATUS)

.PHONY: manifests
manifests: $(INSTALLED) ## Write what the workloads of the local stack need to .local/manifests
	@. .local/env && pulumi stack output --stack $(STACK_NAME) --json workloads | $(PYTHON_OF_VENV) -m operations manifests .local/manifests

.PHONY: test
test: lint ## Check style and types, then run the product's tests, except for those of test-deep
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@$(PYTHON_OF_VENV) -m pytest --quiet -n auto --dist worksteal tests $(PYTEST)

.PHONY: test-deep
test-deep: $(INSTALLED) ## Run the tests that `make test` leaves out because they take long (marked `deep`)
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@$(PYTHON_OF_VENV) -m pytest --quiet -n auto --dist worksteal --deep only tests $(PYTEST)

.PHONY: test-tools
test-tools: $(INSTALLED) ## Run the tests of the local cloud and of the benchmarks
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@$(PYTHON_OF_VENV) -m pytest --quiet -n auto --dist worksteal tools $(PYTEST)

.PHONY: test-real
test-real: $(INSTALLED) ## Run the engine, report and automation suites on official plugins, where they can be downloaded
	@$(PYTHON_OF_VENV) -m tests.support.real_plugins -n auto --dist worksteal $(PYTEST)

.PHONY: test-clients
test-clients: $(INSTALLED) ## Fetch PostgreSQL clients of several languages and log in with them (a minute the first time)
	@TEST_CLIENTS=fetch $(PYTHON_OF_VENV) -m pytest --quiet tests/clients $(PYTEST)

.PHONY: test-languages
test-languages: $(INSTALLED) ## Deploy the YAML and TypeScript examples (builds and fetches language hosts: minutes once)
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@TEST_LANGUAGES=fetch $(PYTHON_OF_VENV) -m pytest --quiet tests/languages $(PYTEST)

.PHONY: test-operators
test-operators: $(INSTALLED) ## Apply manifests to a real API server and let the real operator read (builds both: many minutes once)
	@$(PYTHON_OF_VENV) -m tests.operators.programs
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@TEST_OPERATORS=fetch $(PYTHON_OF_VENV) -m pytest --quiet tests/operators $(PYTEST)

.PHONY: record-terraform
record-terraform: $(INSTALLED) ## Record states and plans of a real terraform for the tests of adoptions (minutes)
	@$(PYTHON_OF_VENV) -m tests.support.record_terraform

.PHONY: docs
docs: $(INSTALLED) ## Write the library's API reference to .local/docs
	@$(PYTHON_OF_VENV) -m tools.api_reference .local/docs
	@echo "The reference is in .local/docs/pulumi_aws_secrets.html"

.PHONY: test-soak
test-soak: $(INSTALLED) ## Attack the rotation at random and rotate under load, for minutes: make test-soak [ATTACK_EXAMPLES=200]
	@$(PYTHON_OF_VENV) -m tools.localcloud tools
	@ROTATIONS=$(or $(ROTATIONS),50) $(PYTHON_OF_VENV) -m pytest --quiet --deep with tests/rotation/test_load.py
	@ROTATIONS=$(or $(ROTATIONS),50) $(PYTHON_OF_VENV) -m pytest --quiet --deep with -k "loses_no_login or loses_its_login_as or only_reconnects" \
	  tests/rotation/test_retirement.py tests/rotation/test_retirement_mysql.py tests/rotation/test_retirement_cache.py
	@ATTACK_EXAMPLES=$(or $(ATTACK_EXAMPLES),200) $(PYTHON_OF_VENV) -m pytest --quiet --deep with tests/rotation/test_attacks_at_random.py

.PHONY: test-versions
test-versions: $(INSTALLED) ## Attack the rotation on PostgreSQL 13, 14, 16, 17 and 18 as well (minutes)
	@for major in 13 14 16 17 18; do echo "PostgreSQL $$major"; POSTGRES_MAJOR=$$major \
	  $(PYTHON_OF_VENV) -m pytest --quiet --deep with tests/rotation/test_attacks.py tests/rotation/test_attacks_at_random.py \
	  -k "not any_version and not foreign_role" || exit 1; done

.PHONY: lint
lint: $(INSTALLED) ## Check style and types
	@$(PYTHON_OF_VENV) -m ruff check
	@$(PYTHON_OF_VENV) -m ruff format --check
	@$(PYTHON_OF_VENV) -m mypy

# BENCH is given to the command: make bench BENCH="--sizes 1,10,100,1000 --runs 1"
BENCH =
.PHONY: bench
bench: $(INSTALLED) $(INSTALLED_BENCH) ## Measure on a local cloud of its own and rewrite docs/benchmarks.md (minutes)
	@$(PYTHON_OF_VENV) -m tools.benchmarks --output .local/benchmarks $(BENCH)
	@$(PYTHON_OF_VENV) -m tools.benchmarks.report .local/benchmarks/results.json

.PHONY: bench-quick
bench-quick: $(INSTALLED) ## Count what a stack costs and compare it with tools/benchmarks/expected.json (seconds)
	@$(PYTHON_OF_VENV) -m tools.benchmarks.quick $(BENCH)

.PHONY: clean
clean: down ## Remove the virtual environment and the built engine too
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Half the time of an installation is compiling what is never imported: tools.localcloud.bytecode compiles the rest of it.
# `pip install` is repeated after an interruption, because the stamp is written last.
$(INSTALLED): requirements-dev.txt tools/localcloud/bytecode.py
	@chosen=; for python in $(or $(PYTHON),$(PYTHONS)); do \
	  if "$$python" -c '$(RECENT_ENOUGH)' 2>/dev/null; then chosen=$$python; break; fi; done; \
	if [ -z "$$chosen" ]; then \
	  echo "error: Python 3.11 or later is needed, and none of these is: $(or $(PYTHON),$(PYTHONS))." \
	    "Install one, or name yours: make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	$(PYTHON_OF_VENV) -c '$(RECENT_ENOUGH)' 2>/dev/null || { rm -rf .venv && "$$chosen" -m venv .venv; } || exit 1; \
	echo "Installing the Python packages into .venv: about a minute, once."; \
	$(PYTHON_OF_VENV) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
	  --requirement requirements-dev.txt || { \
	  echo "error: the Python packages could not be installed: the reason is above. If a download failed, check the" \
	    "network and the settings of a proxy or mirror (HTTPS_PROXY, PIP_INDEX_URL). Then run make again." >&2; exit 1; }
	@$(PYTHON_OF_VENV) -m tools.localcloud.bytecode
	@touch $@

$(INSTALLED_BENCH): requirements-bench.txt | $(INSTALLED)
	@echo "Installing the plot's packages into .venv"
	@$(PYTHON_OF_VENV) -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement requirements-bench.txt
	@touch $@
