"""Where a model comes from, and the hash of every file of its bundle: the `Manifest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

FORMAT: Final = 1
"""Of a bundle; counted up when its files change."""


@dataclass(frozen=True, slots=True)
class Member:
    """One trained trial that a model is made of; several vote.

    Attributes:
        number: Of the trial.
        params: Its parameters.
        seed: Sweep's seed of the training that is in the bundle.
        units: Of training, up to its best step.
    """

    number: int
    params: Mapping[str, Any]
    seed: int
    units: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle is made of. It holds no time and no version, so that the same study gives the same bundle.

    Attributes:
        study: Name of the study.
        objective: Its reference.
        members: The trained trials; the first one won.
        metric: The searched metric.
        data_hash, split_hash, code_hash: Fingerprints.
        versions: Of the libraries that made it.
        options: Of the promotion, that changed the model: `refit`, `calibrate`, ...
        files: sha256 of every other file of the bundle, by name.
    """

    study: str
    objective: str
    members: tuple[Member, ...]
    metric: str
    data_hash: str
    split_hash: str
    code_hash: str
    versions: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `to_json` described.

        Raises:
            ValueError: It is of another format.
        """
        given = dict(values)
        if given.pop("format", None) != FORMAT:
            raise ValueError(f"format {values.get('format')!r}, expected {FORMAT}")
        members = tuple(Member(**one) for one in given.pop("members"))
        return cls(members=members, **given)
