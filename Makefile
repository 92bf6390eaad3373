# make demo     set up .venv and write ten sounds, a picture and a page to out/
# make test     set up .venv and run every test, then the backends' own part
# make check    lint, types and the fast tests: for work, a few minutes
# make quality  formatting, lint, types, generated files: what CI checks
# make style    rewrite what can be rewritten
# make wheel    dist/*.whl and dist/*.tar.gz

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 \
	|| command -v python3.13 || command -v python3)
VENV ?= .venv
OUT ?= out/
BIN := $(VENV)/bin
# One process a core, up to four; a file of tests stays in one of them.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test check quality style typecheck wheel clean

demo: $(VENV)/.installed
	$(BIN)/audiogan sample stft_gan_digits -n 10 -o $(OUT) --plot

test: $(VENV)/.installed-test
	$(PYTEST)
	KERAS_BACKEND=jax $(PYTEST) -m backends
	KERAS_BACKEND=torch $(PYTEST) -m backends

check: quality $(VENV)/.installed-test
	$(PYTEST) -m "not slow"

quality: $(VENV)/.installed-dev typecheck
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -P -m keras_audiogan.zoo.cards --check
	$(BIN)/python -P -m keras_audiogan.zoo.index --check

style: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -P -m keras_audiogan.zoo.cards
	$(BIN)/python -P -m keras_audiogan.zoo.index

# Type checkers do not run the import hooks of an editable install, so they
# are shown the installed layout as a tree of symlinks.
typecheck: $(VENV)/.installed-dev
	rm -rf .typecheck
	mkdir -p .typecheck/keras_audiogan
	ln -s ../../keras_audiogan/* ../../zoo ../../cli .typecheck/keras_audiogan/
	MYPYPATH=.typecheck $(BIN)/mypy -p keras_audiogan
	MYPYPATH=.typecheck $(BIN)/mypy tests/typing_cases.py

wheel: $(VENV)/.installed-test
	$(BIN)/python -m build

clean:
	rm -rf .typecheck .mypy_cache .pytest_cache .ruff_cache build dist

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing keras-audiogan into $(VENV): a few minutes at first."
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing the test environment into $(VENV): a few minutes."
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing the development tools into $(VENV)."
	$(INSTALL) -e '.[dev]'
	@touch $@

# Debian's Python comes without ensurepip: there the system's pip fills in.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "keras-audiogan needs Python 3.11 or newer, and found" \
	  "'$(PYTHON)'. Name another: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@touch $@
