"""Look at each node of a cluster before a trial starts there: does it have what the trials import, in which version?

What is looked with travels by value and imports nothing but Python's own, so that it runs where ours could not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from search.errors import InputError, SurroundingsError
from search.launch import versions
from search.plan import SweepPlan
from search.tuner.needed import Need, needs_of, ours, package_of

AT_ONCE: Final = 32
"""Nodes that are looked at together."""

WAIT_S: Final = 60.0
"""How long a node may take to answer: it may have to be sent the code first."""

_MOST: Final = 1_000
_NOTED: Final = 3  # nodes or packages that a sentence names
_MATCH: Final = ("ray", "python")
"""What has to be the same, of Python the first two numbers: workers could not be talked to else."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a node has.

    Attributes:
        node: Its address.
        missing: Modules that it lacks.
        versions: Of packages that it has, by name, and of Python.
    """

    node: str
    missing: tuple[str, ...]
    versions: dict[str, str]


def check(plan: SweepPlan, *, head: bool = False) -> tuple[str, ...]:
    """Look at the nodes of the cluster that this process is connected to.

    Args:
        plan: Its objective and space are looked at, too, as this process loads them.
        head: Whether the cluster's head is to run the driver.

    Returns:
        Where versions differ from those here, a sentence each.

    Raises:
        SurroundingsError: A node lacks something, or cannot run what this process sends.
    """
    needs = (*ours(), *needs_of(plan))
    wanted = {name: version for name, version in versions().items() if name != "sweep-search"}
    seen, notes = [], []
    for node, found in _looked_at(needs, tuple(wanted), head=head):
        if isinstance(found, Seen):
            seen.append(found)
        elif found:
            notes.append(f"node {node} {found}")
    refuse_missing(seen, (*needs, *ours(head=True)))
    refuse_other_versions(seen, wanted)
    return (*notes, *differing(seen, wanted))


def refuse_missing(seen: Sequence[Seen], needs: Sequence[Need]) -> None:
    """Refuse nodes that lack something.

    Raises:
        SurroundingsError: Naming the first of them, what it lacks and who wants it.
    """
    short = sorted((one for one in seen if one.missing), key=lambda one: one.node)
    if not short:
        return
    known = {need.module: need for need in needs}
    first, *others = short
    lacking = [known.get(name, Need(name, name)) for name in first.missing]
    raise lack(first.node, lacking, others=len(others), field="--address")


def lack(node: str, lacking: Sequence[Need], *, others: int = 0, field: str = "") -> SurroundingsError:
    """Return the error that says what a node lacks.

    Args:
        node: Its address.
        lacking: At least one.
        others: How many other nodes lack something.
        field: What the user gave that led there.
    """
    said = _listed([need.package for need in lacking])
    by = lacking[0].by or "sweep"
    text = f"node {node} lacks {said}, which {by} {'needs' if by in ('sweep', 'the sweep') else 'imports'}"
    more = f", and {others} other node{'s lack' if others > 1 else ' lacks'} something" if others else ""
    packages = " ".join(need.package for need in lacking[:_NOTED])
    return SurroundingsError(text + more, field=field, hint=f"pip install {packages} there")


def refuse_other_versions(seen: Sequence[Seen], here: dict[str, str]) -> None:
    """Refuse nodes whose workers could not be talked to.

    Raises:
        SurroundingsError: Naming one, and both versions.
    """
    for one in seen:
        theirs = {name: _important(name, one.versions.get(name, here[name])) for name in _MATCH}
        own = {name: _important(name, here[name]) for name in _MATCH}
        if theirs != own:
            said = f"node {one.node} runs Ray {theirs['ray']} / Python {theirs['python']}"
            said += f", here {own['ray']} / {own['python']}: they must match"
            raise SurroundingsError(said, field="--address")


def differing(seen: Sequence[Seen], here: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each package whose version is another one on some nodes than here."""
    nodes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in seen:
        for name, version in one.versions.items():
            if name in here and version != here[name]:
                nodes[name, version].append(one.node)
    for (name, version), which in sorted(nodes.items()):
        where = f"node{'s' if len(which) > 1 else ''} {_listed(sorted(which))}"
        yield f"{where} {'have' if len(which) > 1 else 'has'} {name} {version}, here {here[name]}: results may differ"


def lacking_here(error: BaseException, node: str) -> SurroundingsError | None:
    """Return what a worker's failure to load the user's code says of its node; None if nothing is missing there.

    Args:
        error: With its causes.
        node: Address of this one.
    """
    by, cause = "the objective", error
    while not isinstance(cause, ModuleNotFoundError):
        if isinstance(cause, InputError) and cause.field:
            by = cause.field
        if cause.__cause__ is None:
            return None
        cause = cause.__cause__
    module = (cause.name or "").partition(".")[0]
    return lack(node, [Need(module, package_of(module), by)]) if module else None


def _looked_at(needs: Sequence[Need], packages: Sequence[str], *, head: bool) -> Iterator[tuple[str, Seen | str]]:
    """Yield what each node has, or what to say of one that does not answer; "" for one that has left."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=1)(_look())
    nodes = [node for node in ray.nodes() if node["Alive"]][:_MOST]
    for start in range(0, len(nodes), AT_ONCE):
        asked = {}
        for node in nodes[start : start + AT_ONCE]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            also = ours(head=True) if head and "node:__internal_head__" in node["Resources"] else ()
            modules = list(dict.fromkeys(need.module for need in (*needs, *also)))
            asked[remote.options(scheduling_strategy=there).remote(modules, list(packages))] = node[
                "NodeManagerAddress"
            ]
        done, late = ray.wait(list(asked), num_returns=len(asked), timeout=WAIT_S)
        for one in late:
            ray.cancel(one, force=True)
            yield asked[one], f"did not answer within {WAIT_S:g} s, and is not known to have what trials need"
        for one in done:
            yield asked[one], _answer(one, asked[one])


def _answer(asked: Any, node: str) -> Seen | str:
    import ray

    try:
        missing, found = ray.get(asked)
    except (ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError, ray.exceptions.TaskUnschedulableError):
        return ""  # it has left the cluster
    except ray.exceptions.RayError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SurroundingsError(f"node {node} cannot run what it is sent: {said[:100]}", field="--address") from error
    return Seen(node, tuple(missing), found)


def _look() -> Callable[[list[str], list[str]], tuple[list[str], dict[str, str]]]:
    """Return what looks, as a function that is sent by value."""

    def look(modules: list[str], packages: list[str]) -> tuple[list[str], dict[str, str]]:
        import importlib.metadata
        import importlib.util
        import platform

        def is_here(module: str) -> bool:
            try:
                return importlib.util.find_spec(module) is not None
            except (ImportError, ValueError):
                return False

        found = {"python": platform.python_version()}
        for name in packages:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return [module for module in modules if not is_here(module)], found

    return look


def _important(name: str, version: str) -> str:
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NOTED])
    return shown if len(names) <= _NOTED else f"{shown} and {len(names) - _NOTED} more"
