# Needs GNU make, bash, git, Python >= 3.11 and a package index; everything else goes into .venv/.
# `make test-ui` also needs chromium and chromedriver, `make test-deployment` PostgreSQL and Redis.
# pip uses the index that the user has configured: nothing here sets one.

PYTHON   ?= python3
# What is tested, the longest first: versions of Airflow on $(PYTHON), or version@Python. Of 3.4 there is no final yet.
VERSIONS ?= 3.3.2 3.3.2@3.13 3.3.2@3.12 3.4.0b2 3.2.2 3.1.8 3.0.6 2.11.2
NEWEST   := 3.3.2
DEPLOYED := 3.3.2
AT_ONCE  ?= 4
ARGS     ?=
SEEDS    ?= 50000
FIRST    ?= 0

# One pip for everybody; the pip of an older Python does not know --group.
PIP_VERSION := 26.3

# Hold-backs for `make constraints`: newer releases install, but then every task of a DAG run fails.
# 3.0, 3.2: the execution API breaks with later FastAPI (the bounds are those that Airflow 3.1 and 3.3 declare).
# 3.2: with svcs 26 it loses its registry ('State' object has no attribute 'svcs_registry').
HOLD_3.0.6 := "fastapi<0.118"
HOLD_3.2.2 := "fastapi<0.137" "svcs<26"

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SECONDARY:
.PHONY: help test test-ui test-interop test-deployment matrix soak lint format demo bench build check-wheel constraints clean FORCE

# Neither settings nor connections of the user's own Airflow may reach the runs.
unexport $(filter AIRFLOW_%,$(.VARIABLES))
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(1) is one of VERSIONS throughout. All Pythons take the same constraints, resolved on 3.11.
airflow   = $(firstword $(subst @, ,$(1)))
minor     = $(word 2,$(subst @, ,$(1)))
# What a version names after the @ is sought on PATH and among those of pyenv; empty if it cannot be had.
python    = $(if $(call minor,$(1)),$(shell \
    for found in python$(call minor,$(1)) "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$(call minor,$(1)).*/bin/python; do \
        "$$found" -c 'import sys; print(sys.executable)' 2>/dev/null && break; \
    done),$(PYTHON))
run       = AIRFLOW_HOME="$(CURDIR)/.airflow/$(1)" PATH="$(CURDIR)/.venv/airflow-$(1)/bin:$$PATH"
max_minor = $(if $(filter 2.% 3.0.%,$(1)),12,$(if $(filter 3.1.%,$(1)),13,14))
groups    = --group dev --group lint $(if $(filter $(NEWEST),$(1)),--group build --group ui)
deployed  = "apache-airflow[celery,postgres]==$(1)" -e . --group dev
# $(1) is a folder, $(2) an interpreter, $(3) what pip is told.
make_env  = rm -rf $(1); "$(2)" -m venv $(1); $(1)/bin/python -m pip install -q "pip==$(PIP_VERSION)"; \
    $(1)/bin/python -m pip install -q $(3)
frozen    = .venv/resolve/bin/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+=='
PY        = $(call run,$(NEWEST)) python
INSTALLED = .venv/airflow-$(NEWEST)/.installed

help: ## show this list
	@echo "make TARGET [PYTHON=$(PYTHON)] [VERSIONS=\"$(VERSIONS)\"] [ARGS=\"options of pytest\"]"; echo
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /:/' | awk -F: '{ printf "  %-16s %s\n", $$1, $$2 }'

test: $(INSTALLED) ## run the tests on the newest Airflow, with coverage
	@echo "=== tests on Airflow $(NEWEST), with coverage"
	@$(PY) -m pytest --cov --cov-report=term $(ARGS)

test-%: .venv/airflow-%/.installed
	@echo "=== tests on Airflow $*"
	@$(call run,$*) python -m pytest $(ARGS)

test-ui: $(INSTALLED) ## look at the connection form, a run and its log in a browser
	@echo "=== pages of Airflow $(NEWEST) in a browser"
	@CI=true $(PY) -m pytest tests/ui $(ARGS)

test-deployment: .venv/deployment-$(DEPLOYED)/.installed ## break a distributed Airflow (Celery, PostgreSQL, Redis)
	@echo "=== distributed Airflow $(DEPLOYED)"
	@PATH="$(CURDIR)/$(<D)/bin:$$PATH" python -m pytest tests/deployment/distributed -s $(ARGS)

test-interop: $(INSTALLED) .venv/interop/.installed ## drive the emulator with another client, scnet-cli
	@echo "=== scnet-cli against the emulator"
	@CI=true $(PY) -m pytest tests/interop $(ARGS)

# Half of their time they wait, hence more of them at once than cores.
matrix: ## run the tests on all of VERSIONS, AT_ONCE of them side by side
	@mkdir -p .airflow; rm -f .airflow/matrix-*; \
	printf '%s\n' $(VERSIONS) | xargs -P $(AT_ONCE) -I VERSION $(MAKE) --no-print-directory matrix-VERSION; \
	printf '\n=== matrix\n'; failed=; \
	for v in $(VERSIONS); do \
	    state=$$(cat .airflow/matrix-$$v.state || echo FAILED); [ "$$state" != FAILED ] || failed=1; \
	    why=$$(grep -E '^(error: |FAIL |no python|=+ .* in [0-9.]+s)' .airflow/matrix-$$v.log | sed -E 's/^=+ (.*) =+$$/\1/' | tail -n 2 | paste -sd ' ' || true); \
	    printf '  Airflow %-10s %-7s %s\n' $$v "$$state" "$$why"; \
	done; [ -z "$$failed" ]

matrix-%:
	@echo "=== tests on Airflow $* begin"; goal=test-$*; [ $* != $(NEWEST) ] || goal=test; state=ok; \
	if [ -z "$(call python,$*)" ]; then \
	    state='NOT RUN'; echo "no python$(call minor,$*)" >.airflow/matrix-$*.log; \
	else \
	    $(MAKE) --no-print-directory $$goal >.airflow/matrix-$*.log 2>&1 || state=FAILED; \
	fi; \
	echo $$state >.airflow/matrix-$*.state; cat .airflow/matrix-$*.log

soak: $(INSTALLED) ## simulate 50,000 random hostile services, or SEEDS=1000 from FIRST=0 on
	@$(PY) -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

lint: $(INSTALLED) ## ruff (rules and format), mypy, and the walls between the rooms
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(call run,$(NEWEST)) lint-imports --no-cache --no-logo

format: $(INSTALLED) ## let ruff mend what it can
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

demo: $(INSTALLED) ## run the demo against the emulator
	@$(PY) example_dags/demo.py

bench: $(INSTALLED) ## measure speed and request counts
	@$(PY) -m benchmarks

build: $(INSTALLED) ## sdist and wheel into dist/
	@rm -rf dist
	@$(PY) -m build --outdir dist

check-wheel: build ## check sdist and wheel, and ask Airflow in an empty environment for the provider
	@echo "=== metadata and long description"
	@$(PY) -m twine check --strict dist/*
	@echo "=== the wheel holds the package, the sdist all that is committed, and nothing else"
	@$(PY) -m zipfile -l dist/*.whl | awk 'NR > 1 { print $$1 }' | grep -vE '^airflow_provider_scnet-[^/]+\.dist-info/' | sort > dist/wheel.list
	@diff <(git ls-files airflow_provider_scnet | sort) dist/wheel.list
	@grep -x airflow_provider_scnet/py.typed dist/wheel.list
	@tar -tzf dist/*.tar.gz | sed 's,^[^/]*/,,' | grep -vx PKG-INFO | sort > dist/sdist.list
	@diff <(git ls-files | sort) dist/sdist.list
	@rm dist/*.list
	@echo "=== installing the wheel with Airflow $(NEWEST)"
	@rm -rf .airflow/wheel; mkdir -p .airflow/wheel
	@$(call make_env,.venv/wheel,$(PYTHON),-c constraints/airflow-$(NEWEST).txt "apache-airflow==$(NEWEST)" dist/*.whl)
	@cd .airflow/wheel; AIRFLOW_HOME="$$PWD" ../../.venv/wheel/bin/airflow providers get --full --output yaml airflow-provider-scnet

constraints: constraints-deployment-$(DEPLOYED) constraints-interop ## resolve the files in constraints/ anew (Python 3.11); then run the matrix
constraints: $(foreach v,$(VERSIONS),$(if $(call minor,$(v)),,constraints-$(v)))

constraints-%:
	@echo "=== resolving Airflow $*"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	    || { echo "error: the lowest Python we support needs the most packages; set PYTHON=python3.11" >&2; exit 1; }
	@$(call make_env,.venv/resolve,$(PYTHON),"apache-airflow==$*" $(HOLD_$*) -e . $(call groups,$*))
	@{ echo "# Newest versions that work together with Airflow $*; resolved by 'make constraints' on Python 3.11."; \
	   echo "# Do not edit: packages that have to be held back, and why, are named in the Makefile."; \
	   $(frozen); } > constraints/airflow-$*.txt
	@rm -rf .venv/resolve

constraints-deployment-%: constraints/airflow-%.txt
	@echo "=== resolving Airflow $* with Celery and PostgreSQL"
	@$(call make_env,.venv/resolve,$(PYTHON),-c $< $(call deployed,$*))
	@{ echo "# What a distributed Airflow $* needs; resolved by 'make constraints-deployment-$*' on Python 3.11."; \
	   echo "# Do not edit: what is in constraints/airflow-$*.txt, too, is as it is there."; \
	   $(frozen); } > constraints/deployment-$*.txt
	@rm -rf .venv/resolve

constraints-interop:
	@echo "=== resolving scnet-cli"
	@$(call make_env,.venv/resolve,$(PYTHON),scnet-cli)
	@{ echo "# scnet-cli, which tests/interop drives, and what it needs; resolved by 'make constraints'."; \
	   $(frozen); } > constraints/interop.txt
	@rm -rf .venv/resolve

clean: ## remove environments, Airflow state, builds and caches
	@rm -rf .venv .airflow .demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

FORCE:

# Changes only when the interpreter does; the environment is then made from scratch.
.venv/airflow-%.python: FORCE
	@[ -n "$(call python,$*)" ] || { echo "error: NOT RUN, no python$(call minor,$*)" >&2; exit 1; }; \
	found=$$("$(call python,$*)" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') \
	    || { echo "error: cannot run PYTHON=$(PYTHON); set PYTHON to a Python >= 3.11" >&2; exit 1; }; \
	minor=$${found#3.}; minor=$${minor%%.*}; \
	if [ "$${found%%.*}" != 3 ] || [ $$minor -lt 11 ]; then \
	    echo "error: PYTHON=$(PYTHON) is Python $$found, too old; set PYTHON to a Python >= 3.11" >&2; exit 1; \
	elif [ $$minor -gt $(call max_minor,$*) ]; then \
	    echo "error: NOT RUN, Airflow $* has no support for Python $$found; set PYTHON=python3.$(call max_minor,$*)" \
	        "or PYTHON=python3.11" >&2; exit 1; \
	elif [ "$$found" != "$$(cat $@ 2>/dev/null)" ]; then \
	    rm -rf .venv/airflow-$*; mkdir -p .venv; echo $$found > $@; \
	fi

# __init__.py holds the version, which the installed metadata repeat.
.SECONDEXPANSION:
.venv/airflow-%/.installed: .venv/airflow-%.python pyproject.toml constraints/airflow-$$(call airflow,$$*).txt \
        airflow_provider_scnet/__init__.py
	@echo "=== environment for Airflow $* on Python $$(cat $<), takes about a minute"
	@$(call make_env,$(@D),$(call python,$*),-c $(word 3,$^) "apache-airflow==$(call airflow,$*)" -e . $(call groups,$*))
	@touch $@

.venv/deployment-%/.installed: .venv/airflow-%.python pyproject.toml constraints/deployment-%.txt \
        airflow_provider_scnet/__init__.py
	@echo "=== environment for a distributed Airflow $* on Python $$(cat $<), takes about a minute"
	@$(call make_env,$(@D),$(PYTHON),-c $(word 3,$^) $(call deployed,$*))
	@touch $@

# Somebody else's client, which declares no licence: installed to be run, never copied from.
.venv/interop/.installed: .venv/airflow-$(NEWEST).python constraints/interop.txt
	@echo "=== environment for scnet-cli"
	@$(call make_env,$(@D),$(PYTHON),-c $(word 2,$^) scnet-cli)
	@touch $@
