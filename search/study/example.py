"""One configuration as a sweep's first trial would get it, for a dry run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from search.contract import Space
from search.study import samplers
from search.study.choice import Choice
from search.study.draft import draft
from search.trial import ParamValue


def example(
    sampler: str, space: Space, directions: Sequence[str], *, seed: int, fixed: Mapping[str, ParamValue]
) -> dict[str, ParamValue]:
    """Suggest one configuration without any history.

    Raises:
        InputError: The space is wrong.
    """
    made = samplers.make(Choice.parse(sampler), seed=seed, number=0)
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    study = optuna.create_study(storage=InMemoryStorage(), directions=wanted, sampler=made)
    return dict(draft(study, made, space, fixed=fixed, attributes={}).params)
