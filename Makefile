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
# Warnings are errors in CI. They are not for users, who may have another compiler, nor with sanitizers, whose code makes gcc warn
# wrongly.
WERROR ?= $(if $(CI),true,false)
ifneq (,$(SANITIZE))
override WERROR := false
endif
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 20
TARGET ?=
TESTS ?=
ONLY ?=
GOAL ?= product
ARGS ?= serve --root ./demo-bucket
DEMO ?=
TORCH ?=
WRITE ?=
COMMA := ,

options = --prefix=$(PREFIX) -Dwerror=$(WERROR) $(MESON_OPTIONS)
ifneq (,$(SANITIZE))
options += --buildtype=debugoptimized -Db_sanitize=$(SANITIZE) -Db_lundef=false
endif

.PHONY: build run demo check check-all check-daemons check-arm64 check-avx512 check-abi check-build check-unit check-asan check-python check-surroundings bench bench-embed bench-faiss bench-kmeans bench-cache bench-scan bench-python wheel fuzz lint format install \
	clean distclean help clean-room tools tools-clang tools-arm64 tools-avx512 tools-daemons tools-bench tools-all model hooks

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

check-build: model ## check without the tests of the repository itself, for a second compiler
	@$(MAKE) build GOAL=all
	@scripts/check --no-tree $(BUILD)

check-unit: model ## the C tests alone
	@$(MAKE) build GOAL=all
	@scripts/check --unit $(BUILD)

check-asan: ## check with the address and undefined-behaviour sanitizers (others: SANITIZE=…)
	@$(MAKE) check-build SANITIZE=address,undefined

check-daemons: tools-daemons model ## the tests that start Debian's own Redis and PostgreSQL
	@$(MAKE) build GOAL=all
	@scripts/check --daemons $(BUILD)

check-python: model ## build the Python package's wheel and test it in a fresh venv
	@$(MAKE) build
	@wheel=$$(scripts/build-wheel build/dist) && scripts/check --wheel "$$wheel" $(BUILD)

check-surroundings: model ## run a quick part of the tests in other surroundings: signals, locale, user, … (ONLY="umask-000")
	@$(MAKE) build GOAL=all
	@scripts/venv
	@scripts/check-surroundings $(addprefix --only ,$(ONLY)) $(BUILD)

check-arm64: tools-arm64 model ## build for arm64, test the build emulated, and compare it with the native program
	@scripts/arm64-sysroot
	@$(MAKE) build BUILD=build CC=gcc SANITIZE=
	@scripts/configure build-arm64 --cross-file build/arm64-sysroot/cross.ini --cross-file scripts/cross/aarch64.ini \
		-Dwerror=$(WERROR) $(MESON_OPTIONS)
	@ninja -C build-arm64 $(if $(V),-v) -j $(JOBS) all
	@scripts/check-arm64 build-arm64 build

check-avx512: tools-avx512 model ## test the kernels on an emulated processor with AVX-512 (TESTS="test_scan": only these)
	@$(MAKE) build
	@scripts/check-avx512 --build $(BUILD) $(TESTS)

check-all: tools-all model ## check, then the tests with browsers and servers
	@$(MAKE) build GOAL=all
	@scripts/check --all $(BUILD)

bench: model ## print the benchmarks
	@$(MAKE) build
	@meson test -C $(BUILD) --benchmark --verbose --num-processes 1

wheel: model ## make the Python package's wheel, dist/dipper_search-….whl
	@scripts/build-wheel

bench-python: model ## measure the cost of calls from Python (WRITE=1: into docs/)
	@$(MAKE) build GOAL="product python-package bench/bench_calls.so"
	@scripts/venv
	@build/venv/bin/python bench/python_overhead.py --build $(BUILD) $(if $(WRITE),--write)

bench-embed: model ## compare embedding with ONNX Runtime (TORCH=1: sentence-transformers too; WRITE=1: into docs/)
	@$(MAKE) build
	@scripts/venv --bench$(if $(TORCH),-torch)
	@[ -f build/onnx/all-MiniLM-L6-v2/onnx/model_int8.onnx ] || build/bench-venv/bin/python bench/export_onnx.py \
		models/all-MiniLM-L6-v2 build/onnx/all-MiniLM-L6-v2
	@build/bench-venv/bin/python bench/embed_vs.py --build $(BUILD) \
		--peers onnx,tokenizers$(if $(TORCH),$(COMMA)torch) $(if $(WRITE),--write)

bench-kmeans: model ## compare clustering with faiss-cpu (WRITE=1: into docs/)
	@$(MAKE) build GOAL="dipper bench/bench_kmeans"
	@scripts/venv
	@build/venv/bin/python bench/kmeans_vs.py --build $(BUILD) $(if $(WRITE),--write)

bench-cache: tools-bench model ## measure cached embeddings with wrk and Redis (WRITE=1: into docs/)
	@$(MAKE) build
	@python3 bench/cache_bench.py --build $(BUILD) $(if $(WRITE),--write)

bench-scan: ## compare scanning FAISS files with faiss-cpu (WRITE=1: into docs/; ARGS="--cases flat,sq8")
	@$(MAKE) build
	@scripts/venv
	@build/venv/bin/python bench/scan_vs.py --build $(BUILD) $(if $(filter command%,$(origin ARGS)),$(ARGS)) \
		$(if $(WRITE),--write)

bench-faiss: model ## compare FAISS files in place with curl and LanceDB, on MinIO (needs Go; WRITE=1: into docs/)
	@$(MAKE) build GOAL="product tests/s3_tool"
	@scripts/peers build minio toxiproxy
	@scripts/venv --bench-faiss
	@build/bench-venv/bin/python bench/faiss_vs.py --build $(BUILD) $(if $(WRITE),--write)

fuzz: tools-clang ## run the fuzz targets (FUZZ_SECONDS=20 each; TARGET=fuzz_json: only that one)
	@CC=clang scripts/configure build-fuzz --buildtype=debugoptimized -Db_lundef=false -Dfuzz=true $(MESON_OPTIONS)
	@ninja -C build-fuzz -j $(JOBS) fuzzers
	@scripts/fuzz build-fuzz $(FUZZ_SECONDS) $(TARGET)

lint: tools-clang ## clang-tidy, clang-format, layers, names in comments, shellcheck, nothing outside the repository
	@$(MAKE) build CC=clang GOAL=all
	@scripts/lint build-clang

check-abi: tools-clang ## compare libdipper.so's binary interface with the recorded one (WRITE=1: record it)
	@$(MAKE) build BUILD=build-abi CC=gcc SANITIZE= GOAL=library \
		MESON_OPTIONS="--buildtype=debug -Dpython=disabled $(MESON_OPTIONS)"
	@scripts/check-abi $(if $(WRITE),--write) build-abi

format: tools-clang ## format the C sources in place
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

install: build ## install program, library and header (PREFIX=/usr/local, DESTDIR=)
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")
	@if [ -z "$(DESTDIR)" ] && [ -w /etc/ld.so.cache ]; then /sbin/ldconfig; fi

clean: ## remove builds (models, demo-bucket and downloads in build/ stay)
	@rm -rf build-*
	@if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name venv ! -name wheel-venv ! -name peers ! -name onnxruntime \
		! -name arm64-sysroot ! -name avx512-machine -exec rm -rf {} +; fi

distclean: ## remove everything that is not in git: builds, models, venv, demo
	@rm -rf build build-* models demo-bucket dist

clean-room: tools-all ## prove make check and make demo in a fresh Debian 12 (root, debootstrap)
	@scripts/clean-machine-test

hooks: ## format commits: installs scripts/pre-commit as this clone's git hook
	@ln -sf ../../scripts/pre-commit "$$(git rev-parse --git-dir)/hooks/pre-commit"

tools:
	@scripts/setup $(if $(filter clang%,$(compiler)),--clang) --quiet

tools-clang:
	@scripts/setup --clang --quiet

tools-arm64:
	@scripts/setup --arm64 --quiet

tools-avx512:
	@scripts/setup --avx512 --quiet

tools-daemons:
	@scripts/setup --daemons --quiet

tools-bench:
	@scripts/setup --bench --quiet

tools-all:
	@scripts/setup --all --quiet

model: tools ## get all-MiniLM-L6-v2 into models/ (every target that needs it does)
	@scripts/fetch-model

help:
	@echo "make                build Dipper with $(CC) into $(BUILD)/"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf 'make %-14s %s\n' "$$name" "$$what"; done
	@echo
	@echo "settings: CC=clang  SANITIZE=address,undefined  WERROR=true  JOBS=N  V=1  MESON_OPTIONS='-D…'"
