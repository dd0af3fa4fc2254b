"""`fetch`: whatever a reference names, as a file or folder on this machine, and a reference to exactly that content."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from search.data.reference import SCHEMES, Reference
from search.paths import DataFolder

Say = Callable[[str], None]
"""Takes a line for people: how far a download has come, what is waited for."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a reference names, on this machine.

    Attributes:
        path: The file or folder.
        pinned: A reference to exactly this content, without a secret in it: fetching it again needs no network.
        target: The column that is predicted unless the user names another, or None.
        notes: One sentence for each thing that people should know of it.
    """

    path: Path
    pinned: str
    target: str | None = None
    notes: tuple[str, ...] = ()


class Fetcher(Protocol):
    """A module with this function fetches one kind of reference."""

    def fetch(self, reference: Reference, folder: Path, place: DataFolder, *, refresh: bool, say: Say) -> Fetched:
        """Fetch what `reference` names into `place`.

        Args:
            reference: With the options that are not about reading a table: those are the reader's.
            folder: What relative paths are relative to.
            place: Its own folder under `results/data/`; it need not be there yet.
            refresh: Ask the other side again, even if something was fetched before.
            say: Hears of progress.

        Raises:
            InputError: The reference, or the file that it names, is wrong.
            SurroundingsError: The other side cannot be reached, fails, or sends what cannot be used.
            RefusedError: It would have to talk to a host that it may not.
        """


_WEB: Final = "search.data.web.download"
_FETCHERS: Final = {
    **dict.fromkeys(("http", "https"), _WEB),
    **dict.fromkeys(set(SCHEMES) - {"http", "https"}, "search.data.remote"),
    "api": "search.data.api.pull",
    "collected": "search.data.collect.frozen",
    "hf": "search.data.web.hub",
    "html": "search.data.api.page",
    "openml": "search.data.web.openml",
    "sklearn": "search.data.sets",
    "sql": "search.data.sql",
}
"""The module with the `fetch` of each kind; imported when it is needed."""


def quiet(line: str) -> None:
    """Say nothing."""


def fetch(reference: Reference, folder: Path, results: Path, *, refresh: bool = False, say: Say = quiet) -> Fetched:
    """Return what `reference` names, as a file or folder on this machine.

    A local file is where it is, but for a `.sql` file, which is a query. All else is fetched into `results/data/`.

    Args:
        reference: What to fetch.
        folder: What relative paths are relative to.
        results: The results folder.
        refresh: Ask the other side again, even if something was fetched before.
        say: Hears of progress.

    Raises:
        InputError: The reference, or the file that it names, is wrong.
        SurroundingsError: The other side cannot be reached, fails, or sends what cannot be used.
        RefusedError: It would have to talk to a host that it may not.
    """
    location = reference.location
    if isinstance(location, Path) and location.suffix.lower() != ".sql":
        return Fetched(location, reference.with_options())
    kind = "sql" if isinstance(location, Path) else reference.kind
    module: Fetcher = importlib.import_module(_FETCHERS[kind])
    return module.fetch(reference, folder, DataFolder.of(results, reference.folder_name), refresh=refresh, say=say)
