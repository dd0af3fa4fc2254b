"""What is said where a process of the sweep cannot begin."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from search.errors import SurroundingsError
from search.tuner.driver import _told


class Unable:
    def __init__(self) -> None:
        raise ImportError("cannot import name 'string_types' from 'six'")

    def answer(self) -> None: ...


@pytest.mark.usefixtures("ray_session")
def test_a_process_that_cannot_begin_says_why() -> None:
    actor: Any = ray.remote(num_cpus=0)(Unable)
    with pytest.raises(SurroundingsError) as caught, _told("s"):
        ray.get(actor.remote().answer.remote())
    assert caught.value.sentence() == (
        "a process of the sweep could not begin: ImportError: cannot import name 'string_types' from 'six'; "
        "mend that, then `sweep resume s` goes on"
    )
