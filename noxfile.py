"""The default tests under every Python in the classifiers, and with the oldest allowed dependencies."""

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv"
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """Dependencies with the versions in constraints.txt."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Direct dependencies at their lower bounds."""
    session.install("--resolution", "lowest-direct", "-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)
