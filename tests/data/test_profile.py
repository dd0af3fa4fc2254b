"""What a profile says of a data set: roles, ranges, and a sentence for each thing that looks wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.contract import Dataset, Role, Task
from search.data.cleaning import clean
from search.data.profile import Profile, profile, profile_table
from search.data.roles import parse_dates, role_of, roles_of
from search.data.source import FileSource
from search.data.suspicions import predictive_power

from .files import load, mixed_table, write_images

RANDOM = np.random.default_rng(0)
ROWS = 300
NAMES = ("no", "yes")


def cleaned(values: Any, name: str = "x") -> pd.Series[Any]:
    return clean(name, pd.Series(values)).values.rename(name)


def days(form: str) -> list[str]:
    begin = pd.Timestamp("2026-01-01")
    return [(begin + pd.Timedelta(days=3 * number, hours=number)).strftime(form) for number in range(ROWS)]


WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "one", "lazy", "dog"]
COLUMNS: dict[str, tuple[Any, Role]] = {
    "measured": (RANDOM.normal(size=ROWS), Role.NUMERIC),
    "counted": (RANDOM.poisson(3, ROWS), Role.NUMERIC),
    "money in cents": (RANDOM.integers(0, 10**7, ROWS), Role.NUMERIC),
    "few whole numbers": (np.arange(12), Role.NUMERIC),
    "truth values": (RANDOM.random(ROWS) < 0.3, Role.BOOLEAN),
    "two numbers": ([1, 7] * 50, Role.BOOLEAN),
    "two words": (["ja", "nein", None] * 50, Role.BOOLEAN),
    "row number": (np.arange(ROWS), Role.IDENTIFIER),
    "mixed row number": (RANDOM.permutation(ROWS) + 70_000, Role.IDENTIFIER),
    "row number with copies": ([*range(ROWS), 5, 6], Role.IDENTIFIER),
    "codes": ([f"A-{n:05d}" for n in range(ROWS)], Role.IDENTIFIER),
    "names that repeat": (RANDOM.choice(["Ada", "Bob", "Cy"], ROWS), Role.CATEGORY),
    "many names": (RANDOM.choice([f"n{n}" for n in range(200)], ROWS), Role.CATEGORY),
    "few codes": ([f"A-{n}" for n in range(12)], Role.CATEGORY),
    "sentences": ([" ".join(RANDOM.choice(WORDS, 8)) + f" {n}" for n in range(ROWS)], Role.TEXT),
    "one sentence again and again": (["this is one of three long sentences", "b c d e f", "g"] * 90, Role.CATEGORY),
    "ISO dates": (days("%Y-%m-%d"), Role.DATE),
    "ISO moments": (days("%Y-%m-%dT%H:%M:%S"), Role.DATE),
    "moments with a zone": (days("%Y-%m-%d %H:%M:%S+02:00"), Role.DATE),
    "German dates": (days("%d.%m.%Y"), Role.DATE),
    "American dates": (days("%m/%d/%Y"), Role.DATE),
    "British dates": (days("%d/%m/%Y"), Role.DATE),
    "dates in words": (days("%B %d, %Y"), Role.DATE),
    "dates with a few blanks": ([*days("%Y-%m-%d")[:290], *["unknown"] * 10], Role.DATE),
    "dates and as much else": ([*days("%Y-%m-%d")[:200], *["unknown"] * 100], Role.CATEGORY),
    "versions": (RANDOM.choice(["1.2.3", "2.0.1", "10.4.4"], ROWS), Role.CATEGORY),
    "one value": (["x"] * ROWS, Role.CONSTANT),
    "one number and gaps": ([3.0, None] * 50, Role.CONSTANT),
    "nothing": ([None] * ROWS, Role.CONSTANT),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_each_column_has_its_role(name: str) -> None:
    values, role = COLUMNS[name]
    assert role_of(cleaned(values)) is role


def test_a_column_that_is_called_an_id_is_one_where_each_row_has_its_own() -> None:
    spread = RANDOM.integers(0, 10**8, ROWS)
    table = pd.DataFrame({name: cleaned(spread, name) for name in ("customer_id", "CustomerID", "humid", "paid")})
    assert list(roles_of(table).values()) == [Role.IDENTIFIER, Role.IDENTIFIER, Role.NUMERIC, Role.NUMERIC]


@pytest.mark.parametrize(("copies", "role"), [(7, Role.IDENTIFIER), (60, None)])
def test_copied_rows_hide_no_column_that_is_called_an_id(copies: int, role: Role | None) -> None:
    numbers = [*range(400), *range(copies)]
    codes = [f"A-{n:05d}" for n in numbers]
    assert role_of(cleaned(numbers, "visit_id")) is (role or Role.NUMERIC)
    assert role_of(cleaned(codes, "visitId")) is (role or Role.CATEGORY)
    assert role_of(cleaned(numbers, "visits")) is Role.NUMERIC
    assert role_of(cleaned(codes, "visits")) is Role.CATEGORY


def test_the_role_of_a_long_column_is_that_of_its_sample_or_of_all_of_it() -> None:
    late = ["2026-01-01"] * 3000 + [f"word {n % 7}" for n in range(3000)]
    assert role_of(cleaned(late)) is Role.CATEGORY
    assert role_of(cleaned(np.r_[np.arange(5000.0), 0.5])) is Role.NUMERIC
    assert role_of(cleaned(np.arange(5001.0))) is Role.IDENTIFIER
    assert role_of(cleaned(np.r_[np.zeros(5000), 1.0])) is Role.BOOLEAN
    assert role_of(cleaned(np.r_[np.zeros(5000), 1.0, 2.0])) is Role.NUMERIC


@pytest.mark.parametrize(
    ("texts", "moment"),
    [
        (["03/04/2026", "05/06/2026"], "2026-03-04"),
        (["03/04/2026", "25/06/2026"], "2026-04-03"),
        (["2026-01-31T23:30:00-02:00"], "2026-02-01T01:30:00"),
        (["soon", "later"], None),
    ],
)
def test_dates_are_moments_in_utc(texts: list[str], moment: str | None) -> None:
    found = parse_dates(pd.Series(texts)).iloc[0]
    assert pd.isna(found) if moment is None else found == pd.Timestamp(moment)


def test_one_day_after_the_12th_anywhere_says_that_the_day_comes_first() -> None:
    texts = pd.Series(["03/04/2026", "25/04/2026", "11/04/2026"] * 1000)  # of which every third is looked at first
    assert parse_dates(texts).dt.month.unique().tolist() == [4]


def labelled(table: pd.DataFrame, target: Sequence[int] | None = None) -> Dataset:
    """Return a table, cleaned, with two classes by chance or as given."""
    classes = np.random.default_rng(1).integers(0, 2, len(table)) if target is None else np.asarray(target)
    features = pd.DataFrame({name: clean(str(name), column).values for name, column in table.items()})
    return Dataset("made", Task.BINARY, features, classes.astype(np.int64), NAMES)


def found(dataset: Dataset) -> dict[str, list[str]]:
    """Return the columns of each kind of finding."""
    kinds: dict[str, list[str]] = {}
    for finding in profile(dataset).findings:
        kinds.setdefault(finding.kind, []).append(finding.column)
    return kinds


TARGET = np.random.default_rng(1).integers(0, 2, ROWS)
NOISE = np.random.default_rng(2).normal(size=ROWS)
INSULIN = np.where(np.arange(ROWS) % 3 == 0, 0, np.round(np.exp(4.5 + 0.6 * NOISE)) + 14)

SUSPECT: dict[str, tuple[Any, str]] = {
    "an id": (np.arange(ROWS) + 1000, "identifier"),
    "the target in other words": (np.where(TARGET == 1, "ja", "nein"), "copies_target"),
    "the target in other numbers": (TARGET * -3 + 1, "copies_target"),
    "the target with noise": (TARGET + 0.01 * NOISE, "gives_away_target"),
    "words of which each has one class": (
        [f"{'ab'[one]}{number % 9}" for number, one in enumerate(TARGET)],
        "gives_away_target",
    ),
    "one value": (["x"] * ROWS, "constant"),
    "nothing": ([np.nan] * ROWS, "all_missing"),
    "mostly nothing": (np.where(np.arange(ROWS) % 3, np.nan, NOISE), "mostly_missing"),
    "zeros among measured values": (np.where(np.arange(ROWS) % 20 == 0, 0, 120 + 20 * NOISE), "zeros"),
    "zeros among skewed values": (INSULIN, "zeros"),
    "many levels": (np.random.default_rng(3).choice([f"n{n}" for n in range(200)], ROWS), "many_levels"),
    "dates": (days("%d.%m.%Y"), "date"),
}


@pytest.mark.parametrize("name", SUSPECT)
def test_what_looks_wrong_with_a_column_is_found_and_nothing_else(name: str) -> None:
    values, kind = SUSPECT[name]
    table = pd.DataFrame({name: values, "fine": NOISE[::-1] + TARGET})
    assert found(labelled(table, TARGET.tolist())) == {kind: [name]}


FINE: dict[str, Any] = {
    "counts from 0": RANDOM.poisson(2, ROWS),
    "rain": np.where(RANDOM.random(ROWS) < 0.6, 0.0, np.round(RANDOM.exponential(4, ROWS), 1)),
    "around 0": np.round(NOISE, 1),
    "one zero": np.r_[0.0, 100 + NOISE[1:]],
    "shares": np.r_[np.zeros(9), RANDOM.random(ROWS - 9)],
    "a useful hint": TARGET + NOISE,
    "few levels": RANDOM.choice(["a", "b", "c"], ROWS),
}


@pytest.mark.parametrize("name", FINE)
def test_a_sound_column_is_not_suspected(name: str) -> None:
    assert found(labelled(pd.DataFrame({name: FINE[name], "fine": NOISE[::-1]}), TARGET.tolist())) == {}


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "digits", "wine"])
def test_real_data_is_not_said_to_give_its_target_away(name: str, tmp_path: Path) -> None:
    kinds = found(FileSource(f"sklearn:{name}", None, tmp_path).table(""))
    assert not {"copies_target", "gives_away_target", "sorted", "identifier"} & set(kinds)


def test_a_file_that_is_sorted_by_its_target_shows_in_its_row_number() -> None:
    table = pd.DataFrame({"row": np.arange(ROWS) * 1.5, "fine": NOISE})
    drifting = (np.arange(ROWS) + 90 * NOISE > ROWS / 2).astype(int)
    assert found(labelled(table, drifting.tolist())) == {"sorted": ["row"]}
    assert found(labelled(table)) == {}


def test_a_regressions_target_is_found_under_another_name_and_in_other_units() -> None:
    target = RANDOM.normal(size=ROWS)
    table = pd.DataFrame({"same": target, "Fahrenheit": target * 1.8 + 32, "bent": target**3, "fine": NOISE + target})
    kinds = found(Dataset("made", Task.REGRESSION, table, target))
    assert kinds["copies_target"] == ["same", "Fahrenheit"]
    assert kinds["gives_away_target"] == ["bent"]
    assert kinds["twin"] == ["Fahrenheit"]


def test_columns_that_say_the_same_are_told_once_each() -> None:
    table = pd.DataFrame(
        {
            "cm": NOISE,
            "inch": NOISE / 2.54,
            "mm": NOISE * 10,
            "fine": NOISE[::-1],
            "land": np.array(["A", "B", "C"])[np.arange(ROWS) % 3],
            "country": np.array(["a", "b", "c"])[np.arange(ROWS) % 3],
        }
    )
    twins = [finding for finding in profile_table(table, "made").findings if finding.kind == "twin"]
    assert [one.column for one in twins] == ["inch", "mm", "country"]
    assert twins[0].sentence == "column 'inch' says nearly the same as 'cm'; one of them is enough"


def test_texts_that_hardly_repeat_are_twins_only_where_they_are_copies() -> None:
    ids = [f"A-{n:05d}" for n in range(ROWS - 7)]
    table = pd.DataFrame(
        {
            "id": [*ids, *ids[:7]],
            "day": [*days("%Y-%m-%d")[: ROWS - 7], *days("%Y-%m-%d")[:7]],
            "email": [f"{one}@example.org" for one in [*ids, *ids[:7]]],
            "id again": [*ids, *ids[:7]],
            "gaps": [None if n % 2 else f"x{n}" for n in range(ROWS)],
            "other gaps": [None if n % 2 else f"y{n}" for n in range(ROWS)],
        }
    )
    twins = [finding.column for finding in profile_table(table, "made").findings if finding.kind == "twin"]
    assert twins == ["id again"]


def test_copies_and_contradictions_are_counted() -> None:
    table = pd.DataFrame({"a": [*range(30), 0, 1, 2, 2], "b": "x"}).assign(c=NOISE[:34] * 0)
    target = [0, 1] * 15 + [0, 0, 0, 0]  # copies of rows 0 and 2, and of row 1 with another class
    told = profile(labelled(table, target))
    assert (told.duplicates, told.contradictions) == (3, 2)
    assert {"3 rows are copies of another; a split keeps them together"} < {one.sentence for one in told.findings}


def test_a_rare_class_is_told() -> None:
    table = pd.DataFrame({"fine": NOISE})
    told = [one.sentence for one in profile(labelled(table, [0] * 297 + [1] * 3)).findings]
    assert told == ["class 'yes' has 3 rows; what is measured on it is mostly chance"]


def test_many_rare_classes_are_told_in_one_sentence() -> None:
    target = np.r_[np.repeat(np.arange(5), 2), np.zeros(90, int)]
    dataset = Dataset("made", Task.MULTICLASS, pd.DataFrame({"fine": NOISE[:100]}), target, tuple("abcde"))
    (told,) = profile(dataset).findings
    assert told.sentence.startswith("4 classes have fewer than 10 rows, 'b' for one (2); what is measured on them")


def test_numbers_are_described_by_their_range_and_outliers() -> None:
    values = np.r_[np.linspace(0, 10, 101), 1e6, -40, np.nan]
    (column,) = profile_table(pd.DataFrame({"x": values}), "made").columns
    assert (column.missing, column.distinct, column.least, column.greatest) == (1, 103, -40.0, 1e6)
    assert (column.outliers, column.zeros) == (2, 1)
    assert column.quantiles[2] == pytest.approx(5.0, abs=0.2)
    assert column.range == "-40 to 1e+06, median 5"


def test_text_is_described_by_its_most_frequent_levels_and_dates_by_their_ends() -> None:
    table = pd.DataFrame({"city": ["b", "a", "b", None] * 25, "day": days("%Y-%m-%d")[:100]})
    city, day = profile_table(table.astype("str").where(table.notna()), "made").columns
    assert (city.role, city.missing, city.top) == (Role.BOOLEAN, 25, (("b", 50), ("a", 25)))
    assert (day.role, day.first, day.last) == (Role.DATE, "2026-01-01", "2026-10-29")


def made(name: str, folder: Path) -> Profile:
    if name == "no target":
        return profile_table(mixed_table().assign(x=[1.0, np.nan] * 50), "mixed", ("a note",))
    if name == "mixed":
        mixed_table().to_csv(folder / "x.csv", index=False)
        return profile(load(folder / "x.csv", "label"))
    if name == "images":
        return profile(FileSource(str(write_images(folder / "pictures")), None, folder).images(""))
    return profile(FileSource(f"sklearn:{name}", None, folder).table(""))


@pytest.mark.parametrize("name", ["no target", "mixed", "images", "diabetes", "wine"])
def test_a_profile_goes_to_json_and_back(tmp_path: Path, name: str) -> None:
    told = made(name, tmp_path)
    assert Profile.from_json(json.loads(json.dumps(told.to_json(), allow_nan=False))) == told
    assert all(line.isprintable() for line in told.lines())


def test_images_have_a_shape_a_range_and_classes(tmp_path: Path) -> None:
    told = made("images", tmp_path)
    assert told.about.shape == (1, 5, 6)
    assert told.about.classes == {"class0": 12, "class1": 12}
    assert 0 <= told.values[0] < told.values[1] <= 255
    assert not told.columns


CELLS = st.one_of(st.none(), st.floats(allow_nan=True), st.integers(-(10**9), 10**9), st.text(max_size=8))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, st.floats(width=64)), min_size=20, max_size=40))
@example(rows=[(None, None, float(target)) for target in (*range(18), 1.7976931348623157e308, -1e300)])
def test_any_table_has_a_profile_without_a_number_that_json_cannot_hold(rows: list[Any]) -> None:
    columns = {name: pd.Series([row[place] for row in rows], dtype=object) for place, name in enumerate("abc")}
    table = pd.DataFrame({name: clean(name, column).values for name, column in columns.items()})
    target = np.arange(len(rows)) % 2
    for told in (profile_table(table, "made"), profile(Dataset("made", Task.BINARY, table, target, NAMES))):
        json.dumps(told.to_json(), allow_nan=False)
    json.dumps(profile(Dataset("made", Task.REGRESSION, table, np.arange(len(rows)) * 0.5)).to_json(), allow_nan=False)


def test_an_identifier_predicts_nothing_however_many_values_it_has() -> None:
    codes = pd.Series([f"c{n}" for n in range(ROWS)])
    assert predictive_power(codes, TARGET, Task.BINARY) <= 0.05


def test_a_long_wide_table_is_profiled_in_seconds() -> None:
    rows, random = 200_000, np.random.default_rng(0)
    levels = np.array([f"level {number}" for number in range(300)], dtype=object)
    table = pd.DataFrame(
        {f"n{number}": random.normal(size=rows) for number in range(12)}
        | {f"t{number}": pd.Series(levels[random.integers(0, 300, rows)], dtype="str") for number in range(6)}
    )
    begun = time.process_time()
    profile(Dataset("made", Task.BINARY, table, random.integers(0, 2, rows), NAMES))
    assert time.process_time() - begun < 10
