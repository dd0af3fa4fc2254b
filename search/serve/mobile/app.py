"""What all apps around a model are made of: the `App`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from search.bundle.bundle import Bundle, as_json
from search.serve.mobile import naming

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class App:
    """A model and what it is called.

    Attributes:
        bundle: Of the model.
        name: Of the model.
        model: Its mobile form.
        precision: How its numbers are stored.
    """

    bundle: Bundle
    name: str
    model: bytes
    precision: str

    @property
    def signature(self) -> bytes:
        """The bundle's `signature.json`."""
        return as_json(self.bundle.signature.to_json())

    @property
    def title(self) -> str:
        return naming.title(self.name)

    @property
    def origin(self) -> str:
        """Where the model comes from, for people."""
        trials = ", ".join(f"#{member.number}" for member in self.bundle.manifest.members)
        return f"Study {self.bundle.manifest.study}, trial {trials}"


def template(*path: str) -> Traversable:
    """Return a file or folder of the templates."""
    return files("search.serve.mobile").joinpath("assets", *path)


def texts(folder: Traversable, below: str = "") -> dict[str, str]:
    """Return all files of a folder of templates by their paths."""
    found: dict[str, str] = {}
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{below}{one.name}"
        if one.is_dir():
            found |= texts(one, f"{path}/")
        else:
            found[path] = one.read_text(encoding="utf-8")
    return found
