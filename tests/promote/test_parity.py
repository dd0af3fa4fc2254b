"""Rules of the parity gate: a bundle that says something else than its pipeline is refused, with where and what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.contract import Context, Exported, Part, Task
from search.errors import RefusedError
from search.promote.graph import Head
from search.promote.parity import Parity, chosen, reference
from search.promote.strange import RowKind, strange, usual
from tests.bundle import bundles

from .bundled import Bundled, bundled

COLUMNS = ("age", "income", "town")


def table(rows: int = 30) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": random.normal(size=rows),
            "income": random.normal(size=rows),
            "town": random.choice(bundles.TOWNS, rows),
        }
    )


def linear(features: pd.DataFrame, outputs: int) -> Any:
    """Return what the graph of `bundles.tiny` says, by numpy."""
    weight = np.linspace(-0.05, 0.05, 3 * outputs, dtype=np.float32).reshape(3, outputs)
    numbers = [features[name].to_numpy(np.float64, na_value=np.nan) for name in COLUMNS[:2]]
    with np.errstate(over="ignore"):
        numbers = [one.astype(np.float32).astype(np.float64) for one in numbers]
    numbers = [np.where(np.isfinite(one), one, 0.0) for one in numbers]
    place = {name: index + 1.0 for index, name in enumerate(bundles.TOWNS)}
    scores = np.column_stack([*numbers, [place.get(one, 0.0) for one in features["town"]]]) @ weight
    if outputs == 1:
        return scores[:, 0]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def toy(change: Any = None, *, task: bundles.Task = "binary", head: Head | None = None) -> Bundled:
    """Return a bundle whose pipeline says what `change` makes of what the bundle says."""
    classes = bundles.CLASSES[task]
    made = bundles.exported(task)

    def predict(features: Any) -> Any:
        said = linear(features, len(classes) or 1)
        return said if change is None else change(features, said)

    target = np.arange(30.0) if task == "regression" else np.arange(30) % 2
    member = Exported(made.prepare, made.model, predict)
    return bundled([member], Part(table(), target), Context(task=Task(task), classes=classes), head)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_bundle_that_says_the_same_passes_and_tells_what_was_compared(task: bundles.Task) -> None:
    found = toy(task=task).compared(table())
    assert found.kinds["as they are"].rows == 30
    assert set(found.kinds) == {one.value for one in RowKind if one is not RowKind.PIXELS}
    assert found.worst < 1e-6
    assert found.sentence.startswith(f"bundle and trained pipeline agree on {found.rows} rows (30 as they are, ")
    assert Parity.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (lambda rows: rows.age.notna(), r"the bundle says .* of rows as they are$"),
        (lambda rows: rows.age.isna() & rows.income.notna(), r"of rows missing values, column 'age' = nan"),
        (lambda rows: rows.town == "never seen", r"of rows unseen categories, column 'town' = 'never seen'"),
        (lambda rows: rows.income == 1e30, r"of rows extreme numbers, column 'income' = 1e\+30"),
        (lambda rows: rows.town == " ", r"of rows empty strings, column 'town' = ' '"),
        (lambda rows: rows.age.isna() & rows.income.isna(), r"of rows missing values, all columns missing"),
    ],
)
def test_a_difference_on_one_kind_of_row_is_refused_by_name(where: Any, said: str) -> None:
    def off(features: Any, scores: Any) -> Any:
        return scores + np.where(where(features), 0.1, 0.0)[:, None] * [1, -1]

    with pytest.raises(RefusedError, match=said) as caught:
        toy(off).compared(table())
    assert len(caught.value.sentence()) <= 200


@pytest.mark.parametrize(("shift", "passes"), [(5e-5, True), (2e-4, False)])
def test_values_may_differ_by_a_ten_thousandth_of_the_targets_deviation(shift: float, passes: bool) -> None:
    deviation = float(np.std(np.arange(30.0)))
    made = toy(lambda _, values: values + shift * deviation, task="regression")
    if passes:
        assert made.compared(table()).worst == pytest.approx(shift, rel=0.1)
    else:
        with pytest.raises(RefusedError):
            made.compared(table())


def test_one_that_is_no_number_where_the_other_is_differs() -> None:
    def gap(features: Any, values: Any) -> Any:
        return np.where(features.income.to_numpy() == 0.0, np.nan, values)

    with pytest.raises(RefusedError, match=r"the trained pipeline nan of rows extreme numbers, column 'income' = 0\.0"):
        toy(gap, task="regression").compared(table())


def test_another_class_is_refused_unless_both_were_as_likely() -> None:
    made = toy()
    threshold = float(made.members[0].predict(table())[4, 1])
    with_threshold = toy(lambda _, said: said + np.array([4e-5, -4e-5]), head=Head(("no", "yes"), threshold=threshold))
    found = with_threshold.compared(table())
    assert found.kinds["as they are"].near == 1


def test_rows_that_the_pipeline_refuses_are_counted_and_not_compared() -> None:
    def strict(features: Any, said: Any) -> Any:
        if features.income.isna().any():
            raise ValueError("Input X contains NaN")
        return said

    found = toy(strict).compared(table())
    assert found.kinds["missing values"].refused == 17
    assert found.kinds["missing values"].rows == 32
    assert "17 rows were not compared" in found.sentence


def test_a_pipeline_that_refuses_usual_rows_is_an_error() -> None:
    def broken(features: Any, said: Any) -> Any:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        toy(broken).compared(table())


def test_strange_rows_are_the_same_each_time_and_change_one_column_each() -> None:
    signature = toy().model.signature
    first, again = (list(strange(table(), signature)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one.features, other.features)
    rows = first[0]
    plain = {tuple(values) for values in table()[["income", "town"]].itertuples(index=False)}
    of_age = [index for index, name in enumerate(rows.columns) if name == "age"]
    assert {tuple(one) for one in rows.features[["income", "town"]].iloc[of_age].itertuples(index=False)} <= plain
    assert sum(len(one) for one in usual(table())) == 30


def test_the_reference_votes_sharpens_and_chooses_as_the_graph_does() -> None:
    made = toy()
    other = replace(made.members[0], predict=lambda rows: linear(rows, 2)[:, ::-1] * 0.5 + np.array([0.0, 0.5]))
    head = Head(("no", "yes"), temperature=0.4, threshold=0.7)
    found = reference([made.members[0], other], head, table())
    mean = (linear(table(), 2) + other.predict(table())) / 2
    odds = mean ** (1 / 0.4)
    np.testing.assert_allclose(found, odds / odds.sum(axis=1, keepdims=True), rtol=1e-9)
    assert chosen(np.array([[0.31, 0.69], [0.29, 0.71]]), head).tolist() == [0, 1]
