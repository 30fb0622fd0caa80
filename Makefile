# `make` lists the targets. PYTHON=/path/to/python3.12 picks an interpreter; 3.11 or later will do.
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
FUZZ_SECONDS ?= 600
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-of-verbs test-of-parts soak fuzz lint format docs bench tables lock clean

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

install: $(STAMP) ## make .venv and install the locked dependencies

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Smalti needs Python 3.11 or later; install one, or name it: make install PYTHON=/path/to/python3.12"; exit 2; }
	@echo "installing into .venv: some minutes, and about 3 GB"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
	@echo "installed; next: . .venv/bin/activate"

demo: install ## train a small generator and write demo/report.html, in minutes
	@rm -rf demo
	$(BIN)/smalti demo --out demo

# In two lanes, since a test seldom has work for a second core: each lane takes about half of the time.
WHOLE_VERBS := tests/cli tests/encoding tests/end_to_end tests/recipes
test: install ## run the tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-of-verbs test-of-parts

test-of-verbs:
	OMP_NUM_THREADS=1 $(BIN)/pytest $(WHOLE_VERBS)

test-of-parts:
	OMP_NUM_THREADS=1 $(BIN)/pytest $(WHOLE_VERBS:%=--ignore=%)

# transformers lies beside .venv's own packages, since with it whoever imports diffusers takes a second longer.
soak: install ## run the tests that take minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv/soak --upgrade \
	  transformers==5.24.0 tokenizers==0.23.3
	PYTHONPATH=.venv/soak $(BIN)/pytest -m soak

fuzz: install ## feed bytes to all that reads files, for FUZZ_SECONDS (600) an entry point
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary atheris 'atheris>=3.0' \
	  || { echo "atheris has no wheel for this Python and machine; take Python 3.11 to 3.13 on Linux"; exit 2; }
	set -e; for entry in $$($(BIN)/python tools/fuzz.py); do $(BIN)/python tools/fuzz.py $$entry $(FUZZ_SECONDS); done

lint: install ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings

format: install ## put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: install ## make the pages of docs/, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install ## run the benchmarks that need no data
	$(BIN)/python benchmarks/codec_speed.py

tables: install ## write the tables of figures in the documents, from benchmarks/results; and the help of the verbs
	$(BIN)/python tools/tables.py
	$(BIN)/python tools/help_texts.py

lock: ## make requirements.lock again, from pyproject.toml, in a fresh environment
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0
	.venv-lock/bin/python -m pip install --quiet --editable '.[dev]'
	{ echo '# Exact versions of everything that `make install` puts into .venv. Made by `make lock`.'; \
	  .venv-lock/bin/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' | grep -v '^nvidia-\|^triton'; } > requirements.lock
	rm -rf .venv-lock

clean: ## remove what the other targets made
	rm -rf .venv .venv-lock demo site .pytest_cache .ruff_cache .hypothesis
