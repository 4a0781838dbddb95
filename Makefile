# Everything that is done to Petra, by name. Needs make, Python 3.11 or newer with venv and pip, and no root.
#
#   make setup         an environment in .venv with the locked versions of everything
#   make run           a server on 127.0.0.1:7475 with its data in ./petra-data    [LISTEN=host:port DATA=folder ARGS=...]
#   make test          all tests, by files in two processes                        [ARGS="-k name" WORKERS=4]
#   make check         format, lint, types, import arrows, generated code, .proto files
#   make integrations  the tests of the libraries that petra.integrations has adapters for   [ARGS="limits django"]
#   make crash N=500   kill the server N times under load and look at what it kept
#   make bench         the measurements                                            [ARGS=...]
#   make proto         generate client/petra/v1 from proto/
#   make blocking      generate the blocking twins of the data layers, in client/petra/sync
#   make compat        the fast tests with the lowest and the highest supported grpcio and protobuf
#   make lock          write the lock files anew, with the newest versions that pyproject.toml allows
#   make clean         remove all that was made, except data

PYTHON ?= $(shell command -v python3.11 || echo python3)
LISTEN ?= 127.0.0.1:7475
DATA ?= petra-data
N ?= 100
WORKERS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PROTO_VENV := .venv-proto
LOWEST_VENV := .venv-lowest
UPSTREAM_VENV := .venv-upstream

PROTOS := $(wildcard proto/petra/v1/*.proto)
SERVICES := $(shell grep -l '^service ' $(PROTOS))

# A fresh environment $(1) with what the lock file $(2) holds. Nothing that is not in the lock is fetched.
define new_venv
$(PYTHON) -c 'import sys; sys.exit("Petra needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
$(PYTHON) -m venv --clear $(1)
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(2)
endef

# Petra itself, as an editable install that uses the build backend of the lock.
define install_petra
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --check-build-dependencies --editable .
endef

# The generated code, into the source root $(1). Only files with services get service stubs.
define generate
PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" python -m grpc_tools.protoc -Iproto --python_out=$(1) --pyi_out=$(1) $(PROTOS)
PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" python -m grpc_tools.protoc -Iproto --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES)
endef

.PHONY: setup run test integrations check format lint types imports blocking-check proto-check proto-lint crash bench blocking proto compat lock clean

setup: $(VENV)/.stamp

$(VENV)/.stamp: requirements/dev.txt pyproject.toml
	$(call new_venv,$(VENV),requirements/dev.txt)
	$(call install_petra,$(VENV))
	@touch $@

$(LOWEST_VENV)/.stamp: requirements/lowest.txt pyproject.toml
	$(call new_venv,$(LOWEST_VENV),requirements/lowest.txt)
	$(call install_petra,$(LOWEST_VENV))
	@touch $@

$(UPSTREAM_VENV)/.stamp: requirements/upstream.txt pyproject.toml
	$(call new_venv,$(UPSTREAM_VENV),requirements/upstream.txt)
	$(call install_petra,$(UPSTREAM_VENV))
	@touch $@

$(PROTO_VENV)/.stamp: requirements/proto.txt
	$(call new_venv,$(PROTO_VENV),requirements/proto.txt)
	@touch $@

# exec: signals meet the server itself, not a shell before it.
run: $(VENV)/.stamp
	@exec $(BIN)/petra serve --data $(DATA) --listen $(LISTEN) $(ARGS)

test: $(VENV)/.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# Each with the sources of the version that is installed, which are fetched.
integrations: $(UPSTREAM_VENV)/.stamp
	$(UPSTREAM_VENV)/bin/python -m tests.integrations.upstream $(ARGS)

crash: $(VENV)/.stamp
	$(BIN)/python -m pytest tests/crash --crash-rounds $(N) $(ARGS)

bench: $(VENV)/.stamp
	$(BIN)/python -m bench $(ARGS)

check: lint types imports blocking-check proto-check proto-lint

format: $(VENV)/.stamp
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(VENV)/.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.stamp
	$(BIN)/mypy

imports: $(VENV)/.stamp
	$(BIN)/lint-imports --no-cache --no-logo

blocking: $(VENV)/.stamp
	$(BIN)/python -m tools.blocking

blocking-check: $(VENV)/.stamp
	$(BIN)/python -m tools.blocking --check

proto: $(PROTO_VENV)/.stamp
	rm -f client/petra/v1/*_pb2*.py client/petra/v1/*_pb2*.pyi
	$(call generate,client)

# Both ways: a stub that was edited, one that is missing, and one whose .proto is gone.
proto-check: $(PROTO_VENV)/.stamp
	@rm -rf build/proto && mkdir -p build/proto
	@$(call generate,build/proto)
	@diff -r -x __init__.py -x __pycache__ client/petra/v1 build/proto/petra/v1 || { echo "client/petra/v1 is not what proto/ says: run make proto" >&2; exit 1; }

proto-lint: $(VENV)/.stamp
	$(BIN)/buf lint proto

compat: $(VENV)/.stamp $(LOWEST_VENV)/.stamp
	$(LOWEST_VENV)/bin/python -m pytest -m "not slow and not crash and not interop" $(ARGS)
	$(BIN)/python -m pytest -m "not slow and not crash and not interop" $(ARGS)

# --no-config and the --no-emit options keep this machine's settings out of the files.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

lock: $(VENV)/.stamp
	$(COMPILE) pyproject.toml --extra server --output-file requirements/server.txt
	$(COMPILE) --group build --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --extra server --group build --group upstream --output-file requirements/upstream.txt
	$(COMPILE) --group proto --output-file requirements/proto.txt
	$(COMPILE) pyproject.toml --extra server --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra server --group build --group test --resolution lowest-direct --output-file requirements/lowest.txt

clean:
	rm -rf $(VENV) $(PROTO_VENV) $(LOWEST_VENV) $(UPSTREAM_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
