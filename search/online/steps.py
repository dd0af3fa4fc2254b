"""Events, taken apart into what is worked on one after the other: the `Step`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search.online.events import Array, Event, LabelledRows, Labels, Ordered, Shown
from search.online.packing import taken


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Rows to be answered, one label, or an order.

    Attributes:
        sequence: Of its event.
        done: Steps of that event, up to this one.
        at_s: Unix time of the event.
        ids: Of the rows, or of the one that is labelled.
        columns: Of rows to be answered.
        served: What clients got for them; None: nobody saw them.
        target: Of a label: the class index, or the value.
        source, trusted: Of a label, as in `events.Labels`.
        order: What an administrator asked for.
    """

    sequence: int
    done: int
    at_s: float
    ids: tuple[str, ...] = ()
    columns: Mapping[str, Array] | None = None
    served: Array | None = None
    target: float | None = None
    source: str = ""
    trusted: bool = False
    order: Ordered | None = None

    @property
    def is_label(self) -> bool:
        return self.target is not None


def steps_of(event: Event, *, done: int = 0) -> Iterator[Step]:
    """Yield the steps of an event, but the first `done`; a row that comes with its label is answered just before it."""
    for number, step in enumerate(_steps(event), start=1):
        if number > done:
            yield step


def _steps(event: Event) -> Iterator[Step]:
    sequence, at_s = event.sequence, event.at_s
    if isinstance(event, Shown):
        yield Step(sequence, 1, at_s, event.ids, event.columns, event.answers)
    elif isinstance(event, Ordered):
        yield Step(sequence, 1, at_s, order=event)
    elif isinstance(event, Labels):
        for index, (one, target) in enumerate(zip(event.ids, event.targets.tolist(), strict=True)):
            yield Step(sequence, index + 1, at_s, (one,), target=target, source=event.source, trusted=event.trusted)
    else:
        yield from _with_labels(event)


def _with_labels(event: LabelledRows) -> Iterator[Step]:
    for index, (one, target) in enumerate(zip(event.ids, event.targets.tolist(), strict=True)):
        own = taken(event.columns, slice(index, index + 1))
        yield Step(event.sequence, 2 * index + 1, event.at_s, (one,), own)
        yield Step(
            event.sequence,
            2 * index + 2,
            event.at_s,
            (one,),
            target=target,
            source=event.source,
            trusted=event.trusted,
        )
