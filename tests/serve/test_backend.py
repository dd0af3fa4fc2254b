"""The backend of one process: joined runs give what single ones do, and a swap loses and mixes nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.bundle.bundle import Bundle
from search.bundle.model import Model
from search.errors import RefusedError
from search.serve.backend import Answer, Served
from search.serve.batching import Batcher, Cost, usual_rows
from search.serve.here import Here
from search.serve.limits import Limits
from tests.bundle.bundles import Task, tiny
from tests.serve.backends import body_of, broken, fits, values_of, version

ROWS: list[dict[str, Any]] = [
    {"age": age, "income": income, "town": town}
    for age in (None, 0, -3.5, 1e6)
    for income in (None, 7.25)
    for town in ("Bonn", "東京", "", None, "elsewhere")
]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_joined_run_answers_each_request_as_a_run_of_its_own_does(tmp_path: Path, task: Task) -> None:
    tiny(tmp_path / "toy", task=task)
    bodies = [body_of(*ROWS[start : start + 1 + start % 3]) for start in range(len(ROWS))]

    async def ask() -> tuple[list[Answer], list[Answer]]:
        served = Served(Bundle.open(tmp_path / "toy"), "toy")
        async with Here(served, Limits()) as here, Here(served, Limits()) as other:
            return await asyncio.gather(*map(here.predict, bodies)), [await other.predict(one) for one in bodies]

    joined, alone = asyncio.run(ask())
    assert [one.body for one in joined] == [one.body for one in alone]
    assert {one.batch for one in joined} == {sum(one.rows for one in joined)}
    assert all(one.batch == one.rows for one in alone)


def test_a_column_form_is_answered_in_columns_from_within_a_joined_run(tmp_path: Path) -> None:
    columns = json.dumps({"columns": {"age": [1, 2], "income": [3, None], "town": ["Bonn", ""]}}).encode()

    async def ask() -> list[Answer]:
        async with Here(version(tmp_path, 1), Limits()) as here:
            return [*await asyncio.gather(*map(here.predict, (body_of({}), columns, body_of({}))))]

    first, told, last = asyncio.run(ask())
    assert len(json.loads(told.body)["value"]) == 2
    assert told.batch == 4
    assert values_of(first) == values_of(last)


def test_one_bad_request_spoils_no_other(tmp_path: Path) -> None:
    bodies = [body_of({"age": "old"}) if position % 5 == 3 else body_of({"age": position}) for position in range(20)]

    async def ask() -> list[Answer]:
        async with Here(version(tmp_path, 1), Limits()) as here:
            return await asyncio.gather(*map(here.predict, bodies))

    statuses = [one.status for one in asyncio.run(ask())]
    assert statuses == [422 if position % 5 == 3 else 200 for position in range(20)]


def test_where_a_joined_run_fails_only_the_culprit_does(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")
    model = Model(Bundle.open(tmp_path / "toy"))
    good = usual_rows(model.signature, 1)
    bad = {**good, "income": np.zeros(2, np.float32)}

    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as threads:
            batcher = Batcher(model, threads)
            return await asyncio.gather(*(batcher.join(one, 1) for one in (good, bad, good)), return_exceptions=True)

    first, culprit, last = asyncio.run(ask())
    assert isinstance(culprit, Exception)
    assert first.count == last.count == 1


def test_what_comes_while_a_slow_run_goes_on_makes_up_the_next_one(tmp_path: Path) -> None:
    tiny(tmp_path / "toy", image=(3, 400, 400))
    model = Model(Bundle.open(tmp_path / "toy"))
    rows = usual_rows(model.signature, 1)

    async def ask() -> list[int]:
        with ThreadPoolExecutor(1) as threads:
            batcher = Batcher(model, threads)
            batcher.cost = Cost(run_s=0.005, row_s=0.0001)  # slow enough for a thread, on any machine
            first = batcher.join(rows, 1)
            await asyncio.sleep(0)  # it has begun
            later = [batcher.join(rows, 1) for _ in range(3)]
            return [one.count for one in await asyncio.gather(first, *later)]

    assert asyncio.run(ask()) == [1, 3, 3, 3]


def test_a_run_is_joined_only_as_far_as_its_rows_fit(tmp_path: Path) -> None:
    tiny(tmp_path / "toy")
    model = Model(Bundle.open(tmp_path / "toy"))
    rows = usual_rows(model.signature, 1)

    async def ask() -> list[int]:
        with ThreadPoolExecutor(1) as threads:
            batcher = Batcher(model, threads)
            batcher.cost = Cost(run_s=0.0, row_s=0.009)
            return [one.count for one in await asyncio.gather(*(batcher.join(rows, 1) for _ in range(5)))]

    assert asyncio.run(ask()) == [2, 2, 2, 2, 1]


def test_small_requests_are_answered_while_a_large_one_is_worked_on(tmp_path: Path) -> None:
    large = body_of(*({"age": number} for number in range(9_000)))

    async def ask() -> tuple[Answer, int]:
        async with Here(version(tmp_path, 1), Limits()) as here:
            waiting = asyncio.create_task(here.predict(large))
            answered = 0
            while not waiting.done():
                assert fits(await here.predict(body_of({})))
                answered += 1
                await asyncio.sleep(0)
            return await waiting, answered

    told, meanwhile = asyncio.run(ask())
    assert told.rows == len(values_of(told)) == 9_000
    assert meanwhile > 1


def test_a_run_never_mixes_models_and_a_request_ends_with_the_one_that_it_began_with(tmp_path: Path) -> None:
    async def ask() -> list[Answer]:
        async with Here(version(tmp_path, 1), Limits()) as here:
            begun = [asyncio.create_task(here.predict(body_of({"age": number}))) for number in range(20)]
            loaded = await here.load(version(tmp_path, 2))
            begun += [asyncio.create_task(here.predict(body_of({"age": number}))) for number in range(20)]
            await asyncio.sleep(0)
            here.use(loaded)
            begun += [asyncio.create_task(here.predict(body_of({"age": number}))) for number in range(20)]
            return await asyncio.gather(*begun)

    answers = asyncio.run(ask())
    assert [one.label for one in answers] == ["toy:1"] * 40 + ["toy:2"] * 20
    assert all(map(fits, answers))


def test_the_old_model_is_freed_once_its_last_request_is_answered(tmp_path: Path) -> None:
    async def ask() -> None:
        async with Here(version(tmp_path, 1), Limits()) as here:
            old = weakref.ref(here._loaded.model)
            assert fits(await here.predict(body_of({})))
            await here.swap(version(tmp_path, 2))
            gc.collect()
            assert old() is None

    asyncio.run(ask())


def test_a_model_that_cannot_be_loaded_never_answers(tmp_path: Path) -> None:
    async def ask() -> Answer:
        async with Here(version(tmp_path, 1), Limits()) as here:
            with pytest.raises(RefusedError, match=r"model\.onnx cannot be loaded"):
                await here.swap(broken(version(tmp_path, 1)))
            return await here.predict(body_of({}))

    assert fits(asyncio.run(ask()))


def test_a_model_that_loads_and_cannot_run_is_refused(tmp_path: Path) -> None:
    served = version(tmp_path, 1)
    tiny(tmp_path / "other", numbers=("age",))
    without_income = Bundle.open(tmp_path / "other").model
    with pytest.raises(RefusedError, match="toy:1 cannot predict usual rows"):
        Here(replace(served, bundle=replace(served.bundle, model=without_income)), Limits())


def test_closing_waits_for_what_has_begun(tmp_path: Path) -> None:
    async def ask() -> Answer:
        here = Here(version(tmp_path, 1), Limits())
        waiting = asyncio.create_task(here.predict(body_of(*({"age": number} for number in range(5_000)))))
        await asyncio.sleep(0)
        await here.close()
        assert waiting.done()
        return await waiting

    assert asyncio.run(ask()).rows == 5_000
