"""What runs a bundle needs onnxruntime and numpy, and reads a registry with less than that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = ("pandas", "torch", "sklearn", "optuna", "ray", "onnx", "skl2onnx", "safetensors", "scipy", "mlflow")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("search.bundle.model, search.registry.resolving, search.registry.registry", TRAINING),
        (
            "search.bundle.bundle, search.registry.resolving, search.registry.registry",
            (*TRAINING, "numpy", "onnxruntime"),
        ),
    ],
)
def test_nothing_of_training_is_imported(modules: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
