"""Missing texts in fitted steps: NaN where they are trained, the empty text where a bundle is asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def with_empty_texts(step: Any) -> Any:
    """Return a copy of fitted steps whose imputers of texts fill the empty text in place of NaN."""
    from sklearn.impute import SimpleImputer

    copied = copy.deepcopy(step)
    for one in _steps(copied):
        if isinstance(one, SimpleImputer) and one.statistics_.dtype.kind == "O":
            one.missing_values = ""
    return copied


def mend_categories(graph: onnx.GraphProto) -> None:
    """Have one-hot codes know the missing category by the empty text; skl2onnx writes NaN as a word."""
    for node in graph.node:
        if node.op_type != "OneHotEncoder":
            continue
        for attribute in node.attribute:
            if attribute.name == "cats_strings" and b"" not in attribute.strings:
                texts = [b"" if text == b"nan" else text for text in attribute.strings]
                del attribute.strings[:]
                attribute.strings.extend(texts)


def _steps(step: Any) -> Iterator[Any]:
    """Yield a step and all that stand in it."""
    yield step
    for inner in getattr(step, "steps", ()):
        yield from _steps(inner[1])
    for inner in getattr(step, "transformers_", ()):
        yield from _steps(inner[1])
