"""Rules of what can be promoted: whatever exports says the same in a bundle, of usual rows and of strange ones."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from objectives.exports import IMAGES, TABULAR, Export, why_not
from objectives.images import Images
from objectives.tabular import FAMILIES, Tabular
from search.contract import Context, NotExportable, Part, Task
from spaces.tabular import tabular
from tests.objectives import wild
from tests.objectives.wild import named
from tests.threads import one_thread

from .bundled import Bundled, bundled, classes_of, exported

__all__ = ["one_thread"]

EXPORTING = [
    one
    for one in TABULAR
    if one.parameter.startswith("preprocess.") and not list(why_not({**one.needs, one.parameter: one.value}))
]
FILLED = {"preprocess.impute": "median"}
NETWORK = {**FILLED, "preprocess.scale": "standard", "model.width": 16, "train.batch": 64}

ROWS = 250


def context(task: Task) -> Context:
    return replace(wild.context(task), classes=classes_of(task), max_epochs=2)


def made(params: dict[str, Any], task: Task, train: Part, validation: Part) -> Bundled:
    return bundled([exported(Tabular(), params, train, validation, context(task))], train, context(task))


def wild_parts(task: Task) -> tuple[Part, Part]:
    return wild.part(ROWS, 1, task), wild.part(120, 2, task, strange=True)


@pytest.mark.parametrize("choice", EXPORTING, ids=named)
@pytest.mark.parametrize("family", ["linear", "forest"])
def test_every_way_to_prepare_a_table_says_the_same_in_a_bundle(family: str, choice: Export) -> None:
    """Trees feel the last bit of a scaled value where they split; a linear model feels how large it is."""
    params = {**FILLED, "model.family": family, **choice.needs, choice.parameter: choice.value}
    if params["preprocess.impute"] == "none":
        params["model.family"] = "boosting"  # which alone takes missing values
    task = Task.REGRESSION if family == "forest" else Task.MULTICLASS
    train, validation = wild_parts(task)
    found = made(params, task, train, validation).compared(validation.features)
    assert set(found.kinds) == {
        "as they are",
        "missing values",
        "unseen categories",
        "extreme numbers",
        "empty strings",
    }
    assert found.worst < 1e-5
    assert not any(one.refused for one in found.kinds.values())


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_the_same_in_a_bundle(family: str, task: Task) -> None:
    train, validation = wild_parts(task)
    found = made({**NETWORK, "model.family": family}, task, train, validation)
    assert found.compared(validation.features).worst < 1e-5
    assert logging.getLogger("torch.onnx").level == logging.NOTSET  # as it was


@pytest.mark.parametrize("seed", range(6))
def test_what_the_default_space_suggests_says_the_same_in_a_bundle(seed: int) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    tabular(trial)
    task = list(Task)[seed % 3]
    train, validation = wild_parts(task)
    assert made(dict(trial.params), task, train, validation).compared(validation.features).worst < 1e-5


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("kind", ["bagged", "extra"])
def test_every_kind_of_forest_and_weight_says_the_same_in_a_bundle(kind: str, weight: str) -> None:
    train, validation = wild_parts(Task.BINARY)
    params = {**FILLED, "model.family": "forest", "model.kind": kind, "train.class_weight": weight}
    assert made(params, Task.BINARY, train, validation).compared(validation.features).worst < 1e-5


def odd(rows: int, seed: int) -> pd.DataFrame:
    """Return columns of every type, under names that a graph, a file or a shell could stumble over."""
    random = np.random.default_rng(seed)
    large = random.integers(2**24, 2**24 + 40, rows)
    names = {
        "a b": random.normal(size=rows),
        "c.d/e": large,
        'say "hi"': random.integers(0, 2, rows).astype(bool),
        "it's": large * 2**20,
        "größe\n": random.choice([1.5, 2.5, np.nan], rows),
        "m0/feature": random.normal(size=rows).astype(np.float32),
        "a_b": random.choice(["True", "False"], rows),
        "features": random.choice(["1", "1.0", " 1", "01"], rows),
        "🙂": random.choice(["ä", "a\u0308", "x" * 300, "NaN"], rows),
    }
    found = pd.DataFrame(names)
    found["kind"] = pd.Categorical(random.choice(["x", "y"], rows))
    found["said"] = pd.array(random.choice(["u", "v"], rows), dtype="string")
    found["maybe"] = pd.array(random.integers(0, 3, rows), dtype="Int64")
    found.loc[::7, ["said", "maybe"]] = pd.NA
    return found


@pytest.mark.parametrize("family", ["linear", "forest", "boosting"])
def test_columns_of_every_type_and_name_say_the_same_in_a_bundle(family: str) -> None:
    train, validation = (Part(odd(rows, rows), wild.target(rows, Task.BINARY)) for rows in (200, 90))
    params = {**FILLED, "model.family": family, "preprocess.encode": "one-hot", "preprocess.scale": "standard"}
    found = made(params, Task.BINARY, train, validation)
    assert found.compared(validation.features).worst < 1e-5
    assert {one.name for one in found.model.signature.inputs if one.used} == set(train.features.columns)


@pytest.mark.parametrize(("name", "said"), [("", "a column has no name"), ("m0/features", "as a part of the graph is")])
def test_a_name_that_a_graph_cannot_have_is_told(name: str, said: str) -> None:
    train = Part(odd(60, 1).rename(columns={"kind": name}), wild.target(60, Task.BINARY))
    with pytest.raises(NotExportable, match=f"{said}; give it"):
        made({**FILLED, "model.family": "linear"}, Task.BINARY, train, train)


@pytest.mark.parametrize("family", ["linear", "forest", "boosting"])
def test_a_class_that_no_training_row_has_gets_no_probability(family: str) -> None:
    train, validation = wild_parts(Task.MULTICLASS)
    train = Part(train.features, np.where(train.target == 1, 2, train.target))
    found = made({**NETWORK, "model.family": family}, Task.MULTICLASS, train, validation)
    assert found.compared(validation.features).worst < 1e-5
    assert found.model.signature.classes == classes_of(Task.MULTICLASS)


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
@pytest.mark.parametrize("family", ["linear", "boosting"])
def test_an_array_is_a_table_of_x0_x1_and_so_on(family: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    train, validation = (Part(random.random((rows, *shape)), random.random(rows)) for rows in (150, 60))
    found = made({**FILLED, "model.family": family}, Task.REGRESSION, train, validation)
    assert found.compared(validation.features).worst < 1e-5
    assert [one.name for one in found.model.signature.inputs] == [f"x{index}" for index in range(6)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_form_say_the_same_in_a_bundle(channels: int, dtype: type) -> None:
    found, test = pictured({}, channels, dtype)
    compared = found.compared(test)
    assert set(compared.kinds) == {"as they are", "extreme pixels"}
    assert compared.worst < 1e-5


@pytest.mark.parametrize("choice", [one for one in IMAGES if one.value not in ("standard", 1.0, "none")], ids=named)
def test_every_way_to_prepare_images_says_the_same_in_a_bundle(choice: Export) -> None:
    found, test = pictured({choice.parameter: choice.value}, 1, np.float32)
    assert found.compared(test).worst < 1e-5


def pictured(params: dict[str, Any], channels: int, dtype: type) -> tuple[Bundled, Any]:
    random = np.random.default_rng(1)
    pixels = random.random((80, channels, 8, 6))
    pixels = (pixels * 255).astype(dtype) if dtype is np.uint8 else pixels.astype(dtype)
    part = Part(pixels[:60], np.arange(60) % 2)
    whole = {"model.width": 8, "train.batch": 32, **params}
    made = exported(Images(), whole, part, part, context(Task.BINARY))
    return bundled([made], part, context(Task.BINARY)), pixels[60:]


def test_a_vote_of_different_families_says_the_same_in_a_bundle() -> None:
    from search.promote.graph import Head

    task = Task.BINARY
    train, validation = wild_parts(task)
    each = [{**FILLED, "model.family": family} for family in ("linear", "forest", "boosting")]
    members = [exported(Tabular(), params, train, validation, context(task)) for params in each]
    head = Head(classes_of(task), temperature=1.7, threshold=0.31)
    assert bundled(members, train, context(task), head).compared(validation.features).worst < 1e-5


PRINT = """
import sys
from hashlib import sha256
sys.path.insert(0, ".")
from tests.promote.test_every_choice import NETWORK, Task, made, wild_parts
for family in ("residual", "boosting"):
    params = {**NETWORK, "model.family": family, "preprocess.scale": "quantile"}
    graph = made(params, Task.BINARY, *wild_parts(Task.BINARY))
    graph = graph.model.bundle.model
    sys.stdout.write(f"{sha256(graph).hexdigest()} {b'site-packages' in graph or b'.py' in graph}\\n")
"""


def test_two_processes_make_the_same_bytes_and_no_path_of_the_machine_stands_in_them() -> None:
    def bytes_of(seed: str) -> Callable[[], str]:
        command = [sys.executable, "-W", "ignore", "-c", PRINT]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONHASHSEED": seed})
        return lambda: process.communicate(timeout=120)[0]

    first, second = (ended() for ended in [bytes_of("1"), bytes_of("2")])
    assert first == second
    assert [line.split()[1] for line in first.splitlines()] == ["False"] * 2
