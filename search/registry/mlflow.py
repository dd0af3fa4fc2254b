"""A version given to an MLflow registry as well, as artifacts of a run and a model version made of them: `push`.

By MLflow's client alone, so mlflow-skinny will do. The files are as they are here: downloaded, they are a bundle again.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search.bundle.bundle import Bundle
from search.data import secrets
from search.errors import SurroundingsError
from search.registry.entries import Version
from search.registry.registry import Registry

_EXPERIMENT: Final = "sweep-models"
_DIGEST: Final = "sweep.digest"
_ARTIFACTS: Final = "bundle"
_USUAL: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow's own answer to a server that is down is to try for minutes."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A version as MLflow has it.

    Attributes:
        name: Of the registered model.
        version: Its number there, which is MLflow's own.
        run: Whose artifacts its files are.
        aliases: That point at it there.
    """

    name: str
    version: str
    run: str
    aliases: tuple[str, ...]


def push(registry: Registry, version: int, uri: str) -> Pushed:
    """Give a version to an MLflow registry, with the aliases that point at it here.

    It is given once: what is there already is found by its digest, and its aliases are moved.

    Args:
        registry: That has it.
        version: Its number.
        uri: Of MLflow's tracking server or database, which has the registry as well; "" for the environment's.

    Raises:
        InputError: There is no such version.
        RefusedError: It is damaged.
        SurroundingsError: MLflow is not installed, or cannot be written.
    """
    bundle = registry.bundle(version)
    contents = registry.read()
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        said = f"a push to MLflow needs {error.name}, which is not installed"
        raise SurroundingsError(said, hint="pip install 'sweep-search[mlflow]'") from error
    aliases = tuple(sorted(alias for alias, to in contents.aliases.items() if to == version))
    with _usual():
        try:
            client = MlflowClient(tracking_uri=uri or None, registry_uri=uri or None)
            found = _found(client, registry.name, bundle.digest)
            if found is None:
                run = _run(client, registry.name, version, bundle, contents.versions[version], uri)
                found = _registered(client, registry.name, version, run, bundle)
            for alias in aliases:
                client.set_registered_model_alias(registry.name, alias, found.version)
        except Exception as error:  # those of its stores have no common class
            said = _without_secrets(" ".join(str(error).split()))[:100]
            raise SurroundingsError(f"MLflow did not take version {version}: {said}", field="--push") from error
    return Pushed(registry.name, str(found.version), str(found.run_id), aliases)


def _found(client: Any, name: str, digest: str) -> Any:
    """Return the model version that has these files, if there is one."""
    told = client.search_model_versions(f"name = '{name}'")
    return next((one for one in told if one.tags.get(_DIGEST) == digest and one.status == "READY"), None)


def _run(client: Any, name: str, version: int, bundle: Bundle, known: Version, uri: str) -> Any:
    """Return a new run with the bundle as artifacts, its scores as metrics, the trial's parameters."""
    tags = {_DIGEST: bundle.digest, "sweep.study": known.study, "sweep.version": str(version)}
    run = client.create_run(_experiment(client, uri), run_name=f"{name}:{version}", tags=tags)
    for score in known.scores:
        client.log_metric(run.info.run_id, score.name, score.value)
    for param, value in bundle.manifest.members[0].params.items():
        client.log_param(run.info.run_id, param, value)
    client.log_artifacts(run.info.run_id, str(bundle.root), _ARTIFACTS)
    client.set_terminated(run.info.run_id)
    return run


def _registered(client: Any, name: str, version: int, run: Any, bundle: Bundle) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source, tags = f"{run.info.artifact_uri}/{_ARTIFACTS}", {_DIGEST: bundle.digest, "sweep.version": str(version)}
    told = f"Version {version} of {name} in sweep, from study {bundle.manifest.study}."
    return client.create_model_version(name, source, run.info.run_id, tags=tags, description=told)


def _experiment(client: Any, uri: str) -> str:
    """Return the experiment of pushed versions; a database in a file gets its artifacts beside it."""
    known = client.get_experiment_by_name(_EXPERIMENT)
    if known is not None:
        return str(known.experiment_id)
    database = uri.removeprefix("sqlite:///")
    beside = str(Path(database).absolute().parent / "mlartifacts") if database != uri else None
    return str(client.create_experiment(_EXPERIMENT, artifact_location=beside))


def _without_secrets(said: str) -> str:
    """Return what MLflow says without the passwords of URLs, which may be the environment's."""
    return re.sub(r"\w+://\S+", lambda url: secrets.shown(url[0]), said)


@contextmanager
def _usual() -> Iterator[None]:
    """Keep MLflow from trying for minutes and from writing to the terminal."""
    changed = [name for name in _USUAL if name not in os.environ]
    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    os.environ.update({name: _USUAL[name] for name in changed})
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name in changed:
            os.environ.pop(name, None)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
