"""What every figure has to keep to, whatever the study: `stands`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from search.records.history import History
from search.report.plot import Plot

DRAWN_BY_THE_PAGE = {"scatter", "bar", "box", "violin", "histogram", "heatmap", "contour", "pie", "image"}
MOST_TRACES = 40


def stands(plot: Plot, history: History) -> dict[str, Any]:
    """Check a figure of a study, and return it as JSON; {} if the study has nothing to show."""
    info = plot.info(history)
    words = plot.words(info)
    assert words.finding
    assert "  " not in words.finding + words.note
    table = plot.data(info)
    assert len({len(column) for column in table.values()}) == 1
    assert set(table.get("trial", ())) <= {None, *range(len(history))}  # None of what is no single trial
    if words.empty:
        return {}
    text = plot.figure(info).to_json()
    found: dict[str, Any] = json.loads(text)
    assert found["data"]
    assert len(found["data"]) < MOST_TRACES
    assert {trace["type"] for trace in found["data"]} <= DRAWN_BY_THE_PAGE
    shown = {**found, "layout": {name: one for name, one in found["layout"].items() if name != "meta"}}  # no text there
    assert not [one for one in _texts(shown) if any(part in one for part in ("<img", "</script", "%{odd"))]
    assert plot.figure(plot.info(history)).to_json() == text  # nothing is drawn by chance
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
