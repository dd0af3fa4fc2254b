"""What a phone gets is the model that was promoted, in a form whose loss is measured."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.bundle.signature import IMAGE, Input, Kind, Signature
from search.cli.main import main
from search.errors import InputError, RefusedError
from search.serve.mobile import folder, icons, naming
from search.serve.mobile.app import App
from search.serve.mobile.drawn import drawn
from search.serve.mobile.ort import to_ort
from search.serve.mobile.shrinking import NotShrunk, Precision, shrunk
from search.serve.mobile.variants import Choice, Sample, choose
from tests.serve import phones

Written = Callable[[Path], str]
NASTY = "a \"quoted\" <b>&'ä'</b> \\ ${x} #{y} `z` @?\n{{title}}"
"""What a model may be called that is a folder."""


def opened(root: Path, write: Written) -> Bundle:
    write(root)
    return Bundle.open(root)


def rows_of(bundle: Bundle, count: int = 200) -> Sample:
    return Sample(drawn(bundle.signature, count), None, "drawn")


def ran(model: bytes, bundle: Bundle, columns: dict[str, Any]) -> Any:
    """Return the last output of a graph in either form."""
    feeds = {
        one.name: columns[one.name] if one.kind is Kind.IMAGE else columns[one.name].reshape(-1, 1)
        for one in bundle.signature.inputs
        if one.used
    }
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)[-1]


def voting(root: Path) -> str:
    return phones.dense(root, "multiclass", members=3)


def valued(root: Path) -> str:
    return phones.dense(root, "regression")


ALL: list[Written] = [phones.dense, valued, voting, phones.filters, phones.trees]
NETWORKS: list[Written] = [phones.dense, valued, voting, phones.filters]


@pytest.mark.parametrize("write", ALL)
def test_the_mobile_form_says_what_the_model_says(write: Written, tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", write)
    columns = drawn(bundle.signature, 100)
    found = Model(bundle).run(columns)
    expected: Any = found.value if found.probabilities is None else found.probabilities
    made = ran(to_ort(bundle.model).content, bundle, columns)
    np.testing.assert_allclose(made.reshape(expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize("write", NETWORKS)
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_shorter_network_differs_and_is_smaller(write: Written, precision: Precision, tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", write)
    columns = drawn(bundle.signature, 200)
    short = shrunk(onnx.load_from_string(bundle.model), precision)
    made = to_ort(short.SerializeToString(), folds=precision is Precision.INT8).content
    apart = float(np.abs(ran(made, bundle, columns) - ran(bundle.model, bundle, columns)).max())
    assert 0 < apart < (0.05 if bundle.signature.is_classification else 0.5)
    assert len(made) < 0.75 * len(to_ort(bundle.model).content)


@pytest.mark.parametrize(("write", "kinds"), [(voting, {"MatMulInteger"}), (phones.filters, {"DequantizeLinear"})])
def test_int8_is_really_there_in_every_member(write: Written, kinds: set[str], tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", write)
    graph = onnx.load_from_string(bundle.model)
    short = shrunk(graph, Precision.INT8)
    assert kinds <= {node.op_type for node in short.graph.node}
    assert not {"Gemm"} & {node.op_type for node in short.graph.node}
    assert [one.name for one in short.graph.input] == [one.name for one in graph.graph.input]
    assert [one.name for one in short.graph.output] == [one.name for one in graph.graph.output]


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_trees_are_not_quantised_and_that_is_said(precision: Precision, tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", phones.trees)
    with pytest.raises(NotShrunk, match="trees are not quantised"):
        shrunk(onnx.load_from_string(bundle.model), precision)
    assert choose(bundle, None, rows_of(bundle), 0.01).taken.precision is Precision.FP32
    with pytest.raises(RefusedError, match="trees are not quantised"):
        choose(bundle, precision, rows_of(bundle), 0.01)


def test_auto_takes_the_smallest_within_the_bound(tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", phones.filters)
    rows = rows_of(bundle)
    loose = choose(bundle, None, rows, 1.0)
    assert loose.taken.precision is Precision.INT8
    assert loose.file.content == loose.variants[2].file.content  # type: ignore[union-attr]
    int8, fp16 = loose.variants[2].difference, loose.variants[1].difference
    assert int8 is not None
    assert fp16 is not None
    assert int8.loss < int8.bound
    between = choose(bundle, None, rows, (fp16.bound + int8.bound) / 2)
    assert between.taken.precision is Precision.FP16
    assert "more than" in between.variants[2].why
    assert choose(bundle, None, rows, 0.0).taken.precision is Precision.FP32
    with pytest.raises(RefusedError, match="int8 loses up to"):
        choose(bundle, Precision.INT8, rows, 1e-9)


def test_a_loss_is_measured_on_the_target_where_there_is_one(tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", phones.dense)
    columns = drawn(bundle.signature, 500)
    found = Model(bundle).run(columns)
    assert found.probabilities is not None
    truth = found.probabilities.argmax(axis=1)
    measured = choose(bundle, None, Sample(columns, truth, "data"), 1.0)
    int8 = measured.variants[2]
    assert int8.difference is not None
    assert int8.file is not None
    short = ran(int8.file.content, bundle, columns)
    index = np.arange(500)
    lost = np.log(found.probabilities[index, truth]) - np.log(short[index, truth])
    assert measured.loss_unit == "log loss"
    assert int8.difference.loss == pytest.approx(float(lost.mean()), abs=1e-6)
    assert int8.difference.bound == pytest.approx(float(lost.mean() + 1.645 * lost.std(ddof=1) / 500**0.5), abs=1e-6)


def test_a_loss_of_values_is_of_the_targets_variance(tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", valued)
    columns = drawn(bundle.signature, 300)
    values = Model(bundle).run(columns).value
    assert values is not None
    measured = choose(bundle, None, Sample(columns, values + 0.0, "data"), 1.0)
    int8 = measured.variants[2]
    assert int8.file is not None
    assert int8.difference is not None
    short = ran(int8.file.content, bundle, columns).reshape(-1)
    assert int8.difference.loss == pytest.approx(float(np.mean((short - values) ** 2) / values.var()), rel=1e-4)


def test_drawn_rows_keep_to_the_signature() -> None:
    inputs = (
        Input("n", Kind.NUMBER, 3.0, low=-2, high=5, missing=0.3, whole=True),
        Input("t", Kind.TEXT, "a", levels=("a", "b"), missing=0.2),
        Input("bare", Kind.NUMBER),
        Input("none", Kind.TEXT),
        Input("unread", Kind.NUMBER, used=False),
    )
    found = drawn(Signature("regression", "y", inputs), 1000)
    assert set(found) == {"n", "t", "bare", "none"}
    there = found["n"][~np.isnan(found["n"])]
    assert there.min() >= -2
    assert there.max() <= 5
    assert (there == np.rint(there)).all()
    assert 0.2 < np.isnan(found["n"]).mean() < 0.4
    assert set(found["t"]) == {"a", "b", "", "never seen"}
    image = drawn(Signature("multiclass", "y", (Input(IMAGE, Kind.IMAGE, shape=(3, 5, 1)),), ("a", "b")), 7)[IMAGE]
    assert image.shape == (7, 3, 5, 1)
    assert 0 <= image.min() < image.max() <= 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Choice, dict[str, bytes]]:
    """All files of a model with a nasty name, and with a nasty target."""
    root = tmp_path_factory.mktemp("nasty") / "b"
    phones.dense(root)
    bundle = Bundle.open(root)
    strange = replace(bundle, signature=replace(bundle.signature, target="</script>\n*x*"))
    choice = choose(strange, None, rows_of(bundle), 0.05)
    app = App(strange, NASTY, choice.file.content, str(choice.taken.precision))
    return choice, folder.files_of(app, choice)


Files = tuple[Choice, dict[str, bytes]]


def test_every_app_holds_the_same_model(made: Files) -> None:
    choice, files = made
    held = [path for path in files if path.endswith("model.ort")]
    assert len(held) == 4
    assert {files[path] for path in held} == {choice.file.content}
    assert len({files[path] for path in files if path.endswith("signature.json")}) == 1
    assert "ai.onnx.ml" in files["required_operators.config"].decode()


def test_no_place_of_a_template_is_left_open(made: Files) -> None:
    for path, content in made[1].items():
        if path.endswith((".kt", ".kts", ".xml", ".swift", ".html", ".js", ".md", ".json", ".webmanifest")):
            text = content.decode().replace(NASTY.splitlines()[-1], "")
            assert not re.search(r"\{\{\w+\}\}", text), path


def faults(node: Node) -> list[str]:
    """Return what a grammar does not understand."""
    here = [f"{node.start_point}: {(node.text or b'')[:60]!r}"] if node.is_error or node.is_missing else []
    return here + [fault for child in node.children for fault in faults(child)]


@pytest.mark.parametrize(
    ("language", "endings", "count"),
    [(tree_sitter_kotlin, (".kt", ".kts"), 7), (tree_sitter_swift, (".swift",), 6)],
    ids=["kotlin", "swift"],
)
def test_the_code_of_the_native_apps_parses(language: Any, endings: tuple[str, ...], count: int, made: Files) -> None:
    parser = Parser(Language(language.language()))
    sources = {path: content for path, content in made[1].items() if path.endswith(endings)}
    assert len(sources) == count
    assert not [fault for content in sources.values() for fault in faults(parser.parse(content).root_node)]


@pytest.mark.parametrize(
    ("function", "caught"),
    [
        ("onCreate", ["Exception"]),
        ("opened", ["IOException", "SecurityException"]),
        ("predict", ["IllegalArgumentException", "OrtException"]),
    ],
)
def test_the_android_app_says_what_is_wrong_and_goes_on(function: str, caught: list[str], made: Files) -> None:
    source = next(content for path, content in made[1].items() if path.endswith("MainActivity.kt"))
    body = re.split(r"\n    (?:override |private )*fun ", source.decode())
    named = next(one for one in body if one.startswith(f"{function}("))
    assert re.findall(r"catch \(\w+: (\w+)\)", named) == caught


def test_the_android_app_turns_photographs_upright(made: Files) -> None:
    code = {path.rpartition("/")[2]: content.decode() for path, content in made[1].items() if path.endswith(".kt")}
    assert "Picture.upright(found, held)" in code["MainActivity.kt"]
    assert len(set(re.findall(r"ExifInterface\.ORIENTATION_(\w+)", code["Picture.kt"]))) == 7  # all but the usual one


def test_the_android_project_is_whole(made: Files) -> None:
    files = {path.removeprefix("android/"): content for path, content in made[1].items() if path.startswith("android/")}
    main_folder = "app/src/main"
    parsed = {path: ET.fromstring(content) for path, content in files.items() if path.endswith(".xml")}
    name = "{http://schemas.android.com/apk/res/android}name"
    manifest = parsed[f"{main_folder}/AndroidManifest.xml"]
    assert not [one for one in manifest.iter() if one.tag.startswith("uses-permission")]
    activity = next(manifest.iter("activity")).attrib[name]
    code = {path: content.decode() for path, content in files.items() if path.endswith(".kt")}
    assert f"{main_folder}/java/app/sweep/model/{activity.removeprefix('.')}.kt" in code
    strings = {one.attrib["name"]: one.text for one in parsed[f"{main_folder}/res/values/strings.xml"]}
    assert {word for text in code.values() for word in re.findall(r"R\.string\.(\w+)", text)} <= set(strings)
    assert "\\'ä\\'" in str(strings["title"])
    for asset in re.findall(r'asset\("([^"]+)"\)', "".join(code.values())):
        assert f"{main_folder}/assets/{asset}" in files
    build = files["app/build.gradle.kts"].decode()
    assert re.search(r"onnxruntime-android:\d+\.\d+\.\d+", build)
    assert re.search(r'applicationId = "app\.sweep\.[a-z][a-z0-9]*"', build)


def test_the_ios_app_is_whole(made: Files) -> None:
    files = {path.removeprefix("ios/App.swiftpm/"): text for path, text in made[1].items() if path.startswith("ios/")}
    package = files["Package.swift"].decode()
    for resource in re.findall(r'\.copy\("([^"]+)"\)', package):
        assert f"Sources/{resource}" in files
    assert re.search(r'exact: "\d+\.\d+\.\d+"', package)
    picker = re.search(r"[^s]Picker\(.*?\n {12}\}", files["Sources/ContentView.swift"].decode(), re.DOTALL)
    assert picker is not None
    # a level may be called as the other choices are
    assert re.findall(r"Text\([^)]+\)\.tag\((.+?)\)", picker[0]) == ['"=" + $0', "Self.other", "Self.missing"]
    assert re.search(r'bundleIdentifier: "app\.sweep\.[a-z][a-z0-9]*"', package)


def test_the_web_app_keeps_exactly_its_files_and_asks_nobody_else(made: Files) -> None:
    files = {path.removeprefix("web/"): content for path, content in made[1].items() if path.startswith("web/")}
    worker = files["sw.js"].decode()
    kept = set(json.loads(re.search(r"FILES = (\[.*\]);", worker)[1]))  # type: ignore[index]
    assert kept - {"./"} == set(files) - {"index.html", "sw.js", "licenses/third-party.txt"}
    page = files["index.html"].decode()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert name in files
    for name in ("index.html", "app.js", "form.js", "model.js", "picture.js", "sw.js", "app.css"):
        assert not re.search(r"https?://", files[name].decode()), name
    manifest = json.loads(files["manifest.webmanifest"])
    assert {one["sizes"] for one in manifest["icons"]} == {"192x192", "512x512"}
    for one in manifest["icons"]:
        assert files[one["src"]].startswith(b"\x89PNG")


def test_the_worker_changes_with_any_file(tmp_path: Path) -> None:
    bundle = opened(tmp_path / "b", phones.dense)
    choice = choose(bundle, None, rows_of(bundle, 20), 1.0)
    first, second, again = (
        folder.files_of(App(bundle, name, choice.file.content, "fp32"), choice)["web/sw.js"] for name in "aba"
    )
    assert first != second
    assert first == again


def test_icons_are_pictures_of_their_size() -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    read = image.open(io.BytesIO(icons.icon("rain", 192)))
    assert read.size == (192, 192)
    assert read.getpixel((2, 2)) == icons.colour("rain")
    assert read.getpixel((round(192 * 0.66), round(192 * 0.7))) == (255, 255, 255)


@pytest.mark.parametrize(
    ("name", "title", "identifier"),
    [
        ("rain", "rain", "rain"),
        ("rain_in-2026", "rain in 2026", "rainin2026"),
        ("9lives", "9lives", "m9lives"),
        ("東京", "東京", "m"),
        ("\n\x1b", "Model", "m"),
        ("x" * 500, "x" * 60, "x" * 40),
    ],
)
def test_names_become_titles_and_identifiers(name: str, title: str, identifier: str) -> None:
    assert naming.title(name) == title
    assert naming.identifier(name) == identifier


def test_a_command_writes_the_folder_and_tells_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phones.filters(tmp_path / "digits")
    target, loose = tmp_path / "app", ["--max-loss", "0.2", "--results", str(tmp_path)]
    assert main(["mobile", str(tmp_path / "digits"), "-o", str(target), "--json", *loose]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["precision"] == "int8"
    assert [one["precision"] for one in told["variants"]] == ["fp32", "fp16", "int8"]
    assert sorted(path.name for path in target.iterdir()) == sorted({*folder.PARTS, folder.MARKER} - {folder.PROGRAMS})
    assert told["bytes"]["model.ort"] == (target / "model.ort").stat().st_size
    assert told["try"].endswith("/web 8080")
    assert main(["mobile", str(tmp_path / "digits"), "-o", str(target), "--results", str(tmp_path)]) == 4
    assert "is not empty" in capsys.readouterr().err
    (target / "mine.txt").write_text("mine")
    (target / "web" / "stale.js").write_text("old")
    forced = ["mobile", str(tmp_path / "digits"), "-o", str(target), "--force", "--precision", "fp32"]
    assert main([*forced, "--results", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "a smaller one is as good" not in printed.out.splitlines()[1]
    assert "python -m http.server" in printed.err
    assert (target / "mine.txt").read_text() == "mine"
    assert not (target / "web" / "stale.js").exists()
    assert (target / "model.ort").stat().st_size > told["bytes"]["model.ort"]


def test_a_loss_is_measured_on_a_users_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phones.dense(tmp_path / "rain")
    lines = [
        "age,income,town,target",
        *(f"{20 + row},{row * 7},Bonn,{'yes' if row % 3 else 'no'}" for row in range(90)),
    ]
    (tmp_path / "rain.csv").write_text("\n".join(lines))
    common = ["--results", str(tmp_path), "--json", "--data", str(tmp_path / "rain.csv")]
    assert main(["mobile", str(tmp_path / "rain"), "-o", str(tmp_path / "app"), *common]) == 0
    told = json.loads(capsys.readouterr().out)["measured"]
    assert (told["rows"], told["source"], told["loss_unit"]) == (90, "rain.csv", "log loss")


@pytest.mark.parametrize(
    ("head", "rows", "said"),
    [
        ("age,town,target", ("1,a,yes", "2,b,no"), "has no column 'income'"),
        ("age,income,town,target", ("1,2,a,yes", "2,3,b,perhaps", "3,3,b,no"), "has the class 'perhaps'"),
        ("age,income,town,target", ("1,2,a,1.5", "2,3,b,2.25", "2,9,b,0.125"), "another kind"),
        ("age,income,town,other", ("1,2,a,yes", "1,2,a,no"), "target"),
    ],
)
def test_rows_that_do_not_fit_are_told(
    head: str, rows: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join([head, *rows * 15])
    phones.dense(tmp_path / "rain")
    (tmp_path / "rows.csv").write_text(text)
    given = ["-o", str(tmp_path / "app"), "--data", str(tmp_path / "rows.csv"), "--results", str(tmp_path)]
    assert main(["mobile", str(tmp_path / "rain"), *given]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not (tmp_path / "app").exists()


def test_a_damaged_bundle_is_refused_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phones.dense(tmp_path / "rain")
    content = bytearray((tmp_path / "rain" / "model.onnx").read_bytes())
    content[100] ^= 1
    (tmp_path / "rain" / "model.onnx").write_bytes(content)
    given = ["mobile", str(tmp_path / "rain"), "-o", str(tmp_path / "app"), "--results", str(tmp_path)]
    assert main(given) == 4
    assert "model.onnx" in capsys.readouterr().err
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("part", ["README.md", "android/my.jks", "web/index.html", f"{folder.MARKER}/x", folder.MARKER])
def test_a_folder_of_somebody_else_is_never_replaced(part: str, tmp_path: Path) -> None:
    mine = tmp_path / part
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(RefusedError, match="holds no app"):
        folder.check(tmp_path, force=True)
    with pytest.raises(RefusedError, match="holds no app"):
        folder.write(tmp_path, {"README.md": b"", "web/index.html": b""})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("place", ["/", ".", "results", "results/models"])
def test_places_of_other_things_are_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phones.filters(tmp_path / "results" / "models" / "digits" / "1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedError, match="holds no app"):
        folder.check(Path(place), force=True)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="takes a folder"):
        folder.check(tmp_path / "file", force=True)
