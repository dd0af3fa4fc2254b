"""What to try next, reckoned from a study's data: `advice`, each with its evidence and what to type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from search.records.anytime import curves, is_volume, shared_reference
from search.records.importances import SMALL, percent
from search.report.chosen import ranked
from search.report.commands import as_typed
from search.report.curves import unit
from search.report.evidence import Evidence
from search.report.failing import Failing
from search.report.figures.failures import where
from search.report.shared import Pattern, log_chance
from search.report.space_file import is_library, place_of
from search.report.theme import apart
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
_MOST_KINDS: Final = 2
_MOST_FIXED: Final = 3
_SHARED: Final = 0.75
_SUSPECT: Final = 0.1
_WAITS: Final = 0.3
_MOVES: Final = 2
"""Times that the best moves in the last fifth of a search that still improves; one such move is often luck."""


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
    values = apart(found.value[0], found.baseline)
    told = f"The best {found.metric} is {values[0]}, and a naive prediction gets {values[1]}"
    told += "." if found.beats == "no" else ", which lies within its interval."
    what = "Check the target, the split and the preprocessing before searching on"
    yield Advice("baseline", what, told, known.commands.show(best))


def _failures(known: Evidence) -> Iterator[Advice]:
    found, commands = known.failures, known.commands
    kinds = [one for one in found.kinds if not one.is_past]  # the space was edited since
    if found.failed < 3 or found.failed == found.ended or not kinds:
        return
    shared = [(one, one.pattern) for one in kinds if one.pattern is not None and one.pattern.is_sure]
    shared = [(one, pattern) for one, pattern in shared if pattern.inside >= _SHARED * pattern.of][:_MOST_KINDS]
    yield from (_left_out(known, one, pattern) for one, pattern in shared)
    if shared:
        return
    first = kinds[0]
    told = f"{_failed(known, first)}, such as trial {first.example}."
    flag = {"out_of_memory": "--memory 4g", "timeout": "--trial-timeout 1h"}.get(first.reason)
    if flag:
        yield Advice("failures", f"Give trials more with {flag.split()[0]}", told, commands.resume(flag))
    elif found.failed >= 0.1 * found.ended:
        what = "Read one of the errors, mend it, and run them again"
        yield Advice("failures", what, told, commands.show(first.example))


def _failed(known: Evidence, kind: Failing) -> str:
    found = known.failures
    return f"{found.failed} of {found.ended} trials failed, {len(kind.trials)} of them by {kind.reason}"


def _left_out(known: Evidence, kind: Failing, found: Pattern) -> Advice:
    told = f"{_failed(known, kind)}; {found.inside} of these have {where(found)}, and {found.others_inside} of "
    told += f"{found.others} that did not fail ({found.chance}), such as trial {kind.example}."
    what = f"Leave out {where(found)}"
    first = found.parts[0]
    choices = known.history.parameter(first.name).choices
    others = [choice for choice in choices if first.words != f"= {choice!s}"]
    if len(found.parts) == 1 and len(choices) == 2 and len(others) == 1:
        return Advice("failures", what, told, known.commands.edit_set({first.name: others[0]}))
    together = " together" if len(found.parts) == 2 else ""
    return _to_change("failures", f"{what}{together}: change", told, first.name, known)


def _to_change(kind: str, what: str, told: str, name: str, known: Evidence) -> Advice:
    """Return what is to be done in the space's file first, at the line of a parameter, and then told to the study."""
    space = known.history.plan.space
    command = "" if is_library(space) else known.commands.edit("--dry-run")
    then = " The command tells what the changed file would change." if command else ""
    return Advice(kind, f"{what} {place_of(space, name)}", f"{told}{then}", command)


def _edges(known: Evidence) -> Iterator[Advice]:
    history, several = known.history, len(known.history.metrics) > 1
    best = ranked(history)
    if len(best) < FEWEST:
        return
    top = np.array(history.front) if several else best[: min(_MOST_TOP, max(5, len(best) // 10))]
    best = np.concatenate([top, np.setdiff1d(best, top)])
    searched = [one for one in history.parameters if not one.is_choice and one.varies]
    found: list[tuple[float, Advice]] = []
    for one in searched:
        for units, word, end in ((1 - one.unit(), "upper", one.high), (one.unit(), "lower", one.low)):
            at_end = units[best] <= _EDGE + 1e-9
            near, others = int(at_end[: len(top)].sum()), int(at_end[len(top) :].sum())
            chance = math.exp(log_chance(near, len(top), others, len(best) - len(top))) * 2 * len(searched)
            if (several or at_end[0]) and chance < 0.05:
                who = f"{near} of the {len(top)} trials on the front are" if several else "The best trial is"
                told = f"{who} at the {word} end of its range, {shown(end)}"
                told += "." if several else f", and so are {near} of the best {len(top)}."
                found.append((chance, _to_change("edge", f"Widen the range of {one.name} in", told, one.name, known)))
    yield from (one for _, one in sorted(found)[:_MOST_EDGES])


def _noise(known: Evidence) -> Iterator[Advice]:
    history, plan, found = known.history, known.history.plan, known.seeds
    if (
        history.launch.get("imported")
        or len(found.number) < 2
        or found.metrics > 1
        or found.apart
        or plan.replicates > 1
        or plan.folds
    ):
        return
    lead = abs(found.value[0] - found.value[1])
    by = f"{shown(lead, 2)} " if math.isfinite(lead) else ""
    told = f"It was trained once, and is {by}better than trial {found.number[1]}"
    told += ": luck may decide that." if found.apart is None else ", which is not told apart from it."
    fixed = as_typed("set", {**plan.fixed, **history.params(found.number[0])})
    one = {"trials": ["1"], "replicates": ["5"], "set": fixed}
    several = {"replicates": ["3"]}
    changes = one if len(fixed) <= MOST_SET else several
    command = known.commands.another("seeds", changes)
    yield Advice("seeds", f"Train trial {found.number[0]} with more seeds", told, command)


def _progress(known: Evidence) -> Iterator[Advice]:
    history, commands = known.history, known.commands
    ended = int(history.are("complete", "pruned", "fail").sum())
    several = len(history.metrics) > 1
    if history.best is None or ended < 2 * FEWEST or (several and not is_volume(history.metrics)):
        return
    moved = curves(history, shared_reference([history]) if several else ())["trials"].x
    age = ended - int(moved[-1]) if several else history.status.best_age
    running, late = history.status.state == "running", ended // 5
    moves = sum(at > ended - late for at in moved)
    improves, stands = moves >= _MOVES and not running, age >= max(30, ended // 2)
    told = ""
    if improves:
        told = f"{'The front grew' if several else 'The best moved'} {moves} times in the last {late} of {ended} trials"
    elif stands:
        better = "made the front worth more" if several else "was better than the best"
        told = f"No trial {better} for {age} of {ended} trials"
    imported = history.launch.get("imported")  # of its trials neither sampler nor training is known
    if not imported and history.plan.sampler.partition(":")[0] == "random" and ended >= 30:
        told = f"The sampler is random: {ended} trials have taught it nothing." + (f" {told}." if told else "")
        command = commands.another("auto", {"sampler": ["auto"], "warm-start": [commands.study]})
        yield Advice("sampler", "Let a sampler learn from these trials", told, command)
    elif improves:
        command = commands.resume(f"--trials +{max(20, ended // 2)}")
        yield Advice("improving", "Search on", f"{told}: it still improves.", command)
    elif stands:
        what = "Stop here, or change the space: more of the same will hardly find better"
        yield Advice("plateau", what, f"{told}.", commands.stop() if running else "")


def _budget(known: Evidence) -> Iterator[Advice]:
    history, longest = known.history, known.history.plan.max_epochs
    best = history.best
    if best is None or unit(history.plan) != "epoch" or longest < 4 or len(history.metrics) > 1:
        return
    at = int(history.best_step[best])
    reported = history.reports.of(best)
    if reported.stop - reported.start > 1 and history.epochs[best] >= longest and at >= longest - longest // 20:
        told = f"Trial {best} was best at epoch {at} of {longest}: its curve still improves where training ends."
        command = known.commands.another("longer", {"max-epochs": [str(2 * longest)]})
        yield Advice("longer", "Train longer", told, command)


def _suspects(known: Evidence) -> Iterator[Advice]:
    found = known.regret
    likely = int(np.argmax(np.nan_to_num(found.chance))) if found.chance else None
    if likely is None or not found.chance[likely] >= _SUSPECT:
        return
    number = found.number[likely]
    told = f"It was pruned at {found.unit} {found.step[likely]}, and would have won with a chance of about "
    told += f"{found.chance[likely]:.0%}."
    fixed = as_typed("set", {**known.history.plan.fixed, **known.history.params(number)})
    changes = {"trials": ["1"], "pruner": ["none"], "set": fixed}
    command = known.commands.another(str(number), changes) if len(fixed) <= MOST_SET else ""
    yield Advice("pruned", f"Run trial {number} to its end", told, command)


def _idle(known: Evidence) -> Iterator[Advice]:
    panels, best, plan = known.importances.panels, known.history.best, known.history.plan
    if best is None or len(panels) < len(known.history.metrics) or not all(any(one.is_told) for one in panels):
        return
    params = known.history.params(best)
    free = [name for name in params if name not in plan.fixed]
    most = {name: max(one.at_most(name) for one in panels) for name in free}
    idle = sorted((most[name], name) for name in most if most[name] <= SMALL)[:_MOST_FIXED]
    if not idle:
        return
    told = f"By both measures {'none of them comes' if len(idle) > 1 else 'it does not come'} to more than "
    told += f"{percent(idle[-1][0])}, from {panels[0].trials} trials."
    names = [name for _, name in idle]
    fixed = known.commands.edit_set({name: params[name] for name in names})
    yield Advice("idle", f"Fix {', '.join(names)}, to search the rest more closely", told, fixed)


def _gpu_waits(known: Evidence) -> Iterator[Advice]:
    share, plan = known.history.gpu_waited, known.history.plan
    if share is None or share < _WAITS:
        return
    told = f"The GPU waited {share:.0%} of the training for the next batch, with {plan.cpus:g} CPU"
    told += f"{'s' * (plan.cpus != 1)} a trial."
    changes = {"cpus": [f"{2 * plan.cpus:g}"]}
    yield Advice("GPU waits", "Raise train.batch or --cpus", told, known.commands.another("cpus", changes))


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
    _gpu_waits,
    _idle,
)
