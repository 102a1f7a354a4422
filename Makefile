# The door of the project; README.md shows it at work.
# Variables: NODES PORT NAME NODE ROLES THROTTLE KEEP_DATA KILL FORCE A B ONE_WAY SEED COUNT PROFILE BREAK PLAN HTML TIME FAULTS SUT SVG WATCH EXECUTE PYTHON.

.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
RUN := $(PY) -m raftkafka.cli.main
CLUSTER := $(RUN) cluster
NAME ?= dev
SEED ?= 1
COUNT ?= 100
T ?= tests

NAMED := --name $(NAME)
NEED_NODE = $(if $(NODE),,$(error say which node, for example: make $@ NODE=2))

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- set-up: a virtual environment with what is needed to run, and what is needed to develop -------------------------------

$(VENV)/.runtime: pyproject.toml scripts/setup
	@scripts/setup runtime

$(VENV)/.dev: pyproject.toml scripts/setup
	@scripts/setup dev

.PHONY: setup
setup: $(VENV)/.dev ## install everything into .venv (the other targets do it by themselves)

# --- a cluster of real processes on this machine ----------------------------------------------------------------------------

.PHONY: cluster cluster-status cluster-down cluster-clean
cluster: $(VENV)/.runtime ## start a cluster and show it: NODES=3 PORT=9092 NAME=dev
	@$(CLUSTER) up $(NAMED) $(if $(NODES),--nodes $(NODES)) $(if $(PORT),--port $(PORT))

cluster-status: $(VENV)/.runtime ## show nodes, quorum, leaders and ISR
	@$(CLUSTER) status $(NAMED)

cluster-down: $(VENV)/.runtime ## stop it cleanly, keep its data
	@$(CLUSTER) down $(NAMED)

cluster-clean: $(VENV)/.runtime ## stop it and delete its data
	@$(CLUSTER) clean $(NAMED)

.PHONY: kill pause resume start stop
kill: $(VENV)/.runtime ## SIGKILL a node: NODE=2
	$(NEED_NODE)@$(CLUSTER) kill $(NAMED) --node $(NODE)

pause: $(VENV)/.runtime ## freeze a node (SIGSTOP): NODE=2
	$(NEED_NODE)@$(CLUSTER) pause $(NAMED) --node $(NODE)

resume: $(VENV)/.runtime ## let a frozen node go on (SIGCONT): NODE=2
	$(NEED_NODE)@$(CLUSTER) resume $(NAMED) --node $(NODE)

start: $(VENV)/.runtime ## start a node again: NODE=2
	$(NEED_NODE)@$(CLUSTER) start $(NAMED) --node $(NODE)

stop: $(VENV)/.runtime ## stop a node cleanly: NODE=2
	$(NEED_NODE)@$(CLUSTER) stop $(NAMED) --node $(NODE)

.PHONY: scale-out scale-in wipe roll
scale-out: $(VENV)/.runtime ## add a node to the running cluster, with its share: ROLES=broker (or broker,controller) THROTTLE=bytes/s
	@$(CLUSTER) scale-out $(NAMED) $(if $(ROLES),--roles $(ROLES)) $(if $(THROTTLE),--throttle $(THROTTLE))

scale-in: $(VENV)/.runtime ## drain a node and remove it: NODE=4 THROTTLE=bytes/s (KEEP_DATA=1: leave its files)
	$(NEED_NODE)@$(CLUSTER) scale-in $(NAMED) --node $(NODE) $(if $(THROTTLE),--throttle $(THROTTLE)) $(if $(filter-out 0,$(KEEP_DATA)),--keep-data)

wipe: $(VENV)/.runtime ## stop a node and delete its data: NODE=2 (KILL=1: kill it, FORCE=1: also the last copy)
	$(NEED_NODE)@$(CLUSTER) wipe $(NAMED) --node $(NODE) $(if $(filter-out 0,$(KILL)),--kill) $(if $(filter-out 0,$(FORCE)),--force)

roll: $(VENV)/.runtime ## restart the nodes one by one, each when every replica is in sync
	@$(CLUSTER) roll $(NAMED)

.PHONY: partition heal
partition: $(VENV)/.runtime ## cut the network between nodes: A=1 B=2,3 (ONE_WAY=1: only from A to B)
	$(if $(A),,$(error say which nodes to cut off, for example: make partition A=1 B=2,3))@$(CLUSTER) partition $(NAMED) \
		--from $(A) $(if $(B),--to $(B)) $(if $(filter-out 0,$(ONE_WAY)),--one-way)

heal: $(VENV)/.runtime ## undo every cut
	@$(CLUSTER) heal $(NAMED)

.PHONY: balance
balance: $(VENV)/.runtime ## who carries how much, and what would move: WATCH=1 (seconds), EXECUTE=1
	@$(RUN) balance $(NAMED) $(if $(WATCH),--watch $(WATCH)) $(if $(filter-out 0,$(EXECUTE)),--execute)

.PHONY: chaos
chaos: $(VENV)/.dev ## break a real cluster under load, and judge: TIME=120 FAULTS=kill,pause SUT=kafka BREAK=rule SEED=1 NODES=3
	@$(RUN) chaos $(if $(TIME),--time $(TIME)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SUT),--system $(SUT)) \
		$(if $(BREAK),--break $(BREAK)) $(if $(NODES),--nodes $(NODES)) $(SIM_SEED)

.PHONY: balance-demo
balance-demo: $(VENV)/.dev ## all leaders on one of three brokers, a skewed load that then shifts: TIME=60 SVG=file
	@$(PY) -m cluster.balance_demo $(if $(TIME),--time $(TIME)) $(if $(SVG),--svg $(SVG))

# --- simulation -------------------------------------------------------------------------------------------------------------

# What the simulator's targets share: a profile (or `all` where many seeds run), and rules to run without.
SIM_CHOICE = $(if $(PROFILE),--profile $(PROFILE)) $(if $(BREAK),--break $(BREAK))
SIM_SEED = $(if $(filter command line environment,$(origin SEED)),--seed $(SEED))

.PHONY: sim sim-many sim-shrink soak
sim: $(VENV)/.runtime ## one simulated cluster with its trace: SEED=7 PROFILE=name BREAK=rule,rule PLAN=file HTML=page.html HISTORY=file
	@$(RUN) sim $(SIM_SEED) $(SIM_CHOICE) $(if $(PLAN),--plan $(PLAN)) $(if $(HISTORY),--history $(HISTORY)) $(if $(HTML),--html $(HTML),--trace)

sim-many: $(VENV)/.runtime ## many seeds on all cores, stopping at the first failure: COUNT=500 PROFILE=all BREAK=rule
	@$(RUN) sim-many $(SIM_SEED) $(SIM_CHOICE) --count $(COUNT)

sim-shrink: $(VENV)/.runtime ## a smaller run with the same failure: SEED=7 PROFILE=name BREAK=rule
	@$(RUN) sim-shrink $(SIM_SEED) $(SIM_CHOICE) $(if $(PLAN),--plan $(PLAN))

soak: $(VENV)/.dev ## many seeds over all profiles, with a table: COUNT=2000 (FRESH=1: from a seed that chance chooses)
	@$(RUN) sim-many $(SIM_SEED) --profile all --count $(if $(filter command line environment,$(origin COUNT)),$(COUNT),2000) $(if $(FRESH),--fresh) --keep-going
	@SOAK=1 $(PY) -m pytest tests/simulation/test_counterexamples.py -k within_two_hundred_seeds

# --- checks -----------------------------------------------------------------------------------------------------------------

.PHONY: test check format lint types layers fast-tests-of-protocol fast-tests-of-the-rest coverage bench
test: $(VENV)/.dev lint types layers ## everything that must be green: T=tests/raft for a part
	@$(PY) -m pytest $(T)

check: $(VENV)/.dev ## format, lint, types, layer rules, fast tests: under a minute
	@$(MAKE) -j2 lint layers types fast-tests-of-protocol fast-tests-of-the-rest

format: $(VENV)/.dev ## write the code as the formatter wants it
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff format --check --quiet . || { echo "Some files are not formatted: run 'make format'."; exit 1; }
	@$(VENV)/bin/ruff check --quiet .

types: $(VENV)/.dev
	@$(VENV)/bin/mypy

layers: $(VENV)/.dev
	@said=$$($(VENV)/bin/lint-imports 2>&1) || { echo "$$said"; exit 1; }

# Two halves that take about as long as each other, so that two cores share them.
FAST := HYPOTHESIS_PROFILE=fast $(PY) -m pytest -m "not slow and not cluster and not java"

fast-tests-of-protocol: $(VENV)/.dev
	@$(FAST) tests/protocol tests/house

fast-tests-of-the-rest: $(VENV)/.dev
	@$(FAST) $(T) --ignore tests/protocol --ignore tests/house

coverage: $(VENV)/.dev ## which lines the tests reach
	@$(PY) -m coverage run -m pytest -m "not java" $(T) && $(PY) -m coverage report

bench: $(VENV)/.dev ## the benchmark, beside Apache Kafka where Java is there
	@$(RUN) bench
