# Two commands are enough on a fresh machine with Python >= 3.11, venv and make:
#   make verify     the environment, then the verdict table on real digit images
#   make test       the environment, then the whole test suite
PYTHON ?= python3
VENV ?= .venv
VENV_OPTIONS ?=
CONSTRAINTS ?= constraints.txt
EXTRAS ?= train,report,cluster,dev
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= auto

.PHONY: verify test check mutations certificates soundness gpu picture format constraints environment clean
.DEFAULT_GOAL := verify

environment: $(STAMP)

# The stamp is written last: an install that was killed is repeated, not trusted.
$(STAMP): pyproject.toml constraints.txt Makefile
	rm -f $(STAMP)
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -qq $(addprefix --constraint ,$(CONSTRAINTS)) --editable ".[$(EXTRAS)]"
	touch $(STAMP)

verify: $(STAMP)
	$(BIN)/closedflow verify

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS)

# Static checks only: format, lint, types, import layers.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Replants every mistake of tests/mutations.toml, one at a time; each must make its tests fail.
mutations: $(STAMP)
	$(BIN)/python tests/replant.py

# Writes the versions that are installed now; local build tags (torch's +cpu) are dropped.
constraints: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' > constraints.txt

# Searches every proof of the library again, stores the certificates, and renews the bound fields of proofs.md.
certificates: $(STAMP)
	$(BIN)/python -m theory.theorems.certificates
	$(BIN)/python docs/proofs.py

# The prover's figures: how many of the corpus' true claims it proves and of the false ones it refutes.
soundness: $(STAMP)
	$(BIN)/python -m tests.soundness

# On a machine with a CUDA device: its tests, every case of every theorem trained there, and the studies at the papers' scale.
gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu
	mkdir -p results
	$(BIN)/closedflow verify --all --device cuda --json results/verify-cuda.json
	$(BIN)/closedflow verify --all --device cuda --dtype float32 --json results/verify-cuda-float32.json
	$(BIN)/python benchmarks/ensemble.py --device cuda > results/ensemble-cuda.txt
	$(BIN)/closedflow study --all --scale paper --device cuda --report results/studies-cuda.html

# The picture in the README, from a fresh run.
picture: $(STAMP)
	$(BIN)/python docs/picture.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
