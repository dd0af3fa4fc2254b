"""Rules of a user's own transformers: what the documentation shows works, as a whole trial."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from objectives.choices import OPEN, Transformers
from objectives.onnx_parts import to_onnx
from objectives.tabular import Tabular
from search.contract import Context, NotExportable
from search.data.source import FileSource
from search.loading import load, load_space
from search.local import run_alone
from search.problem import open_problem
from search.session import Setting
from search.trial import Ending

from . import wild

DOCS = Path(__file__).resolve().parents[2] / "docs" / "preprocess.md"

OWN: Transformers = MappingProxyType(
    {
        "preprocess.impute": {"zero": lambda context: SimpleImputer(strategy="constant", fill_value=0.0)},
        "preprocess.outliers": {"sign": lambda context: FunctionTransformer(np.tanh)},
        "preprocess.scale": {"log": lambda context: FunctionTransformer(lambda x: np.log1p(np.abs(x)))},
        "preprocess.whiten": {"two": lambda context: PCA(2, random_state=context.seed)},
        "preprocess.encode": {"dummies": lambda context: OneHotEncoder(handle_unknown="ignore")},
        "preprocess.dates": {"year": lambda context: FunctionTransformer(_years)},
        "preprocess.text": {"counts": lambda context: CountVectorizer(max_features=3)},
    }
)


def _years(table: pd.DataFrame) -> Any:
    return table.map(lambda text: float(text[:4]) if text else np.nan)


class Mine(Tabular):
    transformers = OWN


def test_the_example_of_the_documentation_runs_as_a_whole_trial(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "rain.py").write_text(code)
    objective = load("rain.py", kind="objective", folder=tmp_path)
    space = load_space(objective, None, folder=tmp_path)
    problem = open_problem(objective.value, FileSource("sklearn:wine", None, tmp_path), seed=0)
    losses = []
    for scale in ("standard", "log"):
        suggested = _suggested(space.value, {"model.family": "linear", "preprocess.scale": scale})
        outcome = run_alone(problem, 0, suggested, Setting(seed=1, searched=problem.metrics[0], max_epochs=3))
        assert outcome.ending is Ending.COMPLETE, outcome.text
        losses.append(outcome.metrics["val_loss"])
    assert losses[0] != losses[1]


def test_there_is_an_example_of_each_place() -> None:
    assert {name.removeprefix("preprocess.") for name in OWN} == set(OPEN)


@pytest.mark.parametrize("name", OPEN)
def test_a_transformer_of_ones_own_stands_in_its_place(name: str) -> None:
    (value,) = OWN[f"preprocess.{name}"]
    params: dict[str, Any] = {"impute": "median", "encode": "hash", "hash_columns": 1, name: value}
    roles = {key: role for key, role in wild.ROLES.items() if {"when": "dates", "remark": "text"}[key] == name}
    table = wild.part(120, 1)
    kept = table.features.drop(columns=[key for key in wild.ROLES if key not in roles])
    part = type(table)(kept, table.target)
    made = Mine().preprocess(params, part, part, Context(roles=roles))
    numeric = 5
    expected = {"whiten": 2 + 1, "dates": numeric + 1 + 1, "text": numeric + 3 + 1}.get(name, numeric + 1)
    if name == "encode":
        expected = numeric + made.transform.pipeline.named_transformers_["text"].n_features_in_  # type: ignore[attr-defined]
        assert made.train.features.shape[1] > expected
    else:
        assert made.train.features.shape[1] == expected
    assert made.train.features.dtype == np.float32
    assert np.isfinite(made.train.features).all()


def test_a_transformer_without_a_converter_is_told_when_it_is_exported() -> None:
    part = wild.part(60, 1)
    fitted = Mine().preprocess({"scale": "log", "impute": "mean"}, part, part, wild.context()).transform
    with pytest.raises(NotExportable, match="has no counterpart in ONNX"):
        to_onnx(fitted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"preprocess.clip": {"mine": PCA}}, "transformers can be added to preprocess.impute, .*got 'preprocess.clip'"),
        ({"scale": {"mine": PCA}}, "got 'scale'"),
        ({"preprocess.scale": {"unit": PCA}}, "preprocess.scale has a choice 'unit' already"),
    ],
)
def test_a_transformer_in_a_wrong_place_is_told_in_one_sentence(own: Any, said: str) -> None:
    class Wrong(Tabular):
        transformers = own

    part = wild.part(60, 1)
    with pytest.raises(ValueError, match=said):
        Wrong().preprocess({}, part, part, wild.context())


def test_a_value_that_nobody_added_lists_those_that_are_there() -> None:
    part = wild.part(60, 1)
    with pytest.raises(ValueError, match=r"scale must be one of none, .*, power, log, got 'cube'"):
        Mine().preprocess({"scale": "cube"}, part, part, wild.context())


def _suggested(space: Any, fixed: dict[str, Any]) -> dict[str, Any]:
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(fixed)
    trial = study.ask()
    space(trial)
    return dict(trial.params)
