"""Rules of predicting a file: what comes out is what the model says of each row, or nothing comes out."""

from __future__ import annotations

import csv
import fcntl
import gzip
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.bundle.signature import Input, Kind
from search.data.pictures import read_images
from search.errors import InputError
from search.serve import files
from search.serve.cells import MISSING, take
from search.serve.imagefiles import pictures
from search.serve.keeping import Keep
from search.serve.predicting import predict_file
from search.serve.predicting_images import predict_images
from search.serve.predictions import Done
from tests.bundle import bundles

AGE = Input("age", Kind.NUMBER, 40.0, low=0.0, high=99.0)
LONG = "y" * 200_000


@pytest.fixture(autouse=True)
def _usual_limit() -> Iterator[None]:
    """Read texts of the length that Python usually takes: libraries that other tests load raise it for the process."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    root = tmp_path_factory.mktemp("bundle") / "toy"
    bundles.tiny(root)
    return Model(Bundle.open(root))


def predicted(
    model: Model, folder: Path, text: str | bytes, *, name: str = "in.csv", **options: Any
) -> list[list[str]]:
    """Write a file, predict it, and return the cells of what comes out."""
    source, target = folder / name, folder / "out.csv"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    predict_file(model, source, target, **{"keep": Keep(), **options})
    with target.open(newline="") as file:
        return list(csv.reader(file))


def refused(model: Model, folder: Path, text: str | bytes, *, name: str = "in.csv", **options: Any) -> str:
    """Return the sentences of a refusal, which leaves no file."""
    source, target = folder / name, folder / "new" / "out.csv"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        predict_file(model, source, target, **{"keep": Keep(), **options})
    assert not target.parent.exists() or not list(target.parent.iterdir())
    return caught.value.sentence()


def test_columns_stay_as_they_are_and_predictions_stand_beside_them(model: Model, tmp_path: Path) -> None:
    found = predicted(model, tmp_path, 'id,age,town,income\n007,40.50,Köln,1e3\n8,,"x,""y",-2\n')
    assert found[0] == ["id", "age", "town", "income", "prediction", "probability_no", "probability_yes"]
    assert [row[:4] for row in found[1:]] == [["007", "40.50", "Köln", "1e3"], ["8", "", 'x,"y', "-2"]]
    columns = {
        "age": np.array([40.5, np.nan], np.float32),
        "income": np.array([1e3, -2], np.float32),
        "town": np.array(["Köln", 'x,"y'], object),
    }
    said = model.run(columns)
    assert said.label is not None
    assert said.probabilities is not None
    assert [row[4] for row in found[1:]] == said.label.tolist()
    np.testing.assert_array_equal(np.array([row[5:] for row in found[1:]], np.float32), said.probabilities)


def test_many_pieces_give_what_one_run_gives(model: Model, tmp_path: Path) -> None:
    rows = 60_000
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "age": random.normal(size=rows).astype(np.float32),
        "income": random.normal(size=rows).astype(np.float32),
        "town": random.choice(np.array([*bundles.TOWNS, ""], object), rows),
    }
    said = model.run(columns)
    table = pa.table({name: pa.array(values.tolist()) for name, values in columns.items()})
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=7_000)
    with (tmp_path / "in.csv").open("w") as file:
        file.write("age,income,town,note\n")
        file.writelines(
            f"{age!r},{income!r},{town},{'n' * 100}\n"
            for age, income, town in zip(*(values.tolist() for values in columns.values()), strict=True)
        )
    seen: list[tuple[int, float]] = []
    for name in ("in.parquet", "in.csv"):
        seen.clear()
        done = predict_file(
            model, tmp_path / name, tmp_path / "out.parquet", keep=Keep(False), seen=lambda *one: seen.append(one)
        )
        found = parquet.read_table(tmp_path / "out.parquet")
        assert done.rows == rows
        assert found.column("prediction").to_pylist() == said.label.tolist()  # type: ignore[union-attr]
        np.testing.assert_array_equal(found.column("probability_yes").to_numpy(), said.probabilities[:, 1])  # type: ignore[index]
        assert len(seen) > 1
        assert seen[-1] == (rows, 1.0)
        assert [share for _, share in seen] == sorted(share for _, share in seen)


@pytest.mark.parametrize(
    ("keep", "names"),
    [((), ["id", "age", "town", "income"]), (("all",), ["id", "age", "town", "income"]), (("none",), []),
     (("town", "id"), ["town", "id"])],
)  # fmt: skip
def test_keep_names_the_columns_that_are_written_too(
    model: Model, tmp_path: Path, keep: Sequence[str], names: list[str]
) -> None:
    found = predicted(model, tmp_path, "id,age,town,income\n1,2,Bonn,3\n", keep=Keep.parse(keep))
    assert found[0][:-3] == names
    assert len(found[1]) == len(names) + 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age,town,income\n1,Bonn,2\nabc,Bonn,3\n", "in.csv line 3, column age: expected a number, got 'abc'"),
        ('town,age,income\n"x\ny",1,1\n\nBonn,1_0,2\n', "in.csv line 5, column age: expected a number, got '1_0'"),
        ("age,town,income\n1e400,Bonn,2\n", "expected a number between -9.22e+18 and 9.22e+18, got '1e400'"),
        ("age,town,income\n9223372036854775808,Bonn,2\n", "got '9223372036854775808'"),
        ("age,town,income\n٣,Bonn,2\n", "got '٣'"),
        ("Age,town,income\n1,Bonn,2\n", "in.csv has no column 'age', which the model reads; did you mean 'Age'?"),
        ("a\n1\n", "in.csv has no column 'age', which the model reads; 2 others are missing, too"),
        ("age,town,income\n1,Bonn\n", "in.csv line 2 has 2 fields where the header has 3"),
        ("age,town,income\n1,Bonn,2\n1,Bonn,2,3\n", "in.csv line 3 has 4 fields where the header has 3"),
        ("age,town,income,age\n1,Bonn,2,3\n", "in.csv: column 'age' appears 2 times"),
        ("age,town,income,prediction\n1,Bonn,2,3\n", "in.csv has a column 'prediction' already"),
        ("", "in.csv is empty; a header with the names of the columns was expected"),
        ("\ufeff\n", "in.csv is empty"),
        ("age,town,income\n1,Bonn,2\n".encode("utf-16"), "in.csv is UTF-16; save it as UTF-8"),
        ("age,town,income\n1,Köln,2\n".encode("latin-1"), "in.csv is not UTF-8; save it as UTF-8"),
        (
            'age, town, income\n1, "x, y", 2\nabc, "Bonn", 3\n',
            "in.csv line 3, column age: expected a number, got 'abc'",
        ),
        (
            'age,town,income\n1,"x' + "\n2,Bonn,1" * 1_000_000,
            "in.csv line 2: a text does not end; a quote may be opened",
        ),
        (LONG, "in.csv has no header: its first line is one of very long texts"),
        (f"age,town,income\n1,{LONG},2\nabc,Bonn,3\n", "in.csv row 2, column age: expected a number, got 'abc'"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_a_file_that_cannot_be_predicted_is_refused_with_the_place(
    model: Model, tmp_path: Path, text: str | bytes, said: str
) -> None:
    assert said in refused(model, tmp_path, text)


def test_many_wrong_cells_are_told_twenty_times_and_counted(model: Model, tmp_path: Path) -> None:
    lines = refused(model, tmp_path, "age,town,income\n" + "x,Bonn,y\n" * 50_000).splitlines()
    assert len(lines) == 21
    assert lines[1] == "in.csv line 2, column income: expected a number, got 'y'"
    assert lines[-1] == "and 99980 more; nothing was written"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("\ufeff age , town,income\r\n1,  Bonn,2\r\n".encode(), "in.csv"),
        (b"age;town;income\n1,0;Bonn;2\n", "in.csv"),
        (b"age\ttown\tincome\n1\tBonn\t2\n", "in.tsv"),
        (gzip.compress(b"age,town,income\n+1,Bonn,2.\n"), "in.csv.gz"),
        (b'"age","town","income"\n"1","Bonn"," 2 "\n', "IN.CSV"),
    ],
)
def test_a_text_file_is_read_as_training_reads_it(model: Model, tmp_path: Path, content: bytes, name: str) -> None:
    found = predicted(model, tmp_path, content, name=name, keep=Keep(False))
    plain = predicted(model, tmp_path, "age,town,income\n1,Bonn,2\n", keep=Keep(False))
    assert found == plain


@pytest.mark.parametrize("text", [*MISSING, "inf", "-Infinity"])
def test_what_means_missing_in_training_means_it_here(text: str) -> None:
    assert np.isnan(take(pa.array([text, "1"]), AGE, separator=",").values[0])
    if "inf" not in text.lower():
        assert take(pa.array([text, "b"]), Input("t", Kind.TEXT), separator=",").values.tolist() == ["", "b"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None]), [1.0, np.nan]),
        (pa.array([2**53 + 1, None]), [2.0**53, np.nan]),
        (pa.array([1500, None], pa.duration("ms")), [1.5, np.nan]),
        (pa.array([1.25, np.inf]), [1.25, np.nan]),
        (pa.array(["3", None]), [3.0, np.nan]),
        (pa.array(["3", None]).dictionary_encode(), [3.0, np.nan]),
        (pa.nulls(2), [np.nan, np.nan]),
    ],
)
def test_numbers_of_every_type_are_numbers(values: pa.Array, expected: list[float]) -> None:
    np.testing.assert_array_equal(take(values, AGE, separator="").values, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["NA", None, ""]), ["NA", "", ""]),
        (pa.array([0, None], pa.timestamp("ns")), ["1970-01-01T00:00:00", ""]),
        (pa.array([0, None], pa.date32()), ["1970-01-01", ""]),
        (pa.array([1.5, None]), ["1.5", ""]),
    ],
)
def test_texts_of_every_type_are_what_training_makes_of_them(values: pa.Array, expected: list[str]) -> None:
    assert take(values, Input("t", Kind.TEXT), separator="").values.tolist() == expected


def test_true_and_false_are_numbers_where_training_had_only_these() -> None:
    told = replace(AGE, whole=True, high=1.0)
    texts = pa.array(["true", "False", "1"])
    assert take(texts, told, separator=",").values.tolist() == [1.0, 0.0, 1.0]
    assert take(texts, AGE, separator=",").wrong == {
        0: "expected a number, got 'true'",
        1: "expected a number, got 'False'",
    }


def test_a_nested_column_goes_into_parquet_and_not_into_csv(model: Model, tmp_path: Path) -> None:
    table = pa.table({"age": [1], "income": [2], "town": ["Bonn"], "list": [[1, 2]]})
    parquet.write_table(table, tmp_path / "in.parquet")
    predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", keep=Keep())
    assert parquet.read_table(tmp_path / "out.parquet").column("list").to_pylist() == [[1, 2]]
    with pytest.raises(InputError, match="do not go into a text file"):
        predict_file(model, tmp_path / "in.parquet", tmp_path / "out.csv", keep=Keep())
    parquet.write_table(table.rename_columns(["age", "list", "town", "income"]), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="column income: expected numbers, got values of type list"):
        predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", keep=Keep())


def test_a_wide_table_comes_out_whole(model: Model, tmp_path: Path) -> None:
    others = range(12_000)
    text = "\n".join(
        ["age,income,town," + ",".join(f"a column {one}" for one in others), "1,2,Bonn," + "," * (len(others) - 1)]
    )
    assert len(predicted(model, tmp_path, f"{text}\n")[1]) == len(others) + 6


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "out.parquet"])
def test_a_file_without_a_row_gives_a_file_without_one(model: Model, tmp_path: Path, name: str, target: str) -> None:
    (tmp_path / "in.csv").write_text("age,town,income" + "\n" * target.endswith(".csv"))  # and without an end of line
    empty = pa.table(
        {"age": pa.array([], pa.float64()), "town": pa.array([], pa.string()), "income": pa.array([], pa.int8())}
    )
    parquet.write_table(empty, tmp_path / "in.parquet")
    assert predict_file(model, tmp_path / name, tmp_path / target, keep=Keep()).rows == 0
    names = (
        parquet.read_schema(tmp_path / target).names
        if target.endswith("parquet")
        else (tmp_path / target).read_text().strip().split(",")
    )
    assert names == ["age", "town", "income", "prediction", "probability_no", "probability_yes"]


def test_numbers_of_a_text_file_are_numbers_in_parquet(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,age,town,income\n007,16777217,Bonn,\n")
    predict_file(model, tmp_path / "in.csv", tmp_path / "out.parquet", keep=Keep())
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert (found["id"], found["age"], found["income"]) == ("007", 16777217.0, None)


def test_formulas_are_marked_on_demand_and_numbers_are_not(model: Model, tmp_path: Path) -> None:
    text = "age,town,income\n-1,=1+1,+2\n1,@x,2\n1,-5 EUR,2\n"
    found = predicted(model, tmp_path, text, safe=True)
    assert [row[:3] for row in found[1:]] == [["-1", "'=1+1", "+2"], ["1", "'@x", "2"], ["1", "'-5 EUR", "2"]]
    assert predicted(model, tmp_path, text)[1][1] == "=1+1"


@pytest.mark.parametrize("target", ["in.csv", "out.xlsx", ".", "out.parquet.gz"])
def test_what_cannot_be_written_is_told_before_anything_is_read(model: Model, tmp_path: Path, target: str) -> None:
    (tmp_path / "in.csv").write_text("age\n")
    with pytest.raises(InputError, match="-o "):
        predict_file(model, tmp_path / "in.csv", tmp_path / target, keep=Keep())


def test_a_file_that_is_cut_short_is_told(model: Model, tmp_path: Path) -> None:
    whole = gzip.compress(b"age,town,income\n" + b"".join(b"%d,Bonn,2\n" % one for one in range(200_000)))
    assert "cannot be read" in refused(model, tmp_path, whole[: len(whole) // 2], name="in.csv.gz")
    assert "it may be cut short" in refused(model, tmp_path, b"PAR1 and no more", name="in.parquet")


def test_unknown_columns_are_told_once_and_the_target_is_none(model: Model, tmp_path: Path) -> None:
    told: list[str] = []
    predicted(model, tmp_path, "id,age,town,income,target\n1,2,Bonn,3,yes\n", say=told.append)
    assert told == ["columns that the model does not know: id"]


def test_images_of_a_folder_or_an_array_get_a_row_each(tmp_path: Path) -> None:
    from PIL import Image

    bundles.tiny(tmp_path / "toy", image=(1, 4, 4))
    model = Model(Bundle.open(tmp_path / "toy"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    (tmp_path / "in" / "b").mkdir(parents=True)
    for index, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / "in" / ("b" if index else ".") / f"{index}.png")
    np.savez(tmp_path / "in.npz", x=pixels)
    said = model.run({"image": pixels[:, None].astype(np.float32) / np.float32(255)}).label.tolist()  # type: ignore[union-attr]
    for name, rows in (("in", ["0.png", "b/1.png", "b/2.png"]), ("in.npz", ["0", "1", "2"])):
        done = predict_images(model, tmp_path / name, tmp_path / "out.csv")
        assert isinstance(done, Done)
        with (tmp_path / "out.csv").open(newline="") as file:
            found = list(csv.reader(file))
        assert [row[0] for row in found[1:]] == rows
        assert [row[1] for row in found[1:]] == said
    (tmp_path / "in" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"in/1\.png is no image, or damaged"):
        predict_images(model, tmp_path / "in", tmp_path / "out2.csv")
    assert not (tmp_path / "out2.csv").exists()
    np.savez(tmp_path / "in.npz", x=pixels[:, :3])
    with pytest.raises(InputError, match="x must hold images of 1x4x4"):
        predict_images(model, tmp_path / "in.npz", tmp_path / "out2.csv")


def test_a_photograph_is_turned_as_the_camera_noted_and_as_training_turns_it(tmp_path: Path) -> None:
    from PIL import Image

    upright = Image.new("L", (8, 16))
    upright.paste(255, (0, 0, 8, 8))  # the sky
    for place in ("a", "b"):
        (tmp_path / "in" / place).mkdir(parents=True)
        for number in range(12):
            turned = Image.Exif()
            turned[0x0112] = 6
            upright.rotate(90, expand=True).save(tmp_path / "in" / place / f"{number}.jpg", exif=turned)
    trained: Any = read_images(tmp_path / "in").features
    found = next(pictures(tmp_path / "in", (1, 16, 8))).pixels
    assert trained.shape == (24, 1, 16, 8)
    np.testing.assert_array_equal(found, trained.astype(np.float32) / np.float32(255))
    assert found[:, :, :8].min() > 0.9
    assert found[:, :, 8:].max() < 0.1


@pytest.mark.parametrize(
    "kinds",
    [("L.png", "I;16.png", "LA.png"), ("RGB.png", "RGBA.png", "P.png", "I;16.png", "L.png"), ("CMYK.jpg", "1.png")],
)
def test_every_form_of_pixels_is_read_as_training_reads_it(tmp_path: Path, kinds: Sequence[str]) -> None:
    from PIL import Image

    grey = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
    for place in ("a", "b"):
        (tmp_path / "in" / place).mkdir(parents=True)
        for kind in kinds:
            mode = kind.partition(".")[0]
            deep = Image.fromarray(grey.astype(np.uint16) * 257)
            (deep if mode == "I;16" else Image.fromarray(grey).convert(mode)).save(tmp_path / "in" / place / kind)
    trained: Any = read_images(tmp_path / "in").features
    found = next(pictures(tmp_path / "in", trained.shape[1:])).pixels
    np.testing.assert_array_equal(found, trained.astype(np.float32) / np.float32(255))
    if "L.png" in kinds:
        assert (trained == grey).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("in.csv", r"in\.csv is neither a folder of them nor an \.npz file"),
        ("one.png", "give the folder that the picture is in"),
        ("nothing", "there is no file or folder"),
    ],
)
def test_what_holds_no_images_is_refused_by_a_model_of_images(tmp_path: Path, name: str, said: str) -> None:
    bundles.tiny(tmp_path / "toy", image=(1, 4, 4))
    (tmp_path / "in.csv").touch()
    (tmp_path / "one.png").touch()
    with pytest.raises(InputError) as caught:
        predict_images(Model(Bundle.open(tmp_path / "toy")), tmp_path / name, tmp_path / "out.csv")
    assert re.search(said, caught.value.sentence())


def test_files_of_other_kinds_are_told_once_by_their_count(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "in" / "b" / "x.webp").touch()
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "more").symlink_to(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "in" / "0.png")
    told: list[str] = []
    assert [one.names for one in pictures(tmp_path / "in", (1, 4, 4), told.append)] == [["0.png"]]
    assert [line.partition(": ")[2] for line in told] == [
        "3 that are no .png or .jpg files (linked folders count as one)"
    ]


def test_what_a_killed_run_left_is_cleared_and_what_another_one_writes_is_not(model: Model, tmp_path: Path) -> None:
    left, lives, foreign = (tmp_path / f".out.csv.{name}.tmp" for name in ("7", "8", "mine"))
    for path in (left, lives, foreign):
        path.touch()
    with lives.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        predicted(model, tmp_path, "age,town,income\n1,Bonn,2\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [lives.name, foreign.name, "in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (".", "is a folder; the model takes the rows of one file"),
        ("/dev/null", "/dev/null is no file on a disk"),
        ("-", "- is no file on a disk"),
        ("nothing.csv", "there is no file"),
    ],
)
def test_what_is_no_file_of_rows_is_named_for_what_it_is(model: Model, tmp_path: Path, source: str, said: str) -> None:
    path = Path(source) if source in ("-", "/dev/null") else tmp_path / source
    with pytest.raises(InputError, match=said):
        predict_file(model, path, tmp_path / "out.csv", keep=Keep())


def test_suffixes_say_what_a_file_is() -> None:
    assert files.plain_suffix(Path("a.b.CSV.gz")) == ".csv"
    assert files.plain_suffix(Path("a")) == ""


def test_the_command_predicts_and_needs_neither_pandas_nor_ray(tmp_path: Path) -> None:
    bundles.tiny(tmp_path / "toy")
    (tmp_path / "in.csv").write_text("age,town,income\n1,Bonn,2\n")
    code = (
        "import sys\nfrom search.cli.commands import run\n"
        f"code = run(['predict', {str(tmp_path / 'toy')!r}, {str(tmp_path / 'in.csv')!r}, '-o', "
        f"{str(tmp_path / 'out.csv')!r}, '--json'])\n"
        "print(code, sorted({'ray', 'optuna', 'torch', 'sklearn', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, ended = done.stdout.splitlines()
    assert '"rows": 1' in answer
    assert ended == "0 []"
    assert (tmp_path / "out.csv").read_text().startswith("age,town,income,prediction,")
