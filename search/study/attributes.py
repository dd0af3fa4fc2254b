"""The name of every attribute that we keep in Optuna's storage, and the shape of its JSON value.

All are *system* attributes, so they never mix with a user's own; the metrics of a finished trial are copied to
*user* attributes under their plain names, where dashboards show them.
"""

from __future__ import annotations

from collections.abc import Mapping
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
WARM_START: Final = "sweep:warm_start"  # a list of earlier studies with their trials: see warm.Source.to_json
EDITS: Final = "sweep:edits"  # a list of what `sweep edit` changed: see edits.Edit.to_json
NODES: Final = "sweep:nodes:"  # + its place in their order: a machine that trials had to leave; see nodes.Nodes
QUEUED: Final = "sweep:queued"  # whom the sweep waits for on its cluster; "" while it may run trials
CLOSED: Final = "sweep:closed"  # why no more trials are begun, said by an objective; "" when a run begins
CHANGES: Final = "sweep:changes"  # {"trials": 80}: fields of the plan that differ since the launch
LOOKS: Final = "sweep:looks"  # {"limits", "since": 3, "low": [2, 0]}: how near --min-gain ... are to ending it
MODEL: Final = "sweep:model"  # {"rows": 120, "lengths", "shared"}: what auto's process is; see auto.process.Numbers
PREPARING: Final = "sweep:preparing"  # 16: steps that preparing rows takes as long as, to auto; 0: not worth counting

# Of a trial.
REQUEST: Final = "sweep:request"  # id of the ask that made it
SUGGESTED_S: Final = "sweep:suggested_s"  # 0.04: seconds that the space and its sampler took
WISH: Final = "sweep:wish"  # id of the user's wish that enqueued it
SAME_AS: Final = "sweep:same_as"  # number of the trial whose result it took, having the same parameters
WARM: Final = "sweep:warm"  # name of the earlier study whose good trials it was proposed from
RETRY_OF: Final = "sweep:retry_of"  # number of the failed trial that it runs again
MOVED_FROM: Final = "sweep:moved_from"  # number of the enqueued trial whose point it took over: see mixed.py
WHY: Final = "sweep:why"  # {"by": "model", "predicted": {"step", "value", "low", "high"}, "among": 500}: see origin.py
WENT_ON: Final = "sweep:went_on"  # a list: each time it was taken on from where it rested; see origin.WentOn.to_json
ATTEMPT: Final = "sweep:attempt"  # {"token", "worker", "node", "at_s", "resumed", "lost", "held_s"}; at_s as CLOCK
LEASE: Final = "sweep:lease"  # {"held", "token", "request", "held_s", ...}: false of a paused trial, RUNNING in storage
PRUNING: Final = "sweep:pruning"  # {"rule", "step", "value", "cutoff", "rank", "of", "rung", ...}: see pruners.Pruning
RUNG: Final = (
    "sweep:rung"  # {"rung": 9, "rests": true}: where it came to last, of a pruner that promotes; see resting.py
)
TOOK: Final = "sweep:took"  # {"units", "stage_s", "spans", ...}: what its runs took, of one that was let go of
UNJUDGED: Final = "sweep:unjudged"  # [3, 4]: steps at which an objective of Optuna's did not ask whether to be pruned
GPU: Final = "sweep:gpu"  # {"share", "micro_batches", "short"}: what it is given since it ran out of GPU memory
END: Final = "sweep:end"  # {"reason", "text", "step", "metrics", "units", "stage_s", "lost", "held_s", "at_s", ...}
METRICS: Final = "sweep:metrics:"  # + step: every metric reported there


def metrics_key(step: int) -> str:
    """Return the attribute under which all metrics of `step` are kept."""
    return f"{METRICS}{step}"


def metrics_by_step(system_attrs: dict[str, Any]) -> dict[int, dict[str, float]]:
    """Return all metrics of a trial by step, in order of steps."""
    found = {int(key.removeprefix(METRICS)): value for key, value in system_attrs.items() if key.startswith(METRICS)}
    return dict(sorted(found.items()))


def node_key(place: int) -> str:
    """Return the attribute under which the study keeps the machine of this place in their order."""
    return f"{NODES}{place}"


def lost_nodes(system_attrs: Mapping[str, Any]) -> list[Any]:
    """Return the machines that trials of a study had to leave, in order."""
    found = {int(key.removeprefix(NODES)): value for key, value in system_attrs.items() if key.startswith(NODES)}
    return [value for _, value in sorted(found.items())]


def short(text: str) -> str:
    """Cut a text to what an attribute may hold."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
