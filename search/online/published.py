"""The bundle of a model that has learnt online: graph, weights, card, and the proof that it answers as the learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from search.bundle.bundle import MODEL, Bundle
from search.bundle.manifest import Manifest
from search.contract import NotExportable, Prepared
from search.errors import RefusedError
from search.launch import versions
from search.online.base import Base, bundle_files
from search.online.buffer import Buffer
from search.online.competitor import Fixed
from search.promote.graph import whole
from search.promote.parity import TOLERANCE
from search.serve.backend import Served

_COMPARED: Final = 200
ONLINE: Final = "online"
"""Among the options of a manifest: how the model learnt."""

_MARK: Final = "**It went on learning after its promotion.**"


def files_of(
    base: Base, learner: Any, prepared: Prepared, buffer: Buffer, told: Mapping[str, Any]
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the content of each other file of a learner's bundle.

    Args:
        base: That the learner began with.
        learner: Trained; None where it has learnt nothing.
        prepared: That it was built with.
        buffer: Of rows that it is compared on.
        told: What the manifest says of how it learnt: `rows`, `refit`.

    Raises:
        RefusedError: There is none, or it answers otherwise than the learner does.
    """
    label = base.served.label
    if learner is None:
        raise RefusedError(f"what learns from {label} has learnt nothing yet", field="model")
    try:
        exported = base.export(learner, prepared)
        graph = whole([exported], base.head)
    except NotExportable as error:
        raise RefusedError(f"what learns from {label} cannot be exported: {error}", field="model") from error
    manifest = replace(
        base.manifest,
        versions=versions(),
        options={**base.manifest.options, ONLINE: {"from": label, **told}},
        files={},
    )
    files = bundle_files(graph, exported.weights, base.signature, _card(base.served.bundle.card, manifest))
    bundle = Bundle(Path(label), manifest, base.signature, "", files[MODEL], "")
    _check(base, learner, Fixed(Served(bundle, label)), buffer)
    return manifest, files


def _card(card: str, manifest: Manifest) -> str:
    """Return a card with a paragraph on top, under its title, that says how the model came about."""
    told = manifest.options[ONLINE]
    how = "trained anew on the newest rows" if told["refit"] else "trained on, step by step"
    said = (
        f"{_MARK} It began as `{told['from']}` and learnt {told['rows']:,} labelled rows that came in while it was "
        f"served; it was {how}. What this card says of scores, data and training is of the model that was promoted; "
        "no test row was used since."
    )
    lines = [line for line in card.splitlines() if not line.startswith(_MARK)]
    title = next((index for index, line in enumerate(lines) if line.startswith("# ")), -1)
    after = lines[title + 1 :]
    while after and not after[0]:
        after = after[1:]
    return "\n".join([*lines[: title + 1], "", said, "", *after]) + "\n"


def _check(base: Base, learner: Any, bundle: Fixed, buffer: Buffer) -> None:
    columns = buffer.rows(_COMPARED).columns if buffer.new else base.old.columns
    ours, theirs = base.answered(learner, base.features(columns)), bundle.answer(columns)
    worst = float(np.abs(ours.astype(np.float64) - theirs).max()) / base.scale
    if not worst <= TOLERANCE:
        said = f"the bundle of what learns from {base.served.label} answers otherwise than it does: by {worst:.3g}"
        raise RefusedError(said, field="model")
