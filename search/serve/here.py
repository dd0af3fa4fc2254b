"""Predicts in this process, several requests at a time: the backend `Here`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from search.bundle.model import Model
from search.errors import RefusedError
from search.serve.answers import Renderer
from search.serve.backend import Answer, Served
from search.serve.batching import Batcher, Joined
from search.serve.begun import Begun
from search.serve.limits import Limits
from search.serve.rows import BadRows, Reader, Rows

_LARGE_BYTES: Final = 65_536
"""A body that is larger is parsed, predicted and answered in a thread, and joins no other."""

_LARGE_AT_ONCE: Final = 2
"""Such bodies that are worked on; the others wait, so that small ones are still answered."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model that is ready to answer: it has run already.

    Attributes:
        served: What it is.
        model: Runs.
        read: Reads bodies for it.
        render: Renders what it says.
        batcher: Runs it for several requests at once.
    """

    served: Served
    model: Model
    read: Reader
    render: Renderer
    batcher: Batcher

    def answer(self, body: bytes) -> Answer:
        """Answer a body by a run of its own."""
        try:
            return self.predict(self.read(body))
        except BadRows as bad:
            return self.refusal(bad)

    def predict(self, rows: Rows) -> Answer:
        """Answer rows by a run of their own."""
        return self.told(rows, Joined(self.model.run(rows.columns), None, rows.count))

    def told(self, rows: Rows, joined: Joined) -> Answer:
        """Return the answer to a request, of what a run said."""
        body = self.render(joined.predicted, joined.rows, rows.form)
        return Answer(200, body, rows.count, self.served.label, joined.count, rows.strange)

    def refusal(self, bad: BadRows) -> Answer:
        """Return the answer to a body that is not predicted."""
        return Answer(bad.status, bad.answer(), 0, self.served.label)


class Here:
    """A backend in the process of the server.

    Args:
        served: The first model.
        limits: Of bodies.
        threads: That one run of the model may use.

    Raises:
        RefusedError: The model cannot be loaded.
    """

    def __init__(self, served: Served, limits: Limits, *, threads: int = 1) -> None:
        self._limits, self._cores = limits, threads
        self._large = ThreadPoolExecutor(_LARGE_AT_ONCE, thread_name_prefix="large")
        self._runs = ThreadPoolExecutor(1, thread_name_prefix="runs")
        self._loaded = self._load(served)
        self._begun = Begun()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def served(self) -> Served:
        return self._loaded.served

    @property
    def lost(self) -> int:
        return 0

    async def predict(self, body: bytes) -> Answer:
        """Parse a body, predict, and render the answer, all of it with the model that answers now."""
        loaded = self._loaded
        with self._begun:
            return await self._answer(body, loaded)

    async def swap(self, served: Served) -> None:
        """Have another model answer, once it is loaded and has run.

        Raises:
            RefusedError: It cannot be loaded; the one before goes on.
        """
        self.use(await self.load(served))

    async def load(self, served: Served) -> Loaded:
        """Load a model beside the one that answers."""
        return await asyncio.to_thread(self._load, served)

    def use(self, loaded: Loaded) -> None:
        """Have a loaded model answer; the one before is freed with its last request."""
        self._loaded = loaded

    async def close(self) -> None:
        """End its threads, once the requests that have begun are answered."""
        await self._begun.ended()
        for threads in (self._large, self._runs):
            threads.shutdown(wait=False)

    def _load(self, served: Served) -> Loaded:
        model = Model(served.bundle, threads=self._cores)
        try:
            batcher = Batcher(model, self._runs)
        except Exception as error:  # of a graph that loads and cannot run; its errors have no common class
            said = " ".join(str(error).split())[:100]
            raise RefusedError(f"{served.label} cannot predict usual rows: {said}", field="model") from error
        signature = model.signature
        return Loaded(served, model, Reader(signature, self._limits), Renderer(signature, served.label), batcher)

    async def _answer(self, body: bytes, loaded: Loaded) -> Answer:
        if len(body) > _LARGE_BYTES:
            return await asyncio.get_running_loop().run_in_executor(self._large, loaded.answer, body)
        try:
            rows = loaded.read(body)
        except BadRows as bad:
            return loaded.refusal(bad)
        if loaded.batcher.is_bulk(rows.count):
            return await asyncio.get_running_loop().run_in_executor(self._large, loaded.predict, rows)
        joined = loaded.batcher.at_once(rows.columns, rows.count)
        return loaded.told(rows, joined or await loaded.batcher.join(rows.columns, rows.count))
