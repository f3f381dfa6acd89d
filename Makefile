# A thin front for people: every target calls a cmake preset (CMakePresets.json) or a script in tools/.
#
#   make            build/dobby                    make check      all tests and checks
#   make demo       summarise Dobby's own source   make tidy       layers, banned calls, formatting
#   make install    to PREFIX (/usr/local)         make help       the rest

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

.DEFAULT_GOAL := build/dobby
.PHONY: build/dobby
build/dobby: build/build.ninja ## the program, optimised (the default)
	@cmake --build --preset release --target dobby

build/build.ninja: CMakeLists.txt CMakePresets.json
	@cmake --preset release

.PHONY: demo
demo: build/dobby ## ingest and summarise src/ into a fresh database under build/
	@tools/demo

.PHONY: check
check: ## install what the tests need, build with gcc and clang, run everything
	@tools/setup --check
	@tools/check

.PHONY: test
test: ## the tests alone, optimised gcc build
	@tools/check gcc

.PHONY: chaos
chaos: ## the chaos tests in full: kills, full disks, locks, clock jumps (make check runs their short form)
	@tools/check chaos

.PHONY: check-asan check-ubsan check-tsan check-clang
check-asan check-ubsan check-tsan check-clang: ## the tests under one sanitizer, or built by clang
	@tools/check $(@:check-%=%)

.PHONY: tidy
tidy: ## layers, foreign headers, banned calls, formatting, headers that compile alone
	@tools/tidy

.PHONY: format
format: ## clang-format on every source file
	@tools/tidy --fix

.PHONY: coverage
coverage: ## line coverage of src/, by file, and build/coverage/index.html
	@tools/coverage

.PHONY: fuzz
fuzz: ## every fuzzer for FUZZ_SECONDS (60) over its corpus
	@tools/fuzz $(FUZZ_SECONDS)

.PHONY: bench
bench: build/dobby ## records and tokens a second on Dobby's own source
	@bench/summarise

.PHONY: docs
docs: build/dobby ## write docs/errors.md and docs/commands.md from the program itself
	@cmake --build --preset release --target dobby_errors
	@build/bin/dobby_errors > docs/errors.md
	@tools/commands_doc build/dobby > docs/commands.md

.PHONY: install
install: build/dobby ## to $(DESTDIR)$(PREFIX)
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)"

.PHONY: clean
clean: ## remove build/
	@rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z].*:.*## / { printf "  %-44s %s\n", $$1, $$2 }' Makefile
