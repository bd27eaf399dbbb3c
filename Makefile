# Two commands do everything on a fresh Debian or Ubuntu with Python >= 3.11:
#   make demo   create the environment, install, run the main job on bundled real data
#   make test   the same, plus what the tests need: lint, types, import contracts, tests. The silicon and ray extras
#               (1 GB) are tested in an environment of their own: operators installed would change what plans rest on
.PHONY: demo test format bench clean
.DEFAULT_GOAL := demo

VENV   := $(CURDIR)/.venv
BIN    := $(VENV)/bin
UV     := VIRTUAL_ENV=$(VENV) UV_PYTHON_DOWNLOADS=never $(BIN)/uv

demo: $(VENV)/.installed
	$(BIN)/seedcorn demo

test: $(VENV)/.installed-dev
	tools/install-test-services
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(UV) run --isolated --frozen --extra silicon --extra ray pytest tests/perf/test_silicon*.py tests/workers
	$(BIN)/pytest

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/uv:
	tools/create-environment $(VENV)

$(VENV)/.installed: $(BIN)/uv pyproject.toml uv.lock
	$(UV) sync --active --frozen --no-default-groups --inexact --quiet
	touch $@

$(VENV)/.installed-dev: $(BIN)/uv pyproject.toml uv.lock
	$(UV) sync --active --frozen --extra postgres --quiet
	touch $@ $(VENV)/.installed
