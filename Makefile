# Short names for Meson and the scripts. Each target first installs the tools that it needs (scripts/setup).
# `make help` lists the targets and the settings.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# Each compiler and each kind of build has its own build folder, so that builds never disturb one another.
ifneq (,$(filter default undefined,$(origin CC)))
CC := gcc
endif
compiler := $(notdir $(firstword $(CC)))
BUILD ?= build$(if $(filter cc gcc,$(compiler)),,-$(compiler))$(if $(SANITIZE),-asan)

PREFIX ?= /usr/local
DESTDIR ?=
# By default warnings are errors in CI only, because users may have another compiler. They are never errors with gcc's sanitizers, because
# the code that these add causes false warnings.
WERROR ?= $(if $(CI),true,false)
ifneq (,$(SANITIZE))
ifeq (,$(filter clang%,$(compiler)))
override WERROR := false
endif
endif
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 20
SEED ?= 1
KILLS_SECONDS ?= 60
RACE_SECONDS ?= 60
HISTORIES ?= 20000
TRACE ?=
TARGET ?=
TESTS ?=
ONLY ?=
GOAL ?= product
ARGS ?= serve --root ./demo-bucket
DEMO ?=
WHAT ?=
TORCH ?=
WRITE ?=
COMMA := ,

options = --prefix=$(PREFIX) -Dwerror=$(WERROR) $(MESON_OPTIONS)
ifneq (,$(SANITIZE))
options += --buildtype=debugoptimized -Db_sanitize=$(SANITIZE) -Db_lundef=false
# clang's build with the sanitizers also serves make fuzz and make lint: one compilation for the three.
options += $(if $(filter clang%,$(compiler)),$(if $(findstring address,$(SANITIZE)),-Dfuzz=true))
endif
# How the targets below name that build.
checked := BUILD=build-clang-asan CC=clang SANITIZE=address,undefined

.PHONY: build run demo check check-unit check-asan check-tsan check-daemons check-python check-surroundings check-models simulation \
	large-segment kills chaos check-arm64 check-avx512 check-abi check-all clean-room lint format fuzz bench wheel install clean distclean hooks tools model help

build: tools
	@CC="$(CC)" scripts/configure $(BUILD) $(options)
	@ninja -C $(BUILD) $(if $(V),-v) -j $(JOBS) $(GOAL)

run: build ## start the program (ARGS="serve --root ./demo-bucket")
	@$(BUILD)/dipper $(ARGS)

demo: model ## index this machine's Debian packages, ask, serve (DEMO=--once: then end)
	@$(MAKE) build
	@DIPPER=$(BUILD)/dipper scripts/demo $(DEMO)

check: model ## build and pass the tests that need no server (under 10 minutes on 2 cores)
	@$(MAKE) build GOAL=all
	@scripts/check $(BUILD)

check-unit: model ## the C tests alone
	@$(MAKE) build GOAL=all
	@scripts/check --unit $(BUILD)

check-asan: model ## the tests with clang's address and undefined-behaviour sanitizers (QUICK=1: fewer that drive the program)
	@$(MAKE) build $(checked) GOAL=all
	@scripts/check --no-tree $(if $(QUICK),--quick) build-clang-asan

check-tsan: model ## the C tests of code with threads, and a busy server, with clang's thread sanitizer (RACE_SECONDS=60)
	@setarch -R $(MAKE) build BUILD=build-clang-tsan CC=clang SANITIZE=thread
	@RACE_SECONDS=$(RACE_SECONDS) scripts/check-tsan build-clang-tsan

check-daemons: model ## the tests that start Debian's own Redis and PostgreSQL
	@$(MAKE) tools FOR=daemons
	@$(MAKE) build GOAL=all
	@scripts/check --daemons $(BUILD)

check-python: model ## build the Python package's wheel and test it in a fresh venv
	@$(MAKE) build
	@wheel=$$(scripts/build-wheel build/dist) && scripts/check --wheel "$$wheel" $(BUILD)

check-surroundings: model ## run a quick part of the tests in other surroundings: signals, locale, user, … (ONLY="umask-000")
	@$(MAKE) build GOAL=all
	@scripts/venv
	@scripts/check-surroundings $(addprefix --only ,$(ONLY)) $(BUILD)

check-models: ## search all models of the log, with Spin too (10 to 20 minutes; tests/models/README.md)
	@$(MAKE) tools FOR=all
	@tests/models/run.py
	@tests/models/run_spin.py

simulation: ## run random histories of namespaces in a simulated world (SEED=1 HISTORIES=20000; TRACE=1: one, step by step)
	@$(MAKE) build GOAL=tests/simulation
	@$(BUILD)/tests/simulation $(if $(TRACE),--trace) $(SEED) $(HISTORIES)

large-segment: ## print what the sections of a segment of ROWS=4000000 rows and 50 attributes take; the hot part must have room
	@$(MAKE) build GOAL=tests/test_index_large_segment
	@LARGE_SEGMENT_ROWS=$(or $(ROWS),4000000) $(BUILD)/tests/test_index_large_segment

check-arm64: model ## build for arm64 and run the C tests emulated (FULL=1: also compare with the native program)
	@$(MAKE) tools FOR=arm64
	@scripts/arm64-sysroot
	@$(if $(FULL),$(MAKE) build BUILD=build CC=gcc SANITIZE=)
	@scripts/configure build-arm64 --cross-file build/arm64-sysroot/cross.ini --cross-file scripts/cross/aarch64.ini \
		-Dwerror=$(WERROR) $(MESON_OPTIONS)
	@ninja -C build-arm64 $(if $(V),-v) -j $(JOBS) all
	@scripts/check-arm64 build-arm64 $(if $(FULL),build)

check-avx512: model ## test the kernels on an emulated processor with AVX-512 (TESTS="test_scan": only these)
	@$(MAKE) tools FOR=avx512
	@$(MAKE) build
	@scripts/check-avx512 --build $(BUILD) $(TESTS)

kills: model ## kill writers, readers and folders of one folder at random, and check every answer (KILLS_SECONDS=60 SEED=1)
	@$(MAKE) build
	@root=$$(mktemp -d) && tests/e2e/kill_processes.py $(abspath $(BUILD))/dipper $$root --seconds $(KILLS_SECONDS) --seed $(SEED) && rm -r $$root

chaos: model ## let PostgreSQL, Redis and the store fail under a server, one by one and together (CHAOS_SECONDS=6; 7 minutes)
	@$(MAKE) tools FOR=daemons
	@$(MAKE) build
	@scripts/peers build minio toxiproxy && scripts/venv
	@build/venv/bin/python tests/chaos/chaos.py --build $(BUILD) $(if $(CHAOS_SECONDS),--seconds $(CHAOS_SECONDS))
	@build/venv/bin/python tests/chaos/writes.py --build $(BUILD) $(if $(CHAOS_SECONDS),--seconds $(CHAOS_SECONDS))

check-all: model ## everything: the tests with browsers and servers, sanitizers, arm64, lint
	@$(MAKE) tools FOR=all
	@$(MAKE) build GOAL=all
	@scripts/clients
	@scripts/check --all $(BUILD)
	@$(MAKE) check-asan
	@$(MAKE) check-arm64 FULL=1
	@$(MAKE) lint

bench: model ## print the benchmarks; WHAT=embed, faiss, lance, clouds, scan, kmeans, merge, stage, filters, segments, words, cache, fairness, write, load, soak, reload or python compares (WRITE=1: into docs/)
	@$(MAKE) build GOAL="product $(bench_goal_$(WHAT))"
	@$(or $(bench_$(WHAT)),$(error WHAT=$(WHAT): say WHAT=embed, faiss, lance, clouds, scan, kmeans, merge, stage, filters, segments, words, cache, fairness, write, load, soak, reload or python))

# For each comparison: bench_goal_… is what it builds besides the product, and bench_… is its command.
write := $(if $(WRITE),--write)
bench_ := meson test -C $(BUILD) --benchmark --verbose --num-processes 1
bench_goal_python := python-package bench/bench_calls.so
bench_python := scripts/venv && build/venv/bin/python bench/python_overhead.py --build $(BUILD) $(write)
bench_embed := scripts/venv --bench$(if $(TORCH),-torch) && { [ -f build/onnx/all-MiniLM-L6-v2/onnx/model_int8.onnx ] || \
	build/bench-venv/bin/python bench/export_onnx.py models/all-MiniLM-L6-v2 build/onnx/all-MiniLM-L6-v2; } && \
	build/bench-venv/bin/python bench/embed_vs.py --build $(BUILD) \
		--peers onnx,tokenizers$(if $(TORCH),$(COMMA)torch) $(write)
bench_goal_kmeans := bench/bench_kmeans
bench_kmeans := scripts/venv && build/venv/bin/python bench/kmeans_vs.py --build $(BUILD) $(write)
bench_goal_merge := bench/bench_merge
bench_merge := scripts/venv && build/venv/bin/python bench/merge_vs.py --build $(BUILD) $(write)
bench_stage := scripts/venv && build/venv/bin/python bench/first_stage.py --build $(BUILD) $(write)
bench_filters := scripts/venv && build/venv/bin/python bench/filters.py --build $(BUILD) $(write)
bench_segments := scripts/venv && build/venv/bin/python bench/segments.py --build $(BUILD) $(write)
bench_goal_words := bench/bench_words
bench_words := cargo build --release --manifest-path bench/tantivy_words/Cargo.toml --target-dir $(BUILD)/bench/tantivy && \
	scripts/venv && build/venv/bin/python bench/words_vs.py --build $(BUILD) $(if $(filter command%,$(origin ARGS)),$(ARGS))
bench_cache := scripts/setup --bench --quiet && python3 bench/cache_bench.py --build $(BUILD) $(write)
bench_fairness := scripts/setup --bench --quiet && python3 bench/fairness.py --build $(BUILD) $(write)
bench_write := scripts/setup --bench --quiet && python3 bench/write_bench.py --build $(BUILD) $(write)
bench_soak := scripts/setup --bench --quiet && python3 bench/soak.py --build $(BUILD) $(write)
bench_reload := python3 bench/reload.py --build $(BUILD) $(write)
bench_load := scripts/setup --bench --quiet && python3 bench/load/load.py --build $(BUILD) $(write) && \
	python3 bench/load/overload.py --build $(BUILD) $(write) && python3 bench/load/open_loop.py --build $(BUILD) $(write) && \
	python3 bench/load/tls.py --build $(BUILD) $(write)
bench_scan := scripts/venv && build/venv/bin/python bench/scan_vs.py --build $(BUILD) \
	$(if $(filter command%,$(origin ARGS)),$(ARGS)) $(write)
bench_goal_faiss := tests/s3_tool
bench_faiss := scripts/peers build minio toxiproxy && scripts/venv --bench-faiss && \
	build/bench-venv/bin/python bench/faiss_vs.py --build $(BUILD) $(write)
bench_goal_clouds := bench/bench_puts
bench_clouds := scripts/peers build minio fake-gcs azurite toxiproxy && scripts/venv --bench-clouds && \
	build/bench-venv/bin/python bench/clouds.py --build $(BUILD) $(write)
bench_lance := (cd bench/slow_store && go build -buildvcs=false -o $(abspath $(BUILD))/bench/slow_store .) && scripts/venv --bench-faiss && \
	build/bench-venv/bin/python bench/lance_vs.py --build $(BUILD) $(write)

wheel: model ## make the Python package's wheel, dist/dipper_search-….whl
	@scripts/build-wheel

fuzz: model ## run the fuzz targets (FUZZ_SECONDS=20 each; TARGET=fuzz_json: only that one)
	@$(MAKE) build $(checked) GOAL=fuzzers
	@scripts/fuzz build-clang-asan $(FUZZ_SECONDS) $(TARGET)

lint: model ## clang-tidy, clang-format, layers, names in comments, shellcheck, nothing outside the repository
	@$(MAKE) build $(checked) GOAL=all
	@scripts/lint build-clang-asan

check-abi: ## compare libdipper.so's binary interface with the recorded one (WRITE=1: record it)
	@$(MAKE) tools FOR=clang
	@$(MAKE) build BUILD=build CC=gcc SANITIZE=
	@scripts/check-abi $(if $(WRITE),--write) build

format: ## format the C sources in place
	@$(MAKE) tools FOR=clang
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

install: build ## install program, library and header (PREFIX=/usr/local, DESTDIR=)
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")
	@if [ -z "$(DESTDIR)" ] && [ -w /etc/ld.so.cache ]; then /sbin/ldconfig; fi

clean: ## remove builds (models, demo-bucket and downloads in build/ stay)
	@rm -rf build-*
	@if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name venv ! -name wheel-venv ! -name peers ! -name clients ! -name onnxruntime \
		! -name arm64-sysroot ! -name avx512-machine -exec rm -rf {} +; fi

distclean: ## remove everything that is not in git: builds, models, venv, demo
	@rm -rf build build-* models demo-bucket dist

clean-room: ## prove make check and make demo in a fresh Debian 12 (root, debootstrap)
	@$(MAKE) tools FOR=all
	@scripts/clean-machine-test

hooks: ## format commits: installs scripts/pre-commit as this clone's git hook
	@ln -sf ../../scripts/pre-commit "$$(git rev-parse --git-dir)/hooks/pre-commit"

tools: ## install what building needs, or what FOR=clang|arm64|avx512|daemons|bench|all needs besides
	@scripts/setup $(addprefix --,$(or $(FOR),$(filter clang,$(compiler:clang%=clang)))) --quiet

model: tools ## get all-MiniLM-L6-v2 into models/ (every target that needs it does)
	@scripts/fetch-model

help:
	@echo "make                build Dipper with $(CC) into $(BUILD)/"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf 'make %-14s %s\n' "$$name" "$$what"; done
	@echo
	@echo "settings: CC=clang  SANITIZE=address,undefined  WERROR=true  JOBS=N  V=1  MESON_OPTIONS='-D…'"
