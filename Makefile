# Everything starts here: `make` alone says what there is. Needs make and Python 3.11 to 3.14, nothing else.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
STUDY  ?= notebooks/studies/default.toml
OUT    ?= reports

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One thread of linear algebra a process: the processes themselves are the parallel part, and sums add up the
# same way in every run.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export VECLIB_MAXIMUM_THREADS := 1
export NUMEXPR_NUM_THREADS := 1

BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(VENV)/$(BIN)/python
# The environment is good as long as these stamps are there. They carry checksums: another lock makes the
# environment anew, another place or another pyproject.toml installs the package again, a date changes nothing.
LOCKED  := $(VENV)/locked-$(shell cksum < requirements.lock | cut -d' ' -f1)
PACKAGE := $(LOCKED)-package-$(shell (pwd; cat pyproject.toml) | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help report gallery replicate test lint lab bench bench-residual bench-influence bench-peers coverage env lock clean

help: ## Say what there is
	@echo "make TARGET [PYTHON=python3.13] [VENV=.venv] [JOBS=2]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

report: $(PACKAGE) ## Set up, run the study on the shipped data, write reports/index.html (STUDY=..., OUT=...)
	@$(RUN) -m lmmtools report $(STUDY) --out $(OUT)

gallery: $(PACKAGE) ## Draw every picture of the package beside the line that makes it, write reports/gallery/
	@$(RUN) -m lmmtools report notebooks/studies/gallery.toml --out $(OUT)/gallery $(ARGS)

replicate: $(PACKAGE) ## Compute published numbers again beside their sources, write reports/replication/ (ARGS=...)
	@$(RUN) -m lmmtools replicate --out $(OUT)/replication --jobs $(JOBS) $(ARGS)

test: $(PACKAGE) ## Set up and run every test on two cores
	@$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(PACKAGE) ## Check modules and notebooks with ruff
	@$(RUN) -m ruff check .

lab: $(PACKAGE) ## Open JupyterLab on the notebooks
	@$(RUN) -m jupyter lab notebooks/

bench: $(PACKAGE) ## Time lmmtools beside the engines found here, write benchmarks/RESULTS.md (POSIX only)
	@$(RUN) -m benchmarks.run $(ARGS)

bench-residual: $(PACKAGE) ## Time residual structures beside nlme, write benchmarks/RESIDUAL.md (R with nlme needed; POSIX only)
	@$(RUN) -m benchmarks.residual --write $(ARGS)

bench-influence: $(PACKAGE) ## Time the deletion of every row and of every level
	@$(RUN) -m benchmarks.influence $(ARGS)

bench-peers: ## Install the Python engines that `make bench` compares with, in an environment of their own (POSIX only)
	@$(PYTHON) -m venv --clear benchmarks/.venv-peers
	@while read -r peer; do \
	   echo "installing $$peer"; \
	   benchmarks/.venv-peers/$(BIN)/python -m pip install --quiet --only-binary :all: $$peer \
	   || echo "$$peer cannot be installed here: the benchmark goes without it"; \
	 done < benchmarks/peers.txt
	@mkdir -p benchmarks/.openblas && cd benchmarks/.openblas \
	 && { apt-get download libopenblas0-pthread && dpkg -x libopenblas0-pthread_*.deb .; } > /dev/null 2>&1 \
	 || echo "no OpenBLAS unpacked for lme4, which will have R's own BLAS unless the system has one"

env: $(PACKAGE) ## Set up the environment and nothing else

coverage: $(PACKAGE) ## Simulate how often intervals hold the truth, write docs/coverage.md
	@$(RUN) -m benchmarks.coverage --workers $(JOBS) $(ARGS)

lock: ## Write requirements.lock anew from pyproject.toml (newest versions; needs the package index)
	@$(PYTHON) -m venv --clear $(VENV)-lock
	@$(VENV)-lock/$(BIN)/python -m pip install --quiet uv
	@$(VENV)-lock/$(BIN)/python -m uv pip compile pyproject.toml --quiet --upgrade --universal \
	   --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url \
	   --only-binary :all: --extra lab --extra test --group build \
	   --custom-compile-command "make lock" --output-file requirements.lock
	@rm -rf $(VENV)-lock

clean: ## Remove the environments and caches (reports stay)
	@if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	@rm -rf benchmarks/.venv-peers benchmarks/.openblas benchmarks/.cases build dist .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(LOCKED):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 14) else "$(PYTHON) is Python %d.%d; lmmtools needs 3.11 to 3.14: make PYTHON=python3.13, say." % v)'
	@echo "Making the environment in $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
	@touch $@

$(PACKAGE): $(LOCKED)
	@$(RUN) -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@rm -f $(LOCKED)-package-*
	@touch $@
