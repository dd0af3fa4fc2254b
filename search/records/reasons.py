"""Why a trial was suggested, and what was expected of it, in sentences for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from search.study.origin import ENQUEUED, RETRY, WARM, Origin, WentOn
from search.study.predicted import Predicted

_BY: Final = {
    "start": "suggested as one of the first trials, which are spread over all ranges",
    "middle": "suggested as the middle of all ranges",
    "uniform": "drawn uniformly from the whole space, so that the search does not lock itself in",
    "safe": "drawn uniformly, where the trials that are near did not fail",
    "no-chance": "drawn uniformly from the whole space, as the model gave nothing a chance to be better than the best",
    "model": "suggested by the model: the best of {candidates} drawn anywhere",
    "near": "suggested by the model: the best of {candidates}, drawn near a good trial",
    "random": "drawn at random",
}
"""By what a sampler says of a suggestion."""

_LEAST_CHANCE: Final = 0.001
_ENDS: Final = ("low", "high")


def suggested(origin: Origin, reports: Mapping[int, float], *, metric: str, unit: str, sampler: str = "") -> list[str]:
    """Say why a trial was suggested, what was expected of it, and when it was taken on from where it rested.

    Args:
        origin: Of the trial.
        reports: Of the metric, by step.
        metric: The searched one, with several the first.
        unit: What a report is of: `epoch` or `step`.
        sampler: Who suggested it if nothing else is known; "" where that is not known either.

    Returns:
        One sentence for each, and one for all looks on the way to its end; [] if nothing is known.
    """
    said = []
    if origin.by or sampler:
        said.append(_by(origin, sampler) + _told(origin.predicted, reports, metric, unit))
    return said + [_went_on(stretch, reports, metric, unit) for stretch in _stretches(origin.went_on)]


def prospect(told: Mapping[str, Any], *, metric: str, unit: str) -> str:
    """Say what a rule that predicts expected of a trial, as `Pruning.to_json` has it; "" if it predicted nothing.

    Args:
        told: The figures of the rule.
        metric: The searched one.
        unit: What a report is of: `epoch` or `step`.
    """
    predicted, chance, best = Predicted.from_json(told.get("predicted")), told.get("chance"), told.get("best")
    said = []
    if predicted is not None:
        said.append(f"{expected(predicted)} expected at {unit} {predicted.step}")
    if chance is not None:
        against = "" if best is None else f", {_number(best)}"
        said.append(f"chance {_share(chance)} to be better than all others{against}")
    value = told.get("value")
    if said and value is not None:
        said.insert(0, f"{metric} {_number(value)} now")
    return ", ".join(said)


def rests(told: Mapping[str, Any], *, metric: str, unit: str) -> str:
    """Say how a trial stands that rests, by the same figures; "" without them."""
    value = told.get("value")
    now = "" if value is None else f"{metric} {_number(value)} now, and nothing was predicted of it"
    return prospect(told, metric=metric, unit=unit) or now


def expected(predicted: Predicted) -> str:
    """Return a prediction with the digits that its interval leaves: `0.31 (0.27 to 0.36)`."""
    width = predicted.high - predicted.low
    places = 1 - math.floor(math.log10(width)) if width > 0 else None
    shown = [_rounded(one, places) for one in (predicted.value, predicted.low, predicted.high)]
    if predicted.open_end and predicted.value == getattr(predicted, predicted.open_end):
        return f"{shown[0]} or worse"
    low, high = (
        f"{one} or worse" if predicted.open_end == end else one for one, end in zip(shown[1:], _ENDS, strict=True)
    )
    return f"{shown[0]} ({low} to {high})"


def _by(origin: Origin, sampler: str) -> str:
    if origin.by == RETRY:
        return f"it runs trial {origin.trial} again, which had failed"
    if origin.by == ENQUEUED:
        moved = f", and moved from trial {origin.trial} when the space was edited" if origin.trial is not None else ""
        return f"enqueued {'at the launch' if origin.at_launch else 'by hand'}{moved}"
    if origin.by == WARM:
        return f"suggested by the warm start: a good trial of {origin.study}, or near one"
    by = origin.by or sampler
    candidates = f"{origin.among:,} candidates" if origin.among is not None else "its candidates"
    return _BY[by].format(candidates=candidates) if by in _BY else f"suggested by {by}"


def _stretches(went_on: Sequence[WentOn]) -> list[list[WentOn]]:
    """Return the times that it was taken on, those on the way to its end together while nobody else decided."""
    found: list[list[WentOn]] = []
    for one in went_on:
        if found and one.by == found[-1][-1].by == "finish":
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _went_on(stretch: Sequence[WentOn], reports: Mapping[int, float], metric: str, unit: str) -> str:
    first, last, looks = stretch[0], stretch[-1], [str(one.start) for one in stretch[1:]]
    at = f", when there were {first.at_trials:,} trials" if first.at_trials is not None else ""
    why = _TAKEN_ON.get(first.by, " instead of a new trial")
    said = f"taken on from {unit} {first.start} towards {last.to}{why}{at}"
    if looks:
        said += f"; looked at again at {unit}{'s'[: len(looks) > 1]} {', '.join(looks)}"
    predicted = next((one.predicted for one in reversed(stretch) if one.predicted is not None), None)
    return said + _told(predicted, reports, metric, unit)


_TAKEN_ON: Final = {
    "halving": " as one of the best third there",
    "finish": " on the way to its end, as the likeliest to become the best",
}
"""Why a resting trial went on, where nothing else was weighed against it."""


def _told(predicted: Predicted | None, reports: Mapping[int, float], metric: str, unit: str) -> str:
    if predicted is None:
        return ""
    said = f", with {metric} {expected(predicted)} expected at {unit} {predicted.step}"
    seen = predicted.seen(reports)
    if seen is None:
        return said
    outside = "" if predicted.holds(seen) else ", outside that interval"
    return f"{said} and {_number(seen)} seen{outside}"


def _share(chance: float) -> str:
    if 0.01 <= chance <= 0.99:
        return f"{chance:.0%}"
    if chance < 0.5:
        return f"{chance:.1%}" if chance >= _LEAST_CHANCE else f"under {_LEAST_CHANCE:.1%}"
    return f"{chance:.1%}" if chance <= 1 - _LEAST_CHANCE else f"over {1 - _LEAST_CHANCE:.1%}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.5g}"


def _rounded(value: float, places: int | None) -> str:
    if places is None or not 1e-4 <= abs(value) < 1e5:
        return _number(value)
    kept = max(places, -math.floor(math.log10(abs(value))))  # its first digit stays, however wide the interval
    return f"{round(value, kept):.10g}"
