# The one task runner, for people and for CI. Every target makes its own environment first.
# Other interpreters: make test PYTHON=python3.13 VENV=.venv313

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
.NOTPARALLEL:
.DEFAULT_GOAL := help

# A pyenv shim may exist for a version that is not installed, so ask each candidate.
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for p in python3.11 python3 python3.13 python3.12; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif
VENV ?= .venv
PY := $(VENV)/bin/python
PYTEST ?= $(PY) -m pytest
# The suite: workers share the tests, in random order. A seed repeats an order: make test SEED=1234
WORKERS ?= 2
SUITE = -n $(WORKERS) --dist worksteal $(if $(SEED),--randomly-seed=$(SEED))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport FASTGRAD_BUILD FASTGRAD_ID_BITS FASTGRAD_CHUNK_SHIFT PYTHONPATH  # the target says which build
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1767225600)

HAND_WRITTEN_C := $(shell grep -rL --include='*.[ch]' 'Written by tools/ops/' src)
NATIVE := setup.py pyproject.toml $(shell find src -name '*.[chp]*')
PURE := $(shell find fastgrad -name '*.py' -o -name '*.pyi' -o -name '*.txt' 2>/dev/null)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile

# ---- environment: a stamp per extra, renewed when pyproject.toml changes; nothing is fetched that is already there

requirements = $(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))$(1))'

$(VENV)/.tools: pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q $$($(call requirements,["build-system"]["requires"]))
	touch $@

$(VENV)/.extra-%: $(VENV)/.tools
	$(PY) -m pip install -q --no-build-isolation -e '.[$*]'
	touch $@

# ---- builds: the release build lives in place, every other variant in a tree of its own (names: see setup.py)

$(VENV)/.built: $(VENV)/.tools $(NATIVE)
	$(PY) setup.py -q build_ext --inplace
	touch $@

word = $(subst -, ,$*)
build/lib-%/.built: $(VENV)/.tools $(NATIVE) $(PURE)
	mkdir -p $(@D) && find $(@D) -name '*.py*' -type f -delete
	FASTGRAD_BUILD=$(firstword $(word)) FASTGRAD_ID_BITS=$(patsubst id%,%,$(filter id%,$(word))) \
	FASTGRAD_CHUNK_SHIFT=$(patsubst chunk%,%,$(filter chunk%,$(word))) $(PY) setup.py -q build --build-lib $(@D)
	touch $@

build: $(VENV)/.built  ## compile in place
debug: build/lib-debug/.built  ## compile with assertions and symbols: PYTHONSAFEPATH=1 PYTHONPATH=build/lib-debug
annotate: $(VENV)/.tools  ## Cython's annotated HTML, in build/cython-annotate
	FASTGRAD_BUILD=annotate $(PY) setup.py -q --version
ops: $(VENV)/.tools  ## regenerate what derives from the tables of operations and optimizers
	$(PY) tools/ops/generate.py
ops-check: $(VENV)/.tools  ## fail when `make ops` has been forgotten
	$(PY) tools/ops/generate.py --check

# zig is a download of 100 MB: what it makes is committed, and the check does without it where it must.
wasm: $(VENV)/.extra-wasm  ## compile fastgrad/pages/engine.wasm, the tape core for pages
	$(PY) tools/pages/engine.py
wasm-check: $(VENV)/.tools  ## fail when `make wasm` has been forgotten
	$(PY) tools/pages/engine.py --check

# ---- running

# 5 is pytest's status when it selected no test.
NONE_IS_FINE := || [ $$? -eq 5 ]

demo: $(VENV)/.extra-demo build  ## the moons demo
	$(PY) -m fastgrad demo

test: $(VENV)/.extra-test build  ## the test suite; TESTS=tests/test_smoke.py: a part of it
	FASTGRAD_EXPECT=release $(PYTEST) $(SUITE) $(TESTS)
test-slow: $(VENV)/.extra-test build  ## the tests that take longer than ten seconds
	$(PYTEST) -m slow $(NONE_IS_FINE)
test-unprivileged: $(VENV)/.extra-test build  ## some tests as nobody, from a read-only checkout, without git and HOME
	$(PY) tools/checks/unprivileged.py

# What installs programs that are no Python packages, Debian's Chromium and Open MPI, for root;
# `.ci/run` names none, so that its steps say SKIPPED where they are not.
APT ?= apt-get

test-browser: $(VENV)/.extra-test build  ## pages in Chromium, headless
	@command -v chromium google-chrome >/dev/null || { test "$$(id -u)" = 0 && command -v $(APT) >/dev/null && \
	  $(APT) -qq update && $(APT) -qq install -y chromium >/dev/null; } || true; \
	if command -v chromium google-chrome >/dev/null; then \
	  if $(MAKE) --no-print-directory $(VENV)/.extra-browser; then $(PYTEST) -m browser tests/pages; \
	  else echo "test-browser: SKIPPED, the extra browser cannot be installed"; fi; \
	else echo "test-browser: SKIPPED, no chromium on PATH"; fi

test-clusters: $(VENV)/.extra-test build  ## executors on Dask and MPI themselves
	@command -v mpirun >/dev/null || { test "$$(id -u)" = 0 && command -v $(APT) >/dev/null && \
	  $(APT) -qq update && $(APT) -qq install -y --no-install-recommends openmpi-bin >/dev/null; } || true; \
	mpi=$$(if command -v mpirun >/dev/null; then echo $(VENV)/.extra-mpi; fi); \
	test -n "$$mpi" || echo "test-clusters: no mpirun on PATH: its test is SKIPPED"; \
	$(MAKE) --no-print-directory $(VENV)/.extra-dask $$mpi >/dev/null 2>&1 || \
	  echo "test-clusters: an extra, dask or mpi, cannot be installed: its tests are SKIPPED"; \
	$(PYTEST) -m cluster tests/train/test_clusters.py

# A variant shadows the installed package. PYTHONSAFEPATH keeps this directory, which holds the release build, off sys.path.
variant = env PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/build/lib-$(1)" FASTGRAD_EXPECT=$(1)

test-%: $(VENV)/.extra-test build/lib-%/.built
	$(call variant,$*) $(PYTEST) $(SUITE)
test-narrow: test-release-id8  ## the suite with 8-bit node ids

# What is written in Python alone knows no chunks.
CHUNK_TESTS := $(addprefix tests/,base files graph memory ops tape train test_smoke.py)
test-small: $(VENV)/.extra-test build/lib-release-chunk2/.built  ## what makes nodes, with four of them to a chunk
	$(call variant,release-chunk2) $(PYTEST) $(SUITE) $(CHUNK_TESTS)

# pytest must not capture the descriptors, or a report would die with the process that it ends.
# libstdc++ is there from the start, or AddressSanitizer does not find what C++ extensions throw with.
sanitize: $(VENV)/.extra-test build/lib-sanitize/.built  ## the suite under AddressSanitizer and UBSan
	$(call variant,sanitize) PYTHONMALLOC=malloc \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 $(PYTEST) --capture=sys

valgrind: $(VENV)/.extra-test build/lib-valgrind/.built  ## what uses memory in the trickiest ways, under memcheck
	$(call variant,valgrind) $(PY) tools/checks/memcheck.py build/memcheck

faults: $(VENV)/.extra-test  ## plant each fault of tools/faults/ in a copy: the suite must catch it
	$(PY) tools/faults/plant.py

# A debug interpreter counts all references; it has an environment and a build of its own, with assertions.
# It also shows the warnings that its pip causes: hence PYTHONWARNINGS.
DEBUG_VENV := .venv-pydebug
find_debug = for p in $(DEBUG_PYTHON) python3-dbg python3.1{1..5}-dbg python3.1{1..5}d; do \
               $$p -c 'import sys; sys.gettotalrefcount(), sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done
refleaks:  ## tests repeated by a debug interpreter: no reference is left behind
	@python=$$($(find_debug)) || true; export PYTHONWARNINGS=ignore; \
	if test -n "$$python"; then $(MAKE) --no-print-directory refleaks-found PYTHON=$$python VENV=$(DEBUG_VENV); \
	else echo "refleaks: SKIPPED, no debug interpreter; install python3-dbg, or name one: make refleaks DEBUG_PYTHON=..."; fi
refleaks-found: $(VENV)/.tools $(NATIVE) $(PURE)
	$(PY) -m pip install -q $$($(call requirements,["project"]["optional-dependencies"]["test"]))
	FASTGRAD_BUILD=debug $(PY) setup.py -q build --build-lib build/lib-pydebug
	env -u PYTHONWARNINGS PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/build/lib-pydebug:$(CURDIR)/tests" FASTGRAD_EXPECT=debug $(PYTEST) -q -p helpers.refleaks -m "not slow and not nightly and not browser and not cluster and not wide"

# The suite as `make test` runs it, under coverage: .ci/run has no other run of it.
# Narrow ids reach the lines that speak of overflow.
NARROW_TESTS := tests/memory/test_overflow.py tests/graph/test_arena_check.py

cov: $(VENV)/.extra-test build/lib-coverage/.built build/lib-coverage-id8/.built  ## coverage: 100 % of Python's branches, 98 % of native lines
	find build/coverage build/coverage-id8 -name '*.gcda' -delete; rm -f .coverage*
	$(call variant,coverage) $(PY) -m coverage run -m pytest $(SUITE)
	$(call variant,coverage-id8) $(PYTEST) -q $(NARROW_TESTS)
	find . -maxdepth 1 -name '.coverage.*' -empty -delete  # of children that were killed
	$(PY) -m coverage combine -q && $(PY) -m coverage report
	$(PY) tools/checks/native_coverage.py 98 build/coverage build/coverage-id8

# ---- speed: benchmarks/ says how; PEERS is the environment of the libraries that fastgrad is timed beside

PEERS := .venv-peers
BENCH := $(VENV)/.extra-bench build
RESULTS := benchmarks/results/latest.json

bench: $(BENCH)  ## time this machine; rewrite README's table, docs/benchmarks.md and its picture
	$(PY) -m benchmarks.run --json $(RESULTS)
	$(PY) -m benchmarks.report $(RESULTS)
bench-peers: $(BENCH) $(PEERS)/.installed  ## the same, beside PyTorch, JAX, XAD, CasADi, autograd
	$(PY) -m benchmarks.run --json $(RESULTS)
	$(PY) -m benchmarks.report $(RESULTS)
pictures: $(VENV)/.extra-viz build  ## redraw the pictures of docs/pictures.md, and those of the stored times
	$(PY) tools/pictures.py
	$(PY) -m benchmarks.report --pictures
docs: $(VENV)/.extra-docs build  ## the documentation as a site, in build/site: no warning, no request to another host
	rm -rf build/site
	$(PY) docs/sources.py build/docs
	$(PY) -m sphinx -W --keep-going -q build/docs build/site
	$(PY) tools/checks/site.py build/site
bench-compare: $(BENCH)  ## this tree against BASE=<git revision>, in alternation; ENGINE=fastgrad_tape: tapes
	$(PY) -m benchmarks.compare $(or $(BASE),HEAD) --engine $(or $(ENGINE),fastgrad)
bench-micro: $(BENCH)  ## each operation, sweep, call by itself: pytest-benchmark
	$(PYTEST) -o addopts= benchmarks/test_micro.py --benchmark-columns=median,iqr,rounds
instructions: $(BENCH)  ## instruction counts of six programs against the stored ones (valgrind)
	$(PY) -m benchmarks.instructions
instructions-update: $(BENCH)
	$(PY) -m benchmarks.instructions --update

# One at a time: what has no wheel for this machine leaves a gap in the table.
$(PEERS)/.installed: benchmarks/peers.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	grep -v '^#' $< | while read -r peer; do \
	  $(PEERS)/bin/python -m pip install -q "$$peer" || echo "not installed: $$peer"; done
	touch $@

# ---- checks

lint: $(VENV)/.extra-lint build  ## ruff, clang-format, cython-lint, codespell, mypy, stubtest
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/clang-format --dry-run -Werror $(HAND_WRITTEN_C)
	PATH="$(abspath $(VENV))/bin:$$PATH" cython-lint src  # it looks for pycodestyle on PATH
	$(VENV)/bin/codespell
	$(PY) -m mypy
	$(PY) -m mypy.stubtest fastgrad --mypy-config-file pyproject.toml \
		--allowlist tools/checks/stubtest_allowlist.txt --ignore-unused-allowlist

wheel: $(VENV)/.extra-release  ## a wheel in dist/, checked: contents, symbols, same bytes twice, import in an empty environment
	rm -rf dist && $(PY) -m build --no-isolation --sdist --wheel --outdir dist >/dev/null
	$(PY) tools/checks/wheel.py dist

# zig is a download of 100 MB, so these two are nightly. TARGETS: parts of names, such as "aarch64 cp313".
wheels: $(VENV)/.extra-wheels  ## portable wheels in dist/ for each CPython found, each checked and tried
	$(PY) tools/checks/wheels.py dist $(TARGETS)
cross-check: $(VENV)/.extra-wheels $(VENV)/.extra-test build  ## compile the hand-written C for other systems: no warning, the same bits
	$(PY) tools/checks/cross.py
	$(PY) tools/checks/bits.py

# Rooms that read the package's files; `make wheel-test` runs the whole suite on what is installed.
SDIST_TESTS := $(addprefix tests/,command files models nn project test_smoke.py)
sdist-test: $(VENV)/.tools  ## tests against an installed sdist, the source tree out of sight
	$(PY) tools/checks/sdist.py $(SDIST_TESTS)

wheel-test: $(VENV)/.tools  ## the suite against a wheel of each CPython on this machine, the source tree out of sight
	$(PY) tools/checks/pythons.py $(PYTHONS)

ci:  ## everything a change must pass
	@.ci/run

nightly: test-browser test-clusters ci test-slow test-narrow sanitize valgrind refleaks wheel-test wheels wasm-check cross-check docs $(VENV)/.extra-nightly build  ## and everything that takes longer
	HYPOTHESIS_PROFILE=nightly $(PYTEST)
	HYPOTHESIS_PROFILE=nightly $(PYTEST) -m nightly
	$(MAKE) faults

clean:  ## remove what was built; `rm -r .venv` removes the environment
	rm -rf build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f fastgrad/*.so $(VENV)/.built
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

.PHONY: help build debug annotate ops ops-check wasm wasm-check demo test test-slow test-browser test-clusters test-unprivileged test-small test-narrow sanitize faults valgrind refleaks refleaks-found cov bench bench-peers pictures docs bench-compare bench-micro instructions instructions-update lint wheel wheels cross-check sdist-test wheel-test ci nightly clean
