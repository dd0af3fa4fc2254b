"""What tests share: one Ray, and one PostgreSQL server, for the whole session."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests import postgres

settings.register_profile("thousand", max_examples=1000)  # pytest --hypothesis-profile=thousand

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it in the background; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Two CPUs and two GPUs that are only numbers; a sweep in this process uses it instead of its own."""
    from search.tuner import cluster

    cluster.set_environment(None)
    with cluster.connected(None, num_cpus=2, num_gpus=2):
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a running server, with user and password."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (package postgresql)")
    with postgres.server(programs) as url:
        yield url


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skip", action="store_true", help="Fail a test that would be skipped: CI has all they need.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure when asked to."""
    report = yield
    if report.skipped and item.config.getoption("--no-skip") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report
