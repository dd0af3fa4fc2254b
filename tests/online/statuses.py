"""Statuses as a learner writes them: one of each situation, and the `story` of a model that lives through a drift."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from search.paths import OnlineFolder, write_atomic

EVIL: Final = '<img src=x onerror=alert(1)>%{x}"\u202e\x1b[31m'
"""A name that is markup, a template of plotly's, turns text round and steers a terminal."""

NOW_S: Final = 1_795_000_000.0
KINDS: Final = ("shown", "labelled", "learnt", "holdout", "trusted", "aside", "held", "unknown", "waiting")


def scores(value: float, rows: int, classes: tuple[str, ...], *, score: str = "accuracy") -> dict[str, Any]:
    """Return what one model's `Prequential.summary` tells."""
    if score == "mae":
        metrics: dict[str, Any] = {"mae": value, "rmse": value * 1.4, "r2": 1 - value / 4}
        return {"rows": rows, "rolling": metrics, "fading": {name: one * 1.02 for name, one in metrics.items()}}
    metrics = {"accuracy": value, "log_loss": -math.log(max(value, 1e-3)), "balanced_accuracy": value - 0.02}
    each = {
        name: {
            "rows": min(rows, 1000) // len(classes),
            "recall": max(0.1, value - 0.01 * at),
            "precision": min(0.99, value + 0.01 * at),
        }
        for at, name in enumerate(classes)
    }
    fading = {name: one * 0.99 for name, one in metrics.items()}
    return {"rows": rows, "rolling": {**metrics, "classes": each}, "fading": fading}


def nothing(score: str = "accuracy", classes: tuple[str, ...] = ("rain", "sun")) -> dict[str, Any]:
    """Return what they tell before the first row."""
    if score == "mae":
        unknown: dict[str, Any] = dict.fromkeys(("mae", "rmse", "r2"))
        return {"rows": 0, "rolling": unknown, "fading": unknown}
    unknown = dict.fromkeys(("accuracy", "log_loss", "balanced_accuracy"))
    each = {name: {"rows": 0, "recall": None, "precision": None} for name in classes}
    return {"rows": 0, "rolling": {**unknown, "classes": each}, "fading": unknown}


def fresh(name: str = "rain", *, at_s: float = NOW_S, score: str = "accuracy") -> dict[str, Any]:
    """Return the status of a model that nobody has asked yet."""
    return {
        "name": name,
        "champion": {"label": f"{name}:1", "version": 1, "since_s": at_s - 60},
        "sequence": 0,
        "behind": 0,
        "learning": "on",
        "at_s": at_s,
        "rows": dict.fromkeys(KINDS, 0),
        "metrics": {
            **{role: nothing(score) for role in ("served", "champion", "challenger")},
            "previous": None,
            "winner": None,
        },
        "tests": {
            "challenger": {"log_evidence": None, "needed": 4.38, "rows": 0, "since": 0, "objection": ""},
            "previous": None,
            "winner": None,
        },
        "drift": {"alarms": [], "stability": {}},
        "swaps": [],
        "curve": [],
        "score": score,
        "resweep": {"state": "none", "study": "", "why": "", "used_s": 0.0},
    }


def story(**choices: Any) -> Iterator[dict[str, Any]]:
    """Yield the statuses of a model through its life, each a value of its own; `life` says what may be chosen."""
    for told in life(**choices):
        yield json.loads(json.dumps(told))


def life(
    *,
    name: str = "rain",
    seed: int = 0,
    steps: int = 120,
    end_s: float = NOW_S,
    score: str = "accuracy",
    classes: tuple[str, ...] = ("rain", "sun", "snow"),
    columns: tuple[str, ...] = ("pressure", "humidity", "town"),
) -> Iterator[dict[str, Any]]:
    """Yield the status, always the same object, of a model whose data change; 100 labelled rows from one to the next.

    After a third the champion falls; the challenger learns and takes over after two thirds; soon it is rolled back,
    and wins again.
    """
    drawn = random.Random(seed)
    told = fresh(name, at_s=end_s - steps, score=score)
    begun_s, log_evidence = told["at_s"], 0.0
    good, bad = (0.9, 0.62) if score == "accuracy" else (0.4, 1.1)
    champion = challenger = good
    for step in range(1, steps + 1):
        at_s, row = begun_s + step, 100 * step
        drifted, moved = step > steps // 3, step > 2 * steps // 3
        champion += ((bad if drifted and not moved else good) - champion) * 0.25
        challenger += ((good if step > steps // 3 + 6 or not drifted else bad) - challenger) * 0.2
        seen = [value + drawn.gauss(0, 0.008) for value in (champion, challenger)]
        better = (seen[1] - seen[0]) * (1 if score == "accuracy" else -0.3)
        log_evidence = max(-0.7, log_evidence + 6 * better - 0.05) if not moved else drawn.uniform(-0.7, 0.2)
        told["at_s"], told["sequence"], told["behind"] = at_s, 3 * row, drawn.randrange(40)
        told["rows"] = {
            "shown": int(1.3 * row),
            "labelled": row,
            "learnt": int(0.92 * row),
            "holdout": row // 20,
            "trusted": row // 100,
            "aside": row // 50,
            "held": 0,
            "unknown": row // 200,
            "waiting": int(0.3 * row),
        }
        told["metrics"] = {
            "served": scores(seen[0], row, classes, score=score),
            "champion": scores(seen[0], row, classes, score=score),
            "challenger": scores(seen[1], row, classes, score=score),
            "previous": scores(seen[0] - 0.1, 400, classes, score=score) if moved else None,
            "winner": None,
        }
        told["tests"]["challenger"] = {
            "log_evidence": log_evidence,
            "needed": 6.17 if moved else 4.38,
            "rows": row,
            "since": 100,
            "objection": "",
        }
        if moved:
            told["tests"]["previous"] = {
                "log_evidence": -0.6,
                "needed": 4.38,
                "rows": 400,
                "since": 400,
                "objection": "",
            }
        shift = min(0.6, 0.02 * max(0, step - steps // 3)) if drifted else 0.0
        told["drift"]["stability"] = {
            one: 0.01 + drawn.random() * 0.03 + shift * (1, 0.25, 0)[at % 3] for at, one in enumerate(columns)
        }
        told["curve"] = [
            *told["curve"],
            {"row": row, "champion": seen[0], "challenger": seen[1], "at_s": at_s},
        ][-500:]
        told["drift"]["alarms"] = [*_alarms(step, steps, row, at_s, columns), *told["drift"]["alarms"]][:50]
        _swap(told, step, steps)
        yield told


def _alarms(step: int, steps: int, row: int, at_s: float, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    third = steps // 3
    error = "the champion's error rose from 0.098 to 0.31 within 140 rows"
    both = {
        third + 3: ("error", "adwin", "", error),
        third + 9: ("error", "page-hinkley", "", "the champion's error stays above what it was"),
        third + 5: ("input", "kswin", columns[0], f"{columns[0]} is no longer distributed as before"),
        third + 20: ("input", "psi", columns[0], f"{columns[0]} has a stability index of 0.31"),
    }
    if step not in both:
        return []
    kind, detector, column, sentence = both[step]
    return [{"at_s": at_s, "row": row, "kind": kind, "detector": detector, "column": column, "sentence": sentence}]


def _swap(told: dict[str, Any], step: int, steps: int) -> None:
    two = 2 * steps // 3
    plan = {
        two: ("take-over", 2, "better on 812 rows: log evidence 4.4 of 4.38 needed"),
        two + 6: ("rollback", 1, "rain:1 is better on 90 rows since"),
        two + 14: ("take-over", 3, "better on 640 rows: log evidence 6.2 of 6.17 needed"),
    }
    if step not in plan:
        return
    how, version, why = plan[step]
    name, was = told["name"], told["champion"]["label"]
    told["champion"] = {"label": f"{name}:{version}", "version": version, "since_s": told["at_s"]}
    swap = {"at_s": told["at_s"], "row": 100 * step, "from": was, "to": f"{name}:{version}", "how": how, "why": why}
    told["swaps"] = [swap, *told["swaps"]][:50]


def _last(**choices: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for told in life(**choices):  # noqa: B007
        pass
    return told


def _one_row() -> dict[str, Any]:
    told = fresh()
    told["rows"].update(shown=1, labelled=1, learnt=1)
    for role in ("served", "champion", "challenger"):
        told["metrics"][role] = scores(1.0, 1, ("rain", "sun"))
        told["metrics"][role]["rolling"]["classes"]["sun"] = {"rows": 0, "recall": None, "precision": None}
    told["curve"] = [{"row": 1, "champion": 1.0, "challenger": 1.0, "at_s": NOW_S}]
    told["tests"]["challenger"] = {"log_evidence": 0.0, "needed": 4.38, "rows": 1, "since": 1, "objection": ""}
    return told


def _hostile() -> dict[str, Any]:
    told = _last(classes=(EVIL, "__proto__", "a" * 300), columns=(EVIL, "__proto__", "constructor"))
    for event in (*told["drift"]["alarms"], *told["swaps"]):
        event["sentence" if "sentence" in event else "why"] = EVIL
    told["resweep"] = {"state": "failed", "study": EVIL, "why": EVIL, "used_s": 3.0}
    return told


def _wide() -> dict[str, Any]:
    return _last(
        steps=500, classes=tuple(f"class {at}" for at in range(60)), columns=tuple(f"x{at}" for at in range(80))
    )


def _with(**changes: Any) -> dict[str, Any]:
    return {**_last(), **changes}


def _resweep(state: str) -> dict[str, Any]:
    why = "the error has stayed above 0.3 for 2,000 rows, and the challenger does not mend it"
    told = _with(resweep={"state": state, "study": "rain-online-2", "why": why, "used_s": 95.5})
    told["metrics"]["winner"] = scores(0.93, 220, ("rain", "sun", "snow"))
    told["tests"]["winner"] = {"log_evidence": 2.1, "needed": 4.38, "rows": 220, "since": 220, "objection": ""}
    return told


SITUATIONS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "fresh": fresh,
    "one row": _one_row,
    "learning": lambda: _last(steps=30),
    "through a drift": _last,
    "regression": lambda: _last(score="mae"),
    "fresh regression": lambda: fresh(score="mae"),
    "paused": lambda: _with(learning="paused"),
    "held": lambda: _with(learning="held"),
    "re-sweep runs": lambda: _resweep("running"),
    "re-sweep failed": lambda: _resweep("failed"),
    "hostile": _hostile,
    "wide": _wide,
}
"""By name; every one is whole."""


def write(folder: OnlineFolder, told: Mapping[str, Any], *, age_s: float = 0.0) -> None:
    """Put a status where a learner puts it, with all its times moved so that it is so old."""
    moved = _moved(told, time.time() - age_s - told["at_s"])
    write_atomic(folder.status, json.dumps(moved, ensure_ascii=False))


def _moved(told: Any, by_s: float) -> Any:
    if isinstance(told, list):
        return [_moved(one, by_s) for one in told]
    if isinstance(told, Mapping):
        times = ("at_s", "since_s")
        return {name: one + by_s if name in times else _moved(one, by_s) for name, one in told.items()}
    return told
