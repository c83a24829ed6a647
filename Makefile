# make rehearse   everything from a bare machine: packages, testbed, every stage applied, report
# make test       linter, types, unit tests, then the tests that need the testbed's containers
# make notebook   JupyterLab on the notebooks
# make bench      measures ours against the peers and prints the tables
# make exam       breaks the testbed in every known way and sees whether 06 names the cause and its fix holds

.DELETE_ON_ERROR:
.PHONY: rehearse test check images deployed kernels servers unit golden bare notebook bench exam

export PYDEVD_DISABLE_FILE_VALIDATION = 1
# Hundreds of short-lived kernels and commands are started: each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
SAY := @printf '\n== %s\n'
# The newest Python this machine has under a usual name; 3.11 is the oldest that will do.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

rehearse: .venv/installed
	$(SAY) 'Testbed up (Docker Engine and images first, where they are missing)'
	$(BIN)/runbook testbed up
	$(SAY) 'Every stage against it, applied'
	$(BIN)/runbook run params/rehearsal.yaml --apply

# Three lanes side by side, as most of the tests in containers wait; each has a testbed of its own. What keeps the
# processors busy comes last in its lane, and gives way to the longest one.
test: images
	$(SAY) 'Beside the tests of a deployed server run two more lanes; what those said comes at the end'
	+@logs=$$(mktemp -d); status=0; \
	nice -n 5 $(MAKE) --no-print-directory check bare unit >$$logs/unit 2>&1 & unit=$$!; \
	nice -n 5 $(MAKE) --no-print-directory servers kernels golden >$$logs/servers 2>&1 & servers=$$!; \
	$(MAKE) --no-print-directory deployed || status=$$?; \
	wait $$servers || status=$$?; wait $$unit || status=$$?; \
	cat $$logs/servers $$logs/unit; rm -r $$logs; exit $$status

check: .venv/installed
	$(SAY) 'Ruff and mypy'
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

images: .venv/installed
	$(SAY) 'Docker Engine and the images of the tests, where they are missing'
	$(BIN)/python -c 'from runbooklib.testbed import engine, world; world.prepare(engine.ensure(print), print)'

deployed: images
	$(SAY) 'Tests of a deployed server: the rehearsals, bad days, switches'
	$(BIN)/pytest tests/testbed -m deployed -v

kernels: .venv/installed
	$(SAY) 'Tests with real kernels'
	$(BIN)/pytest tests/kernels -n 2 --dist worksteal

servers: images
	$(SAY) 'The notebooks in JupyterLab; mailcow and plain Postfix in containers: whole runs, hand-made hosts, breaks'
	$(BIN)/pytest tests/jupyterlab tests/testbed -m '(servers or jupyterlab) and not deployed' -v

# What is no unit test or has a target of its own. Files named one by one take pytest seconds to find.
OTHERS := tests/test_golden.py $(wildcard tests/test_mailcow_*.py) $(wildcard tests/*/)

unit: .venv/installed
	$(SAY) 'Unit tests'
	$(BIN)/pytest tests $(addprefix --ignore=,$(OTHERS)) -n 2 --dist worksteal
	$(SAY) 'mailcow: its double on loopback, or the real one that MAILCOW_URL names'
	$(BIN)/pytest tests/mailcow tests/test_mailcow_*.py -n 2 --dist loadfile -rs

golden: .venv/installed
	$(SAY) 'DNS: the golden set of scenarios; SPF beside the suite of its RFC and beside pyspf'
	$(BIN)/pytest tests/test_golden.py tests/peers -n 2 --dist worksteal

bare: images
	$(SAY) 'What the mail server image does, the testbed itself'
	$(BIN)/pytest tests/fidelity tests/testbed -m 'not deployed and not servers' -v

# Kernels talk over IPC: sockets in a folder that only this user can enter and that goes with JupyterLab.
notebook: .venv/installed
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT INT TERM && \
	JUPYTER_RUNTIME_DIR=$$folder $(BIN)/jupyter lab --KernelManager.transport=ipc \
	  $$(test "$$(id -u)" -ne 0 || echo --allow-root) notebooks

bench: .venv/peers
	$(SAY) 'Ours against the peers, measured now on this machine'
	$(BIN)/python tests/bench/measure.py

exam: images
	$(SAY) 'Each fault of the testbed broken, diagnosed, mended as the finding says, diagnosed again, and taken back'
	$(BIN)/runbook testbed up
	$(BIN)/runbook testbed exam --json tests/bench/exam.json

.venv/peers: .venv/installed
	$(SAY) 'The peers to measure beside, into .venv'
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -e '.[bench]'
	@touch $@

.venv/installed: pyproject.toml
	$(SAY) 'Python packages into .venv'
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'this Python cannot make virtual environments: installing $(PYTHON)-venv'; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PYTHON)-venv; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --progress-bar off -e '.[dev]'
	@touch $@
