"""A study that is read from its derived tables and the rest of its journal is the study that Optuna reads."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks import large_study
from search.errors import SurroundingsError
from search.paths import StudyFolder
from search.records import derived, importances, table_file, tables
from search.records import study as records
from search.records.failures import in_common
from search.records.leaderboard import leaders
from search.records.study import StoredStudy, read, read_launch, status
from search.status import STATES, TrialScore
from search.study import attributes
from search.study.ledger import Ledger
from search.study.reading import read_trials
from search.study.record import TrialRecord
from search.study.scores import score_of
from tests.records import histories, studies
from tests.report.extremes import rested, searched


def told(study: StoredStudy) -> dict[str, Any]:
    """Return all that is said of a study, comparable; NaN equals NaN, and 1 is not 1.0."""
    described = {
        "records": [repr(record) for record in study.records],
        "status": repr(replace(status(study), seconds=round(status(study).seconds, 6))),
        "attributes": repr(study.attributes),
        "plan": repr(study.plan),
        "leaders": [repr(leaders(study, count)) for count in (1, 3, 1000)],
        "failures": in_common(study.records, most=2),
    }
    for which in ("best", "last"):
        try:
            described[which] = repr(records.trial(study, which))
        except Exception as fault:
            described[which] = str(fault)
    return described


def by_optuna(folder: StudyFolder) -> StoredStudy:
    """Return a study as Optuna reads it, after checking its totals against a plain count of its trials."""
    study = records._read_by_optuna(folder, *read_launch(folder), None)
    trials, found, ledger = [*study.records], status(study), Ledger(study.plan.directions, study.plan.max_epochs)
    for one in sorted((one for one in trials if one.ended), key=lambda one: (one.ended, one.number)):
        ledger.count(one)
    assert found.trials == {state: sum(one.state == state for one in trials) for state in STATES}
    assert found.epochs_run == sum(one.last_step for one in trials)
    assert (found.epochs_saved, found.failures) == (ledger.epochs_saved, ledger.failures)
    assert (found.best, found.best_age) == (ledger.scores.best, ledger.scores.since_best)
    assert found.seconds == max([study.attributes.get(attributes.CLOCK, 0.0), *(one.at_s for one in trials)])
    begun = [one for one in trials if one.started is not None]
    assert study.records.last_begun == (begun[-1] if begun else None)
    assert repr(leaders(study, 10**6)) == repr(_leaders(study, trials, found.front))
    assert in_common(study.records) == _in_common(trials)
    return study


def _leaders(study: StoredStudy, trials: list[TrialRecord], front: Sequence[TrialScore]) -> list[TrialScore]:
    several = len(study.plan.metrics) > 1
    scores = [*front] if several else [score_of(one) for one in trials if one.state == "complete"]
    sign = 1 if study.plan.directions[0] == "minimize" else -1
    return sorted(scores, key=lambda one: (sign * one.values[0], one.number))


def _in_common(trials: list[TrialRecord]) -> list[str]:
    def shape(one: TrialRecord) -> str:
        return re.sub(r"\d+", "#", one.end.get("text", ""))

    failed = [one for one in trials if one.state == "fail"]
    kinds = Counter((one.end.get("reason") or "unknown", shape(one)) for one in failed)
    lines = []
    for (reason, alike), count in kinds.most_common(3):
        first = next(one for one in failed if shape(one) == alike)
        many = f"{count} of {len(failed)} failed alike" if count > 1 else f"1 of {len(failed)} failed"
        lines.append(f"{many} ({reason}): {first.end.get('text') or 'no word was left'} (trial {first.number})")
    return lines if len(kinds) <= 3 else [*lines, f"and {len(kinds) - 3} other kinds of failure"]


def is_by_optuna(study: StoredStudy) -> bool:
    return study.live is None


def starts_from_table(study: StoredStudy) -> bool:
    return study.live is not None and study.live.table is not None


@pytest.mark.parametrize("seed", range(40))
def test_every_cut_between_table_and_tail_reads_as_by_optuna(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder = histories.write(tmp_path, seed)
    whole = folder.journal.read_bytes()
    expected = told(by_optuna(folder))
    assert told(read(folder)) == expected
    for cut in histories.cuts(whole, dice, 3):
        folder.journal.write_bytes(whole[:cut])
        folder.trials_table.unlink(missing_ok=True)
        assert derived.refresh(folder)
        assert told(read(folder)) == told(by_optuna(folder))
        folder.journal.write_bytes(whole)
        found = read(folder)
        assert starts_from_table(found)
        assert told(found) == expected


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("group", [2, 3, 4096])
def test_tables_that_grow_bit_by_bit_are_those_made_at_once(
    tmp_path: Path, seed: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "GROUP", group)
    monkeypatch.setattr(derived, "GROUP", group)
    folder = histories.write(tmp_path, seed)
    whole = folder.journal.read_bytes()
    for cut in histories.cuts(whole, random.Random(seed), 6):
        folder.journal.write_bytes(whole[:cut])
        derived.refresh(folder)
        found = read(folder)
        assert starts_from_table(found)
        assert told(found) == told(by_optuna(folder))
    bit_by_bit = pd.read_parquet(folder.trials_table), pd.read_parquet(folder.reports_table)
    folder.trials_table.unlink()
    derived.refresh(folder)
    at_once = pd.read_parquet(folder.trials_table), pd.read_parquet(folder.reports_table)
    for one, other in zip(bit_by_bit, at_once, strict=True):
        assert set(one.columns) == set(other.columns)
        rows = [frame.drop(columns="record", errors="ignore").astype(str) for frame in (one, other)]
        numbers = [column for column in rows[0].columns if one[column].dtype == other[column].dtype]
        pd.testing.assert_frame_equal(rows[0][numbers], rows[1][numbers])


def test_the_tables_have_the_columns_of_sweep_table(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    assert derived.refresh(folder)
    stored = read(folder)
    found = pd.read_parquet(folder.trials_table)
    assert list(found.columns) == [*tables.trials(stored).columns, "record"]
    assert found["values.val_loss"].tolist()[:1] == [0.5]
    assert found["state"].tolist()[7] == "paused"
    assert found["params.model.family"].dropna().tolist() == ["Größe 100%"]
    pd.testing.assert_frame_equal(pd.read_parquet(folder.reports_table), tables.reports(stored), check_dtype=False)


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    assert derived.tail_bytes(folder) == folder.journal.stat().st_size
    assert derived.refresh(folder)
    assert derived.tail_bytes(folder) == 0
    before = folder.trials_table.stat().st_mtime_ns
    assert not derived.refresh(folder)
    assert folder.trials_table.stat().st_mtime_ns == before
    assert sorted(path.name for path in folder.root.iterdir()) == [
        "plan.json",
        "reports.parquet",
        "study.journal",
        "trials.parquet",
    ]


def test_reading_changes_nothing(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    told(read(folder))
    assert {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()} == before


def test_a_torn_tail_is_left_out(tmp_path: Path) -> None:
    folder = histories.write(tmp_path, 1)
    whole = folder.journal.read_bytes()
    ends = histories.cuts(whole, random.Random(1), 30)
    half = ends[len(ends) // 2]
    folder.journal.write_bytes(whole[:half])
    derived.refresh(folder)
    for torn in (whole[: half + 20], whole[: ends[-2] + 15], whole[:-1], whole + b"{", whole + b"\0" * 600):
        folder.journal.write_bytes(torn)
        assert starts_from_table(read(folder))
        assert told(read(folder)) == told(by_optuna(folder))


def test_a_torn_tail_is_not_in_the_tables(tmp_path: Path) -> None:
    folder = histories.write(tmp_path, 1)
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole[:-5])
    derived.refresh(folder)
    folder.journal.write_bytes(whole)
    assert starts_from_table(read(folder))
    assert told(read(folder)) == told(by_optuna(folder))


@pytest.mark.parametrize("seed", range(10))
def test_tables_made_while_the_journal_is_written_hold_complete_records(tmp_path: Path, seed: int) -> None:
    folder, dice = histories.write(tmp_path, seed), random.Random(seed)
    whole = folder.journal.read_bytes()
    first = whole.index(b"\n") + 1
    for size in sorted(dice.randrange(first, len(whole)) for _ in range(8)):
        folder.journal.write_bytes(whole[:size])
        derived.refresh(folder)
        folder.journal.write_bytes(whole[: size + dice.randrange(2000)])
        found = read(folder)
        assert starts_from_table(found)
        assert told(found) == told(by_optuna(folder))


@pytest.mark.parametrize("seed", range(8))
def test_a_journal_that_was_cut_or_replaced_is_read_without_the_table(tmp_path: Path, seed: int) -> None:
    folder = histories.write(tmp_path, seed)
    other = histories.write(tmp_path / "other", seed + 100).journal.read_bytes()
    whole = folder.journal.read_bytes()
    derived.refresh(folder)
    ends = histories.cuts(whole, random.Random(seed), 20)
    half = ends[len(ends) // 2]
    for content in (whole[:half], whole[:half] + other, other, other + other, b""):
        folder.journal.write_bytes(content)
        found = read(folder)
        assert not starts_from_table(found)
        assert told(found) == told(by_optuna(folder))
        shutil.copy(folder.trials_table, tmp_path / "kept")
        derived.refresh(folder)
        assert told(read(folder)) == told(by_optuna(folder))
        shutil.copy(tmp_path / "kept", folder.trials_table)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_table_gives_no_wrong_answer(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    folder = histories.write(tmp_path, seed % 5)
    derived.refresh(folder)
    expected, whole = told(by_optuna(folder)), folder.trials_table.read_bytes()
    for _ in range(6):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 1, 3, 50))):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        folder.trials_table.write_bytes(damaged)
        assert told(read(folder)) == expected


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1 no table PAR1"),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: pd.DataFrame({"number": [1]}).to_parquet(path),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_bytes(b"\xff" * 3000),
    ],
)
def test_a_table_that_is_none_is_not_used(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    expected = told(by_optuna(folder))
    damage(folder.trials_table)
    found = read(folder)
    assert not starts_from_table(found)
    assert told(found) == expected
    assert derived.tail_bytes(folder) == folder.journal.stat().st_size


def test_a_table_of_another_version_or_study_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    with monkeypatch.context() as later:
        later.setattr(table_file, "FORMAT", table_file.FORMAT + 1)
        derived.refresh(folder)
    assert not starts_from_table(read(folder))
    other = studies.store(tmp_path, "n", studies.MIXED[:2])
    derived.refresh(other)
    shutil.copy(other.trials_table, folder.trials_table)
    assert not starts_from_table(read(folder))
    assert told(read(folder)) == told(by_optuna(folder))


@pytest.mark.parametrize("stale", ["early", "damaged", "missing"])
@pytest.mark.parametrize("grown", [True, False])
def test_reports_that_do_not_fit_the_trials_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: str, grown: bool
) -> None:
    monkeypatch.setattr(table_file, "GROUP", 2)
    monkeypatch.setattr(derived, "GROUP", 2)
    folder = histories.write(tmp_path, 5)
    whole = folder.journal.read_bytes()
    ends = histories.cuts(whole, random.Random(5), 20)
    folder.journal.write_bytes(whole[: ends[len(ends) // 2]])
    derived.refresh(folder)
    early = folder.reports_table.read_bytes()
    folder.journal.write_bytes(whole[: ends[-2]])
    derived.refresh(folder)
    if stale == "missing":
        folder.reports_table.unlink()
    else:
        folder.reports_table.write_bytes(early if stale == "early" else b"PAR1")
    if grown:
        folder.journal.write_bytes(whole)
    assert derived.refresh(folder)
    found, expected = pd.read_parquet(folder.reports_table), tables.reports(read(folder))
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False)


def test_a_damaged_journal_is_told_with_and_without_tables(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    whole = folder.journal.read_bytes()
    for with_table in (False, True):
        folder.journal.write_bytes(whole)
        if with_table:
            derived.refresh(folder)
        middle = whole.index(b"\n", len(whole) // 2) + 1
        folder.journal.write_bytes(whole[:middle] + b"x" + whole[middle + 1 :])
        with pytest.raises(SurroundingsError, match="damaged in line"):
            read(folder)


def test_a_record_that_we_do_not_know_is_left_to_optuna(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    with folder.journal.open("a") as file:
        file.write(json.dumps({"op_code": 10, "worker_id": "w", "study_id": 0}) + "\n")
    found = read(folder)
    assert is_by_optuna(found)
    assert told(found) == told(by_optuna(folder))
    assert not derived.refresh(folder)


def test_a_trial_that_two_workers_took_began_when_the_first_did(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    with folder.journal.open("a") as file:
        for day in (1, 2):
            taken = {"trial_id": 8, "state": 0, "values": None, "datetime_start": f"2026-03-0{day}T00:00:00+00:00"}
            file.write(json.dumps({"op_code": 6, "worker_id": "w", **taken}) + "\n")
    found = read(folder)
    assert starts_from_table(found)
    assert told(found) == told(by_optuna(folder))


def test_a_second_study_in_the_journal_is_left_to_optuna(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    with folder.journal.open("a") as file:
        file.write(json.dumps({"op_code": 0, "worker_id": "w", "study_name": "n", "directions": [1]}) + "\n")
        file.write(json.dumps({"op_code": 4, "worker_id": "w", "study_id": 1, "datetime_start": None}) + "\n")
    found = read(folder)
    assert is_by_optuna(found)
    assert len(found.records) == len(studies.MIXED)


def test_trials_that_end_out_of_order_are_counted_in_the_order_of_their_ends(tmp_path: Path) -> None:
    trials = [studies.trial("complete", [value], minute=minute) for value, minute in ((0.5, 9), (0.4, 2), (0.4, 5))]
    folder = studies.store(tmp_path, "m", trials[:1])
    derived.refresh(folder)
    more = studies.store(tmp_path / "x", "m", trials)
    added = more.journal.read_bytes().splitlines(keepends=True)[2:4]
    with folder.journal.open("ab") as file:
        file.writelines(added)
    found = read(folder)
    assert starts_from_table(found)
    assert told(found) == told(by_optuna(folder))


def test_a_table_of_another_time_zone_is_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = read(folder)
        assert starts_from_table(found)
        assert told(found) == told(by_optuna(folder))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_many_kinds_of_failure_are_told_apart_all_the_same(tmp_path: Path) -> None:
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)]
    trials = [studies.trial("fail", reason="exception", text=f"no {word}", minute=n) for n, word in enumerate(words)]
    folder = studies.store(tmp_path, "m", [*trials, *trials[7:9]])
    expected = in_common(by_optuna(folder).records)
    derived.refresh(folder)
    assert in_common(read(folder).records) == expected
    assert expected[0].startswith("2 of 302 failed alike (exception): no ha (trial 7)")


def test_importances_are_those_of_all_ended_trials(tmp_path: Path) -> None:
    folder = large_study.store(tmp_path, "m", 120)
    exact = importances.of(by_optuna(folder))
    assert exact.shares
    assert (exact.is_sample, exact.trials) == (False, 120)
    assert importances.of(read(folder)) == exact
    derived.refresh(folder)
    assert importances.of(read(folder)) == exact


def test_importances_are_those_of_trials_that_rest_too_and_no_longer_once_they_have_ended(tmp_path: Path) -> None:
    pruned, rest = searched(120), rested(searched(120))
    of_pruned = importances.of(by_optuna(studies.store(tmp_path, "pruned", pruned)))
    folder = studies.store(tmp_path, "rest", rest)
    resting = [number for number, one in enumerate(rest) if one.state is TrialState.RUNNING]
    exact = importances.of(by_optuna(folder))
    assert exact == replace(of_pruned, resting=len(resting))
    assert importances.of(read(folder)) == exact
    derived.refresh(folder)
    assert importances.of(read(folder)) == exact
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    trial_id = storage.get_trial_id_from_study_id_trial_number(0, resting[0])
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [-1.0])
    after = importances.of(read(folder))
    assert (after.of, after.resting) == (exact.of, len(resting) - 1)
    assert after == importances.of(by_optuna(folder))
    assert after.parameters != exact.parameters


def test_importances_of_many_trials_are_those_of_a_stated_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importances, "SAMPLE", 40)
    folder = large_study.store(tmp_path, "m", 120)
    for found in (importances.of(by_optuna(folder)), importances.of(read(folder))):
        assert (found.trials, found.of, found.is_sample) == (40, 120, True)
        assert sum(found.shares.values()) == pytest.approx(1)


def test_a_plan_says_what_has_changed_since_the_launch(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    change = {"op_code": 3, "worker_id": "w", "study_id": 0}
    changes = {"trials": 80, "enqueued": [{"x": 1}]}
    with folder.journal.open("a") as file:
        file.write(json.dumps({**change, "system_attr": {"sweep:changes": changes}}) + "\n")
    found = read(folder)
    assert (found.plan.trials, found.plan.enqueued) == (80, ({"x": 1},))
    assert found.launch["plan"]["trials"] == 10
    assert status(found).target_trials == 80


def test_fresh_tables_answer_without_optuna(tmp_path: Path) -> None:
    folder = large_study.store(tmp_path, "large", 5000)
    assert told(read(folder)) == told(by_optuna(folder))
    done = subprocess.run([sys.executable, "-m", "search.records.derived", str(folder.root)], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    expected = told(by_optuna(folder))
    assert told(read(folder)) == expected
    code = (
        "import sys; from search.cli.main import main; code = main(sys.argv[1:]);"
        "found = {'optuna', 'pandas', 'ray', 'torch', 'sklearn'} & set(sys.modules); assert not found, found;"
        "sys.exit(code)"
    )
    for arguments in (["list"], ["show", "large"], ["show", "large", "--trial", "2500"], ["show", "large", "--json"]):
        command = [sys.executable, "-c", code, *arguments, "--results", str(tmp_path)]
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_the_module_says_by_its_exit_code_that_it_could_not(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    if os.geteuid() == 0:
        folder.plan.write_text("{")
    else:
        folder.root.chmod(0o500)
    try:
        assert derived.main([str(folder.root)]) == 3
    finally:
        folder.root.chmod(0o700)


def test_metadata_says_how_far_the_table_goes(tmp_path: Path) -> None:
    folder = studies.store(tmp_path, "m", studies.MIXED)
    derived.refresh(folder)
    facts = table_file.read_facts(pq.read_metadata(folder.trials_table).metadata)
    assert facts["mark"][0] == folder.journal.stat().st_size
    assert facts["open"] == [6, 7, 8]
    assert read_trials(folder, read(folder).plan)[0][6].state == "running"
