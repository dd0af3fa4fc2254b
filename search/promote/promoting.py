"""The whole way of a promotion, a step after the other: from a finished study to a version of a model."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path, PurePath

from search.bundle.bundle import Bundle, write_bundle
from search.bundle.manifest import Manifest, Member
from search.bundle.model import Model
from search.data.fetch import Say
from search.errors import InputError, RefusedError, SweepError
from search.extras import check_promotion
from search.launch import versions
from search.local import device_of, setting_of, threads_of, use_threads
from search.problem import Problem
from search.promote import seal
from search.promote.candidates import candidates
from search.promote.choices import Promotion
from search.promote.confirm import PLAIN, Manner, confirm
from search.promote.confirmation import Confirmation
from search.promote.exportable import check_exportable, keep_exportable
from search.promote.feeding import columns_of, rows_of
from search.promote.gate import judge_serving
from search.promote.loading import SAMPLE_ROWS, Loaded, load_clean
from search.promote.making import Made, make
from search.promote.opening import Opened, opened
from search.promote.opponent import in_production
from search.promote.promoted import Promoted, note
from search.promote.tested import Untested, tested
from search.records.study import StoredStudy, trial
from search.registry.registry import Registry
from search.study.record import TrialRecord


def promote(stored: StoredStudy, choices: Promotion, manner: Manner = PLAIN) -> Promoted:
    """Make the best of a study a version of a model.

    The test rows come out once, when all that can fail without them has not.

    Args:
        stored: The study; nobody may run it.
        choices: How the winner is found, made and judged.
        manner: How its trials are trained again, and who hears of it.

    Raises:
        NoCandidate: No trial of the study could win.
        InputError: An option does not fit, or the objective cannot be promoted.
        RefusedError: The test rows were used before, or the gate is not passed.
        SurroundingsError: The cluster, the disk or a library is not as needed.
        Interrupted: A signal came while the winner was confirmed.
    """
    check_promotion()
    study = opened(stored, manner)
    choices.check(study.problem)
    results = stored.folder.root.resolve().parent
    seal.check_closed(results, study.problem, again=choices.again)  # before anything is trained in vain
    in_production(results, choices, study.problem)
    confirmation, trials = _winners(stored, study.problem, choices, manner)
    with ExitStack() as learners:
        try:
            made = _made(stored, study, choices, trials, manner.say)
            learners.callback(made.close)
            _refuse_same(results, choices, made)
            manifest = _manifest(stored, study, choices, made)
            loaded = _served(study.problem, choices, made, manifest, manner)
            model = Model(Bundle(Path(choices.name), manifest, made.signature, "", made.graph, ""))
            untested = Untested(stored, study, choices, confirmation, made, manifest, model, loaded)
            untested.agrees(study.problem.validation.features)
        except SweepError as error:
            note(stored, {"model": choices.name, "outcome": "refused before its test", "why": str(error)[:500]})
            raise
        return tested(untested, manner.say)


def _winners(
    stored: StoredStudy, problem: Problem, choices: Promotion, manner: Manner
) -> tuple[Confirmation | None, list[TrialRecord]]:
    """Return who won how, and the trials of the model: the winner first, and who votes with it."""
    if choices.trial is not None:
        named = _named(stored, choices.trial)
        check_exportable(named, problem)
        return None, [named]
    keep = keep_exportable(stored, choices.top, problem, manner.say)
    if choices.ensemble:
        _check_voters([one.number for one in candidates(stored, choices.top, keep)])
    found = confirm(stored, choices.top, choices.seeds, manner, keep)
    for sentence in found.sentences():
        manner.say(sentence)
    numbers = [found.winner]
    if choices.ensemble:
        numbers += [row.number for row in found.standings.rows if row.number != found.winner and row.feasible]
        _check_voters(numbers)
    return found, [stored.records[number] for number in numbers]


def _check_voters(numbers: Sequence[int]) -> None:
    if len(numbers) == 1:
        said = f"only trial {numbers[0]} could vote"
        raise RefusedError(said, field="--ensemble", hint="go on without --ensemble")


def _named(stored: StoredStudy, number: int) -> TrialRecord:
    record = trial(stored, str(number))
    if record.state != "complete":
        raise InputError(f"trial {number} is {record.state}, so it is no winner", field="--trial")
    return record


def _made(stored: StoredStudy, study: Opened, choices: Promotion, trials: Sequence[TrialRecord], say: Say) -> Made:
    plan = stored.plan
    use_threads(threads_of(plan))
    setting = replace(setting_of(plan, study.problem, device=device_of(plan)), seed=_fresh_seed(plan.seed, trials))
    say(f"training trial{'s'[: len(trials) > 1]} {', '.join(str(one.number) for one in trials)} for good")
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        return make(study.problem, trials, setting, choices, target=study.target)


def _refuse_same(results: Path, choices: Promotion, made: Made) -> None:
    """Refuse a model whose very graph is registered under the name already, before it costs a test row.

    Raises:
        RefusedError: It is.
    """
    registry = Registry.of(results, choices.name)
    for number in registry.read().versions:
        with suppress(SweepError):  # of a version that is damaged or gone nothing is known
            if registry.bundle(number).model == made.graph:
                break
    else:
        return
    hint = f"`sweep models {choices.name} --move production={number}` puts it into production"
    raise RefusedError(f"this very model is version {number} of {choices.name}", field="trial", hint=hint)


def _fresh_seed(seed: int, trials: Sequence[TrialRecord]) -> int:
    """Return the seed of the last training, which is none that the search or its confirmation had."""
    basis = json.dumps([seed, "promote", [one.number for one in trials]])
    return int.from_bytes(hashlib.sha256(basis.encode()).digest()[:4], "big") >> 1


def _manifest(stored: StoredStudy, study: Opened, choices: Promotion, made: Made) -> Manifest:
    return Manifest(
        study=stored.folder.name,
        objective=_placeless(stored.plan.objective),
        members=tuple(Member(one.number, dict(one.params), one.seed, one.units) for one in made.trained),
        metric=stored.plan.metrics[0],
        data_hash=study.problem.data_hash,
        split_hash=study.problem.split_hash,
        code_hash=study.code_hash,
        versions=versions(),
        options=choices.changing(),
    )


def _placeless(reference: str) -> str:
    """Return a reference without the folders of this machine; what code it was, its hash says."""
    file, colon, attribute = reference.rpartition(":")
    return f"{PurePath(file).name}{colon}{attribute}" if colon else PurePath(reference).name


def _served(problem: Problem, choices: Promotion, made: Made, manifest: Manifest, manner: Manner) -> Loaded:
    """Have the model answer in a clean process, and hold it against the bounds for which no test row has to be seen.

    Raises:
        RefusedError: It does not load there, or is too slow or too large.
    """
    sample = columns_of(rows_of(problem.validation.features, slice(SAMPLE_ROWS)), made.signature)
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
        root = Path(scratch) / "bundle"
        digest = write_bundle(root, manifest, made.files(card=""))
        loaded = load_clean(root, sample, digest=digest)
        size = sum(path.stat().st_size for path in root.iterdir())
    manner.say(loaded.sentence)
    judge_serving(choices.bounds, loaded.p95_ms, size).refuse()
    return loaded
