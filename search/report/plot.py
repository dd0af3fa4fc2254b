"""What the page needs of a figure: the `Plot`, four pure functions and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from search.records.history import History

if TYPE_CHECKING:
    import plotly.graph_objects as go

Section: TypeAlias = Literal["progress", "mattered", "good", "wasted", "winner"]
"""Where in the page a figure stands; `page.SECTIONS` has their headings."""

Data: TypeAlias = Mapping[str, Sequence[Any]]
"""A table, by column; all columns are of one length."""


def joined(columns: Data, kind: str, more: Iterable[tuple[str, Sequence[Any]]]) -> Data:
    """Return a table with more columns, whose names are of a study: `kind:name` of one that the table has already."""
    found = dict(columns)
    for name, column in more:
        while name in found:
            name = f"{kind}:{name}"
        found[name] = column
    return found


class Words(NamedTuple):
    """A figure told in words; plain text, which the page escapes.

    Attributes:
        finding: What it shows, made from its data: "train.lr explains 61% of the variance". It is the title.
        note: What a reader has to know to believe it: of how many trials, thinned by which rule.
        empty: Why there is nothing to draw ("no trial has completed yet: 3 running"); "" if there is something.
    """

    finding: str
    note: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of a study.

    Attributes:
        key: Its name in files, in `study_figures` and in the page's anchors.
        section: Where it stands.
        name: What kind of figure it is, for people: "Optimisation history".
        info: Reads what it shows from the study. Fast: 10,000 trials x 20 reports take at most 2 s with `figure`.
        words: Tells it in words.
        figure: Draws it; called only where `words` has no `empty`.
        data: What it shows, as a table: not thinned, unless the words' note says so.
        wide: Whether it takes the whole width of the page.
    """

    key: str
    section: Section
    name: str
    info: Callable[[History], Any]
    words: Callable[[Any], Words]
    figure: Callable[[Any], go.Figure]
    data: Callable[[Any], Data]
    wide: bool = False
