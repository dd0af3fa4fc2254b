"""A bundle loads where nothing of its training is, and answers there as it does here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from search.bundle.bundle import write_bundle
from search.bundle.signature import IMAGE, VALUE
from search.errors import RefusedError
from search.promote import clean_run
from search.promote.graph import IR, OPSET
from search.promote.loading import load_clean
from tests.bundle import bundles

Array = np.ndarray[Any, Any]

PEOPLE: dict[str, Array] = {
    "age": np.array([40, np.nan, -1e30], np.float32),
    "income": np.array([1, 2, 3], np.float32),
    "town": np.array(["Köln", "", "a\0b\n"], dtype=object),
}
PICTURES: dict[str, Array] = {IMAGE: np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)}


@pytest.mark.parametrize(
    ("given", "sample"),
    [
        ({"task": "binary"}, PEOPLE),
        ({"task": "regression"}, PEOPLE),
        ({"task": "multiclass", "image": (1, 4, 4)}, PICTURES),
    ],
)
def test_a_bundle_loads_and_answers_the_same(tmp_path: Path, given: dict[str, Any], sample: dict[str, Array]) -> None:
    digest = bundles.tiny(tmp_path / "b", **given)
    loaded = load_clean(tmp_path / "b", sample, digest=digest)
    assert (loaded.rows, loaded.runs) == (3, clean_run.RUNS)
    assert 0 < loaded.p50_ms <= loaded.p95_ms < 1000
    assert 20 < loaded.rss_mb < 300
    assert loaded.sentence.startswith("loads in a clean process in ")


def test_what_is_sent_comes_back_as_it_was() -> None:
    order, columns = clean_run.read(clean_run.written(Path("/b"), "d", PEOPLE))
    assert (order["root"], order["digest"]) == ("/b", "d")
    for name, column in PEOPLE.items():
        np.testing.assert_array_equal(columns[name], column)
        assert columns[name].dtype == column.dtype


def test_it_has_nothing_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its folder, where a file may be called like a library, and not what its environment leads to."""
    (tmp_path / "numpy.py").write_text("raise ImportError('taken from the wrong place')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bundles.tiny(tmp_path / "b")
    assert load_clean(Path("b"), PEOPLE).rows == 3


def test_a_damaged_bundle_is_refused_in_the_words_of_the_process_that_met_it(tmp_path: Path) -> None:
    bundles.tiny(tmp_path / "b")
    with (tmp_path / "b" / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(RefusedError) as refused:
        load_clean(tmp_path / "b", PEOPLE)
    assert refused.value.message.startswith("the bundle does not load in a clean process: ")
    assert "model.onnx" in refused.value.message


def test_another_bundle_than_the_one_that_was_made_is_refused(tmp_path: Path) -> None:
    bundles.tiny(tmp_path / "b")
    with pytest.raises(RefusedError, match="does not load in a clean process"):
        load_clean(tmp_path / "b", PEOPLE, digest="0" * 64)


def test_a_model_that_answers_as_it_likes_is_refused(tmp_path: Path) -> None:
    """What it says hangs on a random number: no two processes agree."""
    graph = helper.make_graph(
        [helper.make_node("RandomUniformLike", ["age"], [VALUE], dtype=TensorProto.FLOAT)],
        "model",
        [helper.make_tensor_value_info("age", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info(VALUE, TensorProto.FLOAT, ["rows", 1])],
    )
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    signature = bundles.signature_of("regression", numbers=("age",), texts=())
    write_bundle(tmp_path / "b", bundles.manifest_of(), bundles.contents(made, signature, {}))
    with pytest.raises(RefusedError, match="the bundle answers differently in a clean process: by 0"):
        load_clean(tmp_path / "b", {"age": np.arange(50, dtype=np.float32)})


def test_the_process_imports_nothing_of_the_training(tmp_path: Path) -> None:
    """Whatever a served model would need besides numpy and onnxruntime has to be found here."""
    bundles.tiny(tmp_path / "b")
    start = f"import sys; sys.path.insert(0, {str(Path(clean_run.__file__).parents[2])!r}); "
    run = "from search.promote.clean_run import main; main()"
    order, told = clean_run.written(tmp_path / "b", None, PEOPLE), []
    for code in (start + run, start + "import pandas; " + run):
        done = subprocess.run([sys.executable, "-I", "-c", code], input=order, capture_output=True, check=True)
        told.append(json.loads(done.stdout)["training"])
    assert not told[0]
    assert "pandas" in told[1]
