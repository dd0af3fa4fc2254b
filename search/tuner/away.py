"""A cluster from outside: the calls of its `Home`, over a line that may break."""

from __future__ import annotations

import signal
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from search.errors import SurroundingsError, SweepError
from search.tuner import cluster, shipping, temporary
from search.tuner.door import check_head
from search.tuner.errands import Output
from search.tuner.home import Home
from search.tuner.reach import check_address
from search.tuner.tokens import token_here

_T = TypeVar("_T")

_ASK_EVERY_S: Final = 0.25
_LOOK_EVERY_S: Final = 5.0

_ANSWER_S: Final = 120.0
"""How long an answer may take; the line itself is given up after half a minute of silence."""

_TRIES: Final = 10
"""How often a call is made while the home is being started again."""


class LineLost(SurroundingsError):
    """The connection to a cluster broke, or nobody answers at its other end."""


@dataclass(slots=True, eq=False)
class Away:
    """A cluster that we are outside of: calls of its home.

    Attributes:
        address: As the user wrote it.
        version: Of our code, and so of the home.
    """

    address: str
    version: str
    _home: Any = None
    _line: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "sweep-line"))

    def call(self, method: str, *arguments: object) -> Any:
        """Call the home; a Ctrl-C meanwhile leaves the line in order.

        Raises:
            SweepError: What the home says is wrong.
            LineLost: It does not answer any more.
        """
        return self.aside(partial(self._call, method, *arguments))

    def aside(self, work: Callable[[], _T]) -> _T:
        """Do something with the cluster that a Ctrl-C is not to break.

        Raises:
            LineLost: It does not answer any more.
        """
        asked = self._line.submit(self._told, work)  # whoever interrupts does not interrupt Ray
        while not wait([asked], _LOOK_EVERY_S).done:
            if gone := self._gone():
                raise gone
        return asked.result()

    def _told(self, work: Callable[[], _T]) -> _T:
        import ray

        try:
            return work()
        except (ConnectionError, TimeoutError, ray.exceptions.RayError) as error:
            if isinstance(error, ray.exceptions.RayTaskError):
                raise
            raise self.lost() from error
        except Exception as error:  # the line's own, of a library that only a client has
            if type(error).__module__.partition(".")[0] == "grpc":
                raise self.lost() from error
            raise

    def _call(self, method: str, *arguments: object) -> Any:
        import ray
        from ray import exceptions as found

        for attempt in range(_TRIES):
            try:
                self._home = self._home or _home(self.version)
                return ray.get(self._home.answer.remote(method, *arguments), timeout=_ANSWER_S)
            except found.RayTaskError as error:
                if isinstance(error.cause, SweepError):
                    raise error.cause from None
                raise
            except (found.RayActorError, found.ActorAlreadyExistsError) as error:
                # it is being started again, has ended unused, or somebody else has just made it: calls may be repeated
                self._home = None
                if attempt == _TRIES - 1:
                    raise self._home_fails() from error
                time.sleep(1.0)
            except found.RuntimeEnvSetupError as error:
                raise self._home_fails() from error
        raise AssertionError("not reached")

    def _home_fails(self) -> SurroundingsError:
        return self._gone() or SurroundingsError(
            f"the home of studies on the cluster at {self.address} does not come up",
            field="--address",
            hint="Ray's logs on its head say why",
        )

    def lost(self) -> LineLost:
        """Return the error of a line that broke, or of a head that has died."""
        return self._gone() or LineLost(
            f"the connection to {self.address} was lost; a sweep that was left there goes on without it",
            field="--address",
            hint=f"`sweep list --address {self.address}` shows all",
        )

    def _gone(self) -> LineLost | None:
        """Return the error of a head that does not answer, at the second time either; Ray takes minutes to miss it."""
        found = None
        for _ in range(2):
            try:
                check_address(self.address)
                if cluster.is_outside(self.address):
                    check_head(self.address, token_here())
            except SurroundingsError as error:
                found = LineLost(error.message, field=error.field, hint=error.hint)
            else:
                return None
        return found

    def run(
        self, command: str, studies: Sequence[str], arguments: Sequence[str], hear: Callable[[Output], None]
    ) -> int:
        """Run a command of `sweep` at home and return its exit code; a Ctrl-C here is one there.

        Args:
            command: One of `search.asked.COMMANDS`.
            studies: That it is about.
            arguments: All others.
            hear: Takes what it prints, as it comes.
        """
        asked, is_told, out, err = uuid.uuid4().hex, False, 0, 0
        self.call("ask", asked, command, list(studies), list(arguments), self.address)
        while True:
            try:
                output: Output = self.call("output", asked, out, err)
                out, err = out + len(output.out), err + len(output.err)
                hear(output)
                if output.code is not None:
                    return output.code
                time.sleep(_ASK_EVERY_S)
            except (KeyboardInterrupt, BrokenPipeError):
                if is_told:
                    raise
                is_told = True
                self.call("signal", asked, int(signal.SIGINT))

    def hold(self, study: str, arguments: Sequence[str]) -> None:
        """Have a study's driver run at home.

        Raises:
            RefusedError: It runs already.
        """
        self.call("hold", study, list(arguments), uuid.uuid4().hex, self.address)


@contextmanager
def reached(address: str) -> Iterator[Away]:
    """Be connected to a cluster from outside, with the home of this version of ours.

    Args:
        address: `ray://HOST:PORT`, or `HOST:PORT` on one of its machines.

    Raises:
        SurroundingsError: It does not answer, or does not let us in.
    """
    with temporary.folder() as scratch:
        version = shipping.pack_ours(scratch / "code")
        warnings.filterwarnings("ignore", "More than 10MB of messages")  # Ray's: rows go in large parts, and arrive
        with cluster.connected(address, code=scratch / "code"):
            away = Away(address, version)
            try:
                yield away
            finally:
                away._line.shutdown(wait=False, cancel_futures=True)


def _home(version: str) -> Any:
    """Return the home of a version of ours; it is made if there is none."""
    import ray

    name = f"home-{version}"
    try:
        return ray.get_actor(name, namespace=cluster.NAMESPACE)
    except ValueError:
        options = {
            "name": name,
            "namespace": cluster.NAMESPACE,
            "lifetime": "detached",
            "get_if_exists": True,
            "num_cpus": 0,
            "resources": {"node:__internal_head__": 0.001},
            "max_restarts": -1,
            "max_concurrency": 16,
        }
        return ray.remote(Home).options(**options).remote(version)
