"""The top of the page: the study in one line, its best, what it cost, what to type, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from search.durations import duration
from search.records.history import History
from search.report.advice import Advice, advice
from search.report.commands import Commands
from search.report.curves import unit
from search.report.evidence import Evidence
from search.report.figures import seeds
from search.report.html import Markup, command, tag
from search.report.ranges import SHOWN, ranges
from search.report.theme import number as shown
from search.report.theme import value as as_text
from search.status import STATES

_FRONT = 8
_CELL = 28


def head(known: Evidence) -> Markup:
    """Return the head of a study's page."""
    history = known.history
    return tag(
        "div",
        tag("h1", history.folder.name),
        tag("p", " · ".join(_facts(history)), class_="facts"),
        _why(history),
        _best(known),
        tag("div", *_tiles(history), class_="tiles"),
        _next(advice(known), history),
        _commands(history, known.commands),
    )


def _facts(history: History) -> Iterator[str]:
    status, count = history.status, len(history)
    yield status.state
    ended, target = int(np.count_nonzero(history.are("complete", "pruned", "fail"))), status.target_trials
    if target and ended < target:
        yield f"{ended:,} of {target:,} trials ended"
    else:
        yield f"{count:,} trial{'s' * (count != 1)}"
    if status.seconds:
        yield duration(status.seconds)
    at_once = history.spans.at_once
    if at_once:
        yield f"{at_once} at once"
    imported = history.launch.get("imported")
    yield f"imported from {imported['tool']}" if imported else f"seed {history.plan.seed}"


def _why(history: History) -> Markup | None:
    why = history.status.why_stopped
    return tag("p", f"It ended because: {why}.", class_="quiet") if why else None


def _best(known: Evidence) -> Markup:
    history = known.history
    number = history.best
    if number is None:
        return tag("div", tag("p", _no_best(history), class_="empty"), class_="best")
    if len(history.metrics) > 1:
        return _front(history)
    name, value = history.metrics[0], float(history.values[number, 0])
    better = "less is better" if history.signs[0] > 0 else "more is better"
    naive = history.status.baseline.get(name)
    told = [f"trial {number}", *_step(history, number)]
    if history.status.best_age:
        told.append(f"{history.status.best_age} trials ended since")
    if naive is not None:
        told.append(f"naive baseline {shown(naive)}")
    mean = f", mean of {history.plan.replicates} trainings" if history.plan.replicates > 1 else ""
    return tag(
        "div",
        tag(
            "div",
            tag("p", name, tag("span", f" {better}{mean}"), class_="metric"),
            tag("p", digits(value, known.seeds), class_="value"),
            *_trust(known),
            tag("p", tag("button", f"Trial {number}", type="button", class_="open", data_open=number), *_after(told)),
        ),
        tag("div", tag("h2", "Its parameters, in the ranges searched", class_="small"), ranges(history, number)),
        class_="best",
    )


def _step(history: History, number: int) -> Iterator[str]:
    """Yield at which step the best had its value, where it went on after that."""
    step, last = int(history.best_step[number]), int(history.epochs[number])
    reported = history.reports.values[history.metrics[0]][history.reports.of(number)]
    if 0 < step < last and len(reported):
        yield f"its best {unit(history.plan)} was {step} of {last}; the last had {shown(float(reported[-1]))}"


def _after(told: list[str]) -> Iterator[Markup]:
    if told[1:]:
        yield tag("span", " · " + " · ".join(told[1:]), class_="quiet")


def digits(value: float, found: seeds.Info) -> str:
    """Return the best value with the digits that its interval leaves, two of them uncertain."""
    half = (found.high[0] - found.low[0]) / 2 if found.low else math.nan
    if not math.isfinite(half) or half <= 0 or not 1e-4 <= abs(value) < 1e6:
        return shown(value)
    return f"{value:.{max(0, 1 - math.floor(math.log10(half)))}f}"


def _trust(known: Evidence) -> Iterator[Markup]:
    """Say how sure the best is: its interval, the baseline, the runner-up."""
    found, missed = known.seeds, known.history.status.missed
    low, high = found.low[0], found.high[0]
    if math.isfinite(low) and math.isfinite(high):
        interval = f"{digits(low, found)} to {digits(high, found)}"
        yield tag("p", "95% interval ", tag("strong", interval), f", {found.how}.", class_="trust")
    else:
        told = "How sure it is, nobody knows"
        if not known.history.launch.get("imported"):
            told += ": it was trained once. --replicates 5 or --folds 5 would tell"
        yield tag("p", f"{told}.", class_="trust")
    if found.beats == "no":
        told = f"Not better than the naive baseline, which has {shown(found.baseline)}."
        yield tag("p", told, class_="warning", role="note")
    elif found.beats == "perhaps":
        told = f"Perhaps not better than the naive baseline, {shown(found.baseline)}: its interval holds it."
        yield tag("p", told, class_="warning", role="note")
    if len(found.number) > 1 and found.apart is not None:
        other = f"the runner-up, trial {found.number[1]} with {digits(found.value[1], found)}"
        yield tag("p", f"{'Better than' if found.apart else 'Not told apart from'} {other}.", class_="trust")
    if missed:
        yield tag("p", f"{missed} completed trials miss a constraint, and count for nothing here.", class_="trust")


def _no_best(history: History) -> str:
    nearest = history.status.nearest
    if nearest is not None:
        return f"No completed trial keeps to its constraints; trial {nearest.number} misses them by least."
    counts = ", ".join(f"{count} {state}" for state, count in history.status.trials.items() if count)
    return f"No trial has completed: {counts}." if counts else "There are no trials yet."


def _front(history: History) -> Markup:
    front = history.front
    has = [one for one in history.parameters if one.varies and not np.isnan(one.values[[*front[:_FRONT]]]).all()]
    drawn = has[:SHOWN]
    rows = [
        tag(
            "tr",
            tag("th", tag("button", f"Trial {number}", type="button", class_="open", data_open=number), scope="row"),
            *(tag("td", shown(float(value))) for value in history.values[number]),
            *(tag("td", _brief("" if np.isnan(one.values[number]) else as_text(one.value(number)))) for one in drawn),
        )
        for number in front[:_FRONT]
    ]
    less = {1.0: "less is better", -1.0: "more is better"}
    heads = [
        tag("th", name, tag("small", f" {less[float(sign)]}"), scope="col")
        for name, sign in zip(history.metrics, history.signs, strict=True)
    ]
    heads += [tag("th", _brief(one.name), scope="col") for one in drawn]
    told = f"{len(front)} trial{'s' * (len(front) != 1)} on the Pareto front"
    volume = history.status.hypervolume
    worth = tag("p", f"hypervolume {shown(volume.value)}", class_="quiet") if volume is not None else None
    left = [f"The first {_FRONT} of {len(front)}."] if len(front) > _FRONT else []
    left += [f"{SHOWN} of {len(has)} parameters; a trial's card has all."] if len(has) > SHOWN else []
    more = tag("p", " ".join(left), class_="quiet") if left else None
    table = tag("div", tag("table", tag("thead", tag("tr", tag("td"), *heads)), tag("tbody", *rows)), class_="scroll")
    return tag("div", tag("div", tag("p", told, class_="metric"), worth, table, more), class_="best")


def _brief(text: str) -> str:
    """Return text for a cell of a table: its middle is left out where it is long."""
    return text if len(text) <= _CELL else f"{text[: _CELL // 2]}…{text[1 - _CELL // 2 :]}"


def _tiles(history: History) -> Iterator[Markup]:
    status = history.status
    counts = {state: status.trials.get(state, 0) for state in STATES if status.trials.get(state, 0)}
    total = sum(counts.values())
    if total:
        bar = [tag("i", class_=f"state-{state}", style=f"flex-grow:{count}") for state, count in counts.items()]
        listed = [
            tag("li", tag("i", class_=f"state-{state}"), f"{count:,} {_word(state)}") for state, count in counts.items()
        ]
        yield _tile("Trials", tag("div", *bar, class_="bar", aria_hidden="true"), tag("ul", *listed, class_="states"))
    if status.failures:
        reasons = sorted(status.failures.items(), key=lambda one: -one[1])
        listed = [tag("li", f"{count:,} {reason}") for reason, count in reasons[:4]]
        yield _tile("Failed by", tag("ul", *listed), None)
    if status.epochs_run:
        whole = status.epochs_run + status.epochs_saved
        share = (
            f"{status.epochs_saved / whole:.0%} saved by pruning" if status.max_epochs and status.epochs_saved else ""
        )
        of = f" of {whole:,}" if share else ""
        yield _tile("Epochs", tag("p", f"{status.epochs_run:,}{of} run"), tag("p", share) if share else None)
    cached = _cache(history)
    if cached:
        yield _tile("Prepared data", *(tag("p", line) for line in cached))
    marks = [(name, str(history.launch.get(f"{name}_hash") or "")) for name in ("data", "code")]
    if any(text for _, text in marks):
        listed = [tag("p", f"{name} ", tag("code", text[:12])) for name, text in marks if text]
        yield _tile("Fingerprints", *listed)


def _tile(name: str, *children: Markup | None) -> Markup:
    return tag("div", tag("h2", name, class_="small"), *children, class_="tile")


def _word(state: str) -> str:
    return "failed" if state == "fail" else state


def _cache(history: History) -> list[str]:
    prepared = history.status.prepared
    total = sum(prepared.values())
    if not total:
        return []
    made = prepared.get("made", 0) + prepared.get("unkept", 0)
    saved = history.status.saved_s
    told = [f"{(total - made) / total:.0%} from the cache", f"made {made} of {total} times"]
    return [*told, f"{duration(saved)} saved"] if saved >= 1 else told


def _next(found: tuple[Advice, ...], history: History) -> Markup | None:
    if not found:
        return None
    heading = "What to try next" + (", as of now" if history.status.state == "running" else "")
    listed = [
        tag(
            "li",
            tag("p", tag("strong", one.what), f". {one.evidence}"),
            command(one.command, one.what) if one.command else None,
        )
        for one in found
    ]
    return tag(
        "section", tag("h2", heading, id="next-title"), tag("ol", *listed), id="next", aria_labelledby="next-title"
    )


def _commands(history: History, commands: Commands) -> Markup:
    listed = [("What made it", commands.launch)] if commands.launch else []
    listed += [("Look", commands.show()), ("Go on", commands.resume("--trials +20"))]
    if history.best is not None:
        listed.append(("Run the best again", commands.repeat(history.best)))
        few = dict(list(history.params(history.best).items())[:3])
        if few:
            listed.append(("Try a point", commands.enqueue(few)))
    rows = [tag("div", tag("dt", told), tag("dd", command(text, told))) for told, text in listed if text]
    note = tag("p", commands.launch_note, class_="quiet") if commands.launch_note else None
    return tag(
        "details", tag("summary", "Commands: what made it, and what goes on"), tag("dl", *rows), note, id="commands"
    )
