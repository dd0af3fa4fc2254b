"""What people are told of a model that keeps learning, as `status.json` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from search.online.betting import needed
from search.online.choices import Choices
from search.online.contest import CHALLENGER, PREVIOUS, WINNER, Rival
from search.online.engine import Engine
from search.online.waiting import SERVED

_RIVALS: Final = (CHALLENGER, PREVIOUS, WINNER)


def status_of(
    engine: Engine,
    choices: Choices,
    champion: Mapping[str, Any],
    *,
    name: str,
    behind: int,
    at_s: float,
    resweep: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a status.

    Args:
        engine: Tells.
        choices: Of its tests.
        champion: Its `label`, `version` and `since_s`.
        name: Of the model.
        behind: Events that it has not read.
        at_s: Unix time.
        resweep: How a sweep over the newest rows stands.
    """
    state = engine.state
    rivals = {role: state.rivals.get(role) for role in _RIVALS}
    measured = {role: None if rival is None else rival.measured.summary() for role, rival in rivals.items()}
    held = len(state.held) > 0
    return {
        "name": name,
        "champion": dict(champion),
        "sequence": state.sequence,
        "behind": behind,
        "learning": "paused" if state.paused else "held" if held else "on",
        "at_s": at_s,
        "rows": {**state.counts, "waiting": len(state.waiting)},
        "metrics": {**{role: one.summary() for role, one in state.metrics.items()}, **measured},
        "tests": {role: None if rival is None else _test(rival, choices.alpha / 2) for role, rival in rivals.items()},
        "drift": {"alarms": state.alarms, "stability": state.inputs.stability()},
        "swaps": state.swaps,
        "curve": state.curve.points,
        "score": "accuracy" if state.metrics[SERVED].classes else "mae",
        "resweep": dict(resweep),
    }


def _test(rival: Rival, alpha: float) -> dict[str, Any]:
    return {
        "log_evidence": rival.test.log_evidence,
        "needed": needed(alpha, rival.number),
        "rows": rival.test.rows,
        "since": rival.test.since,
        "objection": rival.objection,
    }
