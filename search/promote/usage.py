"""How to use a model, for its card: on the command line, over HTTP and from Python, with a row that works."""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

from search.bundle.signature import LABEL, PROBABILITIES, VALUE, Input, Kind, Signature

_MOST: Final = 40
"""Columns of an example; of more columns the example is left to the server's own page."""


def lines(signature: Signature) -> list[str]:
    """Return the section's lines."""
    shown = ["    sweep serve MODEL", "    sweep predict MODEL rows.csv -o predicted.csv"]
    read = [one for one in signature.inputs if one.used]
    said = ["From the command line (`pip install 'sweep-search[serve]'`), or over HTTP:", "", *shown]
    if signature.takes_images or len(read) > _MOST:
        said += ["", "`sweep serve` shows an example of a request at `/openapi.json`, and a page to try it at `/`."]
    else:
        body = json.dumps({"rows": [{one.name: _value(one) for one in read}]})
        said += [
            "",
            "```sh",
            f"curl -H 'Content-Type: application/json' -d {shlex.quote(body)} http://127.0.0.1:8000/predict",
            "```",
        ]
    return [*said, "", "From Python, with onnxruntime and numpy alone:", "", *_python(read, outputs(signature))]


def outputs(signature: Signature) -> list[str]:
    """Return the names of the graph's outputs."""
    return [LABEL, PROBABILITIES] if signature.is_classification else [VALUE]


def _python(read: list[Input], names: list[str]) -> list[str]:
    feeds = [f"    {json.dumps(one.name)}: {_array(one)}," for one in read[:_MOST]]
    more = [f"    # ... and {len(read) - _MOST} more columns"] if len(read) > _MOST else []
    return [
        "```python",
        "import numpy as np",
        "import onnxruntime",
        "",
        'session = onnxruntime.InferenceSession("model.onnx")',
        "rows = {",
        *feeds,
        *more,
        "}",
        f"print(session.run({json.dumps(names)}, rows))",
        "```",
        "",
        'A missing number is `np.nan`, a missing text `""`.',
    ]


def _array(given: Input) -> str:
    if given.kind is Kind.IMAGE:
        return f"np.zeros((1, {', '.join(str(length) for length in given.shape)}), np.float32)"
    if given.kind is Kind.TEXT:
        return f"np.array([[{json.dumps(given.example or '')}]], object)"
    return f"np.array([[{'np.nan' if given.example is None else json.dumps(given.example)}]], np.float32)"


def _value(given: Input) -> Any:
    if isinstance(given.example, float) and given.whole:
        return int(given.example)
    return given.example
