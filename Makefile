# What can be made here; `make` alone lists it. Each target sees to its own set-up (tools/setup).

CARGO ?= cargo
PANEL := cd panels/web &&
# What rustup installed, where a shell that was open before does not look.
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help demo test test-panel panel-pictures test-node-red test-homeassistant test-homeassistant-2025 test-gateway
.PHONY: check check-asyncapi bench generated packages test-packages fuzz prove season

help:
	@echo 'make demo           the whole thing on this machine with simulated instruments: a short'
	@echo '                    tour, then it runs until Ctrl-C'
	@echo 'make demo TOUR=1    stops after the tour (TOUR=0: no tour)'
	@echo 'make test           every test'
	@echo 'make test-panel     the web panel: the committed page is what its sources give, and its tests in Chromium'
	@echo 'make panel-pictures pictures of the web panel in target/pictures; three of them in docs/pictures'
	@echo 'make test-node-red  the Node-RED flow in a real Node-RED and a real browser'
	@echo 'make test-metrics   obsbus metrics with a real Prometheus'
	@echo 'make test-alpaca    obsbus alpaca with the client library of the ASCOM standard, by its conformance rules'
	@echo 'make test-records   obsbus archive and the Grafana dashboard with a real PostgreSQL'
	@echo 'make test-homeassistant       discovery and dashboard in a real Home Assistant 2024.3.3'
	@echo 'make test-homeassistant-2025  the same in a 2025.12.5; only root can run it'
	@echo 'make test-gateway   the Pyro gateway with its oldest and its newest Python and paho-mqtt (PAHO=2: the newest)'
	@echo 'make torture N=1000 rounds of random faults: kills, freezes, cables, disks, clocks; then the rules of'
	@echo '                    docs/bus.md applied to all that was sent, told and seen (some faults need root)'
	@echo 'make soak H=2       the whole demo site for two hours (H=0.1: six minutes) with faults: does any process'
	@echo '                    grow, or keep files or threads?'
	@echo 'make test-brokers   the end-to-end tests under the Mosquitto of Debian 12, 13 and 14 (half an hour; TESTS=broker:'
	@echo '                    only these test programs)'
	@echo 'make test-cluster   the core of the bus on rmqttd: one node, then three of which one dies'
	@echo 'make check          formatting, clippy, documentation, licences, systemd units'
	@echo 'make check-asyncapi whether the AsyncAPI project accepts schemas/asyncapi.yaml (wants Node.js)'
	@echo 'make bench          how fast it is, beside the targets (release build)'
	@echo 'make bench-scale    10, 100, 500 and 1,000 instruments on one broker, beside the targets (N=500: one size)'
	@echo 'make packages       .deb and .rpm of everything in target/packages, from one release build'
	@echo 'make test-packages  builds them, looks at them, and installs, upgrades and removes them, also on booted'
	@echo '                    Debian 12 and 13; only root can run all of it'
	@echo 'make prove          every order of events around the real Desk, journal and outbox, in small worlds;'
	@echo '                    MUTANTS=1: whether planted faults are found'
	@echo 'make season         the chiller from October to March and 200 nights of focusing, with faults, in virtual time'
	@echo 'make fuzz T=60      feeds every parser with what libFuzzer makes up, T seconds each'
	@echo 'make generated      writes schemas/ and the access control anew, after a message or a description has changed'

# Everything is built before it runs, and with the same features as for the tests, so that nothing
# is compiled twice. `cargo run` is there to find the program wherever the target folder is.
demo:
	@tools/setup rust broker
	@$(CARGO) build --workspace --bins --locked --quiet
	@exec $(CARGO) run --quiet --locked --bin demo -- $(if $(filter 1,$(TOUR)),--tour,$(if $(filter 0,$(TOUR)),--no-tour))

# Most tests wait for processes: a thread for each core leaves most of it idle.
test:
	@tools/setup rust broker faketime python
	$(CARGO) build --workspace --bins --locked --quiet
	RUST_TEST_THREADS=$$(($$(nproc) * 2)) $(CARGO) test --workspace --locked --no-fail-fast --quiet

# Debian's package starts a Prometheus of its own on port 9090; nothing here uses it.
.PHONY: test-metrics
test-metrics:
	@tools/setup rust broker prometheus
	$(CARGO) build --workspace --bins --locked --quiet
	$(CARGO) test --workspace --locked --quiet --test records metrics -- --include-ignored

# The PostgreSQL of the test is a new one in a folder, and listens on loopback only.
.PHONY: test-records
test-records:
	@tools/setup rust broker postgresql
	$(CARGO) build --workspace --bins --locked --quiet
	$(CARGO) test --workspace --locked --quiet --test records archive -- --include-ignored

.PHONY: test-alpaca
test-alpaca:
	@tools/setup rust broker alpaca
	$(CARGO) build --workspace --bins --locked --quiet
	$(CARGO) test --locked --quiet -p testbed --test focuser -- --ignored alpaca

.PHONY: test-brokers
test-brokers:
	@tools/setup rust broker faketime python brokers
	$(CARGO) build --workspace --bins --locked --quiet
	@TESTS="$(TESTS)" tools/test-brokers bookworm trixie forky

# One at a time: what is measured must not wait for another test.
.PHONY: test-cluster
test-cluster:
	@tools/setup rust broker rmqttd
	$(CARGO) build --workspace --bins --locked --quiet
	@tools/test-cluster

# OBSBUS_PROGRAMS is a folder with programs that are built already.
test-node-red:
	@tools/setup rust broker node browser
	$(if $(OBSBUS_PROGRAMS),,$(CARGO) build --workspace --bins --locked --quiet)
	@panels/node-red/tools/test

test-homeassistant:
	@tools/setup rust broker homeassistant
	$(if $(OBSBUS_PROGRAMS),,$(CARGO) build --workspace --bins --locked --quiet)
	@panels/home-assistant/tools/test 2024.3.3

# In a Debian 13 in a folder, for its Python.
test-homeassistant-2025:
	@tools/setup rust broker homeassistant-2025
	$(if $(OBSBUS_PROGRAMS),,$(CARGO) build --workspace --bins --locked --quiet)
	@panels/home-assistant/tools/test 2025.12.5

test-gateway:
	@tools/setup rust broker faketime gateway
	$(if $(OBSBUS_PROGRAMS),,$(CARGO) build --workspace --bins --locked --quiet)
	@deploy/compat/tools/test

# docs/torture.md. SEED and FIRST repeat rounds of a campaign; SITES is how many run at once.
.PHONY: torture
torture:
	@tools/setup rust broker faketime
	@$(CARGO) build --workspace --bins --locked --quiet
	@exec $(CARGO) run --quiet --locked -p testbed --bin torture -- run --rounds $(or $(N),1000) \
		$(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST)) $(if $(SITES),--sites $(SITES))

# docs/torture.md. The panel runs in Chromium if there is one.
.PHONY: soak
soak:
	@tools/setup rust broker
	@$(CARGO) build --workspace --bins --locked --quiet
	@exec $(CARGO) run --quiet --locked -p testbed --bin torture -- soak --hours $(or $(H),2)

check:
	@tools/setup rust lints deny
	@tools/check

check-asyncapi:
	@tools/setup asyncapi
	@node tools/asyncapi/check.mjs

bench:
	@tools/setup rust broker
	$(CARGO) build --workspace --bins --release --locked --quiet
	$(CARGO) run --release --quiet --locked --bin bench
	@tools/setup gateway
	@OBSBUS_PROGRAMS="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release" deploy/compat/tools/test --figures
	@if command -v npm >/dev/null && [ -x "$${CHROMIUM:-/usr/bin/chromium}" ]; then \
		$(PANEL) npm ci --silent --no-fund --no-audit && \
		OBSBUS_PROGRAMS="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release" node test/run.mjs measure; \
	else echo 'web panel: not measured, since Node.js or Chromium is not installed'; fi

prove:
	@tools/setup rust
	@tools/prove $(if $(MUTANTS),--mutants)

# With the build of `make bench`: millions of steps, not much more than a minute of them on two cores.
season:
	@tools/setup rust
	$(CARGO) test --release --locked --quiet -p chiller-bridge --test device season -- --ignored --nocapture
	$(CARGO) test --release --locked --quiet -p focuser-bridge --test device season -- --ignored --nocapture

# What was found once lies in testbed/fuzz/corpora, and every test run feeds it again.
fuzz:
	@tools/setup rust fuzz
	@tools/fuzz $(T)

# All sizes take six minutes, one takes two.
.PHONY: bench-scale
bench-scale: N = 10,100,500,1000
bench-scale:
	@tools/setup rust broker
	$(CARGO) build --bin bench --bin many-bridges --release --locked --quiet
	$(CARGO) run --release --quiet --locked --bin bench -- --instruments $(N) --json target/bench-scale.json

# Those of the instruments first: the others are assembled from them.
generated:
	@tools/setup rust
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p '*-bridge' --test device meta
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p alert --test alerts meta
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p '*-device' --test contract
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p contract --test contract
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p testbed --test deploy the_udev_rules
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p testbed --test new_instrument --test scheduler the_page_quotes
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p testbed --test homeassistant
	OBSBUS_GENERATE=1 $(CARGO) test --quiet -p testbed --test doctor page

packages:
	@tools/setup rust packages
	$(CARGO) build --release --locked --quiet --bins $$(tools/packages --print-crates)
	@tools/packages

# The simulators of the booted machines are those of `make test`.
test-packages: packages
	@tools/setup package-tests
	@tools/test-packages
	@tools/setup machines
	$(CARGO) build -p chiller-sim -p focuser-sim --bins --locked --quiet
	@testbed/booted/run

# The web panel. The page is committed, so that nobody needs Node.js to use it; here it is built anew and compared.
test-panel: panel-set-up
	$(PANEL) node build.mjs --check
	$(PANEL) npm run --silent check
	$(PANEL) node test/run.mjs unit
	$(PANEL) node test/run.mjs browser

panel-pictures: panel-set-up
	$(PANEL) node test/run.mjs pictures

.PHONY: panel-set-up
panel-set-up:
	@tools/setup rust broker node browser nginx
	@$(CARGO) build --workspace --bins --locked --quiet
	$(PANEL) npm ci --silent --no-fund --no-audit
