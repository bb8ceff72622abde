# The two commands are `make image` and `make test`; each sets up what it needs. Everything else is `cargo` and `keel`.
# CACHE_DIR moves the store (default: ~/.cache/keel); MIRROR names a Debian mirror other than the machine's own.

KEEL       = target/release/keel
CACHE      = $(if $(CACHE_DIR),--cache-dir $(CACHE_DIR))
MIRROR_ARG = $(if $(MIRROR),--mirror $(MIRROR))
RUN        = ./run

.PHONY: help image test lint proof clean

help:
	@echo 'make image   set up, build Keel and Keel Linux from source, make the `core` container, make and boot the `micro` machine'
	@echo 'make test    set up, run every test (a small fixture distribution; no libc or kernel is built)'
	@echo 'make lint    rustfmt and clippy'
	@echo 'make proof   slow proof: bash, zlib and coreutils built twice, the second time in other surroundings'
	@echo 'make clean   remove build output (the store stays: keel store gc)'

image:
	$(RUN) image $(CACHE) $(MIRROR_ARG)

test:
	$(RUN) test $(CACHE) $(MIRROR_ARG)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

proof:
	$(RUN) proof $(CACHE) $(MIRROR_ARG)

clean:
	cargo clean
	rm -rf distro/out tests/fixture/out
