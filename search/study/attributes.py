"""The name of every attribute that we keep in Optuna's storage, and the shape of its JSON value.

All are *system* attributes, so they never mix with a user's own; the metrics of a finished trial are copied to
*user* attributes under their plain names, where dashboards show them.
"""

from __future__ import annotations

from typing import Any, Final

SCHEMA: Final = 1
"""Version of what stands below; stored as `SCHEMA_KEY` in the study."""

MAX_TEXT: Final = 10_000
"""Longest text stored in an attribute, in characters; the rest stands in the trial's folder."""

# Of the study.
SCHEMA_KEY: Final = "sweep:schema"
RUNS: Final = "sweep:runs"  # one per launch or resume: see runs.Run.record
STOPPED: Final = "sweep:stopped"  # {"state": "finished", "why": "60 of 60 trials"}; None while a run goes on
BASELINE: Final = "sweep:baseline"  # {"val_loss": 0.69}
CLOCK: Final = "sweep:clock"  # 12.5: seconds of all runs so far, noted now and then and at each run's end
CHANGES: Final = "sweep:changes"  # {"trials": 80}: fields of the plan that differ since the launch

# Of a trial.
REQUEST: Final = "sweep:request"  # id of the ask that made it
SUGGESTED_S: Final = "sweep:suggested_s"  # 0.04: seconds that the space and its sampler took
WISH: Final = "sweep:wish"  # id of the user's wish that enqueued it
RETRY_OF: Final = "sweep:retry_of"  # number of the failed trial that it runs again
ATTEMPT: Final = "sweep:attempt"  # {"token", "worker", "node", "at_s", "resumed", "lost", "held_s"}; at_s as CLOCK
LEASE: Final = "sweep:lease"  # {"held", "token", "request", "held_s"}: false of a paused trial, RUNNING in storage
PRUNING: Final = "sweep:pruning"  # {"rule", "step", "value", "cutoff", "rank", "of", "rung"}
END: Final = "sweep:end"  # {"reason", "text", "step", "metrics", "units", "stage_s", "lost", "held_s", "at_s", ...}
_METRICS: Final = "sweep:metrics:"  # + step: every metric reported there


def metrics_key(step: int) -> str:
    """Return the attribute under which all metrics of `step` are kept."""
    return f"{_METRICS}{step}"


def metrics_by_step(system_attrs: dict[str, Any]) -> dict[int, dict[str, float]]:
    """Return all metrics of a trial by step, in order of steps."""
    found = {int(key.removeprefix(_METRICS)): value for key, value in system_attrs.items() if key.startswith(_METRICS)}
    return dict(sorted(found.items()))


def short(text: str) -> str:
    """Cut a text to what an attribute may hold."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
