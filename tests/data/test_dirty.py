"""Dirty files: each makes a data set, or one sentence."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objectives.tabular import Tabular
from search.contract import Dataset, Task
from search.data.source import FileSource
from search.data.splits import split
from search.errors import InputError
from search.problem import open_problem
from search.trial import Ending

from .files import BOOSTING, LINEAR, csv, load, mixed_table, train, write


def good(number: int) -> str:
    return f"{number},{'ab'[number % 2]}"


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"<no workbook>")
    return buffer.getvalue()


DAMAGED_EXCEL = zip_of("[Content_Types].xml", "xl/workbook.xml")


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "x.csv is empty; training needs at least 20 rows"),
    "blank": (" \n\n", "x.csv is empty; training needs at least 20 rows"),
    "header only": ("a,y\n", "x.csv has a header and 0 rows; training needs at least 20"),
    "few rows": (csv("a,y", good, 7), "x.csv has 7 rows; training needs at least 20"),
    "no such column": (csv("age,label", good), "x.csv has no column 'y'; it has age, label (2 columns)"),
    "a near miss": (
        csv("a,Y ", good),
        "x.csv has no column 'y'; it has a, Y (2 columns)",
    ),
    "nothing to learn from": (csv("y", lambda n: "ab"[n % 2]), "x.csv has no column besides the target 'y'"),
    "one class": (csv("a,y", lambda n: f"{n},no"), "target 'y' has one value ('no', 40 rows); a classifier needs two"),
    "one number": (csv("a,y", lambda n: f"{n},1"), "target 'y' has one value (1, 40 rows); a classifier needs two"),
    "one quantity": (
        csv("a,y", lambda n: f"{n},1.5"),
        "target 'y' has one value (1.5, 40 rows); there is nothing to learn",
    ),
    "target all missing": (csv("a,y", lambda n: f"{n},"), "target 'y' is missing in all 40 rows"),
    "target mostly missing": (
        csv("a,y", lambda n: good(n) if n < 12 else f"{n},"),
        "x.csv has 12 rows with a target 'y'; training needs at least 20",
    ),
    "target infinite": (
        csv("a,y", lambda n: f"{n},{'inf' if n == 5 else n * 0.5}"),
        "x.csv row 6: target 'y' is infinite; correct or drop the row",
    ),
    "target an identifier": (
        csv("a,y", lambda n: f"{n},id{n}"),
        "target 'y' has 40 different values in 40 rows; a classifier needs values that repeat",
    ),
    "target a number with a stray text": (
        csv("a,y", lambda n: f"{n},{'12 kg' if n == 9 else n * 0.5}"),
        (
            "target 'y' has 40 different values in 40 rows; a classifier needs values that repeat; "
            "is it a number? the first value that is none is '12 kg'"
        ),
    ),
    "duplicate header": (csv("id,b,id,y", lambda n: f"1,2,3,{n}"), "x.csv: column 'id' appears twice (1, 3)"),
    "duplicate after blanks": (
        csv("id, id ,id,y", lambda n: f"1,2,3,{n}"),
        "x.csv: column 'id' appears 3 times (1, 2, 3)",
    ),
    "a longer row": (
        csv("a,y", lambda n: good(n) + ",x" * (n == 5)),
        "x.csv line 7 has 3 fields where the header has 2",
    ),
    "all rows longer": (csv("a,y", lambda n: good(n) + ","), "x.csv line 2 has 3 fields where the header has 2"),
    "unclosed quote": (
        csv("a,y", lambda n: good(n).replace(",", ',"' if n == 3 else ",")),
        "x.csv line 5: a quote is opened and never closed",
    ),
    "unclosed quote in the header": ('"a,y\n1,2\n', "x.csv line 1: a quote is opened and never closed"),
    "not UTF-8": (
        csv("a,y", good).encode() + "1,Köln\n".encode("latin-1"),
        "x.csv: line 42 is not UTF-8; pass encoding=, as in x.csv?encoding=latin-1",
    ),
    "UTF-16 without a mark": (
        csv("a,y", good).encode("utf-16-le"),
        (
            "x.csv: line 1 has a zero byte: it is not a text file, or in another encoding; "
            "if it is UTF-16, try x.csv?encoding=utf-16-le"
        ),
    ),
    "UTF-16 cut short": (
        csv("a,y", good).encode("utf-16")[:-1],
        "x.csv: line 41 is not UTF-16; pass encoding=, as in x.csv?encoding=latin-1",
    ),
    "HTML": (
        "<!DOCTYPE html>\n<html><body>Sign in</body></html>",
        "x.csv is an HTML page, not a table; was an error page downloaded?",
    ),
    "damaged gzip": (b"\x1f\x8b\x08\x00", "x.csv is a damaged gzip file: "),
    "damaged ZIP": (b"PK\x03\x04\x14\x00", "x.csv is a damaged ZIP file: "),
    "damaged Excel": (DAMAGED_EXCEL, "x.csv is a damaged Excel file: "),
    "damaged Parquet": (b"PAR1 and no more", "x.csv is a damaged Parquet file: "),
    "damaged Feather": (b"ARROW1\0\0 and no more", "x.csv is a damaged Feather file: "),
    "damaged JSON": ('{"a": 1, "y": 2}\n{"a"}\n', "x.csv line 2: not JSON (Expecting ':' delimiter: "),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_learned_from_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    content, sentence = REFUSED[case]
    with pytest.raises(InputError) as refusal:
        load(write(tmp_path, content))
    assert refusal.value.sentence().startswith(sentence)
    assert "\n" not in refusal.value.sentence()
    if not case.startswith("damaged"):  # which ends in what the library said
        assert refusal.value.sentence() == sentence


@pytest.mark.parametrize("name", ["x.parquet", "x.xlsx", "x.feather", "x"])
def test_separated_values_under_another_name_are_read(tmp_path: Path, name: str) -> None:
    assert load(write(tmp_path, csv("a,y", good), name)).features.shape == (40, 1)


def test_nested_values_are_refused_by_the_name_of_their_column(tmp_path: Path) -> None:
    pd.DataFrame({"a": [[1, 2]] * 30, "y": [0, 1] * 15}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="column 'a' holds ndarray values; a table has numbers, text and dates"):
        load(tmp_path / "x.parquet")


def test_bytes_flipped_in_a_parquet_file_never_raise_anything_else(tmp_path: Path) -> None:
    mixed_table().to_parquet(tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    for position in range(0, len(whole), 29):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        with suppress(InputError):
            load(write(tmp_path, bytes(broken), "y.parquet"), "label")


READ: dict[str, str | bytes] = {
    "byte-order mark": csv("a,y", good).encode("utf-8-sig"),
    "UTF-16": csv("a,y", good).encode("utf-16"),
    "UTF-16, big-endian": b"\xfe\xff" + csv("a,y", good).encode("utf-16-be"),
    "line ends of Windows": csv("a,y", good).replace("\n", "\r\n"),
    "line ends of old": csv("a,y", good).replace("\n", "\r"),
    "blank lines": "\n\n" + csv("a,y", good) + "\n\n",
    "semicolons": csv("a,y", good).replace(",", ";"),
    "tabs": csv("a,y", good).replace(",", "\t"),
    "blanks after the separator": csv(" a, y", good).replace(",", ", "),
    "quotes": csv('"a","y"', lambda n: f'"{n}","{"ab"[n % 2]}"'),
    "blanks around classes": csv("a,y", lambda n: good(n) + " " * (n % 3)),
    "rows numbered by pandas": csv(",a,y", lambda n: f"{n},{good(n)}"),
}


@pytest.mark.parametrize("form", READ)
def test_the_form_of_a_file_does_not_change_its_table(tmp_path: Path, form: str) -> None:
    dataset = load(write(tmp_path, READ[form]))
    assert isinstance(dataset.features, pd.DataFrame)
    assert list(dataset.features.columns) == ["a"]
    assert dataset.features["a"].tolist() == list(range(40))
    assert dataset.classes == ("a", "b")
    assert dataset.target.tolist() == [0, 1] * 20


def test_parquet_under_the_name_of_csv_is_read(tmp_path: Path) -> None:
    mixed_table().to_parquet(tmp_path / "x.csv")
    assert load(tmp_path / "x.csv", "label").classes == ("no", "yes")


def test_an_encoding_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, csv("a,y", lambda n: f"{n},{'öß'[n % 2]}").encode("latin-1"))
    assert load(path, options="?encoding=latin-1").classes == ("ß", "ö")
    with pytest.raises(InputError, match="unknown encoding 'klingon'"):
        load(path, options="?encoding=klingon")


COLUMNS: dict[str, tuple[list[str], list[object]]] = {
    "constant": (["1"] * 40, [1.0] * 40),
    "all missing": ([""] * 40, [np.nan] * 40),
    "infinite": (["inf", "-Infinity", *["1"] * 38], [np.nan, np.nan, *[1.0] * 38]),
    "beyond a float": (["1e400", *["1"] * 39], [np.nan, *[1.0] * 39]),
    "beyond a whole number": (["9" * 30, *["1"] * 39], [1e30, *[1.0] * 39]),
    "truth values with a gap": (["True", "", *["False"] * 38], [1.0, np.nan, *[0.0] * 38]),
    "numbers and text": (["1", "two", *["3"] * 38], ["1", "two", *["3"] * 38]),
    "question marks": (["?", *["3"] * 39], [np.nan, *[3.0] * 39]),
    "dates": (["2024-02-30", *["01.02.2024"] * 39], ["2024-02-30", *["01.02.2024"] * 39]),
    "a quoted comma and line": (['"a,b\nc"', *["d"] * 39], ["a,b\nc", *["d"] * 39]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_column_becomes_numbers_or_text(tmp_path: Path, case: str) -> None:
    cells, expected = COLUMNS[case]
    dataset = load(write(tmp_path, csv("a,y", lambda n: f"{cells[n]},{n % 2}")))
    assert isinstance(dataset.features, pd.DataFrame)
    column = dataset.features["a"]
    assert column.dtype == ("float64" if isinstance(expected[-1], float) else pd.StringDtype(na_value=np.nan))
    pd.testing.assert_series_equal(column, pd.Series(expected, dtype=column.dtype), check_names=False)


def test_a_shorter_row_ends_in_missing_values(tmp_path: Path) -> None:
    features = load(write(tmp_path, csv("y,a,b", lambda n: f"{n % 2},1" + ",2" * (n != 4)))).features
    assert isinstance(features, pd.DataFrame)
    assert np.flatnonzero(features["b"].isna()).tolist() == [4]


def test_decimal_commas_are_numbers_where_semicolons_separate(tmp_path: Path) -> None:
    features = load(write(tmp_path, csv("a;y", lambda n: f"{n},5;{n % 2}"))).features
    assert isinstance(features, pd.DataFrame)
    assert features["a"].tolist() == [number + 0.5 for number in range(40)]


def test_what_was_done_to_a_table_is_noted(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        csv(",a,b,y", lambda n: f"{n},{'inf' if n == 1 else n},{'n.a.' if n == 2 else n},{'' if n == 3 else n % 2}"),
    )
    source = FileSource("x.csv", "y", path.parent)
    assert not source.notes
    source.table("sklearn:wine")
    assert source.notes == (
        "1 rows without a target 'y' are left out",
        "column 'column 1' has no name and numbers the rows: it is left out",
        "column 'a': 1 infinite values count as missing",
        "column 'b' is read as text because of 'n.a.': 38 of 39 are numbers",
    )


def of_table(frame: pd.DataFrame, suffix: str = "parquet") -> bytes:
    buffer = io.BytesIO()
    if suffix == "xlsx":
        frame.to_excel(buffer, index=False)
    else:
        frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def wide(columns: int = 10_000) -> bytes:
    values = np.random.default_rng(0).integers(0, 10, (40, columns))
    values[:, 300:] = 0  # trees look at all the others each time
    frame = pd.DataFrame(values, columns=[f"c{number}" for number in range(columns)])
    return frame.assign(y=[0, 1] * 20).to_csv(index=False).encode()


def many_levels(rows: int = 1_000_000) -> bytes:
    numbers = np.random.default_rng(0).permutation(rows)
    return of_table(
        pd.DataFrame({"level": [f"n{number}" for number in numbers], "a": numbers % 7, "y": numbers % 7 > 2})
    )


def many_dates() -> bytes:
    stamps = pd.date_range("2024-01-31", periods=40, freq="h")
    forms = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S+01:00", "%s", "%b %d %Y"]
    columns = {form.strip("%"): stamps.strftime(form) for form in forms}
    mixed = [stamp.strftime(forms[number % len(forms)]) for number, stamp in enumerate(stamps)]
    return pd.DataFrame({**columns, "mixed": mixed, "y": [0.5, 1.5] * 20}).to_csv(index=False).encode()


def column(cells: list[str]) -> str:
    """Return a CSV whose column `b` holds these cells, beside a good one."""
    return csv("a,b,y", lambda n: f"{n},{cells[n]},{'ab'[n % 2]}")


LEARNED: dict[str, Callable[[], str | bytes]] = {
    **{f"read: {form}": lambda form=form: READ[form] for form in READ},  # type: ignore[misc]
    **{f"column: {case}": lambda case=case: column(COLUMNS[case][0]) for case in COLUMNS},  # type: ignore[misc]
    "mixed types": lambda: csv("a,y", lambda n: f"{['1', 'x', '2.5', 'True', ''][n % 5]},{n % 2}"),
    "ragged": lambda: csv("y,a,b", lambda n: f"{n % 2},{n % 3}" + f",{n % 5}" * (n % 4 > 0)),
    "target partly missing": lambda: csv("a,y", lambda n: good(n) if n % 5 else f"{n},"),
    "three classes, one of them rare": lambda: csv("a,y", lambda n: f"{n},{'c' if n == 7 else 'ab'[n % 2]}"),
    "a quantity": lambda: csv("a,y", lambda n: f"{n},{n * 0.5}"),
    "weird names": lambda: csv('" ",a/b,"<script>",😀,"new\nline",y', lambda n: f"1,{n},x,{n % 3},2,{n % 2}"),
    "duplicated rows": lambda: csv("a,y", lambda n: good(n % 4)),
    "10,000 columns": wide,
    "a million levels": many_levels,
    "formats of dates": many_dates,
    "Parquet under the name of CSV": lambda: of_table(mixed_table(40).rename(columns={"label": "y"})),
    "Excel under the name of CSV": lambda: of_table(mixed_table(40).rename(columns={"label": "y"}), "xlsx"),
    "JSON lines under the name of CSV": lambda: csv("", lambda n: f'{{"a": {{"b": {n}}}, "y": {n % 2}}}'),
    "gzip": lambda: gzip.compress(csv("a,y", good).encode()),
}


@pytest.mark.parametrize("case", [*LEARNED, *REFUSED, "nothing but constants"])
def test_a_dirty_file_makes_a_linear_and_a_boosted_model_or_is_one_sentence(tmp_path: Path, case: str) -> None:
    content = (
        LEARNED[case]()
        if case in LEARNED
        else REFUSED[case][0]
        if case in REFUSED
        else csv("a,y", lambda n: f"1,{n % 2}")
    )
    path = write(tmp_path, content)
    source = FileSource(path.name, "y", path.parent)
    if case in REFUSED:
        with pytest.raises(InputError) as refusal:
            open_problem(Tabular(), source, seed=0)
        check_sentence(refusal.value.sentence())
        return
    problem = open_problem(Tabular(), source, seed=0)
    for params in (LINEAR, BOOSTING):
        outcome = train(problem, params)
        if case in LEARNED:
            assert outcome.ending is Ending.COMPLETE, outcome.text
            assert all(np.isfinite(value) for value in outcome.metrics.values())
        else:
            assert outcome.ending is Ending.FAIL
            assert "no column holds two different values" in outcome.text


def check_sentence(sentence: str) -> None:
    assert sentence
    assert len(sentence) <= 300
    assert len(sentence.splitlines()) == 1


CELLS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "1.5", "-3", "inf", "NaN", "NA", "yes", "no", "True", "2024-01-31", "1e400", "?", "ä", '"', "'"]
    ),
    st.text(max_size=6),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.lists(st.one_of(st.sampled_from(["a", "b", "y", "", " y"]), st.text(max_size=4)), min_size=1, max_size=4),
    pool=st.lists(st.lists(CELLS, min_size=0, max_size=4), min_size=1, max_size=6),
    repeats=st.integers(0, 12),
    separator=st.sampled_from([",", ";", "\t"]),
    cut=st.integers(0, 3),
)
def test_any_text_makes_a_data_set_or_one_sentence(
    tmp_path: Path, header: list[str], pool: list[list[str]], repeats: int, separator: str, cut: int
) -> None:
    lines = [header, *(pool * repeats)]
    text = "\n".join(separator.join(line) for line in lines)
    content = text.encode("utf-8", "surrogatepass")
    _check_whole(write(tmp_path, content[: len(content) - cut]))


STARTS = [
    b"",
    b"PAR1",
    b"ARROW1\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xfe",
    b"a,y\n",
    b"\xef\xbb\xbf",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"BZh9",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b'{"a": ',
    b"[{",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400), start=st.sampled_from(STARTS))
def test_any_bytes_make_a_data_set_or_one_sentence(tmp_path: Path, content: bytes, start: bytes) -> None:
    _check_whole(write(tmp_path, start + content))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["float", "int", "text", "bool", "missing", "date"]),
    target=st.sampled_from(["float", "int", "text", "bool"]),
    rows=st.integers(20, 60),
    data=st.data(),
)
def test_any_clean_table_reads_alike_from_csv_and_parquet(
    tmp_path: Path, kind: str, target: str, rows: int, data: st.DataObject
) -> None:
    frame = pd.DataFrame({"a": _column(kind, rows, data), "y": _column(target, rows, data)})
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    _check_whole(tmp_path / "x.csv")
    _check_whole(tmp_path / "x.parquet")
    if "date" in (kind, target):
        return
    one, other = _loaded(tmp_path / "x.csv"), _loaded(tmp_path / "x.parquet")
    if isinstance(one, str) or isinstance(other, str):
        assert str(one).replace(".csv", "") == str(other).replace(".parquet", "")
        return
    pd.testing.assert_frame_equal(pd.DataFrame(one.features), pd.DataFrame(other.features))
    assert (one.task, one.classes, one.target.tolist()) == (other.task, other.classes, other.target.tolist())


def _column(kind: str, rows: int, data: st.DataObject) -> list[object]:
    values: dict[str, st.SearchStrategy[object]] = {
        "float": st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda value: round(value, 3))),
        "int": st.integers(0, 9),
        "text": st.one_of(st.none(), st.text("abcäß ,;", min_size=1, max_size=5).map(lambda text: f"t{text}")),
        "bool": st.booleans(),
        "missing": st.none(),
        "date": st.dates(),
    }
    few = data.draw(st.lists(values[kind], min_size=1, max_size=8))
    return [few[number % len(few)] for number in range(rows)]


def _loaded(path: Path) -> Dataset | str:
    try:
        return load(path)
    except InputError as error:
        return error.sentence()


def _check_whole(path: Path) -> None:
    """Load a file: what comes is a data set that can be split, or one sentence."""
    dataset = _loaded(path)
    if isinstance(dataset, str):
        check_sentence(dataset)
        return
    assert isinstance(dataset.features, pd.DataFrame)
    assert len(dataset.features) == len(dataset.target) >= 20
    assert np.isfinite(dataset.target).all()
    assert dataset.features.columns.is_unique
    assert (dataset.task is Task.REGRESSION) == (not dataset.classes)
    assert not dataset.classes or set(dataset.target) == set(range(len(dataset.classes)))
    train, validation = split(dataset, seed=0).parts(dataset)
    assert len(train.target) > len(validation.target) > 0
    buffer = io.BytesIO()
    dataset.features.to_parquet(buffer)
