"""What of the training rows leaves with a model: the texts of categories, and none that one row alone has."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper

from search.bundle.signature import Kind
from search.contract import Part, Source, Task
from search.problem import Problem
from search.promote.signing import signature_of

ROWS = 120
TOWNS = [f"town {row * row % 60}" for row in range(ROWS)]


@pytest.mark.parametrize(
    ("texts", "most"),
    [
        (TOWNS, 50),
        (["yes", "no"] * 60, 2),
        ([f"town {row % 61}" for row in range(ROWS)], 0),
        ([f"street {row}" if row > 10 else "" for row in range(ROWS)], 0),
        ([f"2026-01-{1 + row % 28:02}" for row in range(ROWS)], 0),
        ([f"I was there {row % 60} times in all" for row in range(ROWS)], 0),
        ([None] * ROWS, 0),
    ],
    ids=["towns", "two", "mostly different", "own", "dates", "sentences", "nothing"],
)
@pytest.mark.parametrize("read", [True, False])
def test_only_texts_of_categories_are_listed(texts: list[Any], most: int, read: bool) -> None:
    part = Part(pd.DataFrame({"a": texts, "b": np.arange(ROWS)}, dtype=object).astype({"b": float}), np.arange(ROWS))
    kinds = {"a": TensorProto.STRING, "b": TensorProto.FLOAT} if read else {"b": TensorProto.FLOAT}
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()]
    graph = helper.make_model(helper.make_graph([], "g", inputs, []))
    problem = Problem(cast("Any", None), (), cast("Source", None), part, part, task=Task.REGRESSION)
    found = signature_of(problem, graph, target="y", threshold=None).inputs[0]
    assert (found.kind, found.used) == (Kind.TEXT, read)
    there = {text for text in texts if text}
    assert set(found.levels) <= there
    assert len(found.levels) == min(most, len(there))
    assert found.example == (found.levels[0] if most else "")
