"""The JSON of an answer: what a model says of the rows of one request."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final

import numpy as np

from search.bundle.model import Predicted
from search.bundle.signature import Signature
from search.serve.rows import Form

Array = np.ndarray[Any, Any]

_PROBABILITY: Final = "%.7g"
_VALUE: Final = "%.8g"
"""A number of 32 bits has so many digits; more of them would be noise."""


class Renderer:
    """Renders the answers of one model.

    Args:
        signature: Of the model.
        label: Under which it answers, such as `rain:3`.
    """

    def __init__(self, signature: Signature, label: str) -> None:
        model = json.dumps(label)
        self._classes = [json.dumps(one) for one in signature.classes]
        self._of = dict(zip(signature.classes, self._classes, strict=True))
        self._head = f'{{"model": {model}, '
        pairs = ", ".join(f"{name.replace('%', '%%')}: {_PROBABILITY}" for name in self._classes)
        self._one = f'{{"label": %s, "probabilities": {{{pairs}}}}}'

    def __call__(self, predicted: Predicted, rows: slice | None = None, form: Form = "records") -> bytes:
        """Return the JSON: a list of predictions, or, of columns, columns; null where the model found no number."""
        part = rows or slice(None)
        if predicted.value is not None:
            said = self._values(predicted.value[part], form)
        else:
            assert predicted.label is not None
            assert predicted.probabilities is not None
            said = self._labels(predicted.label[part], predicted.probabilities[part], form)
        return f"{self._head}{said}}}".encode()

    def _values(self, values: Array, form: Form) -> str:
        texts = _texts(values, _VALUE)
        if form == "columns":
            return f'"value": [{", ".join(texts)}]'
        return '"predictions": [' + ", ".join([f'{{"value": {text}}}' for text in texts]) + "]"

    def _labels(self, labels: Array, probabilities: Array, form: Form) -> str:
        names = [self._of[label] for label in labels.tolist()]
        rows: list[list[float]] = probabilities.tolist()
        finite = isfinite(sum(map(sum, rows)))
        if form != "columns" and finite:
            one = self._one
            filled = [one % (name, *row) for name, row in zip(names, rows, strict=True)]
            return f'"predictions": [{", ".join(filled)}]'
        if not finite:
            names = [name if isfinite(sum(row)) else "null" for name, row in zip(names, rows, strict=True)]
        columns = [_texts(column, _PROBABILITY) for column in probabilities.T]
        if form == "columns":
            parts = [f"{name}: [{', '.join(texts)}]" for name, texts in zip(self._classes, columns, strict=True)]
            return f'"label": [{", ".join(names)}], "probabilities": {{{", ".join(parts)}}}'
        filled = []
        for name, texts in zip(names, zip(*columns, strict=True), strict=True):
            pairs = ", ".join(f"{one}: {text}" for one, text in zip(self._classes, texts, strict=True))
            filled.append(f'{{"label": {name}, "probabilities": {{{pairs}}}}}')
        return f'"predictions": [{", ".join(filled)}]'


def _texts(values: Array, form: str) -> list[str]:
    """Return numbers as JSON."""
    return [form % value if isfinite(value) else "null" for value in values.tolist()]
