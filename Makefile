# The two commands are `make image` and `make test`; each sets up what it needs. Everything else is `cargo` and `keel`.
# CACHE_DIR moves the store (default: ~/.cache/keel); MIRROR names a Debian mirror other than the machine's own.

KEEL       = target/release/keel
CACHE      = $(if $(CACHE_DIR),--cache-dir $(CACHE_DIR))
MIRROR_ARG = $(if $(MIRROR),--mirror $(MIRROR))
RUN        = ./run
SEED_ARG   = $(if $(filter full-disk,$@),,$(if $(SEED),--seed $(SEED)))

.PHONY: help image images test lint proof conformance bench root-bench solver-bench schedule overhead image-peers kills image-kills full-disk twice clean

# `make conformance` and `make bench` compare with rpm what Keel makes of a corpus of SPECs (docs/how-to/conformance.md).
# ORACLE: the folder with a baseline, a macro root, the graph's known numbers, and ns.sh, which runs a command where rpm sees them.
CORPUS   = /corpus/azl3
BASELINE = $(ORACLE)/azl3-all.jsonl
MACROS   = $(ORACLE)/azl3root
GRAPH    = $(ORACLE)/azl3-graph.txt
UNDER    = $(ORACLE)/ns.sh
DEFINES  = --rpm 4.18 --keel-arg=--facts=$(CURDIR)/xtask/conformance/oracle-facts.toml --define 'with_check 0' --define 'dist .azl3' --define 'azl 3'
BARS     = --bar nevr=100 --bar fields=99.9 --bar parse=99 --bar syntax=100 --bar graph=100
SHOW     =

help:
	@echo 'make image   set up, build Keel and Keel Linux from source, make the `core` container, make and boot the `micro` machine'
	@echo 'make images STORE=STORE   every image of Keel Linux: built, built again where everything is different, compared, booted, tested'
	@echo 'make test    set up, run every test (a small fixture distribution; no libc or kernel is built)'
	@echo 'make lint    rustfmt and clippy'
	@echo 'make proof   slow proof: bash, zlib and coreutils built twice, the second time in other surroundings'
	@echo 'make conformance ORACLE=DIR   what Keel makes of a corpus of SPECs, compared with rpm; make bench ORACLE=DIR: how fast'
	@echo 'make schedule ORACLE=DIR   the scheduler, simulated on the graph of that corpus'
	@echo 'make kills WARM=STORE [STORE=STORE] [SEED=1]   builds that are killed 50 times, builds of images 30 times each (root)'
	@echo 'make full-disk WARM=STORE   builds on a disk that is full (root)'
	@echo 'make overhead WARM=STORE   what Keel itself costs in the build of a small package, beside rpmbuild alone (root; writes into STORE)'
	@echo 'make image-peers STORE=STORE   a container and a disk by Keel, by dnf with umoci, and by mkosi of Debian trixie, of the same packages (root)'
	@echo 'make twice STORE=STORE [ONLY=COMPONENTS]   every package of Keel Linux built twice, the second time where everything is different (root)'
	@echo 'make root-bench   how long a build root of 150 packages takes, beside bubblewrap'
	@echo 'make solver-bench   how long the dependency solver takes on 50,000 packages, beside libsolv where it is installed'
	@echo 'make clean   remove build output (the store stays: keel store gc)'

image:
	$(RUN) image $(CACHE) $(MIRROR_ARG)

test:
	$(RUN) test $(CACHE) $(MIRROR_ARG)

# STORE: where `make image` has put its packages; what is missing is built (the kernel of `vm` takes a quarter of an hour).
images:
	cargo build --release --locked --package keel-cli
	$(KEEL) -C distro --cache-dir $(STORE) image build --check
	$(KEEL) -C distro --cache-dir $(STORE) image test --firmware both
	$(KEEL) -C distro --cache-dir $(STORE) image test live --firmware uefi --medium disk
	$(KEEL) -C distro --cache-dir $(STORE) image test live --firmware bios
	$(KEEL) -C distro --cache-dir $(STORE) image test live --firmware bios --medium disk
	$(KEEL) -C distro --cache-dir $(STORE) image test live --firmware pxe
	$(KEEL) -C distro --cache-dir $(STORE) image describe --to ../docs/reference/images --check

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

proof:
	$(RUN) proof $(CACHE) $(MIRROR_ARG)

conformance:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	$(UNDER) target/debug/examples/conformance specs --corpus $(CORPUS) --baseline $(BASELINE) --macros $(MACROS) $(DEFINES) \
		$(if $(GRAPH),--graph $(GRAPH)) $(BARS) $(SHOW:%=--show %)

bench:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	$(UNDER) target/debug/examples/conformance bench --corpus $(CORPUS) --baseline $(BASELINE) --macros $(MACROS) $(DEFINES) $(if $(NORPM),--norpm $(NORPM))

# The scheduler's order, on the graph of the corpus.
schedule:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	$(UNDER) target/debug/examples/conformance schedule --corpus $(CORPUS)/SPECS --macros $(MACROS) $(DEFINES)

# What must survive (docs/how-to/endurance.md), as root. The store is a copy: WARM names one with stage0 in it.
kills full-disk:
	cargo build --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	target/debug/examples/conformance $@ --keel target/debug/keel --store $(WARM) $(SEED_ARG)
	$(if $(filter kills,$@),$(MAKE) image-kills)

# The images of Keel Linux where STORE has its packages; without STORE, those of the test fixture.
image-kills:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	target/debug/examples/conformance $@ --keel $(KEEL) $(SEED_ARG) \
		$(if $(STORE),--store $(STORE) --tree distro vm live,--store $(WARM) --tree tests/fixture mini box)

# Goes on where it stopped (docs/how-to/build-twice.md).
twice:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	target/debug/examples/conformance twice --store $(STORE) $(ONLY)

# Build roots of 150 packages of this machine, beside bubblewrap's (Debian's package `bubblewrap`).
root-bench:
	cargo bench --locked --package keel-sandbox --bench roots

# 20 small packages with Keel and with rpmbuild alone (docs/how-to/conformance.md). WARM names a store with stage0 in it, which is written.
overhead:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	target/debug/examples/conformance $@ --store $(WARM)

# A container and a disk beside other builders (docs/how-to/conformance.md). STORE is where the packages of Keel Linux are.
image-peers:
	cargo build --release --locked --package keel-cli
	cargo build --locked --package xtask --example conformance
	target/debug/examples/conformance $@ --store $(STORE) $(if $(MIRROR),--mirror $(MIRROR))

solver-bench:
	cargo build --release --locked --package xtask --example conformance
	target/release/examples/conformance solver-bench $(if $(shell command -v testsolv),--testsolv) --bar-ms 300

clean:
	cargo clean
	rm -rf distro/out tests/fixture/out
