"""Keep a script that is imported from starting Ray or Ray Tune of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from search.adopt.starting import replaced, stop


@contextmanager
def held_back() -> Iterator[None]:
    """Have `Tuner.fit` and `tune.run` raise `Started` meanwhile, and `ray.init` do nothing: a Ray will be there."""
    import ray
    from ray import tune

    with ExitStack() as stack:
        stack.enter_context(replaced(tune.Tuner, "fit", stop))
        stack.enter_context(replaced(tune, "run", stop))
        stack.enter_context(replaced(ray, "init", _nothing))
        yield


def _nothing(*_: Any, **__: Any) -> None:
    """Stand in for `ray.init`."""
