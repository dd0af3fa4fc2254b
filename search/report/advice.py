"""What to try next, reckoned from a study's data: `advice`, each with its evidence and what to type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from search.records.history import History, Parameter
from search.report.chosen import ranked
from search.report.commands import Commands, as_typed
from search.report.curves import unit
from search.report.evidence import Evidence
from search.report.shared import Pattern, patterns
from search.report.theme import number as shown

FEWEST: Final = 10
"""Completed trials from which on the best ones are taken to say where it is good."""

MOST: Final = 6
"""Pieces of advice that are given."""

MOST_SET: Final = 20
"""Parameters that a command fixes one by one."""

_EDGE: Final = 0.05
_MOST_EDGES: Final = 2
_MOST_TOP: Final = 100
_SHARED: Final = 0.75
_SUSPECT: Final = 0.1


class Advice(NamedTuple):
    """One thing to try.

    Attributes:
        kind: One word or two, for tests and tools.
        what: To do, as a sentence without its full stop.
        evidence: Why.
        command: To type; "" where nothing needs to be typed, or no command can do it.
    """

    kind: str
    what: str
    evidence: str
    command: str = ""


def advice(known: Evidence) -> tuple[Advice, ...]:
    """Return what the data speaks for, the most urgent first, at most `MOST`."""
    return tuple([one for rule in _RULES for one in rule(known)][:MOST])


def _none_completed(known: Evidence) -> Iterator[Advice]:
    counts = known.history.status.trials
    if counts.get("complete", 0) or not counts.get("fail", 0) or known.history.status.state == "running":
        return
    first = int(np.flatnonzero(known.history.are("fail"))[0])
    why = f"No trial completed, and {counts['fail']} failed."
    yield Advice("none completed", "Read the first error before anything else", why, known.commands.show(first))


def _unfinished(known: Evidence) -> Iterator[Advice]:
    paused, state = known.history.status.trials.get("paused", 0), known.history.status.state
    if state == "interrupted" or (paused and state != "running"):
        left = (
            f"{paused} trial{'s' * (paused != 1)} paused" if paused else "its process ended before the budget was used"
        )
        yield Advice("unfinished", "Go on with the study", f"It is {state}: {left}.", known.commands.resume())


def _baseline(known: Evidence) -> Iterator[Advice]:
    found, best = known.seeds, known.history.best
    if best is None or found.baseline is None or found.metrics > 1 or found.beats not in ("no", "perhaps"):
        return
    told = f"The best {found.metric} is {shown(found.value[0])}, and a naive prediction gets {shown(found.baseline)}"
    told += "." if found.beats == "no" else ", which lies within its interval."
    what = "Check the target, the split and the preprocessing before searching on"
    yield Advice("baseline", what, told, known.commands.show(best))


def _failures(known: Evidence) -> Iterator[Advice]:
    history, commands = known.history, known.commands
    failed = history.are("fail")
    count, ended = int(failed.sum()), int(history.are("complete", "pruned", "fail").sum())
    if count < 3 or count == ended:
        return
    reasons: dict[str, list[int]] = {}
    for number, reason in history.reason.items():
        reasons.setdefault(reason, []).append(number)
    reason, numbers = max(reasons.items(), key=lambda one: len(one[1]))
    told = f"{count} of {ended} trials failed, {len(numbers)} of them by {reason}"
    chosen = np.zeros(len(history), bool)
    chosen[numbers] = True
    for one in patterns(history, chosen, history.are("complete", "pruned"))[:1]:
        if one.is_sure and one.inside >= _SHARED * one.of:
            where = f"{one.name} {one.part}"
            told += f"; {one.inside} of these have {where}, and {one.others_inside} of {one.others} others"
            fix = _fix(history, one)
            command = commands.edit(f"--set {fix}") if fix else commands.edit("--dry-run")
            yield Advice("failures", f"Leave out {where}", f"{told} ({one.chance}).", command)
            return
    flag = {"out_of_memory": "--memory 4g", "timeout": "--trial-timeout 1h"}.get(reason)
    if flag:
        yield Advice("failures", f"Give trials more with {flag.split()[0]}", f"{told}.", commands.resume(flag))
    elif count >= 0.1 * ended:
        what = "Read one of the errors, mend it, and run them again"
        yield Advice("failures", what, f"{told}.", commands.show(numbers[0]))


def _fix(history: History, found: Pattern) -> str:
    """Return the other one of two choices, as `--set` takes it; "" where there are not two."""
    parameter = history.parameter(found.name)
    others = [choice for choice in parameter.choices if found.part != f"= {choice!s}"]
    return f"{found.name}={others[0]}" if len(parameter.choices) == 2 and len(others) == 1 else ""


def _edges(known: Evidence) -> Iterator[Advice]:
    best = ranked(known.history)
    if len(best) < FEWEST or len(known.history.metrics) > 1:
        return
    top = best[: min(_MOST_TOP, max(5, len(best) // 10))]
    searched = [one for one in known.history.parameters if not one.is_choice and one.varies]
    found: list[tuple[float, Advice]] = []
    for one in searched:
        if np.isnan(one.values[best[0]]):
            continue
        whole = one.high - one.low + 1 if one.kind == "int" and not one.log else np.inf  # how many values it can have
        margin, usual = (_EDGE, _EDGE) if whole > 1 / _EDGE else (0.0, 1 / whole)
        for units, word, end in ((1 - one.unit(), "upper", one.high), (one.unit(), "lower", one.low)):
            near = int((units[top] <= margin + 1e-9).sum())
            chance = _chance(near, len(top), usual) * 2 * len(searched)
            if units[best[0]] <= margin + 1e-9 and chance < 0.05:
                found.append((chance, _at_the_edge(one, word, end, near, len(top), known.commands)))
    yield from (one for _, one in sorted(found)[:_MOST_EDGES])


def _chance(hits: int, of: int, share: float) -> float:
    """Return how likely so many hits or more are, where each comes with this chance."""
    return sum(math.comb(of, one) * share**one * (1 - share) ** (of - one) for one in range(hits, of + 1))


def _at_the_edge(one: Parameter, word: str, end: float, near: int, of: int, commands: Commands) -> Advice:
    told = f"The best trial is at the {word} end of its range, {shown(end)}, and so are {near} of the best {of}."
    return Advice("edge", f"Widen the range of {one.name} in the space's file", told, commands.edit("--dry-run"))


def _noise(known: Evidence) -> Iterator[Advice]:
    history, plan, found = known.history, known.history.plan, known.seeds
    if len(found.number) < 2 or found.metrics > 1 or found.apart or plan.replicates > 1 or plan.folds:
        return
    lead = shown(abs(found.value[0] - found.value[1]), 2)
    told = f"It was trained once, and is {lead} better than trial {found.number[1]}"
    told += ": luck may decide that." if found.apart is None else ", which is not told apart from it."
    fixed = [f"{name}={value}" for name, value in history.params(found.number[0]).items()]
    one = {"trials": ["1"], "replicates": ["5"], "set": [*as_typed("set", plan.fixed), *fixed]}
    several = {"replicates": ["3"]}
    changes = one if len(fixed) <= MOST_SET else several
    command = known.commands.another(f"{known.commands.study}-seeds", changes)
    yield Advice("seeds", f"Train trial {found.number[0]} with more seeds", told, command)


def _progress(known: Evidence) -> Iterator[Advice]:
    history, commands = known.history, known.commands
    ended = int(history.are("complete", "pruned", "fail").sum())
    if history.best is None or ended < 2 * FEWEST or len(history.metrics) > 1:
        return
    age, running = history.status.best_age, history.status.state == "running"
    if age <= ended // 5 and not running:
        told = f"The best is from {age} trial{'s' * (age != 1)} ago, of {ended}: it still improves."
        yield Advice("improving", "Search on", told, commands.resume(f"--trials +{max(20, ended // 2)}"))
    elif age >= max(30, ended // 2):
        told = f"No trial was better than the best for {age} of {ended} trials."
        what = "Stop here, or change the space: more of the same will hardly find better"
        yield Advice("plateau", what, told, commands.stop() if running else "")
    if history.plan.sampler.partition(":")[0] == "random" and ended >= 30:
        told = f"The sampler is random: {ended} trials have taught it nothing."
        command = commands.another(f"{commands.study}-tpe", {"sampler": ["tpe"], "warm-start": [commands.study]})
        yield Advice("sampler", "Let a sampler learn from these trials", told, command)


def _budget(known: Evidence) -> Iterator[Advice]:
    history, longest = known.history, known.history.plan.max_epochs
    best = history.best
    if best is None or unit(history) != "epoch" or longest < 4 or len(history.metrics) > 1:
        return
    at = int(history.best_step[best])
    if history.epochs[best] >= longest and at >= longest - longest // 20:
        told = f"Trial {best} was best at epoch {at} of {longest}: its curve still improves where training ends."
        command = known.commands.another(f"{known.commands.study}-longer", {"max-epochs": [str(2 * longest)]})
        yield Advice("longer", "Train longer", told, command)


def _suspects(known: Evidence) -> Iterator[Advice]:
    found = known.regret
    likely = int(np.argmax(found.chance)) if found.chance else None
    if likely is None or found.chance[likely] < _SUSPECT:
        return
    number = found.number[likely]
    told = f"It was pruned at {found.unit} {found.step[likely]}, and would have won with a chance of about "
    told += f"{found.chance[likely]:.0%}."
    fixed = [f"{name}={value}" for name, value in known.history.params(number).items()]
    changes = {"trials": ["1"], "pruner": ["none"], "set": [*as_typed("set", known.history.plan.fixed), *fixed]}
    command = known.commands.another(f"{known.commands.study}-{number}", changes) if len(fixed) <= MOST_SET else ""
    yield Advice("pruned", f"Run trial {number} to its end", told, command)


def _idle(known: Evidence) -> Iterator[Advice]:
    panel = known.importances.panels[0]
    idle = [
        name
        for name, is_told, needs in zip(panel.name, panel.is_told, panel.condition, strict=True)
        if not (is_told or needs)
    ]
    best = known.history.best
    if best is None or not any(panel.is_told) or not idle or len(known.importances.panels) > 1:
        return
    params = known.history.params(best)
    few = [name for name in idle if name in params][:3]
    if not few:
        return
    told = f"{len(idle)} of {len(panel.name)} parameters are not told apart from chance in {panel.trials} trials."
    fixed = known.commands.edit_set({name: params[name] for name in few})
    yield Advice("idle", f"Fix {', '.join(few)}, to search the rest more closely", told, fixed)


_Rule = Callable[[Evidence], Iterator[Advice]]
_RULES: Final[tuple[_Rule, ...]] = (
    _none_completed,
    _unfinished,
    _baseline,
    _failures,
    _edges,
    _noise,
    _progress,
    _budget,
    _suspects,
    _idle,
)
