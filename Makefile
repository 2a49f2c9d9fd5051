# Everything goes through uv: next to a torch from another index torchvision may not import.
# uv is used where it is installed; otherwise it is put into .uv, which touches nothing else.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help setup demo test lint format docs constraints clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.stamp ## make .venv with chronopose in it, for development

demo: .venv/.stamp ## make a short video, find the poses in it, say where to look
	@.venv/bin/chronopose demo

test: lint ## check everything (without the tests marked gpu)
	@$(PY) -m pytest -m "not gpu"

lint: .venv/.stamp ## formatting, types and layers
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

format: .venv/.stamp ## put the files into the house format
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

docs: .venv/.stamp ## build the documentation into site
	@set -e; uv=$$($(FIND_UV)); "$$uv" pip install --quiet --python $(PY) -c constraints.txt -e '.[docs]'
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

constraints: .venv/.stamp ## pin the newest versions that fit pyproject.toml
	@set -e; uv=$$($(FIND_UV)); new=$$(mktemp); \
	"$$uv" pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	    --all-extras --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml > "$$new"; \
	{ echo "# Versions that the tests pass with, for every extra. Written by 'make constraints'."; \
	  cat "$$new"; } > constraints.txt; rm -f "$$new"

clean: ## remove .venv, .uv and caches
	rm -rf .venv .uv site .mypy_cache .ruff_cache .pytest_cache

# Prints the path of a uv that runs. A shim that only says "not installed" does not count.
define FIND_UV
for uv in uv "$$HOME/.local/bin/uv" .uv/bin/uv; do \
    if "$$uv" --version >/dev/null 2>&1; then echo "$$uv"; exit 0; fi; \
done; \
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore; \
rm -rf .uv; \
if python3 -m pip install --quiet --target .uv uv >&2 \
    || { rm -rf .uv; python3 -m venv .uv >&2 && .uv/bin/python -m pip install --quiet uv >&2; }; \
then echo .uv/bin/uv; \
else echo "make: uv is missing and pip cannot install it; install uv, then try again" >&2; exit 1; \
fi
endef

.venv/.stamp: pyproject.toml constraints.txt
	@set -e; uv=$$($(FIND_UV)); \
	if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    rm -rf .venv; "$$uv" venv --quiet --python '>=3.11' .venv; \
	fi; \
	"$$uv" pip install --python $(PY) -c constraints.txt -e '.[dev]'; \
	touch $@
