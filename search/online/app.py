"""The web API of a model that keeps learning: that of `sweep serve`, and feedback, administration, how it learns.

The `OnlineApp` adds to `search.serve.app`: the rows of each prediction have ids, and are in the log before the client
is told; labels are on the disk before they are acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from search.bundle import strict
from search.data.collect.place import NoSpace
from search.errors import SurroundingsError
from search.online import page
from search.online.admin import read_order
from search.online.counts import Counts, Learnt
from search.online.feedback import Asked, FeedbackReader, within
from search.online.intake import Decision
from search.online.openapi import extend
from search.online.recorder import Recorder
from search.online.tokens import Tokens
from search.paths import OnlineFolder
from search.serve.app import App, Heads
from search.serve.backend import Answer, Served
from search.serve.here import Here
from search.serve.limits import Limits
from search.serve.metrics import KIND
from search.serve.rates import Rates
from search.serve.reply import Reply, as_reply, refusal
from search.serve.rows import BadRows
from search.serving.hosts import Hosts

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from search.online.learning_process import LearningProcess

_SMALL: Final = 32_768
"""A feedback up to here is parsed where it is; a larger one in a thread, while others are answered."""

_LONGEST_KEY: Final = 150
_MINUTE_S: Final = 60.0


class OnlineApp(App):
    """Answers for a model that keeps learning.

    Args:
        backend: Predicts; opened and closed by who serves the application.
        limits: Of what a client may do.
        hosts: The names that the server is known by.
        tokens: That requests bring.
        folder: Of the model, with the status that its learner writes.
        recorder: Writes the log.
        learning: The process that learns; None: nothing is learnt.
        source_rate: Labelled rows a minute of one source; 0: any number.
    """

    def __init__(
        self,
        backend: Here,
        limits: Limits,
        hosts: Hosts,
        tokens: Tokens,
        folder: OnlineFolder,
        recorder: Recorder,
        learning: LearningProcess | None,
        source_rate: float = 0.0,
    ) -> None:
        super().__init__(backend, limits, hosts, tokens.predict)
        self._tokens, self._loopback, self._folder = tokens, hosts.loopback, folder
        self._recorder, self._learning = recorder, learning
        self._sources = Rates(source_rate / _MINUTE_S, source_rate) if source_rate else None
        self._source_rate = source_rate
        self._counts = Counts()
        self._reader: tuple[Served, FeedbackReader] | None = None
        self._posts |= {"/feedback": self._feedback, "/admin": self._admin}
        self._pages |= {"/online": self._online, "/online.json": self._status}
        self._open |= {"/online"}

    def _stranger(self, path: str, authorization: str) -> Reply | None:
        if path == "/predict":
            return self._tokens.may_predict(authorization)
        if path == "/feedback":
            return self._tokens.may_label(authorization)
        if path == "/admin":
            return self._tokens.may_administrate(authorization, loopback=self._loopback)
        return self._tokens.may_read(authorization)

    async def _told(self, body: bytes, answer: Answer) -> bytes:
        return await self._recorder.shown(body, answer) if answer.rows else answer.body

    async def _feedback(self, scope: Scope, heads: Heads, receive: Receive) -> Reply:
        body = await self._bodies.read(heads, receive)
        if isinstance(body, Reply):
            return body
        authorization = heads.get(b"authorization", b"").decode("latin-1")
        source = self._tokens.source(authorization, (scope["client"] or ("",))[0])
        try:
            asked = await self._asked(body, _key(scope, heads), source.owner)
        except BadRows as bad:
            return Reply(bad.status, bad.answer())
        finally:
            self._bodies.free(body)
        if self._sources is not None:
            wait_s = self._sources.wait_s(source.name, time.monotonic(), asked.rows)
            if wait_s:
                return self._too_many(asked.rows, wait_s)
        try:
            decision = await self._recorder.feedback(asked, source)
        except SurroundingsError as error:
            return _not_stored(error)
        self._counts.took(decision)
        return _decided(decision) if decision.failed is None else _not_stored(decision.failed, decision)

    async def _asked(self, body: bytes, key: str | None, owner: str) -> Asked:
        served = self._backend.served
        if self._reader is None or self._reader[0] is not served:
            self._reader = served, FeedbackReader(served.bundle.signature, self._limits)
        reader = self._reader[1]
        if len(body) <= _SMALL:
            return reader(body, key, owner)
        return await asyncio.to_thread(reader, body, key, owner)

    def _too_many(self, rows: int, wait_s: float) -> Reply:
        said = f"at most {self._source_rate:g} labelled rows a minute come from one source"
        hint = "send fewer rows at once" if rows > self._source_rate else ""
        return refusal(429, said, hint=hint, headers=((b"retry-after", b"%d" % ceil(wait_s)),))

    async def _admin(self, scope: Scope, heads: Heads, receive: Receive) -> Reply:  # noqa: ARG002
        body = await self._bodies.read(heads, receive)
        if isinstance(body, Reply):
            return body
        try:
            order = read_order(body)
        except BadRows as bad:
            return Reply(bad.status, bad.answer())
        finally:
            self._bodies.free(body)
        try:
            sequence = await self._recorder.order(order, self._backend.served.bundle.signature)
        except SurroundingsError as error:
            return _not_stored(error)
        return as_reply(200, {"action": order.action, "sequence": sequence})

    async def _online(self, heads: Heads) -> Reply:
        return page.reply(heads)

    async def _status(self, heads: Heads) -> Reply:  # noqa: ARG002
        """Return what the learner tells, as it is."""
        try:
            return Reply(200, self._folder.status.read_bytes())
        except OSError:
            hint = "with --frozen nobody learns" if self._learning is None else self._learning.trouble
            hint = hint or "ask again in a moment"
            return refusal(404, "nobody has told yet how the model learns", hint=hint)

    async def _health(self, heads: Heads) -> Reply:
        """Tell whether it answers, and what does not work, without a word that only who has a token may read."""
        is_known = self._tokens.may_read(heads.get(b"authorization", b"").decode("latin-1")) is None
        trouble = []
        if self._recorder.trouble:
            trouble.append("the log cannot be written: predictions have no ids, and labels are not taken")
        if self._learning is not None and (why := self._learning.trouble):
            said = "the process that learns has ended, and is started again; predictions go on"
            trouble.append(why if is_known else said)
        return as_reply(200, {"status": "trouble", "trouble": "; ".join(trouble)} if trouble else {"status": "ok"})

    async def _metrics(self, heads: Heads) -> Reply:  # noqa: ARG002
        try:
            status: Any = strict.parse(self._folder.status.read_bytes())
        except (OSError, ValueError):
            status = None
        learnt = Learnt(status)
        self._counts.now(self._recorder, self._learning)
        return Reply(200, self.metrics.text(self._backend.served, self._backend.lost, self._counts, learnt), KIND)

    def _description(self, served: Served) -> dict[str, Any]:
        return extend(super()._description(served), served.bundle.signature, self._tokens, loopback=self._loopback)


def _key(scope: Scope, heads: Heads) -> str | None:
    """Return the Idempotency-Key of a request, if it has one.

    Raises:
        BadRows: It has two, or one that is none.
    """
    key = heads.get(b"idempotency-key")
    if key is None:
        return None
    text = key.decode("latin-1")
    twice = sum(name == b"idempotency-key" for name, _ in scope["headers"]) > 1
    if twice or not (0 < len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable()):
        raise BadRows(400, f"an Idempotency-Key is 1 to {_LONGEST_KEY} printable ASCII characters", "Idempotency-Key")
    return text


def _decided(decision: Decision) -> Reply:
    """Return what is told; where nothing was taken, as an error, with its first place."""
    told = decision.to_json()
    if not decision.is_nothing:
        return as_reply(200, told)
    if decision.refused:
        first = decision.refused[0]
        error = {"code": 422, "field": first.place, "message": f"{first.place}: {first.message}", "hint": ""}
    else:
        place = within(decision.unknown[0].place, "id")
        said = f"{place}: nobody was shown a row with this id, or too long ago"
        error = {"code": 422, "field": place, "message": said, "hint": "ids stand in the answers of /predict"}
    return as_reply(422, {"error": error, **told})


def _not_stored(error: SurroundingsError, stored: Decision | None = None) -> Reply:
    """Return what is told where not all could be stored.

    Args:
        error: Why.
        stored: What was; None: nothing.
    """
    full = isinstance(error, NoSpace)
    said = "the disk is full" if full else "the log cannot be written now"
    if stored is None:
        said, hint = f"{said}; nothing of this request counts", "send it again later"
    else:
        said = f"{said}; {len(stored.taken) + stored.repeated} rows of this request count, and nothing behind them"
        hint = "send it again later: what counts already is repeated then, but for rows without ids or a key"
    return refusal(507 if full else 503, said, hint=hint)
