"""Streams of rows whose concept drifts, or stays, made from a seed: the `Stream`.

Most come from river's generators, as they are in the literature on drift; two are tables of our own, with columns of
text. Nothing is downloaded. A concept holds for the first part, of which a model is made; the changes come after it.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from river.datasets import synth

Array = np.ndarray[Any, Any]
Random = np.random.Generator
Row = tuple[dict[str, Any], str]
"""Values by column, and the class."""

FIRST: Final = 3_000
"""Rows that a model is made of; none of them is scored."""
ROWS: Final = 20_000
"""Rows that follow."""
WIDTH: Final = 0.1
"""Of a gradual drift, as a share of the rows that follow: so long both concepts come side by side."""
TARGET: Final = "class"


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One stream.

    Attributes:
        name: Of it.
        drift: In words; "" where nothing changes.
        table: (first + rows, columns).
        labels: (first + rows,) object array of str.
        first: Rows of the first part.
    """

    name: str
    drift: str
    table: pd.DataFrame
    labels: Array
    first: int = FIRST

    def rows(self) -> Iterator[Row]:
        """Yield the rows as river takes them."""
        records = self.table.to_dict("records")
        return zip(({str(name): value for name, value in one.items()} for one in records), self.labels, strict=True)


@dataclass(frozen=True, slots=True)
class _Made:
    """How one is made.

    Attributes:
        drift: As in `Stream`.
        rows: Makes the rows from a random seed, the first part's number of rows and that of the others.
    """

    drift: str
    rows: Callable[[int, int, int], Iterator[Row]]


Concept = Callable[[int], Any]
"""Makes a river generator from a seed."""


def make(name: str, seed: int, rows: int = ROWS) -> Stream:
    """Return the stream of that name, the same for the same seed and number of rows.

    Args:
        name: One of `STREAMS`.
        seed: Of all that is random in it.
        rows: After the first part; the changes come at the same shares of them.
    """
    made = STREAMS[name]
    own = int(np.random.default_rng([zlib.crc32(name.encode()), seed]).integers(2**31))
    taken = list(itertools.islice(made.rows(own, FIRST, rows), FIRST + rows))
    table = pd.DataFrame([values for values, _ in taken])
    return Stream(name, made.drift, table, np.array([label for _, label in taken], dtype=object))


def _still(concept: Concept) -> Callable[[int, int, int], Iterator[Row]]:
    return lambda seed, first, rows: map(_row, concept(seed))


def _abrupt(*concepts: Concept) -> Callable[[int, int, int], Iterator[Row]]:
    """Have one concept follow the other, each for the same share of the rows after the first part."""

    def rows_of(seed: int, first: int, rows: int) -> Iterator[Row]:
        lengths = [rows // len(concepts)] * len(concepts)
        lengths[0] += first
        parts = [
            itertools.islice(concept(seed + number), length)
            for number, (concept, length) in enumerate(zip(concepts, lengths, strict=True))
        ]
        # what the division left over belongs to the last concept
        return map(_row, itertools.chain(*parts, concepts[-1](seed + len(concepts))))

    return rows_of


def _gradual(*concepts: Concept) -> Callable[[int, int, int], Iterator[Row]]:
    """Have concepts turn into one another by and by: for a while either may come."""

    def rows_of(seed: int, first: int, rows: int) -> Iterator[Row]:
        stream = concepts[0](seed)
        for number, concept in enumerate(concepts[1:], start=1):
            stream = synth.ConceptDriftStream(
                stream,
                concept(seed + number),
                position=first + number * rows // len(concepts),
                width=max(int(WIDTH * rows), 1),
                seed=seed + 100 + number,
            )
        return map(_row, stream)

    return rows_of


def _row(given: tuple[dict[Any, Any], Any]) -> Row:
    """Return a row of river's with texts for names and classes: its own are numbers or booleans here and there."""
    values, label = given
    return {name if isinstance(name, str) else f"x{name}": value for name, value in values.items()}, f"c{int(label)}"


def _sea(variant: int) -> Concept:
    return lambda seed: synth.SEA(variant=variant, noise=0.1, seed=seed)


def _agrawal(function: int) -> Concept:
    return lambda seed: synth.Agrawal(classification_function=function, perturbation=0.05, seed=seed)


def _stagger(function: int) -> Concept:
    return lambda seed: synth.STAGGER(classification_function=function, seed=seed)


def _mixed(function: int) -> Concept:
    return lambda seed: synth.Mixed(classification_function=function, seed=seed)


def _sine(function: int) -> Concept:
    return lambda seed: synth.Sine(classification_function=function, seed=seed)


def _led(swapped: int) -> Concept:
    return lambda seed: synth.LEDDrift(
        noise_percentage=0.1, irrelevant_features=True, n_drift_features=swapped, seed=seed
    )


def _hyperplane(seed: int) -> Any:
    return synth.Hyperplane(n_features=10, n_drift_features=5, mag_change=0.001, sigma=0.1, seed=seed)


def _blobs(speed: float) -> Concept:
    def made(seed: int) -> Any:
        told = {"seed_model": seed, "seed_sample": seed + 1, "n_classes": 4, "n_features": 10, "n_centroids": 20}
        if not speed:
            return synth.RandomRBF(**told)
        return synth.RandomRBFDrift(**told, change_speed=speed, n_drift_centroids=20)

    return made


def _tree(seed: int) -> Any:
    return synth.RandomTree(seed_tree=seed, seed_sample=seed + 1, n_classes=3, n_num_features=5, n_cat_features=3)


def _waveform(reversed_from: int) -> Concept:
    """Make waveforms whose columns from this one on stand the other way round, as after a re-wiring."""

    def made(seed: int) -> Iterator[tuple[dict[Any, Any], Any]]:
        for values, label in synth.Waveform(seed=seed):
            kept = [values[index] for index in range(reversed_from)]
            turned = [values[index] for index in range(reversed_from, 21)][::-1]
            yield dict(enumerate(kept + turned)), label

    return made


def _orders(seed: int, first: int, rows: int) -> Iterator[Row]:
    """Yield orders that may be fraud: first one country and device are risky, then others, then large ones at night."""
    random = np.random.default_rng(seed)
    countries, devices = np.array(["AT", "BR", "DE", "IN", "US"]), np.array(["app", "desktop", "mobile", "tablet"])
    risk = np.array([-1.0, 1.5, -0.5, 0.5, 0.0])
    means = np.array([0.8, -0.8, 0.4, -0.4])
    for index in itertools.count():
        phase = 0 if index < first + rows // 3 else 1 if index < first + 2 * rows // 3 else 2
        country, device = int(random.integers(5)), int(random.integers(4))
        amount, age, hour = random.lognormal(4, 0.8), random.exponential(200), int(random.integers(24))
        at_night = hour < 6
        odds = 1.5 * (risk[country] if phase == 0 else -risk[country]) + (means[device] if phase < 2 else 0.0)
        odds += (1.2 if phase < 2 or not at_night else -2.5) * (np.log(amount) - 4)
        odds += (1.5 if at_night else 0.0) - 0.004 * (age - 140)
        label = "fraud" if random.random() < 1 / (1 + np.exp(-2 * odds)) else "good"
        values = {"amount": amount, "age of account": age, "hour": hour}
        yield {**values, "country": str(countries[country]), "device": str(devices[device])}, label


def _machines(seed: int, first: int, rows: int) -> Iterator[Row]:
    """Yield the state of machines by two thresholds; after the first part the sensors age, bit by bit, to the end."""
    random = np.random.default_rng(seed)
    types = np.array(["type-a", "type-b", "type-c", "type-d"])
    shift = np.array([0.0, 0.6, -0.6, 1.0])
    for index in itertools.count():
        aged = max(0, index - first) / rows
        kind, seen = int(random.integers(4)), random.normal(size=6)
        hot = seen[0] + shift[kind] - 2.0 * aged * seen[2] > 0.4 - 1.5 * aged
        shaking = seen[1] * seen[2] > 0.3 if aged < 0.5 else seen[1] * seen[3] > 0.3
        state = int(random.integers(4)) if random.random() < 0.1 else 2 * int(hot) + int(shaking)
        sensors = {f"sensor {number}": float(value) for number, value in enumerate(seen)}
        yield {**sensors, "type": str(types[kind])}, ("calm", "shaking", "hot", "both")[state]


STREAMS: Final[dict[str, _Made]] = {
    "sea": _Made("abrupt, twice", _abrupt(_sea(0), _sea(3), _sea(2))),
    "sea-gradual": _Made("gradual, twice", _gradual(_sea(0), _sea(3), _sea(2))),
    "agrawal": _Made("abrupt, twice", _abrupt(_agrawal(0), _agrawal(1), _agrawal(3))),
    "agrawal-gradual": _Made("gradual, twice", _gradual(_agrawal(4), _agrawal(6), _agrawal(8))),
    "agrawal-recurring": _Made("abrupt, to and fro", _abrupt(*(_agrawal(one) for one in (2, 5, 2, 5)))),
    "hyperplane": _Made("rotates", _still(_hyperplane)),
    "led": _Made("abrupt: digits' segments move, twice", _abrupt(_led(0), _led(3), _led(6))),
    "rbf": _Made("centres wander", _still(_blobs(0.0005))),
    "mixed": _Made("abrupt: turned round, and back", _abrupt(_mixed(0), _mixed(1), _mixed(0))),
    "sine-gradual": _Made("gradual, twice", _gradual(_sine(0), _sine(2), _sine(3))),
    "stagger": _Made("abrupt, twice", _abrupt(_stagger(0), _stagger(1), _stagger(2))),
    "waveform": _Made("abrupt: columns re-wired", _abrupt(_waveform(21), _waveform(9))),
    "orders": _Made("abrupt, twice; columns of text", _orders),
    "machines": _Made("sensors age; abrupt at half", _machines),
    "sea-still": _Made("", _still(_sea(1))),
    "agrawal-still": _Made("", _still(_agrawal(6))),
    "led-still": _Made("", _still(_led(0))),
    "rbf-still": _Made("", _still(_blobs(0.0))),
    "tree-still": _Made("", _still(_tree)),
}
"""By name: fourteen that drift, five that do not."""


def chosen(words: Sequence[str]) -> list[str]:
    """Return the names of the streams that begin with one of these words; all for none.

    Raises:
        SystemExit: No stream begins with one of them.
    """
    for word in words:
        if not any(name.startswith(word) for name in STREAMS):
            raise SystemExit(f"no stream begins with {word!r}; there are: {', '.join(STREAMS)}")
    return [name for name in STREAMS if not words or any(name.startswith(word) for word in words)]
