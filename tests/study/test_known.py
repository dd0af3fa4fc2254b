"""Parameters that have a result are not run again; those that are being run are waited for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from search.errors import FailReason
from search.study import attributes
from search.study.known import MOST_IN_A_ROW, Known
from search.study.runs import Run
from search.trial import Ending, Outcome, Progress, Verdict
from tests.study.searches import Search
from tests.study.studies import flat_space


def three(trial: Any) -> None:
    """Suggest one of three."""
    trial.suggest_int("n", 0, 2)


def nothing(trial: Any) -> None:
    """Suggest nothing."""


def loss(params: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": float(params.get("n", 1)), "other": 2.0}


@pytest.mark.parametrize("sampler", ["random", "tpe", "evolve", "cmaes", "nsga2:population_size=4"])
def test_each_point_of_a_small_space_is_run_once(tmp_path: Path, sampler: str) -> None:
    search = Search.open(tmp_path / "s", three, loss, trials=20, sampler=sampler)
    status = search.run()
    ran = [spec.params["n"] for spec in search.ran]
    assert len(ran) == len(set(ran)) <= 3
    assert status.why_stopped == "20 of 20 trials"
    assert status.trials["complete"] == 20
    assert status.epochs_run == len(ran)
    search.close()


def test_a_copy_has_the_result_of_the_first_and_says_whose(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", three, loss, trials=12)
    search.run()
    ran = {spec.number: spec for spec in search.ran}
    copies = [one for one in search.records() if one.number not in ran]
    assert copies
    for copy in copies:
        assert copy.same_as in ran
        first = search.records()[copy.same_as]
        assert (copy.state, copy.values, copy.params, copy.metrics) == (
            "complete",
            first.values,
            first.params,
            first.metrics,
        )
        assert copy.end["text"] == f"same parameters as trial {first.number}: its result"
        assert (copy.end["metrics"], copy.end["units"], copy.seconds) == (first.end["metrics"], 0, 0.0)
    search.close()


def test_a_pruned_trial_is_known_and_a_failed_one_is_not(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", flat_space, loss, trials=20, max_epochs=3)
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    for turn, ending in enumerate((Ending.FAIL, Ending.PRUNED)):
        search.owner.steering.enqueue(point, wish=f"w{turn}")
        spec = search.start(str(turn))
        assert spec is not None
        assert spec.number == turn  # after the failed one it is run for real
        reason = FailReason.NAN if ending is Ending.FAIL else None
        search.end(spec, ending, reason=reason)
    search.owner.steering.enqueue(point, wish="again")
    other = search.start("2")
    copy = search.records()[2]
    assert other is not None
    assert other.number == 3
    assert (copy.state, copy.same_as, copy.values) == ("pruned", 1, search.records()[1].values)
    saved = search.owner.status().epochs_saved
    assert saved == 3 - 1  # by the one that was run
    search.close()


def test_a_trial_that_was_pruned_by_several_metrics_is_known(tmp_path: Path) -> None:
    """Such a one has no values: Optuna stores those of one metric only."""
    search = Search.open(
        tmp_path / "s", flat_space, loss, max_epochs=3, metrics=("loss", "other"), directions=("minimize", "minimize")
    )
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    for wish in ("first", "again"):
        search.owner.steering.enqueue(point, wish=wish)
    spec = search.start("0")
    assert spec is not None
    search.end(spec, Ending.PRUNED)
    other = search.start("1")
    copy = search.records()[1]
    assert other is not None
    assert (other.number, copy.state, copy.same_as, copy.values) == (2, "pruned", 0, ())
    assert copy.metrics == search.records()[0].metrics != {}
    search.close()


def test_a_retried_trial_is_run_for_real(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", flat_space, loss, trials=20)
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    search.owner.steering.enqueue(point, wish="first")
    spec = search.start("0")
    assert spec is not None
    search.owner.tell(spec.number, "t0", Outcome(Ending.FAIL, reason=FailReason.EXCEPTION, text="no"))
    search.owner.steering.enqueue(point, wish="second")
    spec = search.start("1")
    assert spec is not None
    search.end(spec)
    search.owner.steering.retry([0], wish="retry")
    again = search.start("2")
    assert again is not None
    assert again.params == point
    search.close()


def test_a_space_without_parameters_still_runs_its_trials(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", nothing, loss, trials=7)
    assert search.run().why_stopped == "7 of 7 trials"
    assert len(search.ran) == 7
    search.close()


def test_a_search_that_has_tried_everything_ends(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", three, loss, trials=None, epochs=10_000)
    status = search.run()
    assert status.why_stopped == f"the last {MOST_IN_A_ROW} suggestions had all been tried before"
    assert status.state == "finished"
    assert len(search.ran) == 3
    search.close()


def test_one_that_is_being_run_is_waited_for(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", three, loss, trials=12, slots=4)
    held = [search.start(str(turn)) for turn in range(3)]
    begun = [spec for spec in held if spec is not None]
    assert len({spec.params["n"] for spec in begun}) == len(begun)
    assert all(search.start(f"more {turn}") is None for turn in range(4))  # all three are under way
    assert [one.state for one in search.records()] == ["running"] * len(begun)
    search.end(begun[0])
    assert search.start("later") is None  # what it would be is under way, or was that one's twin, whose end is known
    others = search.records()[len(begun) :]
    assert [(one.state, one.same_as) for one in others] == [("complete", begun[0].number)] * len(others)
    for spec in begun[1:]:
        search.end(spec)
    assert search.run().why_stopped == "12 of 12 trials"
    assert len({spec.params["n"] for spec in search.ran}) == len(search.ran) <= 3
    search.close()


def test_an_enqueued_one_waits_without_holding_up_the_others(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", flat_space, loss, trials=20, slots=3)
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    for wish in ("a", "b", "c"):
        search.owner.steering.enqueue(point if wish != "c" else {"x": 0.25, "n": 3}, wish=wish)
    first, second = search.start("0"), search.start("1")
    assert first is not None
    assert second is not None
    assert (first.params, second.params) == (point, {"x": 0.25, "n": 3})
    assert search.owner.status().trials["waiting"] == 1
    search.end(first)
    search.start("2")
    twin = search.records()[1]
    assert (twin.state, twin.same_as) == ("complete", 0)
    search.close()


def test_what_waited_goes_on_waiting_after_a_restart(tmp_path: Path) -> None:
    search = Search.open(tmp_path / "s", flat_space, loss, slots=3)
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    for wish in ("a", "b"):
        search.owner.steering.enqueue(point, wish=wish)
    first = search.start("0")
    assert first is not None
    assert search.start("1") is not None
    search.close()
    again = Search.open(tmp_path / "s", flat_space, loss, slots=3)
    assert again.owner.status().trials["waiting"] == 1
    again.end(first)
    again.start("2")
    assert again.records()[1].same_as == 0
    again.close()


@pytest.mark.parametrize(("code", "copies"), [("one", 1), ("two", 0)])
def test_a_result_of_other_code_is_not_known(tmp_path: Path, code: str, copies: int) -> None:
    point: dict[str, Any] = {"x": 0.5, "n": 2}
    for number, run in enumerate((Run("a", "one"), Run("b", code))):
        search = Search.open(tmp_path / "s", flat_space, loss, run=run, trials=2 + number)
        search.owner.steering.enqueue(point, wish=f"w{number}")
        spec = search.start(str(number))
        assert spec is not None
        search.end(spec)
        search.owner.finish()
        search.close()
    found = Search.open(tmp_path / "s", flat_space, loss, run=Run("c"))
    assert sum(one.same_as is not None for one in found.records()) == copies
    found.close()


def test_a_copy_changes_nothing_for_the_pruner(tmp_path: Path) -> None:
    """At a rung of three the best of three goes on; copies of the first would make it two of five."""
    verdicts = []
    for copies in (0, 6):
        search = Search.open(tmp_path / str(copies), flat_space, loss, trials=40, pruner="asha", max_epochs=9, slots=9)
        point: dict[str, Any] = {"x": 0.5, "n": 2}
        for wish in range(1 + copies):
            search.owner.steering.enqueue(point, wish=str(wish))
        first = search.start("first")
        assert first is not None
        search.end(first)
        told = []
        for turn in range(8):
            spec = search.start(str(turn))
            assert spec is not None
            told.append(search.owner.report(spec.number, f"t{spec.number}", Progress(1, {"loss": turn % 4}, 1)))
        verdicts.append(told)
        search.close()
    assert verdicts[0] == verdicts[1]
    assert Verdict.PRUNE in verdicts[0]


def test_a_stored_copy_names_the_first_even_where_a_copy_was_found() -> None:
    known = Known()
    values: list[dict[str, Any]] = [{"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": None}]
    for number, params in enumerate(values):
        assert not known.has(params)
        known.begin(number, params)
    assert [known.under_way(params) for params in values] == [0, 1, 2, 3, 4]
    assert known.result_of({}) is None
    assert attributes.SAME_AS.startswith("sweep:")
