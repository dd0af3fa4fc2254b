"""What is described is so: requests made from the description meet no fault, and no answer that it lacks.

Mutations that turn this file red: leave 422 of a feedback without its counts; describe a field that is not told; answer
500 to any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.online.servers import TOKENS, online, promoted
from tests.serve.servers import Server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("described") / "results"
    promoted(root)
    with online(root, tokens=TOKENS) as found:
        yield found


@pytest.mark.parametrize("path", ["/predict", "/feedback", "/admin"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_made_from_the_description_meet_no_surprise(path: str, mode: GenerationMode, server: Server) -> None:
    token = {"/predict": "SWEEP_TOKEN", "/feedback": "SWEEP_LABEL_TOKEN"}.get(path, "SWEEP_ADMIN_TOKEN")
    head = {"Authorization": f"Bearer {TOKENS[token]}"}
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=head)
    operation = schema[path]["POST"]
    answered: set[int] = set()

    @settings(
        max_examples=5 if path == "/predict" else 20,  # of which `sweep serve` has tests of its own
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answered.add(case.call_and_validate(headers=head, checks=CHECKS).status_code)

    ask()
    assert answered <= ({200, 422} if mode is GenerationMode.POSITIVE else {200, 400, 401, 415, 422})
