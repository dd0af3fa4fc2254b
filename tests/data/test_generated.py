"""Any CSV makes a model or one sentence, and what a model sees of it tells nothing of the test rows."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from objectives.tabular import Tabular
from search.building import stage_params
from search.contract import Context, Dataset, Source
from search.data.roles import roles_of
from search.data.source import FileSource
from search.errors import SweepError
from search.problem import Problem, open_problem
from search.randomness import stage_seed
from search.trial import Ending, ParamValue
from tests.objectives.fitted import digest, shows

from .files import LINEAR, train, write

EXAMPLES = max(300, settings.default.max_examples if settings.default else 0)
"""`pytest --hypothesis-profile=thousand` makes as many as its name says."""

NUMBER, TEXT = 987_654_321, "mArKeR"
"""What only test rows hold, among numbers and in text."""

WORDS = ("good", "Bad", "ugly", "naïve", "x-ray", "100%", "the", "a")

UNLEARNABLE = (
    "no column holds two different values",  # within the training rows
    "no row is left",
)

Cells = Callable[[np.random.Generator, int], list[str]]
Params = Mapping[str, ParamValue]


def drawn(*pool: str) -> Cells:
    return lambda random, rows: [pool[index] for index in random.integers(0, len(pool), rows)]


def formatted(form: str, scale: float = 1.0) -> Cells:
    return lambda random, rows: [format(value, form) for value in random.normal(0, scale, rows)]


FEATURES: dict[str, Cells] = {
    "number": formatted(".3f", 100),
    "exact": formatted(".17g"),
    "exponent": formatted("e", 1e30),
    "tiny": formatted("e", 1e-30),
    "whole": lambda random, rows: [str(value) for value in random.integers(-5, 50, rows)],
    "huge": lambda random, rows: [str(value) + "0" * 25 for value in random.integers(1, 9, rows)],
    "beyond": drawn("1e400", "-1e400", "1", "2"),
    "infinite": drawn("inf", "-Infinity", "3", "4.5"),
    "truth": drawn("True", "False"),
    "yes or no": drawn("yes", "No", "YES"),
    "few": drawn("red", "green", "blue"),
    "many": lambda random, rows: [f"level {value}" for value in random.integers(0, 10 * rows + 1, rows)],
    "identifier": lambda random, rows: [f"id-{value}" for value in random.permutation(rows)],
    "row number": lambda random, rows: [str(row) for row in range(rows)],
    "mixed": drawn("1", "two", "3.5", "", "None", "nan"),
    "almost numbers": lambda random, rows: ["12 kg" if row == rows // 2 else str(row * 0.5) for row in range(rows)],
    "date": lambda random, rows: [f"2024-{1 + row % 12:02d}-{1 + row % 28:02d}" for row in range(rows)],
    "other date": drawn("31.01.2024", "01.02.2024", "30.02.2024", "1.1.24"),
    "time": lambda random, rows: [f"2024-01-01T{row % 24:02d}:00:00" for row in range(rows)],
    "constant": drawn("7"),
    "constant text": drawn("same"),
    "nothing": drawn(""),
    "question marks": drawn("?", "1", "2"),
    "blanks": drawn(" a", "a ", " ", "b\t"),
    "unicode": drawn("Köln", "Zürich", "Łódź", "日本", "\N{GRINNING FACE}", "e\u0301"),
    "latin": drawn("Köln", "Bär", "Straße"),
    "hostile": drawn("a,b", 'say "hi"', "two\nlines", "a;b|c\td", "'", "=1+1", "\\", "<b>"),
    "sentence": lambda random, rows: [" ".join(random.choice(WORDS, 6)) for _ in range(rows)],
    "long": drawn("x" * 5000, "y" * 5000, "z"),
    "control": drawn("a\x01b", "\x7f", "c\x0bd", "\x1c"),
}
TARGETS: dict[str, Cells] = {
    "two classes": drawn("no", "yes"),
    "numbered classes": drawn("0", "1", "2"),
    "truth": drawn("True", "False"),
    "a rare class": lambda random, rows: ["rare" if row == 0 else "ab"[row % 2] for row in range(rows)],
    "quantity": formatted(".4f", 10),
    "exact quantity": formatted(".17g", 1e6),
    "whole quantity": lambda random, rows: [str(value) for value in random.integers(0, 1000, rows)],
    "with gaps": drawn("a", "b", ""),
    "blanks": drawn("a", " a", "b ", "b"),
    "one class": drawn("only"),
    "nothing": drawn("", "NA"),
    "identifier": lambda random, rows: [f"t{row}" for row in range(rows)],
    "infinite": drawn("1", "2", "inf"),
    "mixed": drawn("1", "x", "2.5"),
}
PLAIN_NAMES = ("a", "b", "c", "d", "e")
WEIRD_NAMES = (
    "",
    " ",
    "y",
    "a",
    '"',
    "new\nline",
    "a,b",
    "1",
    "Ä",
    "x" * 300,
    "\N{GRINNING FACE}",
    "nan",
    "index",
    "<b>",
)
CHOICES: dict[str, list[ParamValue]] = {
    "preprocess.impute": ["median", "mean", "most_frequent"],
    "preprocess.scale": ["standard", "symmetric", "unit", "robust", "quantile", "power"],
    "preprocess.whiten": ["none", "pca"],
    "preprocess.encode": ["one-hot", "ordinal"],
    "preprocess.rare": [1, 5],
    "preprocess.clip": [0.0, 0.02],
}


@dataclass(frozen=True)
class Made:
    """A file, how it is named in a reference, and how it is prepared."""

    content: bytes
    name: str
    options: str
    params: Params


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Draw the usual thing three times in four."""
    return st.sampled_from([*[usual] * 3 * max(1, len(others)), *others])


@st.composite
def files(draw: st.DrawFn) -> Made:
    """Draw a CSV whose structure hypothesis chooses, and whose cells come from a seed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names, lines = draw(rows_of(random))
    separator, end = draw(st.sampled_from(",;\t|")), draw(mostly("\n", "\r\n", "\r"))
    text = _written([[*names, "y"], *lines], separator, draw(mostly("minimal", "all", "none")), end)
    encoding = draw(mostly("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"))
    content = text.encode(encoding, "replace")
    content = content[: len(content) - draw(mostly(0, 0, 1, 7))]
    if draw(mostly(False, True)):
        content = gzip.compress(content, 1)
    legacy = encoding in ("latin-1", "cp1252")
    options = f"?encoding={encoding}" if legacy and draw(mostly(True, False)) else ""
    params = dict(LINEAR) | {name: draw(st.sampled_from(values)) for name, values in CHOICES.items()}
    return Made(content, draw(mostly("x.csv", "x", "x", "x.tsv")), options, params)


@st.composite
def rows_of(draw: st.DrawFn, random: np.random.Generator) -> tuple[list[str], list[list[str]]]:
    """Draw the names of the features, and lines of their cells and the target's."""
    rows = draw(mostly(40, 20, 25, 60, 100, 19, 1, 0))
    kinds = draw(st.lists(st.sampled_from(list(FEATURES)), min_size=draw(mostly(1, 0, 2, 3)), max_size=5))
    columns = [FEATURES[kind](random, rows) for kind in kinds]
    mark, share = draw(st.sampled_from(["", "NA", "?", "null", " ", "n/a"])), draw(mostly(0, 0.1, 0.3, 0.9))
    for cells in columns:
        for row in np.flatnonzero(random.random(rows) < share):
            cells[row] = mark
    common = draw(st.sampled_from(["two classes", "numbered classes", "quantity"]))
    columns.append(TARGETS[draw(mostly(common, *TARGETS))](random, rows))
    lines = [list(row) for row in zip(*columns, strict=True)]
    lines += lines[: rows // 2] * draw(mostly(0, 1, 3))
    _spoil(random, lines, draw(mostly("", "", "", "", "longer", "shorter", "blank", "comment")))
    weird = st.lists(st.sampled_from(WEIRD_NAMES), min_size=len(kinds), max_size=len(kinds))
    return draw(weird) if draw(mostly(False, False, True)) else list(PLAIN_NAMES[: len(kinds)]), lines


def _spoil(random: np.random.Generator, lines: list[list[str]], how: str) -> None:
    if not lines or not how:
        return
    row = int(random.integers(0, len(lines)))
    match how:
        case "longer":
            lines[row] = [*lines[row], "more"]
        case "shorter":
            lines[row] = lines[row][:-1]
        case "blank":
            lines.insert(row, [])
        case _:
            lines.insert(row, ["# a comment"])


def _written(lines: list[list[str]], separator: str, quoting: str, end: str) -> str:
    if quoting == "none":
        return end.join(separator.join(line) for line in lines)
    buffer = io.StringIO()
    if quoting == "all":
        csv.writer(buffer, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(lines)
    else:
        csv.writer(buffer, delimiter=separator, lineterminator=end).writerows(lines)
    return buffer.getvalue()


@dataclass(frozen=True)
class Given(Source):
    """A data set that is there already."""

    dataset: Dataset

    def table(self, default: str) -> Dataset:
        return self.dataset

    def images(self, default: str) -> Dataset:
        raise AssertionError


@pytest.mark.timeout(1200)  # a thousand take a minute and a half of a core that has nothing else to do
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck])
@given(made=files())
def test_any_csv_makes_a_model_or_one_sentence_and_the_test_rows_stay_unknown(tmp_path: Path, made: Made) -> None:
    path = write(tmp_path, made.content, made.name)
    problem = opened(FileSource(path.name + made.options, "y", path.parent, results=tmp_path))
    if isinstance(problem, str):
        event(re.sub(r"'.*?'|\d+", "*", problem)[:50])  # `--hypothesis-show-statistics` counts them
        assert problem
        assert len(problem) <= 300
        assert len(problem.splitlines()) == 1
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library says of a table is no fault of ours
        outcome = train(problem, made.params)
        if outcome.ending is Ending.COMPLETE:
            check_nothing_leaks(problem, made.params)
    if outcome.ending is not Ending.COMPLETE:
        assert any(reason in outcome.text for reason in UNLEARNABLE), outcome.text + outcome.trace
        event("nothing to learn from")
        return
    event("learned")
    assert all(np.isfinite(value) for value in outcome.metrics.values())


def opened(source: Source) -> Problem | str:
    try:
        return open_problem(Tabular(), source, seed=0)
    except SweepError as error:
        return error.sentence()


def check_nothing_leaks(problem: Problem, params: Params) -> None:
    """Plant a marker in the test rows and scramble the validation rows: what was fitted stays the same."""
    assert problem.split is not None
    assert problem.dataset is not None
    fitted = prepared(problem, params)
    data = changed(problem)
    if problem.split.notes:  # it would be split otherwise: its rows are equal to most others no longer
        one, other = problem.split.parts(data)
        again = replace(problem, train=one, validation=other, roles=roles_of(one.features))
    else:
        again = open_problem(Tabular(), Given(data), seed=0)
        assert again.split is not None
        assert again.split.digest() == problem.split.digest()
    made = prepared(again, params)
    assert digest(made.transform, made.train) == digest(fitted.transform, fitted.train)
    assert again.roles == problem.roles
    assert not shows([made, again.train, again.validation], number=NUMBER, text=TEXT)


def prepared(problem: Problem, params: Params) -> Any:
    context = Context(
        seed=stage_seed(0, 0, "preprocess"), task=problem.task, classes=problem.classes, roles=problem.roles
    )
    return problem.prepared(stage_params(params, "preprocess."), context)[0]


def changed(problem: Problem) -> Dataset:
    """Return the data set with other values in the validation and test rows; rows that were equal are equal still."""
    assert problem.split is not None
    assert problem.dataset is not None
    features = problem.dataset.features
    assert isinstance(features, pd.DataFrame)
    validation = problem.split.validation
    known = np.union1d(problem.split.train, validation)
    test = np.setdiff1d(np.arange(len(features)), known)
    columns = {}
    for name, column in features.items():
        codes = pd.factorize(column)[0]  # a missing value is -1
        values = column.to_numpy(dtype=object, copy=True)
        if column.dtype == np.float64:
            values[test] = NUMBER + codes[test]
            size = float(column.iloc[problem.split.train].abs().max())  # of the same order: no test of outliers
            values[validation] = -0.7 * codes[validation] * (size if 0 < size < 1e300 else 1.0)
        else:
            values[test] = [f"{TEXT} {code}" for code in codes[test]]
            values[validation] = [f"other {code}" for code in codes[validation]]
        columns[str(name)] = pd.Series(values).astype(column.dtype)
    return replace(problem.dataset, features=pd.DataFrame(columns))
