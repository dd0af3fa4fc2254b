"""Fixtures of the study's tests: a PostgreSQL server where its binaries are installed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import optuna
import psycopg
import pytest

from tests.study import postgres

_names = itertools.count()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a running server, with user and password."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (package postgresql)")
    with postgres.server(programs) as url:
        yield url


@pytest.fixture
def new_database(postgres_url: str) -> Callable[[], str]:
    """Make an empty database, and return its URL."""

    def make() -> str:
        name = f"study{next(_names)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{postgres_url.rpartition('/')[0]}/{name}"

    return make
