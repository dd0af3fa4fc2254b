"""A sampler or pruner is chosen as NAME:OPTION=VALUE,..."""

from __future__ import annotations

from typing import Any

import pytest

from search.errors import InputError
from search.study.choice import Choice, options_of


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("tpe", "tpe", {}),
        ("tpe:multivariate=true,n_startup_trials=20", "tpe", {"multivariate": True, "n_startup_trials": 20}),
        (" asha : reduction_factor = 4 ", "asha", {"reduction_factor": 4}),
        ("patient:wrapped=median,min_delta=1e-3", "patient", {"wrapped": "median", "min_delta": 0.001}),
        ("cmaes:sigma0=none,with_margin=False", "cmaes", {"sigma0": None, "with_margin": False}),
        ("a:b=-3,c=0.5", "a", {"b": -3, "c": 0.5}),
    ],
)
def test_a_choice_is_read_from_text(text: str, name: str, options: dict[str, Any]) -> None:
    assert Choice.parse(text) == Choice(name, options)


@pytest.mark.parametrize(
    "choice",
    [
        Choice("tpe"),
        Choice("a", {"yes": True, "no": False, "none": None, "n": -1, "x": 1e-12, "y": 0.1, "word": "sbx"}),
    ],
)
def test_the_text_of_a_choice_reads_back_as_the_same(choice: Choice) -> None:
    read = Choice.parse(choice.text())
    assert read == choice
    assert [type(value) for value in read.options.values()] == [type(value) for value in choice.options.values()]


@pytest.mark.parametrize("text", ["tpe:", "tpe:multivariate", "tpe:=1", "tpe:a=", "tpe:a=1,", "tpe:a=1,a=2"])
def test_another_form_is_refused_with_what_came(text: str) -> None:
    with pytest.raises(InputError, match="tpe:"):
        Choice.parse(text)


def test_options_are_the_parameters_that_text_can_give() -> None:
    def build(a: int, b: bool | None = None, c: float = 0.0, d: list[int] | None = None, seed: int = 0) -> None: ...

    assert options_of(build, hidden=["seed"]) == {
        "a": frozenset({"int"}),
        "b": frozenset({"bool", "None"}),
        "c": frozenset({"float"}),
    }
