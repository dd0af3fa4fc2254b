"""What ExecuTorch is handed is the network of the bundle; whoever has not got it is told."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from search.cli.main import main
from search.errors import RefusedError
from search.serve.mobile.programs import network
from search.serve.mobile.shrinking import extracted
from tests.serve import phones


@pytest.mark.parametrize(("write", "shape"), [(phones.dense, (9, 3)), (phones.filters, (9, *phones.IMAGES))])
def test_the_network_for_executorch_says_what_the_graph_says(
    write: Callable[[Path], str], shape: tuple[int, ...], tmp_path: Path
) -> None:
    write(tmp_path / "b")
    part = extracted(onnx.load(tmp_path / "b" / "model.onnx"), 0)
    features = np.random.default_rng(0).normal(0, 20, shape).astype(np.float32)
    session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"m0/features": features})[0]
    with torch.no_grad():
        found = network(part)(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_trees_are_no_network(tmp_path: Path) -> None:
    phones.trees(tmp_path / "b")
    with pytest.raises(RefusedError, match="takes networks; this model has TreeEnsembleRegressor"):
        network(extracted(onnx.load(tmp_path / "b" / "model.onnx"), 0))


def test_who_has_no_executorch_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phones.dense(tmp_path / "rain")
    target = tmp_path / "app"
    code = main(["mobile", str(tmp_path / "rain"), "-o", str(target), "--executorch", "--results", str(tmp_path)])
    error = capsys.readouterr().err
    if importlib.util.find_spec("executorch") is None:
        assert code == 3
        assert "pip install 'sweep-search[executorch]'" in error
        assert not target.exists()
    else:
        assert code == 0
        assert (target / "executorch" / "m0.pte").stat().st_size > 1000
