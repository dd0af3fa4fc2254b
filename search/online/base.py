"""What a model that goes on learning is made of: a promoted model, and what its study knows of it: the `Base`."""

from __future__ import annotations

import hashlib
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from search.building import Building
from search.bundle.bundle import CARD, MODEL, SIGNATURE, WEIGHTS, Bundle, as_json, write_bundle
from search.bundle.manifest import Manifest, Member
from search.bundle.signature import Signature
from search.contract import Context, Exported, Incremental, Metric, Objective, Part, Prepared, Task
from search.data.fetch import Say, quiet
from search.data.source import FileSource
from search.errors import InputError, RefusedError
from search.local import setting_of
from search.online.buffer import Rows
from search.online.competitor import Fixed
from search.online.events import Array
from search.online.preparation import Preparation, head_of
from search.paths import StudyFolder
from search.problem import Problem, Seen, problem_of
from search.promote import training
from search.promote.calibrating import softened
from search.promote.confirm import Manner
from search.promote.feeding import columns_of, rows_of
from search.promote.graph import Head, prefix, whole
from search.promote.opening import opened
from search.promote.parity import TOLERANCE
from search.promote.signing import signature_of
from search.records import study as studies
from search.serve.backend import Served
from search.session import Setting
from search.trial import TrialSpec

OLD_ROWS: Final = 5_000
"""Of the study that a buffer keeps at most."""

_AT_ONCE: Final = 32
_COMPARED: Final = 200
_CLOSE: Final = 1e-3
"""What prepared features may differ by, beside their own size: a graph reckons in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """What a challenger is built from.

    Attributes:
        served: The promoted model, of one member.
        stages: The objective.
        params: The trial's, by their whole names.
        context: Of its training, on one thread of the CPU.
        prepared: Rows of the study, as its preprocess stage made them.
        features: Prepares raw columns, as the bundle does.
        head: What the bundle does with the model's answer.
        old: Rows that the model was trained on, a sample: each class has its share.
        weights: Of the trained model; {} where it has none.
        units: Of training that it had.
    """

    served: Served
    stages: Objective
    params: Mapping[str, Any]
    context: Context
    prepared: Prepared
    features: Preparation
    head: Head
    old: Rows
    weights: Mapping[str, Array]
    units: int

    @property
    def signature(self) -> Signature:
        return self.served.bundle.signature

    @property
    def manifest(self) -> Manifest:
        return self.served.bundle.manifest

    @property
    def scale(self) -> float:
        """What 1 means of a regression: the deviation of the training target; 1 of classes."""
        return 1.0 if self.context.task.is_classification else float(np.std(self.prepared.train.target)) or 1.0

    def learner(self) -> Incremental | None:
        """Return a learner with the model's weights that can go on learning; None where there is no such thing."""
        if not self.weights:
            return None
        learner = self.untrained(self.prepared, self.context)
        if not isinstance(learner, Incremental):
            return None
        learner.load_weights(self.weights)
        return learner

    def untrained(self, prepared: Prepared, context: Context) -> Any:
        """Return a learner with the trial's parameters."""
        others = {name: value for name, value in self.params.items() if not name.startswith("preprocess.")}
        return self.stages.learner(others, prepared, context)

    def answered(self, learner: Any, features: Array) -> Array:
        """Return what a bundle of a learner would answer: (rows, classes) or (rows,), float32.

        A row's answer is the same to the last bit whichever rows it comes with: libraries multiply a few rows in
        another order than many, so they are always asked for whole blocks.
        """
        rows = len(features)
        whole = np.zeros((rows + -rows % _AT_ONCE, *features.shape[1:]), features.dtype)
        whole[:rows] = features
        found = np.asarray(learner.predict(whole), dtype=np.float64)[:rows]
        if self.context.task.is_classification:
            found = softened(found, self.head.temperature)
        return found.astype(np.float32)

    def export(self, learner: Any, prepared: Prepared) -> Exported:
        """Return a learner as the objective exports it.

        Raises:
            NotExportable: It has no counterpart in ONNX.
        """
        return cast("Any", self.stages).export(learner, prepared, self.context)  # type: ignore[no-any-return]

    @classmethod
    def of(
        cls, served: Served, problem: Problem, prepared: Prepared, context: Context, train: Part, *, old: int = OLD_ROWS
    ) -> Base:
        """Return the base of a model whose training is at hand, and check that the two belong together.

        Args:
            served: The model.
            problem: That it was trained on.
            prepared: Of this problem.
            context: Of the training.
            train: The raw rows of the training.
            old: Rows that are kept.

        Raises:
            InputError: Several trials vote in it, or its learner does not predict rows.
            RefusedError: It answers, or prepares rows, otherwise than what it was made from.
        """
        import onnx

        bundle = served.bundle
        graph = onnx.load_from_string(bundle.model)
        member = _only_member(bundle.manifest, served.label)
        base = cls(
            served,
            cast("Objective", problem.stages),
            dict(member.params),
            replace(context, threads=1, device="cpu", devices=1, micro_batches=1, compiled=False, precision="float32"),
            prepared,
            Preparation(graph, bundle.signature),
            head_of(graph, bundle.signature),
            _sampled(train, bundle.signature, old, context.task.is_classification),
            weights_of(bundle),
            member.units,
        )
        _check(base, problem.validation)
        return base

    @classmethod
    def in_memory(
        cls,
        stages: Any,
        train: Part,
        params: Mapping[str, Any],
        *,
        classes: tuple[str, ...] = (),
        seed: int = 0,
        old: int = OLD_ROWS,
    ) -> Base:
        """Train a model on rows and return it as a base: for benchmarks and tests; a fifth of the rows validates.

        Args:
            stages: The objective.
            train: Raw rows, in an order that does not matter.
            params: Of the trial, by their whole names.
            classes: Names; () of a regression.
            seed: For all that is random.
            old: Rows that are kept to learn from again.
        """
        order = np.random.default_rng(seed).permutation(len(train.target))
        cut = len(order) // 5
        some = [Part(_picked(train.features, rows), train.target[rows]) for rows in (order[cut:], order[:cut])]
        task = Task.REGRESSION if not classes else Task.BINARY if len(classes) == 2 else Task.MULTICLASS
        problem = problem_of(
            stages, FileSource(None, None, Path()), Seen("rows", task, classes, some[0], some[1], (), "", "")
        )
        setting = Setting(seed=seed, searched=Metric("val_loss", "minimize"), max_epochs=27)
        trained = training.train(problem, 0, params, setting)
        graph = whole([member := training.export(problem, trained)], head := Head(classes))
        signature = signature_of(problem, graph, target="target", threshold=head.threshold)
        units = Member(0, dict(params), seed, trained.units)
        manifest = Manifest("memory", type(stages).__name__, (units,), "val_loss", "", "", "", {})
        files = bundle_files(graph, member.weights, signature, "# A model in memory\n")
        with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
            root = Path(scratch) / "bundle"
            bundle = Bundle.open(root, digest=write_bundle(root, manifest, files))
            return cls.of(Served(bundle, "memory", 1), problem, trained.prepared, trained.context, some[0], old=old)


def base_of(
    results: Path, served: Served, *, say: Say = quiet, accept_changes: bool = False, old: int = OLD_ROWS
) -> Base:
    """Open the study of a promoted model again, so that the model can go on learning.

    Args:
        results: The results folder, which has the study.
        served: The model, by its alias or version.
        say: Hears what happens.
        accept_changes: Go on though the code has changed since.
        old: Rows of the study that are kept to learn from again.

    Raises:
        InputError: Several trials vote in it, its study or its data is not here, or its learner does not predict rows.
        RefusedError: Code or data are not those of the study any more, or what they come to is another model.
    """
    manifest = served.bundle.manifest
    member = _only_member(manifest, served.label)
    folder = StudyFolder.of(results, manifest.study)
    if not folder.exists():
        said = f"{served.label} comes from the study {manifest.study!r}, which is not in {results}"
        raise InputError(said, field="model", hint="bring its folder here: it has the rows and the code's reference")
    stored = studies.read(folder)
    try:
        study = opened(stored, Manner(say=say, accept_changes=accept_changes))
    except RefusedError as error:
        error.hint = error.hint.replace("promotes what", "learns on with what")  # as `sweep online` says it
        raise
    problem = study.problem
    train = training.joined(problem.train, problem.validation) if manifest.options.get("refit") else problem.train
    problem = replace(problem, folds=(), train=train)
    setting = replace(setting_of(stored.plan, problem), seed=member.seed, replicates=1, timeout_s=None, threads=1)
    building = Building(
        problem, TrialSpec(member.number, member.params), setting, _untimed, clock=time.monotonic, began=0
    )
    with redirect_stdout(sys.stderr):  # what the user's code prints is talk
        building.learner()
    building.close()
    assert building.prepared is not None
    return Base.of(served, problem, building.prepared, building.context("train"), train, old=old)


def bundle_files(graph: Any, weights: Mapping[str, Array], signature: Signature, card: str) -> dict[str, bytes]:
    """Return the content of each file of a bundle of one member but its manifest."""
    from safetensors.numpy import save

    arrays = {f"{prefix(0)}/{name}": np.ascontiguousarray(array) for name, array in sorted(weights.items())}
    return {
        MODEL: graph.SerializeToString(deterministic=True),
        WEIGHTS: save(arrays),
        SIGNATURE: as_json(signature.to_json()),
        CARD: card.encode(),
    }


def _only_member(manifest: Manifest, label: str) -> Member:
    if len(manifest.members) > 1:
        said = f"{label} is a vote of {len(manifest.members)} trials, and only a single one can go on learning"
        raise InputError(said, field="model", hint="promote one trial: `sweep promote` without --ensemble")
    return manifest.members[0]


def weights_of(bundle: Bundle) -> dict[str, Array]:
    """Return the arrays of a bundle by the names that their learner gave them.

    Raises:
        RefusedError: The file has changed since the bundle was opened.
    """
    from safetensors.numpy import load

    content = (bundle.root / WEIGHTS).read_bytes()
    if hashlib.sha256(content).hexdigest() != bundle.manifest.files[WEIGHTS]:
        raise RefusedError(f"{bundle.root / WEIGHTS} is not as its manifest says", field="model")
    return {name.removeprefix(f"{prefix(0)}/"): array for name, array in load(content).items()}


def _sampled(train: Part, signature: Signature, most: int, stratified: bool) -> Rows:
    """Return some of the training rows by column, spread evenly over each class; the same ones each time."""
    rows = np.arange(len(train.target))
    if len(rows) > most:
        order = np.random.default_rng(0).permutation(len(rows))
        if stratified:  # every so many-th of all rows, when they stand by their classes
            order = order[np.argsort(train.target[order], kind="stable")]
        rows = np.sort(order[np.linspace(0, len(order) - 1, most).astype(np.int64)])
    return Rows(columns_of(_picked(train.features, rows), signature), train.target[rows])


def _picked(features: Any, rows: Array) -> Any:
    return features[rows] if isinstance(features, np.ndarray) else features.iloc[rows]


def _check(base: Base, validation: Part) -> None:
    """Make sure that a bundle does what its study's code and rows come to.

    Raises:
        InputError: A learner does not predict rows.
        RefusedError: It does not.
    """
    label, some = base.served.label, slice(_COMPARED)
    columns = columns_of(rows_of(validation.features, some), base.signature)
    theirs, ours = base.features(columns), np.asarray(base.prepared.validation.features)[some]
    if theirs.shape != ours.shape or not np.allclose(theirs, ours, _CLOSE, _CLOSE, equal_nan=True):
        said = f"{label} prepares rows otherwise than its study does now"
        raise RefusedError(said, field="model", hint="promote the study again")
    if (learner := base.learner()) is None:
        if not hasattr(base.untrained(base.prepared, base.context), "predict"):
            raise InputError(
                f"the learner of {label} has no method `predict`, so it cannot learn from rows", field="model"
            )
        return
    apart = Fixed(base.served).answer(columns).astype(np.float64) - base.answered(learner, theirs)
    worst = float(np.abs(apart).max()) / base.scale
    if not math.isfinite(worst) or worst > TOLERANCE:
        said = f"{label} answers otherwise than its weights do in the study's code: by {worst:.3g}"
        raise RefusedError(said, field="model", hint="promote the study again")


@contextmanager
def _untimed(stage: str) -> Iterator[None]:  # noqa: ARG001
    yield
