"""A worker takes the secrets of the sweep out of its environment, and leaves what the plan knows nothing of."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from search.tuner.unseen import forget, names_of
from tests.tuner.test_shipping import plan_of

PLAN = plan_of("/nowhere/rain.py:rain")

NAMES = [
    ({}, set()),
    ({"storage": "postgresql://ann@db/studies"}, {"PGPASSWORD"}),
    ({"storage": "sqlite:////tmp/x.db"}, set()),
    ({"notify": "https://example.org/${HOOK}"}, {"HOOK"}),
    ({"track": ("wandb:rain", "tensorboard:/tmp")}, {"WANDB_API_KEY"}),
    ({"track": ("mlflow:https://m",)}, {"MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"}),
    ({"data": "rows.csv"}, set()),
    ({"data": "https://example.org/${KEY}.csv"}, {"KEY"}),
    ({"data": "sql:postgresql://${USER_OF_DB}@db/x"}, {"USER_OF_DB", "PGPASSWORD", "SWEEP_SQL_URL"}),
]


@pytest.mark.parametrize(("chosen", "names"), NAMES)
def test_the_plan_says_which_variables_hold_secrets_of_the_sweep(chosen: dict[str, object], names: set[str]) -> None:
    plan = replace(PLAN, **chosen)  # type: ignore[arg-type]
    assert names_of(plan) == names | {"RAY_AUTH_TOKEN"}
    if "data" in chosen:
        assert names_of(plan, data=False) == {"RAY_AUTH_TOKEN"}


def test_what_an_objective_may_need_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "HOOK", "HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "x")
    forget(replace(PLAN, notify="https://example.org/${HOOK}"))
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert "HOOK" not in os.environ
    assert os.environ["HF_TOKEN"] == os.environ["WANDB_API_KEY"] == "x"
