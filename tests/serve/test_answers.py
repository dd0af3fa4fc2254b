"""Answers are JSON that says what the model said, in the form in which the rows came."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from search.bundle.model import Predicted
from search.bundle.signature import Signature
from search.serve.answers import Renderer
from search.serve.rows import Form

CLASSES = ('a "quoted" one', "100 %s", "naïve")
NAMED = Signature("multiclass", "t", (), CLASSES)
NUMBER = Signature("regression", "t", ())
LABELS = Predicted(
    np.array([CLASSES[1], CLASSES[0]], object), np.array([[0.1, 0.7, 0.2], [1.0, 1e-12, 0.0]], np.float32)
)


def rendered(signature: Signature, predicted: Predicted, form: Form = "records", part: slice | None = None) -> Any:
    told = json.loads(Renderer(signature, "rain:3")(predicted, part, form))
    assert told.pop("model") == "rain:3"
    return told


def test_labels_have_the_probabilities_of_all_classes() -> None:
    assert rendered(NAMED, LABELS)["predictions"] == [
        {"label": CLASSES[1], "probabilities": {CLASSES[0]: 0.1, CLASSES[1]: 0.7, CLASSES[2]: 0.2}},
        {"label": CLASSES[0], "probabilities": {CLASSES[0]: 1, CLASSES[1]: 1e-12, CLASSES[2]: 0}},
    ]


def test_columns_are_answered_by_columns() -> None:
    assert rendered(NAMED, LABELS, "columns") == {
        "label": [CLASSES[1], CLASSES[0]],
        "probabilities": {CLASSES[0]: [0.1, 1], CLASSES[1]: [0.7, 1e-12], CLASSES[2]: [0.2, 0]},
    }
    assert rendered(NUMBER, Predicted(value=np.array([1.2, -3.5e4], np.float32)), "columns") == {"value": [1.2, -3.5e4]}


def test_a_request_gets_its_own_part_of_a_run() -> None:
    values = Predicted(value=np.array([1, 2, 3], np.float32))
    assert rendered(NUMBER, values, part=slice(1, 2)) == {"predictions": [{"value": 2}]}
    assert rendered(NAMED, LABELS, part=slice(1, 2))["predictions"][0]["label"] == CLASSES[0]


@pytest.mark.parametrize("form", ["records", "columns"])
def test_what_is_no_number_is_null_and_has_no_label(form: Form) -> None:
    values = rendered(NUMBER, Predicted(value=np.array([1, np.nan, np.inf], np.float32)), form)
    assert values == (
        {"value": [1, None, None]}
        if form == "columns"
        else {"predictions": [{"value": 1}, {"value": None}, {"value": None}]}
    )
    broken = Predicted(LABELS.label, np.array([[0.1, 0.7, 0.2], [np.nan, np.nan, np.nan]], np.float32))
    told = rendered(NAMED, broken, form)
    labels = told["label"] if form == "columns" else [one["label"] for one in told["predictions"]]
    assert labels == [CLASSES[1], None]


def test_values_are_as_exact_as_the_model() -> None:
    values = np.random.default_rng(1).normal(size=500).astype(np.float32) * np.float32(1e4)
    told = rendered(NUMBER, Predicted(value=values), "columns")["value"]
    np.testing.assert_allclose(told, values, rtol=1e-7)
