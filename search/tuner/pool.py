"""Ray as the place where scikit-learn runs its fits: joblib's tasks go to Ray's workers while inside `ray_jobs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.tuner.cluster import connected, set_environment


@contextmanager
def ray_jobs(address: str, *, n_jobs: int | None) -> Iterator[None]:
    """Have joblib run its tasks on Ray while inside; a Ray of our own is started before and ended after.

    Args:
        address: `HOST:PORT` of a cluster, `auto` for the one that this machine is part of, `local` for this machine.
        n_jobs: Workers; None or -1 for one on each CPU of the cluster.

    Raises:
        InputError: It is no address.
        SurroundingsError: No cluster answers there.
    """
    where = None if address == "local" else address
    set_environment(where)
    with connected(where):
        import joblib  # type: ignore[import-untyped]
        from ray.util.joblib import register_ray

        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=-1 if n_jobs is None else n_jobs):
            yield
