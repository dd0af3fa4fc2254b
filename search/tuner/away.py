"""A cluster from outside: how a study gets to its `Home`, what is asked there, and how the study comes back."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from search import frozen
from search.errors import RefusedError, SweepError
from search.launch import Launch
from search.paths import StudyFolder
from search.store import Store
from search.tuner import cluster, shipping
from search.tuner.home import CHUNK_BYTES, Home, Output

_ASK_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Away:
    """A cluster that we are outside of: calls of its home.

    Attributes:
        address: As the user wrote it.
        home: Handle of the actor.
    """

    address: str
    home: Any

    def call(self, method: str, *arguments: object) -> Any:
        """Call the home.

        Raises:
            SweepError: What the home says is wrong.
        """
        import ray

        try:
            return ray.get(getattr(self.home, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SweepError):
                raise error.cause from None
            raise

    def run(self, command: str, arguments: Sequence[str], hear: Callable[[Output], None]) -> int:
        """Run a command of `sweep` at home and return its exit code.

        Args:
            command: One of `home.COMMANDS`.
            arguments: Of it.
            hear: Takes what it prints, as it comes.
        """
        asked = self.call("ask", command, list(arguments))
        while True:
            output: Output = self.call("output", asked)
            hear(output)
            if output.code is not None:
                return output.code
            time.sleep(_ASK_EVERY_S)


@contextmanager
def reached(address: str) -> Iterator[Away]:
    """Be connected to a cluster from outside, with the home of this version of ours.

    Args:
        address: `ray://HOST:PORT`, or `HOST:PORT` on one of its machines.

    Raises:
        SurroundingsError: It does not answer, or does not let us in.
    """
    import ray

    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as scratch:
        version = shipping.pack_ours(Path(scratch))
        with cluster.connected(address, code=Path(scratch)):
            options = {
                "name": f"home-{version}",
                "namespace": cluster.NAMESPACE,
                "lifetime": "detached",
                "get_if_exists": True,
                "num_cpus": 0,
                "resources": {"node:__internal_head__": 0.001},
                "max_restarts": -1,
                "max_concurrency": 16,
            }
            address_there = ray.get(ray.remote(num_cpus=0)(_gcs_address).remote())
            yield Away(address, ray.remote(Home).options(**options).remote(address_there))


def _gcs_address() -> str:
    import ray

    return str(ray.get_runtime_context().gcs_address)


def send(launch: Launch, away: Away) -> None:
    """Send a study to its home, where it begins.

    Raises:
        RefusedError: There is such a study.
    """
    with tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True) as scratch:
        upload = uuid.uuid4().hex
        folder = _put_together(launch, Path(scratch))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                _send_file(away, upload, path.relative_to(folder).as_posix(), path)
        away.call("launch", upload, launch.plan.study)


def _put_together(launch: Launch, scratch: Path) -> Path:
    """Make the folder of a study that has yet to begin, as its home is to have it."""
    plan, folder = launch.plan, StudyFolder(scratch / "study")
    if launch.brought:
        raise RefusedError(
            "what stands in a script or notebook cannot be left to a cluster",
            field="objective",
            hint="put it in a file",
        )
    references = shipping.pack_projects(plan, folder.root)
    key = ""
    if launch.problem.dataset is not None:
        key = frozen.key_of(launch.problem)
        frozen.freeze(Store(folder.rows), key, launch.problem)
    if launch.problem.split is not None:
        launch.problem.split.save(folder.split)
    there = replace(plan, objective=references.objective, space=references.space, address="auto", data=None)
    sent = {name: getattr(plan, name) for name in ("objective", "space", "data", "address", "results")}
    record = {**replace(launch, plan=there).record(), "sent": {**sent, "rows": key}}
    folder.plan.write_text(json.dumps(record, indent=1, default=str))
    return folder.root


def _send_file(away: Away, upload: str, name: str, path: Path) -> None:
    with path.open("rb") as file:
        offset = 0
        while (data := file.read(CHUNK_BYTES)) or offset == 0:
            away.call("receive", upload, name, offset, data)
            offset += len(data)
            if not data:
                break


def fetch(away: Away, study: str, results: Path) -> StudyFolder:
    """Bring a study home.

    Raises:
        RefusedError: There is a folder of that name here.
    """
    folder = StudyFolder.of(results, study)
    if folder.root.exists():
        raise RefusedError(
            f"{folder.root} exists already", field="STUDY", hint="move it away, or choose another --results"
        )
    results.mkdir(parents=True, exist_ok=True)
    coming = Path(tempfile.mkdtemp(prefix=".coming-", dir=results))
    try:
        for name, size in away.call("files", study).items():
            path = coming / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while file.tell() < size and (data := away.call("content", study, name, file.tell())):
                    file.write(data)
        coming.rename(folder.root)
    finally:
        shutil.rmtree(coming, ignore_errors=True)
    return folder
