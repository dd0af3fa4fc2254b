"""Every choice of a launch: declared once, parsed and validated once, frozen as a `SweepPlan`.

`OPTIONS` is the one declaration that the command line, the TOML file and the Python API share: a name, how text
becomes a value, the default, and the sentence of help.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from search.data.scheme import MAX_FOLDS, Scheme
from search.errors import InputError, did_you_mean
from search.trial import ParamValue

Origin = Literal["flag", "config", "environment", "default"]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DAYS_365_S: Final = 365 * 86400
_UNITS_BYTES: Final = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LEAST_MEMORY: Final = 50 * 2**20
_MAX_SEED: Final = 2**32 - 1  # numpy's old generators, which Optuna draws from, take no more


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else repr(str(value))


def _whole(minimum: int, maximum: int | None = None) -> Callable[[str, object], int]:
    range_ = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def parse(name: str, value: object) -> int:
        text = str(value).strip()
        number = int(text) if not isinstance(value, bool) and re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None
        if number is None or number < minimum or (maximum is not None and number > maximum):
            raise InputError(f"{name} must be a whole number {range_}, got {_shown(value)}", field=name)
        return number

    return parse


def _number(minimum: float, *, above: bool) -> Callable[[str, object], float]:
    relation = ">" if above else ">="

    def parse(name: str, value: object) -> float:
        try:
            number = float(str(value)) if not isinstance(value, bool) else math.nan
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and (number > minimum if above else number >= minimum)):
            raise InputError(f"{name} must be a number {relation} {minimum:g}, got {_shown(value)}", field=name)
        return number

    return parse


def _seconds(name: str, value: object) -> float:
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        raise InputError(f"{name} needs a unit, got {_shown(value)}", field=name, hint=f"try {text}s, {text}m or 2h")
    match = re.fullmatch(r"([+-]?\d{1,9}(?:\.\d{1,9})?(?:e[+-]?\d{1,3})?)([smhd])", text)
    if match is None and not re.fullmatch(r"[+-]?[\d.e+-]+[smhd]", text):
        raise InputError(f"{name} must be a duration such as 90s, 90m, 2h or 1d, got {_shown(value)}", field=name)
    try:
        seconds = float(match[1]) * _UNITS_S[match[2]] if match else math.inf
    except (ValueError, OverflowError):
        seconds = math.inf
    if not 1 <= seconds <= _DAYS_365_S:
        raise InputError(f"{name} must be between 1s and 365d, got {_shown(value)}", field=name)
    return seconds


def _bytes(name: str, value: object) -> int:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([kmgt])(?:i?b)?", str(value).strip().lower())
    size = int(float(match[1]) * _UNITS_BYTES[match[2]]) if match else 0
    if size < _LEAST_MEMORY:
        raise InputError(
            f"{name} must be a size of at least 50m with its unit, got {_shown(value)}",
            field=name,
            hint="try 500m or 4g",
        )
    return size


def _cache(name: str, value: object) -> int:
    if str(value).strip().lower() == "none":
        return 0
    try:
        return _bytes(name, value)
    except InputError as error:
        raise InputError(error.message, field=error.field, hint="try 500m, 4g, or none") from None


def size_text(size: float) -> str:
    """Return a number of bytes as people write it."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"


def _kept(name: str, value: object) -> str:
    if value not in ("best", "all", "none"):
        raise InputError(f"{name} is best, all or none, got {_shown(value)}", field=name)
    return str(value)


def _direction(name: str, value: object) -> str:
    if value not in ("minimize", "maximize"):
        raise InputError(f"{name} is minimize or maximize, got {_shown(value)}", field=name)
    return str(value)


def _split(name: str, value: object) -> str:
    return Scheme.parse(_text(name, value), field=name).text


def _folds(name: str, value: object) -> int:
    folds = _whole(0, MAX_FOLDS)(name, value)
    if folds == 1:
        raise InputError(
            f"{name} must be 0 (one validation part), or 2 to {MAX_FOLDS}, got 1", field=name, hint="try 5"
        )
    return folds


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(f"{name} must be text, got {_shown(value)}", field=name)
    return value


def _assignment(name: str, value: object) -> tuple[str, str]:
    key, equals, text = str(value).partition("=")
    if not equals or not key.strip():
        raise InputError(f"{name} takes name=value, got {_shown(value)}", field=name, hint="try train.lr=0.01")
    return key.strip(), text


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a launch.

    Attributes:
        name: The flag without its dashes, and the key in a TOML file.
        parse: From text (or a TOML value) to the value of the plan; raises InputError.
        help: One sentence; what it counts and in which unit.
        default: The plan's value when nothing is given.
        placeholder: What the help shows for the value.
        many: Whether it may be given more than once.
    """

    name: str
    parse: Callable[[str, object], Any]
    help: str
    default: Any = None
    placeholder: str = "N"
    many: bool = False

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")


OPTIONS: Final[tuple[Option, ...]] = (
    Option("study", _text, "Name of the study (default: the objective's name and the time).", None, "NAME"),
    Option("space", _text, "Search space (default: the objective's own).", None, "SPACE"),
    Option("data", _text, "Data: a file, a folder, a URL, or KIND:NAME (docs/data.md).", None, "REF"),
    Option("target", _text, "Column to predict.", None, "COLUMN"),
    Option("split", _split, "Split: auto, random, stratified, group:COLUMN or time:COLUMN.", "auto", "HOW"),
    Option("folds", _folds, "Folds of a cross-validation (default 0: one validation part).", 0, "K"),
    Option("trials", _whole(1), "Trials in all (default 60, when no other budget is given)."),
    Option("time", _seconds, "Wall-clock budget, such as 90s, 90m or 2h.", None, "TIME"),
    Option("epochs", _whole(1), "Epochs in all, over all trials."),
    Option("gpu-hours", _number(0, above=True), "GPU hours in all, over all trials.", None, "H"),
    Option("cpu-hours", _number(0, above=True), "CPU hours in all, over all trials.", None, "H"),
    Option("max-failures", _whole(1), "Stop when N trials in a row fail."),
    Option("max-epochs", _whole(1), "Epochs of the longest training (default 27).", 27),
    Option("plateau", _whole(1), "Stop when the best has not moved for N finished trials."),
    Option("metric", _text, "Metric to search (default: the objective's first).", (), "NAME", many=True),
    Option(
        "direction", _direction, "minimize or maximize (default: as declared).", (), "DIRECTION", many=True
    ),
    Option("sampler", _text, "Sampler, with options as in tpe:multivariate=true.", "random", "NAME"),
    Option("pruner", _text, "Pruner, with options as in asha:reduction_factor=4.", "asha", "NAME"),
    Option("seed", _whole(0, _MAX_SEED), "Seed of everything random (default: drawn, and recorded)."),
    Option("cpus", _number(0, above=True), "CPUs of each trial (default 1); fractions allowed.", 1.0, "X"),
    Option("gpus", _number(0, above=False), "GPUs of each trial (default 0); fractions allowed.", 0.0, "X"),
    Option("concurrency", _whole(1), "Trials at once (default: as many as fit)."),
    Option("patience", _whole(0), "End a trial when val_loss is no better for N epochs (default 8; 0: never).", 8),
    Option("trial-timeout", _seconds, "Longest run of one trial.", None, "TIME"),
    Option("memory", _bytes, "Memory that one trial may take, such as 500m or 4g.", None, "SIZE"),
    Option("grace", _seconds, "Time that running trials get to pause when a sweep stops (default 8s).", 8.0, "TIME"),
    Option("keep-checkpoints", _kept, "Checkpoints kept of ended trials: best, all or none.", "best", "WHICH"),
    Option("retries", _whole(0), "Fresh starts of a trial whose worker was lost (default 3).", 3),
    Option("set", _assignment, "Fix a parameter.", (), "NAME=VALUE", many=True),
    Option("enqueue", _text, "File of points to try first, one JSON object a line.", None, "FILE"),
    Option("cache", _cache, "Disk for prepared data, or none (default: a fifth of what is free).", None, "SIZE"),
    Option("storage", _text, "Optuna storage: sqlite:///FILE or postgresql://... (default: a journal).", None, "URL"),
    Option("address", _text, "Ray cluster to use (default: this machine).", None, "ADDR"),
)  # fmt: skip

BY_NAME: Final = {option.name: option for option in OPTIONS}

RESUMABLE: Final = {
    "trials": "trials",
    "time": "time_s",
    "epochs": "epochs",
    "gpu-hours": "gpu_hours",
    "cpu-hours": "cpu_hours",
    "plateau": "plateau",
    "max-failures": "max_failures",
    "concurrency": "concurrency",
    "trial-timeout": "trial_timeout_s",
    "memory": "memory_bytes",
    "grace": "grace_s",
    "keep-checkpoints": "keep_checkpoints",
    "retries": "retries",
    "cache": "cache_bytes",
    "address": "address",
}
"""Options that a resume may change, and the fields of the plan that they set."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep as launched. Times in seconds; None means no limit.

    Attributes:
        objective: Canonical reference of the objective.
        space: Canonical reference of the search space.
        study: Name of the study, and of its folder.
        metrics: Names of the searched metrics, one direction each.
        directions: `minimize` or `maximize`, per searched metric.
        sampler: Sampler with its options, as text.
        pruner: Pruner with its options, as text.
        split: How rows are shared out to train, validation and test: a `Scheme` as text.
        folds: Parts of a cross-validation over train and validation; 0 for one validation part.
        fixed: Parameters that `--set` fixes.
        enqueued: Points to try first.
        memory_bytes: What a trial may take beyond what its worker held before; None for no limit.
        grace_s: How long running trials may take to pause when the sweep stops.
        keep_checkpoints: Whose are kept of ended trials: `best`, `all` or `none`.
        cache_bytes: What prepared data may take on a machine's disk; 0 to keep none, None for a fifth of what is free.
        storage: URL of a database, without a password; None is a journal in the study's folder.
        origins: Where each choice came from.
    """

    objective: str
    space: str
    study: str
    results: str
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    seed: int
    data: str | None = None
    target: str | None = None
    split: str = "auto"
    folds: int = 0
    trials: int | None = None
    time_s: float | None = None
    epochs: int | None = None
    gpu_hours: float | None = None
    cpu_hours: float | None = None
    max_failures: int | None = None
    max_epochs: int = 27
    plateau: int | None = None
    sampler: str = "random"
    pruner: str = "asha"
    cpus: float = 1.0
    gpus: float = 0.0
    concurrency: int | None = None
    patience: int = 8
    trial_timeout_s: float | None = None
    memory_bytes: int | None = None
    grace_s: float = 8.0
    keep_checkpoints: str = "best"
    retries: int = 3
    fixed: Mapping[str, ParamValue] = field(default_factory=dict)
    enqueued: tuple[Mapping[str, ParamValue], ...] = ()
    cache_bytes: int | None = None
    storage: str | None = None
    address: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), tuple) else value
            for one in fields(self)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepPlan:
        """Return the plan that `to_json` described."""
        tuples = {"metrics", "directions", "enqueued"}
        typed: dict[str, Any] = {key: tuple(value) if key in tuples else value for key, value in values.items()}
        return cls(**typed)

    def differing(self, other: SweepPlan) -> dict[str, Any]:
        """Return the fields of `other`, JSON-ready, that differ from this plan's."""
        mine, theirs = self.to_json(), other.to_json()
        return {name: value for name, value in theirs.items() if value != mine[name]}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose, parsed: the value of every option, and where each came from."""

    values: Mapping[str, Any]
    origins: Mapping[str, Origin]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def given(self, name: str) -> bool:
        return self.origins[name] != "default"


def choose(flags: Mapping[str, object], config: Mapping[str, object] | None = None) -> Choices:
    """Parse what was given; a flag wins over the configuration file, which wins over the default.

    Args:
        flags: Given on the command line, by option name; None and () mean not given.
        config: Given in a file, by option name.

    Raises:
        InputError: With every fault that was found, in one sentence each.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    faults: list[InputError] = []
    for option in OPTIONS:
        for origin, given in (("flag", flags), ("config", config or {})):
            raw = given.get(option.name)
            if raw is None or raw == ():
                continue
            label = option.flag if origin == "flag" else option.name
            try:
                values[option.name] = _parsed(option, label, raw)
            except InputError as fault:
                faults.append(fault)
            origins[option.name] = origin  # type: ignore[assignment]
            break
        else:
            values[option.name] = option.default
            origins[option.name] = "default"
    raise_all(faults)
    return Choices(values, origins)


def _parsed(option: Option, label: str, raw: object) -> Any:
    if not option.many:
        return option.parse(label, raw)
    many: Iterable[object]
    if isinstance(raw, Mapping):
        many = [f"{key}={value}" for key, value in raw.items()]
    else:
        many = raw if isinstance(raw, (list, tuple)) else [raw]
    return tuple(option.parse(label, one) for one in many)


def raise_all(faults: list[InputError]) -> None:
    """Raise the one fault, or all of them as one error; nothing if there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        message = "\n".join(fault.sentence() for fault in faults)
        raise InputError(message, field=", ".join(fault.field for fault in faults))


def read_config(path: Path) -> dict[str, object]:
    """Read a TOML file of options, `-` and `_` alike in its keys.

    Raises:
        InputError: It is missing, not TOML, or has a key that is no option.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field="config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}", field="config") from error
    known = {"objective", *BY_NAME}
    normal = {key.replace("_", "-"): value for key, value in found.items()}
    for key in normal:
        if key not in known:
            raise InputError(f"{path.name}: unknown key {key!r}", field=key, hint=did_you_mean(key, known))
    return normal
