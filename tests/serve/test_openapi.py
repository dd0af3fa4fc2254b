"""The description is exact: requests made from it, right and wrong ones, meet no fault and no answer that it lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.bundle.signature import Input, Kind
from search.serve.answers import Renderer
from search.serve.backend import Served
from search.serve.limits import Limits
from search.serve.openapi import describe, shapes
from search.serve.rows import Reader
from tests.bundle.bundles import Task, signature_of, tiny
from tests.serve.servers import TOKEN, Server, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("table") / "toy"
    tiny(root, unused=("id",))
    with serving(root, token=TOKEN) as found:
        yield found


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("picture") / "toy"
    tiny(root, task="multiclass", image=(1, 2, 3))
    with serving(root) as found:
        yield found


@pytest.mark.parametrize("name", ["table", "picture"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_made_from_the_description_meet_no_surprise(
    name: str, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)
    head = {"Authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=head)
    operation = schema["/predict"]["POST"]
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS
    answered: set[int] = set()

    @settings(
        max_examples=15 if mode is GenerationMode.POSITIVE else 40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answered.add(case.call_and_validate(headers=head, checks=checks).status_code)

    ask()
    assert (200 if mode is GenerationMode.POSITIVE else 422) in answered
    assert server.post(server.get("/model").json()["example"]).status_code == 200


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_example_is_answered(task: Task, tmp_path: Path) -> None:
    tiny(tmp_path / "toy", task=task)
    served = Served(Bundle.open(tmp_path / "toy"), "toy", 3)
    told = describe(served, Limits(), secured=False)
    assert told["info"]["version"] == "3"
    assert "securitySchemes" not in told["components"]
    model = Model(served.bundle)
    content = told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        rows = Reader(model.signature, Limits())(json.dumps(example["value"]).encode())
        answer = json.loads(Renderer(model.signature, "toy:3")(model.run(rows.columns), None, rows.form))
        shape = "PredictedColumns" if rows.form == "columns" else "Predictions"
        assert set(answer) == set(told["components"]["schemas"][shape]["required"])


@given(name=st.text(min_size=1, max_size=20))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_columns_of_any_name_are_described(name: str) -> None:
    signature = replace(signature_of(), inputs=(Input(name, Kind.NUMBER, 1.0),))
    row = json.loads(json.dumps(shapes(signature, Limits())))["Row"]
    assert list(row["properties"]) == row["required"] == [name]
