# Metergate. `make help` lists the targets; CI calls these and nothing else.
#
# The tree is the architecture: every src/<layer>/*.c becomes part of lib<layer>.a, and a program links the layers
# it stands on. A test driver links all layers, so the linker takes only what the test really needs.

PREFIX  ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
VERSION := 0.1.0

BUILD   ?= build/release
SAN     ?=
OPT     ?= -O2 -g
CC      ?= gcc
AR      := ar
# V=1 shows every command
Q       := $(if $(V),,@)
JOBS    := $(shell nproc 2>/dev/null || echo 2)

PKGS    := libmicrohttpd libcurl libcjson yaml-0.1 libcrypto libssl zlib libzstd sqlite3
# of the tool alone: the daemon has no screen
TOOLPKG := ncursesw
TESTPKG := cmocka
DEBS    := gcc make pkg-config libc6-dev libmicrohttpd-dev libcurl4-openssl-dev libcjson-dev libyaml-dev libssl-dev \
           zlib1g-dev libzstd-dev libsqlite3-dev libncurses-dev libcmocka-dev uthash-dev
LINTDEBS:= clang clang-tidy cppcheck

WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla \
           -Wformat=2 -Wconversion -Wno-sign-conversion -Wundef -Wpointer-arith
# What a distribution builds its daemons with, wherever this is built; `make hardening` looks at what came of it. Sanitizers have
# checks of their own in the same places. _FORTIFY_SOURCE=3 wants gcc 12 or clang 12, and optimisation.
HARDEN  := -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifeq ($(SAN),)
HARDEN  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
# Debian's start files lack the mark of CET, and one object without it takes it from the whole program: so it is given by force.
ifeq ($(shell uname -m),x86_64)
HARDEN  += -fcf-protection=full
HARDEN_LD := $(HARDEN_LD),-z,ibt,-z,shstk
endif
endif
CPPFLAGS += -D_GNU_SOURCE -DMETERGATE_VERSION='"$(VERSION)"' -Iinclude
CFLAGS  ?= $(OPT)
ALL_CFLAGS = -std=c11 $(CFLAGS) $(WARN) $(WERROR) $(HARDEN) $(SAN) -fno-common -MMD -MP $(PKG_CFLAGS)
ALL_LDFLAGS = $(HARDEN_LD) $(SAN) $(LDFLAGS)

# pkg-config is asked lazily, so that `make deps` and `make help` work where it is not installed yet.
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
TOOL_LIBS  = $(shell pkg-config --libs $(TOOLPKG) 2>/dev/null)
TEST_LIBS  = $(shell pkg-config --libs $(TESTPKG) 2>/dev/null)

LAYERS  := daemon proxy net ledger config dialect gate tokens base
obj      = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
LIBS    := $(foreach l,$(LAYERS),$(if $(wildcard src/$(l)/*.c),$(BUILD)/lib$(l).a))
# daemon/main.c holds main(), and wiping.c would be the free() of every test; everything else may be linked by them
LIB_daemon_SRC := $(filter-out src/daemon/main.c src/daemon/wiping.c,$(wildcard src/daemon/*.c))

BIN     := $(BUILD)/bin
PROGS   := $(if $(wildcard src/daemon/main.c),$(BIN)/metergated) $(if $(wildcard src/tool/main.c),$(BIN)/metergate) \
           $(if $(wildcard tests/simulator/main.c),$(BIN)/metergate-simulator) \
           $(if $(wildcard tools/demo/main.c),$(BIN)/metergate-demo)

UNIT    := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
SIM     := $(patsubst tests/sim/%.c,$(BUILD)/tests/sim/%,$(wildcard tests/sim/test_*.c))
E2E     := $(patsubst tests/e2e/%.c,$(BUILD)/tests/e2e/%,$(wildcard tests/e2e/test_*.c))
CHAOS   := $(BUILD)/tests/chaos/test_chaos
# sanitizers have a malloc of their own: then the test says that it cannot run
FAULTS  := $(BUILD)/tests/faults/test_memory $(if $(SAN),,$(BUILD)/tests/faults/shim.so)
FUZZ    := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH   := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))

.PHONY: all help hardening coverage deps lint-deps run demo test test-unit test-sim sim test-e2e test-fuzz test-sdk test-page test-docs test-system test-monitoring lint lint-objects asan tsan valgrind under-valgrind chaos chaos-memory soak kills \
        fuzz oracle bench deb test-deb install uninstall clean everything
.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

all: ## build the daemon, the tool and the simulator
	@$(MAKE) --no-print-directory -j$(JOBS) everything

everything: $(PROGS)

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# ---- objects, one static library a layer -----------------------------------------------------------------------
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/libdaemon.a: $(call obj,$(LIB_daemon_SRC))
$(foreach l,$(filter-out daemon,$(LAYERS)),$(eval $(BUILD)/lib$(l).a: $(call obj,src/$(l)/*.c)))
$(BUILD)/lib%.a:
	@rm -f $@
	@mkdir -p $(@D)
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

include src/tokens/tokens.mk
include src/proxy/page.mk

link = $(Q)echo "  LINK  $@" && $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

$(BIN)/metergated: $(BUILD)/obj/src/daemon/main.o $(BUILD)/obj/src/daemon/wiping.o $(LIBS)
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)

$(BIN)/metergate: $(call obj,src/tool/*.c) $(filter %libbase.a %libtokens.a %libdialect.a,$(LIBS))
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS) $(TOOL_LIBS)

$(BIN)/metergate-simulator: $(call obj,tests/simulator/*.c) $(filter %libbase.a %libtokens.a %libdialect.a,$(LIBS))
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)

# the demo is a client like the tool, and speaks HTTP with the same code
$(BIN)/metergate-demo: $(call obj,tools/demo/*.c src/tool/client.c src/tool/address.c src/tool/url.c) $(filter %libbase.a %libtokens.a,$(LIBS))
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)

# ---- tests -----------------------------------------------------------------------------------------------------
# the simulator's pure parts are tested as a library: the linker takes what a test names
$(BUILD)/libsimulator.a: $(call obj,$(filter-out tests/simulator/main.c,$(wildcard tests/simulator/*.c)))
$(BUILD)/tests/unit/test_sim_%: $(BUILD)/obj/tests/unit/test_sim_%.o $(BUILD)/libsimulator.a $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
# likewise the tool's
$(BUILD)/libtool.a: $(call obj,$(filter-out src/tool/main.c,$(wildcard src/tool/*.c)))
$(BUILD)/tests/unit/test_tool_%: $(BUILD)/obj/tests/unit/test_tool_%.o $(BUILD)/libtool.a $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS) $(TOOL_LIBS)
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
$(BUILD)/tests/sim/%: $(BUILD)/obj/tests/sim/%.o $(call obj,$(filter-out $(wildcard tests/sim/test_*.c tests/sim/sim_*.c),$(wildcard tests/sim/*.c))) $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
# what is loaded before the daemon's libraries when a test is to steer its clocks, its resolver and its system calls
SHIM    := $(BUILD)/tests/libshim.so
$(SHIM): $(wildcard tests/shim/shim*.[ch]) tests/shim/steer.h
	@mkdir -p $(@D)
	$(Q)echo "  SHIM  $@" && $(CC) $(CPPFLAGS) -std=c11 $(OPT) $(WARN) $(WERROR) -fPIC -shared -o $@ $(filter %.c,$^) -ldl -lpthread
$(BUILD)/tests/e2e/test_steered: $(BUILD)/obj/tests/shim/steer.o | $(SHIM)
$(BUILD)/tests/e2e/%: $(BUILD)/obj/tests/e2e/%.o $(call obj,$(filter-out $(wildcard tests/e2e/test_*.c),$(wildcard tests/e2e/*.c))) $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
$(BUILD)/tests/chaos/%: $(call obj,tests/chaos/*.c tests/shim/steer.c tests/e2e/fixture.c tests/e2e/ledger_fixture.c tests/e2e/client.c tests/e2e/process.c) $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
$(CHAOS): | $(SHIM)
SOAK    := $(BUILD)/tests/soak/soak
$(SOAK): $(call obj,tests/soak/*.c $(filter-out tests/chaos/test_chaos.c,$(wildcard tests/chaos/*.c)) tests/shim/steer.c tests/e2e/fixture.c tests/e2e/ledger_fixture.c tests/e2e/client.c tests/e2e/process.c) $(LIBS) | $(SHIM)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
$(BUILD)/tests/faults/shim.so: tests/faults/shim.c tests/faults/control.h
	@mkdir -p $(@D)
	$(Q)echo "  LINK  $@"
	$(Q)$(CC) $(CPPFLAGS) -std=c11 $(OPT) $(WARN) $(WERROR) -fPIC -shared -o $@ $< -ldl
$(BUILD)/tests/faults/test_%: $(BUILD)/obj/tests/faults/test_%.o $(BUILD)/obj/tests/faults/session.o $(call obj,tests/e2e/fixture.c tests/e2e/ledger_fixture.c tests/e2e/client.c tests/e2e/process.c) $(LIBS)
	@mkdir -p $(@D)
	$(link) $(TEST_LIBS) $(PKG_LIBS)
# A fuzz target linked with the corpus runner: every file of tests/fuzz/corpus/<name>/ goes through it once.
$(BUILD)/tests/fuzz/fuzz_tool_%: $(BUILD)/obj/tests/fuzz/fuzz_tool_%.o $(BUILD)/obj/tests/fuzz/corpus_runner.o $(BUILD)/libtool.a $(LIBS)
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS) $(TOOL_LIBS)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/corpus_runner.o $(LIBS)
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)
$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(call obj,$(filter-out $(wildcard tests/bench/bench_*.c),$(wildcard tests/bench/*.c))) $(BUILD)/libsimulator.a $(LIBS)
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)

$(BUILD)/tests/oracle/%: $(BUILD)/obj/tests/oracle/%.o $(LIBS)
	@mkdir -p $(@D)
	$(link) $(PKG_LIBS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

test: ## deps, build, and every test: unit, sim, e2e, fuzz corpora
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(UNIT) $(SIM) $(E2E) $(CHAOS) $(FAULTS) $(FUZZ)
	@$(if $(SAN),,sh tests/hardening.sh $(BIN)/metergated $(BIN)/metergate)
	@BUILD=$(BUILD) sh tests/run.sh $(UNIT) $(SIM) $(E2E) $(CHAOS) $(filter-out %.so,$(FAULTS)) $(FUZZ)

test-unit: $(UNIT) ## unit tests alone
	@BUILD=$(BUILD) sh tests/run.sh $(UNIT)
test-sim: $(SIM) ## scenarios and property tests alone
	@BUILD=$(BUILD) sh tests/run.sh $(SIM)
sim: $(BUILD)/tests/sim/sim_table ## the scheduler's bars and workloads in virtual time, as the tables of docs/scheduling.md
	@$(BUILD)/tests/sim/sim_table
test-e2e: everything $(E2E) ## the real binary against the simulator
	@BUILD=$(BUILD) sh tests/run.sh $(E2E)
hardening: all ## what protects the programs against their own bugs is really in them
	@sh tests/hardening.sh $(BIN)/metergated $(BIN)/metergate
test-fuzz: $(FUZZ) ## fuzz corpora, once through
	@BUILD=$(BUILD) sh tests/run.sh $(FUZZ)

RUNS ?= 1000
SEED ?= 1
SLOW ?= 1
FAULT ?=
chaos: ## FAULT=disk|files|clock|dns|calls|signals|config|descriptors|kills|any RUNS=1000 SEED=1: clients, providers and all around go wrong
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(CHAOS)
	MG_BIN=$(BIN) CHAOS_FAULT=$(FAULT) CHAOS_RUNS=$(RUNS) CHAOS_SEED=$(SEED) CHAOS_SLOW=$(SLOW) $(CHAOS)

HOURS ?= 24
SCALE ?= 96
soak: ## HOURS=24 SCALE=96 SEED=1: a day of mixed load and faults in scaled time: nothing grows, nothing is lost
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(SOAK)
	MG_BIN=$(BIN) SOAK_HOURS=$(HOURS) SOAK_SCALE=$(SCALE) SOAK_SEED=$(SEED) $(SOAK)

chaos-memory: ## MEMORY_FROM=1: each allocation of a session fails in its turn, alone and three in a row (an hour)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(FAULTS)
	MG_BIN=$(BIN) MEMORY_RUNS=0 $(filter-out %.so,$(FAULTS))

KILLS ?= 200
kills: everything $(BUILD)/tests/e2e/test_ledger_kill ## KILLS=200 SEED=1: kill -9 of a busy daemon at random moments; what the ledger keeps
	MG_BIN=$(BIN) LEDGER_KILLS=$(KILLS) LEDGER_SEED=$(SEED) $(BUILD)/tests/e2e/test_ledger_kill

# Under valgrind: the unit and sim tests and those of net/ themselves; of the programs that the others start the daemon: $(UNDER)/bin is a
# folder of programs in which it is started so. Exit status 99 says that something was found. Fortified copies are off, because glibc's
# __memmove_chk is taken for a memcpy.
VALGRIND := valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
UNDER    := build/valgrind/under
# What it takes for itself makes these tests senseless: memory is its own malloc's ...
NOT_UNDER := relief spare memory hostile_answers
# ... some descriptors are its own ...
NOT_UNDER += descriptors hostile_clients
# ... and everything takes many times as long, of which these tests ask that it takes as long as it should.
NOT_UNDER += foretold profiles ledger_kill
under     = $(filter-out $(addprefix %/test_,$(NOT_UNDER)),$(1))
valgrind: ## unit, sim, e2e and chaos tests with the code under valgrind (an hour)
	@$(MAKE) --no-print-directory deps
	@sh tools/deps.sh --programs valgrind valgrind
	@$(MAKE) --no-print-directory BUILD=build/valgrind CFLAGS="-O1 -g" HARDEN=-fPIE under-valgrind
under-valgrind:
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(UNIT) $(SIM) $(E2E) $(CHAOS)
	@mkdir -p $(UNDER)/bin $(UNDER)/found
	@rm -f $(UNDER)/found/*
	@ln -sf $(addprefix $(abspath $(BIN))/,metergate metergate-simulator metergate-demo) $(UNDER)/bin/
	@printf '#!/bin/sh\nexec $(VALGRIND) --log-file=%s/%%%%p %s "$$@"\n' $(abspath $(UNDER)/found) $(abspath $(BIN)/metergated) >$(UNDER)/bin/metergated
	@chmod +x $(UNDER)/bin/metergated
	@BUILD=$(BUILD) MG_RUNNER="$(VALGRIND)" SIM_RUNS=300 sh tests/run.sh $(call under,$(UNIT) $(SIM) $(filter %/test_net_%,$(E2E)))
	@BUILD=$(UNDER) MG_SHIM=$(SHIM) CHAOS_SEED=$(SEED) CHAOS_SLOW=20 sh tests/run.sh $(call under,$(filter-out %/test_net_%,$(E2E)) $(CHAOS)) || \
	    { cat $(UNDER)/found/* | grep -v WARNING: | head -n 200; exit 1; }

bench: ## measurements next to nginx, printed as tables (tests/bench/run.sh NAME runs one)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything $(BENCH)
	@BUILD=$(BUILD) sh tests/bench/run.sh

test-page: all ## the dashboard in Chromium without a window; needs Node.js and chromium, without it says so (METERGATE_NEED_CHROMIUM=1: fails)
	MG_BIN=$(BIN) node tests/page/run.mjs

test-sdk: all ## the providers' own SDKs (npm, PyPI) through the daemon; needs Node.js and the network
	cd tests/sdk && { python3 -m venv venv && venv/bin/pip install -q -r requirements.txt || rm -rf venv; }
	cd tests/sdk && { python3 -m venv venv-litellm && venv-litellm/bin/pip install -q -r requirements-litellm.txt || rm -rf venv-litellm; }
	cd tests/sdk && { python3 -m venv venv-docs && venv-docs/bin/pip install -q -r requirements-docs.txt || rm -rf venv-docs; }
	cd tests/sdk && npm install --no-package-lock --no-audit --no-fund --silent && BIN=$(abspath $(BIN)) node run.mjs
	MG_BIN=$(BIN) python3 tests/docs/run.py docs/clients.md

test-docs: all ## every command block of README, docs and manual pages, run as printed in a sandbox (PAGES=docs/tool.md: one page)
	@sh tools/deps.sh --programs "python3 curl git bash" "python3 curl git bash"
	@MG_BIN=$(BIN) python3 tests/docs/selftest.py
	@MG_BIN=$(BIN) python3 tests/docs/run.py $(PAGES)

test-monitoring: all ## /metrics, the alert rules and the dashboard of docs/monitoring by Prometheus' own promtool
	BIN=$(BIN) bash tests/monitoring/run.sh

asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory test BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
	    SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"

tsan: ## all tests under ThreadSanitizer
	@$(MAKE) --no-print-directory test BUILD=build/tsan CFLAGS="-O1 -g" SAN="-fsanitize=thread"

# what decides must be tested to the line; the others' tests are mostly the real programs
COVERED := gate tokens dialect config
coverage: ## lines that the unit, sim and fuzz tests run, a layer a line; the layers that decide must have 90 %
	@$(MAKE) --no-print-directory deps
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build/coverage CFLAGS="-O0 -g" SAN="--coverage" test-unit test-sim test-fuzz >build/coverage.log 2>&1 || \
	    { tail -n 40 build/coverage.log; exit 1; }
	@sh tools/coverage.sh build/coverage 90 $(COVERED)

# the same targets, driven by libFuzzer instead of the corpus runner
$(BUILD)/search/fuzz_tool_%: $(BUILD)/obj/tests/fuzz/fuzz_tool_%.o $(BUILD)/libtool.a $(LIBS)
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer $(PKG_LIBS) $(TOOL_LIBS)
$(BUILD)/search/%: $(BUILD)/obj/tests/fuzz/%.o $(LIBS)
	@mkdir -p $(@D)
	$(link) -fsanitize=fuzzer $(PKG_LIBS)

TARGET  ?= $(notdir $(FUZZ))
FOR_S   ?= 60
fuzz: ## TARGET=fuzz_sse FOR_S=60: searches each target (or that one) for so many seconds with libFuzzer, under ASan and UBSan
	@$(MAKE) --no-print-directory deps
	@sh tools/deps.sh --programs clang clang
	@sh tools/deps.sh --fuzzer
	@for t in $(TARGET); do mkdir -p build/fuzz/corpus/$$t && \
	    $(MAKE) --no-print-directory -j$(JOBS) BUILD=build/fuzz CC=clang CFLAGS="-O1 -g" \
	        SAN="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" build/fuzz/search/$$t && \
	    build/fuzz/search/$$t -max_total_time=$(FOR_S) -max_len=4096 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/$$t- $$(ls tests/fuzz/dict/$$t.dict 2>/dev/null | sed 's/^/-dict=/') build/fuzz/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done

STRINGS ?= 1000000
SEED ?= 1
oracle: $(BUILD)/tests/oracle/count_strings ## STRINGS=1000000 SEED=1: random texts, counted by OpenAI's own tokenizer (npm) as well
	@npm install --silent --no-save --prefix build/peers tiktoken@1.0.22
	@node tests/oracle/oracle.mjs $< build/peers $(STRINGS) $(SEED)

# ---- packages --------------------------------------------------------------------------------------------------
deps: ## install the Debian packages that are missing; does nothing when all is there
	@sh tools/deps.sh "$(PKGS) $(TOOLPKG) $(TESTPKG)" "$(DEBS)"

DEBTOOLS := debhelper dpkg-dev fakeroot lintian build-essential pkgconf
deb: deps ## the Debian package, into build/deb, and what lintian says of it (DEB_BUILD_OPTIONS=nocheck: without the tests)
	@sh tools/deps.sh --programs "dh dpkg-buildpackage fakeroot lintian g++" "$(DEBTOOLS)"
	@sh tools/deb.sh $(VERSION)

test-deb: ## RELEASE=bookworm|trixie|noble: the package, built in a bare root, installed, upgraded, removed and purged in a booted one; else 77
	@sh tests/packages/run.sh $(RELEASE) "$(DEBS) $(DEBTOOLS) curl procps"

# every object of the tree, tests included: lint builds them with warnings as errors
ALLOBJ = $(call obj,src/*/*.c) $(call obj,tests/unit/*.c) $(call obj,tests/sim/*.c) $(call obj,tests/e2e/*.c) \
         $(call obj,tests/chaos/*.c tests/soak/*.c tests/shim/*.c) $(call obj,tests/faults/*.c) $(call obj,tests/simulator/*.c) $(call obj,tests/fuzz/*.c) $(call obj,tests/bench/*.c) $(call obj,tests/oracle/*.c) $(call obj,tools/demo/*.c)
lint-objects: $(ALLOBJ)

lint-deps:
	@sh tools/deps.sh --programs "clang-tidy cppcheck" "$(LINTDEBS)"

lint: deps lint-deps ## include rule, headers alone, warnings as errors, clang-tidy, cppcheck, lengths, banned calls
	@CC="$(CC)" VERSION="$(VERSION)" WARN="$(WARN)" JOBS="$(JOBS)" sh tools/lint.sh

# ---- use -------------------------------------------------------------------------------------------------------
run: deps all ## the daemon in the foreground with the default configuration
	$(BIN)/metergated

demo: deps all ## the 30,000-TPM story against the simulator; no key needed, under a minute
	@$(BIN)/metergate-demo

MANPAGES := $(wildcard man/*.[1-8])
UNITS    := $(patsubst systemd/%,%,$(wildcard systemd/*.service systemd/*.socket))
install: all ## install under PREFIX (default /usr/local) and SYSCONFDIR (/etc), DESTDIR honoured; systemd units too
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/metergate $(DESTDIR)$(SYSCONFDIR)/metergate \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/systemd/user
	install -m 0755 $(BIN)/metergated $(BIN)/metergate $(DESTDIR)$(PREFIX)/bin/
	install -m 0644 README.md LICENSE NOTICE CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/metergate/
	install -m 0644 conf/metergate.yaml $(DESTDIR)$(PREFIX)/share/doc/metergate/metergate.yaml.sample
	test -e $(DESTDIR)$(SYSCONFDIR)/metergate/metergate.yaml || \
	    install -m 0644 conf/metergate.yaml $(DESTDIR)$(SYSCONFDIR)/metergate/metergate.yaml
	for page in $(MANPAGES); do install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page#man/}; done
	for name in metergate metergated; do \
	    install -m 0644 conf/completion/$$name.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name; done
	for unit in $(UNITS) user/metergate.service; do \
	    case $$unit in user/*) to=user ;; *) to=system ;; esac; \
	    sed 's|@BINDIR@|$(PREFIX)/bin|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' systemd/$$unit >$(BUILD)/unit.tmp && \
	    install -m 0644 $(BUILD)/unit.tmp $(DESTDIR)$(PREFIX)/lib/systemd/$$to/$${unit##*/} || exit 1; done

uninstall: ## remove what install put there, but not the configuration
	rm -f $(DESTDIR)$(PREFIX)/bin/metergated $(DESTDIR)$(PREFIX)/bin/metergate
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/bash-completion/completions/,metergate metergated)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(UNITS)) $(DESTDIR)$(PREFIX)/lib/systemd/user/metergate.service
	for page in $(MANPAGES); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page#man/}; done
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/metergate

# Debian's bookworm and trixie, Ubuntu's noble: tests/system/root.sh makes them. What a machine needs besides the build is here: the test
# calls with curl.
RELEASE ?= bookworm
ROOT    = sh tests/system/root.sh --release $(RELEASE) --build build/system/$(RELEASE) --with "$(DEBS) curl procps libpam-systemd"
test-system: ## RELEASE=bookworm: installs in a root of its own that systemd boots, and uses it as a service; wants root and debootstrap, else 77
	@$(ROOT) 'make -j$(JOBS) everything' && $(ROOT) --boot 'METERGATE_TEST_SYSTEM=yes sh tests/system/run.sh'

clean: ## remove everything that was built
	rm -rf build
