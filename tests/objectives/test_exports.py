"""Rules of what exports to ONNX: the list is complete and true, and the graphs do what the fitted steps do."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from objectives import choices, onnx_images, onnx_parts, pixels
from objectives.choices import Preprocessing
from objectives.exports import IMAGES, TABULAR, Export, why_not
from objectives.images import Images
from objectives.preprocess import FittedTable
from objectives.tabular import FAMILIES, Tabular
from search.contract import Context, NotExportable, Part, Prepared, Role, Task
from spaces.images import images
from spaces.tabular import tabular

from . import wild
from .wild import named, setting

TABLE_CHOICES = [one for one in TABULAR if one.parameter.startswith("preprocess.")]
EXPORTING = [one for one in TABLE_CHOICES if not list(why_not({**one.needs, one.parameter: one.value}))]
NOT_EXPORTING = [one for one in TABLE_CHOICES if one not in EXPORTING]

TOLERANCE = 1e-5  # relative, of values above 1; absolute below

ROWS = 500

Array = np.ndarray[Any, Any]


def prepared(params: dict[str, Any], task: Task = Task.BINARY) -> Prepared:
    """Fit on 300 rows, and prepare 500 stranger ones."""
    train, validation = wild.part(300, 1, task), wild.part(ROWS, 2, task, strange=True)
    return Tabular().preprocess(params, train, validation, wild.context(task))


def served(model: Any, feeds: dict[str, Array]) -> Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(None, {one.name: feeds[one.name] for one in session.get_inputs()})
    return np.asarray(found[-1])


def served_table(fitted: FittedTable) -> Array:
    raw = wild.table(ROWS, 2, strange=True)
    feeds = {}
    for name, column in raw.items():
        with np.errstate(over="ignore"):
            plain = column.to_numpy(np.float32) if column.dtype == float else column.fillna("").to_numpy(object)
        feeds[str(name)] = plain[:, None]
    return served(onnx_parts.to_onnx(fitted), feeds)


def assert_same(found: Array, expected: Array) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert float(np.nanmax(apart)) <= TOLERANCE


@pytest.mark.parametrize("choice", EXPORTING, ids=named)
def test_what_is_listed_as_exporting_gives_the_same_features_in_onnx(choice: Export) -> None:
    made = prepared(setting(choice))
    assert_same(served_table(made.transform), made.validation.features)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("encode", ["one-hot", "ordinal", "target"])
@pytest.mark.parametrize("scale", ["none", "quantile"])
def test_categories_are_encoded_the_same_in_onnx_whatever_is_predicted(task: Task, encode: str, scale: str) -> None:
    made = prepared({"impute": "mean", "encode": encode, "scale": scale, "rare": 5}, task)
    assert_same(served_table(made.transform), made.validation.features)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(12))
def test_choices_of_the_default_space_go_together_in_onnx(seed: int) -> None:
    made = prepared({name: value for name, value in draw(tabular, seed).items() if "." not in name})
    assert_same(served_table(made.transform), made.validation.features)  # type: ignore[arg-type]


@pytest.mark.parametrize("choice", NOT_EXPORTING, ids=named)
def test_what_is_listed_as_not_exporting_fails_or_differs(choice: Export) -> None:
    """So that the list is changed when a new version of a converter can do it."""
    made = prepared(setting(choice))
    try:
        found = served_table(made.transform)  # type: ignore[arg-type]
    except Exception:
        return
    with pytest.raises(AssertionError):
        assert_same(found, made.validation.features)


def test_a_step_without_a_counterpart_is_told_in_one_sentence() -> None:
    fitted = prepared({"impute": "knn"}).transform
    with pytest.raises(
        NotExportable, match=r"has no counterpart in ONNX: step 'impute' \(Neighbours\) has no converter$"
    ):
        onnx_parts.to_onnx(fitted)  # type: ignore[arg-type]


def test_an_indicator_of_scikit_learns_own_is_lost_in_onnx() -> None:
    """The reason for a step of ours; when this fails, `Missing` can go."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.impute import SimpleImputer

    values = np.array([[1.0, np.nan], [2.0, 3.0]], dtype=np.float32)
    step = SimpleImputer(add_indicator=True).fit(values)
    model = convert_sklearn(step, initial_types=[("x", FloatTensorType([None, 2]))], target_opset=18)
    assert served(model, {"x": values}).shape[1] < step.transform(values).shape[1]


def test_every_choice_of_a_table_is_listed_once() -> None:
    listed = [(one.parameter, one.value) for one in TABULAR]
    assert len(set(listed)) == len(listed)
    assert {name.removeprefix("preprocess.") for name, _ in listed if "preprocess." in name} == {
        field.name for field in dataclasses.fields(Preprocessing)
    }
    for name in ("impute", "outliers", "duplicates", "scale", "whiten", "encode", "dates", "text"):
        assert {value for parameter, value in listed if parameter == f"preprocess.{name}"} == set(
            getattr(choices, name.upper())
        )
    assert {value for parameter, value in listed if parameter == "model.family"} == set(FAMILIES)


def test_every_choice_of_images_is_listed_once() -> None:
    listed = [(one.parameter, one.value) for one in IMAGES]
    assert len(set(listed)) == len(listed)
    assert {name.removeprefix("preprocess.") for name, _ in listed} == {
        field.name for field in dataclasses.fields(pixels.PixelChoices)
    }
    for name in ("scale", "whiten"):
        assert {value for parameter, value in listed if parameter == f"preprocess.{name}"} == set(
            getattr(pixels, name.upper())
        )


@pytest.mark.parametrize(("space", "listed"), [(tabular, TABULAR), (images, IMAGES)])
def test_default_spaces_suggest_exporting_choices_only(
    space: Callable[[optuna.trial.Trial], None], listed: tuple[Export, ...]
) -> None:
    suggested: dict[str, Any] = {}
    for seed in range(100):
        suggested |= distributions(space, seed)
    names = {one.parameter for one in listed}
    assert {name for name in suggested if name.startswith("preprocess.")} <= names
    for name, distribution in suggested.items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            for value in distribution.choices:
                assert not list(why_not({name: value}, listed))


def test_why_not_names_the_parameter_and_the_reason() -> None:
    params: dict[str, Any] = {
        "model.family": "mlp",
        "preprocess.impute": "knn",
        "preprocess.rare": 7,
        "preprocess.scale": "log",
    }
    assert list(why_not(params)) == [
        "preprocess.impute=knn has no export: no converter repeats the search for the nearest rows",
        "preprocess.scale=log is not one of ours, so its export is not proven",
    ]


NUMBERS = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
TEXTS = pd.DataFrame({"t": ["x", "y"]})


@pytest.mark.parametrize(
    ("parameter", "value", "features", "roles", "is_in_the_way"),
    [
        ("preprocess.impute", "knn", NUMBERS, {}, True),
        ("preprocess.impute", "knn", NUMBERS.to_numpy(), {}, True),
        ("preprocess.impute", "knn", TEXTS, {}, False),
        ("preprocess.impute", "median", NUMBERS, {}, False),
        ("preprocess.encode", "hash", TEXTS, {}, True),
        ("preprocess.encode", "hash", NUMBERS, {}, False),
        ("preprocess.dates", "parts", TEXTS, {"t": Role.DATE}, True),
        ("preprocess.dates", "parts", TEXTS, {"t": Role.TEXT}, False),
        ("preprocess.text", "words", TEXTS, {"t": Role.TEXT}, True),
        ("preprocess.text", "words", TEXTS, {}, False),
        ("preprocess.scale", "a subclass's own", NUMBERS, {}, False),
    ],
)
def test_a_choice_is_in_the_way_where_it_concerns_a_column(
    parameter: str, value: str, features: Any, roles: dict[str, Role], is_in_the_way: bool
) -> None:
    part = Part(features, np.zeros(2))
    reasons = Tabular().why_no_export({parameter: value}, part, Context(roles=roles))
    assert [one.partition(" has no export")[0] for one in reasons] == [f"{parameter}={value}"] * is_in_the_way


@pytest.mark.parametrize("choice", IMAGES, ids=named)
@pytest.mark.parametrize("resize", [0.6, 1.3])
def test_images_are_prepared_the_same_in_onnx(choice: Export, resize: float) -> None:
    assert not choice.why_not
    params = {"resize": resize, **setting(choice)}
    train, validation = wild.images(150, 1), wild.images(60, 2, strange=True)
    made = Images().preprocess(params, train, validation, wild.context())
    model = onnx_images.to_onnx(made.transform)  # type: ignore[arg-type]
    assert_same(served(model, {onnx_images.INPUT: validation.features}), made.validation.features)


def test_graphs_are_of_the_agreed_versions() -> None:
    model = onnx_parts.to_onnx(prepared({"encode": "ordinal"}).transform)  # type: ignore[arg-type]
    versions = {one.domain: one.version for one in model.opset_import}
    assert versions[""] <= onnx_parts.OPSET
    assert versions["ai.onnx.ml"] <= onnx_parts.ML_OPSET
    assert len(versions) == len(model.opset_import)


def test_a_column_called_like_the_output_is_refused() -> None:
    train = wild.part(60, 1)
    named_so = dataclasses.replace(train, features=train.features.rename(columns={"flag": onnx_parts.OUTPUT}))
    fitted = Tabular().preprocess({}, named_so, named_so, wild.context()).transform
    with pytest.raises(NotExportable, match="give it another name"):
        onnx_parts.to_onnx(fitted)  # type: ignore[arg-type]


def test_the_list_and_what_prepares_load_no_onnx() -> None:
    code = "import sys, objectives.exports, objectives.onnx_parts, objectives.onnx_models, objectives.tabular;"
    code += "print([name for name in ('onnx', 'skl2onnx', 'onnxruntime', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def draw(space: Callable[[optuna.trial.Trial], None], seed: int) -> dict[str, Any]:
    """Return the parameters of the preprocess stage without their prefix, the others with it."""
    return {name.removeprefix("preprocess."): value for name, value in _asked(space, seed).params.items()}


def distributions(space: Callable[[optuna.trial.Trial], None], seed: int) -> dict[str, Any]:
    return dict(_asked(space, seed).distributions)


def _asked(space: Callable[[optuna.trial.Trial], None], seed: int) -> optuna.trial.Trial:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    space(trial)
    return trial
