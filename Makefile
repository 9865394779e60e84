# The two commands of the README: `make demo` and `make test`. The rest is for developers.
.DEFAULT_GOAL := help
.PHONY: help demo docs test first-day test-engines test-pythons test-pandas lint format bench soak constraints clean
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV ?= $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
# The packages of this repository: a new folder under plugins/ is one by having a pyproject.toml.
PACKAGES := $(wildcard core/pyproject.toml plugins/*/pyproject.toml tests/sample_plugin/pyproject.toml)
EDITABLE := $(patsubst %/pyproject.toml,--editable ./%,$(PACKAGES))
empty :=
SOURCES := $(subst $(empty) ,:,$(wildcard core/src plugins/*/src tests/sample_plugin/src))

# What takes longest without a tool: these are for the longer tier.
SLOW := tests/sample_plugin/tests/test_specimen_orchestrator.py tests/conformance/test_plugin_guide.py \
	tests/conformance/test_plugin_new.py tests/conformance/test_suites_catch.py tests/e2e/test_notebook.py \
	tests/e2e/test_flights.py

help: ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.tools/bin/uv:
	@echo "uv is not installed: fetching it into .tools"
	@$(PYTHON) -m venv .tools && .tools/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/ready: constraints.txt tests/requirements.in $(PACKAGES) | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@echo "making .venv (Python $$($(PYTHON) -c 'import platform; print(platform.python_version())'))"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --compile-bytecode --constraint constraints.txt $(EDITABLE) --requirement tests/requirements.in
	@touch $@

.venv-engines/ready: constraints.txt tests/requirements.in tests/engines/requirements.in $(PACKAGES) | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@echo "making .venv-engines (Airflow, Kubeflow Pipelines, Beam)"
	@test -x .venv-engines/bin/python || $(UV) venv --quiet --seed --python $(PYTHON) .venv-engines
	@VIRTUAL_ENV=.venv-engines $(UV) pip install --quiet --compile-bytecode --constraint constraints.txt \
		$(EDITABLE) --requirement tests/requirements.in --requirement tests/engines/requirements.in
	@touch $@

# Servers whose pins cannot stand beside ours: the tests drive them from outside.
SERVERS := .venv-seldon/ready .venv-mlserver/ready
$(SERVERS): .venv-%/ready: tests/engines/%.txt | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@echo "making .venv-$*"
	@test -x .venv-$*/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-$*
	@VIRTUAL_ENV=.venv-$* $(UV) pip install --quiet --compile-bytecode --requirement $<
	@touch $@

# Feast needs pandas before 3, and the rest is developed with a newer one.
.venv-feast/ready: tests/feast/constraints.txt tests/feast/requirements.in core/pyproject.toml plugins/feast/pyproject.toml | $(if $(findstring .tools,$(UV)),.tools/bin/uv)
	@echo "making .venv-feast (Feast)"
	@test -x .venv-feast/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-feast
	@VIRTUAL_ENV=.venv-feast $(UV) pip install --quiet --compile-bytecode --constraint tests/feast/constraints.txt \
		--editable ./core --editable ./plugins/feast --requirement tests/feast/requirements.in
	@touch $@

demo: .venv/ready ## Predict flight delays on the local stack, from real data, and serve the model
	@cd examples/flights && ../../$(BIN)/turnout run pipeline.py
	@echo
	@cd examples/flights && ../../$(BIN)/turnout deploy pipeline.py
	@cd examples/flights && { ../../$(BIN)/turnout endpoints predict delay --count 3; asked=$$?; \
		../../$(BIN)/turnout endpoints delete delay && exit $$asked; }
	@echo 'serve it until you delete it: turnout deploy pipeline.py; turnout endpoints delete delay'
	@echo
	@echo 'to type these: export PATH="$$PWD/$(BIN):$$PATH"; cd examples/flights'

test: .venv/ready ## The tests, in a few minutes
	@$(BIN)/pytest -q --numprocesses auto --maxprocesses 8 --dist loadfile $(addprefix --ignore=,$(SLOW))

test-engines: .venv/ready .venv-engines/ready .venv-feast/ready $(SERVERS) ## The tests on real engines: Airflow, Kubeflow Pipelines, Beam, Seldon, Feast
	@$(BIN)/pytest -q --numprocesses 2 --dist loadfile $(SLOW)
	@.venv-engines/bin/pytest -q --numprocesses 2 --dist loadscope tests/engines
	@.venv-feast/bin/pytest -q --numprocesses 2 --dist loadscope tests/feast

test-pythons: .venv/ready ## The core's tests on the other Pythons that are installed
	@UV=$(UV) EDITABLE="$(EDITABLE)" tests/other_pythons.sh

test-pandas: .venv/ready ## What values become, with pandas 2
	@test -x .venv-pandas2/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-pandas2
	@VIRTUAL_ENV=.venv-pandas2 $(UV) pip install --quiet --compile-bytecode $(EDITABLE) --requirement tests/requirements.in 'pandas<3'
	@.venv-pandas2/bin/pytest -q --numprocesses 2 --dist loadfile tests/core/materializers \
		tests/core/artifacts tests/e2e/test_arriving_frames.py tests/e2e/test_values_with_files.py tests/e2e/test_objects_arrive.py

soak: .venv/ready .venv-engines/ready .venv-feast/ready ## Long-running tests, by hand
	@$(BIN)/pytest -q tests/soak
	@TURNOUT_ALL_CASES=1 $(BIN)/pytest -q tests/conformance/test_local.py tests/conformance/test_hostile.py
	@TURNOUT_BODIES=20000 $(BIN)/pytest -q tests/core/serving/test_bad_input.py
	@TURNOUT_ALL_CASES=1 .venv-engines/bin/pytest -q --numprocesses 2 --dist loadscope tests/soak/engines tests/engines
	@TURNOUT_ALL_CASES=1 .venv-feast/bin/pytest -q --numprocesses 2 --dist loadscope tests/feast

first-day: .venv/ready ## The README, the guide and the stacks' page typed from wheels, in an empty environment
	@$(BIN)/python tests/first_day.py

lint: .venv/ready ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@MYPYPATH=$(SOURCES) $(BIN)/mypy
	@$(BIN)/python tests/import_contracts.py

format: .venv/ready ## Let ruff mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/ready ## The benchmarks, as ratios; writes docs/benchmarks.md
	@$(BIN)/python tests/benchmarks/run.py

docs: .venv/ready ## What is made from the code: docs/capabilities.md, docs/settings.md, the notebook's outputs
	@$(BIN)/python docs/make_capabilities.py
	@$(BIN)/python docs/make_settings.py
	@$(BIN)/jupyter execute --inplace examples/flights/explore.ipynb

constraints: | $(if $(findstring .tools,$(UV)),.tools/bin/uv) ## Resolve constraints.txt anew
	@printf -- '-e %s\n' $(dir $(PACKAGES)) | $(UV) pip compile --quiet --python-version 3.11 --no-annotate --no-header --no-emit-index-url --upgrade \
		- tests/requirements.in tests/engines/requirements.in --output-file constraints.new
	@{ echo "# The exact versions that turnout is developed and tested with (Python 3.11). Made by \`make constraints\`."; \
		grep -v '^-e' constraints.new; } > constraints.txt && rm constraints.new
	@printf -- '-e %s\n' ./core ./plugins/feast | $(UV) pip compile --quiet --python-version 3.11 --no-annotate --no-header --no-emit-index-url --upgrade \
		- tests/feast/requirements.in --output-file constraints.new
	@{ echo "# The exact versions that the Feast plugin is tested with (Python 3.11). Made by \`make constraints\`."; \
		grep -v '^-e' constraints.new; } > tests/feast/constraints.txt && rm constraints.new

clean: ## Remove what was made here
	@rm -rf .venv .venv-engines .venv-seldon .venv-mlserver .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
