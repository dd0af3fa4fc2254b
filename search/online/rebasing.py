"""From one champion to the next: what a challenger is built from, without opening a study twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.bundle.manifest import Manifest
from search.data.fetch import Say
from search.online.base import Base, base_of, weights_of
from search.online.choices import Choices
from search.online.published import ONLINE
from search.serve.backend import Served


def rebased(results: Path, base: Base, served: Served, choices: Choices, *, say: Say) -> Base:
    """Return the base of another champion.

    Args:
        results: The results folder.
        base: Of the champion before.
        served: The champion.
        choices: How it learns.
        say: Hears what happens.

    Raises:
        InputError: It comes from another study, which cannot be had.
        RefusedError: Code or data of that study are not those of the model any more.
    """
    theirs, ours = served.bundle.manifest, base.manifest
    if _made(theirs) != _made(ours):
        return base_of(results, served, say=say, accept_changes=choices.accept_changes, old=choices.learn.old)
    return replace(base, served=served, weights=weights_of(served.bundle))


def _made(manifest: Manifest) -> object:
    """Return all that tells what a model was made of, but for what it has learnt online."""
    members = [(one.number, one.seed) for one in manifest.members]
    options = {name: value for name, value in manifest.options.items() if name != ONLINE}
    return manifest.study, manifest.split_hash, members, options
