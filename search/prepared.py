"""`Preparations`: what the preprocess stage makes of the same rows with the same parameters, computed once for all.

The key is a digest of the data's fingerprint, the split, the stage's parameters, the code and the versions that it
runs on: another value of any of them is another preparation.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from search.contract import Context, Params, Part, Prepared
from search.mapped import Unmappable, load, save
from search.randomness import seeded_globals
from search.store import Store
from search.trial import Reuse

_VERSION: Final = 1  # goes into every key; count it up when what is stored changes
_NOT_OF_ROWS: Final = frozenset(("threads", "device", "micro_batches", "precision", "compiled", "devices"))
_TRIES: Final = 3  # an entry may be thrown out between finding and opening it


class Preparations:
    """Prepared rows by what they depend on.

    Args:
        store: Keeps them.
        basis: What all preparations of a sweep depend on, JSON-ready: data, split, code, versions.
        source: Key of the rows that they are made of, if these are kept as well; each use of one is a use of these,
            so that they do not go first.

    Attributes:
        trouble: Why the last ones were not kept, in one sentence; "" if they were.
    """

    def __init__(self, store: Store, basis: Mapping[str, Any], source: str = "") -> None:
        self._store = store
        self._source = source
        self._basis = basis
        self._unmappable: dict[str, str] = {}
        self.trouble = ""

    def get(
        self, params: Params, context: Context, make: Callable[[], Prepared], *, rows: str = ""
    ) -> tuple[Prepared, Reuse]:
        """Return prepared rows, read-only; `make` makes them if nobody has before.

        What was fitted on train is not kept: `transform` of kept rows fits it again when it is asked for.

        Args:
            params: Of the stage, without their prefix.
            context: Of the stage; all counts but the threads, the device, and what only training goes by.
            make: Runs the stage; what it raises is raised here.
            rows: Which of the split's rows, where it is not all of them: a fold.
        """

        def again() -> Prepared:
            with seeded_globals(context.seed):  # as when it was made, and training draws on as if it had not been
                return make()

        started = time.monotonic()
        made: Prepared | None = None
        raised: BaseException | None = None

        def fill(folder: Path) -> None:
            nonlocal made, raised
            try:
                made = make() if made is None else made
            except BaseException as error:
                raised = error
                raise
            if type(made) is not Prepared:
                raise Unmappable(f"preprocess returned a {type(made).__qualname__}")
            save([_parts(made.train), _parts(made.validation)], folder)

        if self._source:
            self._store.find(self._source)
        key = self._key(params, context, rows)
        self.trouble = self._unmappable.get(key, "")
        for _ in range(0 if key in self._unmappable else _TRIES):
            try:
                entry = self._store.get(key, fill)
                train, validation = load(entry.path)
            except FileNotFoundError as error:
                if error is raised:
                    raise
                continue  # thrown out meanwhile
            except Unmappable as error:
                self.trouble = self._unmappable[key] = f"prepared rows are not kept: {error}"
                break
            except OSError as error:
                if error is raised:
                    raise
                self.trouble = f"prepared rows could not be kept: {error.strerror or error}"
                break
            reuse = Reuse(entry.how, entry.cost_s, time.monotonic() - started)
            return _Kept(Part(*train), Part(*validation), again=again), reuse
        prepared = make() if made is None else made
        spent = time.monotonic() - started
        return prepared, Reuse("unkept", spent, spent)

    def _key(self, params: Params, context: Context, rows: str) -> str:
        known = {name: value for name, value in asdict(context).items() if name not in _NOT_OF_ROWS}
        facts = {"version": _VERSION, **self._basis, "params": dict(params), "context": known, "rows": rows}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class _Kept(Prepared):
    """Rows from the store; what was fitted on train is fitted again when somebody asks for it."""

    __slots__ = ("_again", "_transform")
    _again: Callable[[], Prepared]
    _transform: tuple[object] | None

    def __new__(cls, train: Part, validation: Part, transform: object = None, *, again: Any = None) -> Any:
        # `replace` makes another of the same class: one that does not come from the store
        return Prepared(train, validation, transform) if again is None else super().__new__(cls)

    def __init__(self, train: Part, validation: Part, *, again: Callable[[], Prepared]) -> None:
        for name, value in (("train", train), ("validation", validation), ("_again", again), ("_transform", None)):
            object.__setattr__(self, name, value)

    @property
    def transform(self) -> object:
        if self._transform is None:
            object.__setattr__(self, "_transform", (self._again().transform,))
        assert self._transform is not None
        return self._transform[0]


def _parts(part: Part) -> list[Any]:
    return [part.features, part.target]
