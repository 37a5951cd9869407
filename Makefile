# Everything that is done to this repository, as one command each. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
# command=Debian package, or a package alone where no command tells whether it is there.
PARTS := git=git dockerd=docker.io docker=docker.io containerd=containerd runc=runc busybox-static sshd=openssh-server \
         ssh=openssh-client setfacl=acl getfattr=attr zstd=zstd tar=tar setpriv=util-linux curl=curl prometheus=prometheus \
         mmdebstrap=mmdebstrap gpg=gnupg age=age chromium=chromium systemd-analyze=systemd openssl=openssl
BENCH_PARTS := restic=restic borg=borgbackup zstd=zstd tar=tar gpg=gnupg
# More than processors: the tests spend most of their time waiting for servers.
WORKERS ?= 4
# Images of Python often forbid it to keep what it has compiled: every start of the program would then take 0.4 s longer.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help setup parts lint format test image bench campaign kills turns year demo schemas docs requirements clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## make .venv with the pinned development packages (does nothing when it is up to date)
	@scripts/setup $(VENV) requirements-dev.txt

parts: ## install the servers that the tests run against, as root (Debian packages)
	@scripts/need $(PARTS)

lint: setup ## ruff, mypy --strict, the import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: setup ## let ruff format and fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup parts lint ## set everything up, lint, run all tests against real servers
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

image: setup ## build the image on a private Engine and run it as examples/compose does (minutes)
	@scripts/need $(PARTS)
	$(BIN)/pytest tests/packaging/image.py --timeout=0 -q

bench: setup ## measure against tar, restic and borg
	@scripts/need $(BENCH_PARTS)
	$(BIN)/python -m benchmarks

campaign: setup parts ## every fault at every call of every port, and what else takes minutes
	CAMPAIGN=all $(BIN)/pytest tests/faults/test_campaign.py tests/lifecycle/test_restore.py \
		tests/service/test_several.py tests/service/test_signals.py

kills: setup parts ## kill apply at random moments; N of each kind (500 and 100 unless said otherwise)
	KILLS=$(or $(N),500) $(BIN)/pytest tests/faults/test_kills.py --timeout=0
	KILLS=$(or $(N),100) $(BIN)/pytest tests/lifecycle/test_random_kills.py --timeout=0

turns: setup parts ## two reconcilers on one disk and one bucket, one of them stopped at random; N slots (500 unless said otherwise)
	TICKS=$(or $(N),500) $(BIN)/pytest tests/faults/test_two_reconcilers.py --timeout=0

year: setup ## a year of the service by a clock that leaps from slot to slot; N targets (200 unless said otherwise)
	YEAR=$(or $(N),200) $(BIN)/pytest tests/service/test_year.py --timeout=0

demo: ## the main job in a minute, with nothing but Python and git
	@scripts/need git=git
	@scripts/setup .venv-demo requirements.txt
	@scripts/demo .venv-demo/bin

schemas: setup ## write schemas/*.json from the models
	$(BIN)/reconciler schema --write schemas

docs: setup ## write the reference parts of docs/specs.md and docs/cli.md from the models and the commands
	$(BIN)/python scripts/reference.py

requirements: setup ## resolve the pinned packages again
	$(COMPILE) --upgrade --extra all --group build pyproject.toml --output-file requirements.txt
	$(COMPILE) --upgrade --extra dev --group build pyproject.toml --output-file requirements-dev.txt
	$(COMPILE) --upgrade --group bootstrap --output-file requirements-uv.txt

clean: ## remove what the commands above made
	rm -rf $(VENV) .venv-demo build dist demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
