"""From one champion to the next: what a challenger is built from, without opening a study twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.bundle.manifest import Manifest
from search.data.fetch import Say
from search.online.base import Base, base_of, weights_of
from search.serve.backend import Served


def rebased(results: Path, base: Base, served: Served, *, say: Say) -> Base:
    """Return the base of another champion.

    Args:
        results: The results folder.
        base: Of the champion before.
        served: The champion.
        say: Hears what happens.

    Raises:
        InputError: It comes from another study, which cannot be had.
        RefusedError: Code or data of that study are not those of the model any more.
    """
    theirs, ours = served.bundle.manifest, base.manifest
    if (theirs.study, theirs.split_hash) != (ours.study, ours.split_hash) or _trials(theirs) != _trials(ours):
        return base_of(results, served, say=say)
    return replace(base, served=served, weights=weights_of(served.bundle))


def _trials(manifest: Manifest) -> list[tuple[int, int]]:
    return [(one.number, one.seed) for one in manifest.members]
