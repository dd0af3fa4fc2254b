"""Fixtures of the study's tests: databases of a PostgreSQL server."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import optuna
import psycopg
import pytest

_names = itertools.count()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def new_database(postgres_url: str) -> Callable[[], str]:
    """Make an empty database, and return its URL."""

    def make() -> str:
        name = f"study{next(_names)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{postgres_url.rpartition('/')[0]}/{name}"

    return make
