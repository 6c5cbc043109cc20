SHELL = /bin/bash
CODE = sb3_breakout tests scripts benchmarks noxfile.py

pytest:
	python -m pytest

pytest-slow:
	python -m pytest -m slow

docs:
	python -m sphinx -W --keep-going -q -b html docs docs/_build/html

type:
	python -m mypy

lint:
	python -m ruff check $(wildcard $(CODE))

format:
	python -m ruff check --select I --fix $(wildcard $(CODE))
	python -m black $(wildcard $(CODE))

check-codestyle:
	python -m ruff check --select I $(wildcard $(CODE))
	python -m black --check $(wildcard $(CODE))

commit-checks: format type lint

.PHONY: pytest pytest-slow docs type lint format check-codestyle commit-checks
