"""What tests of object stores share: a server of S3's protocol, and the environment that leads there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from search.remote.place import Place
from tests.remote import s3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Server]:
    pytest.importorskip("s3fs")
    with s3.served() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server


@pytest.fixture
def place(server: s3.Server) -> Place:
    return replace(Place.at("s3://bucket/our sweeps"), pauses_s=(0.01, 0.01))
