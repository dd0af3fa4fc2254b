"""A project folder for each test of pulls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.api.servers import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
