"""Every choice of a launch, declared once and parsed once: the `Choices`.

`OPTIONS` is the one declaration that the command line, the TOML file and the Python API share: a name, how text
becomes a value, the default, and the sentence of help.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from search import parsers
from search.errors import InputError, did_you_mean
from search.notify import option as notify
from search.study.constraints import option as constraint
from search.trackers.chosen import option as tracker
from search.trackers.chosen import together

Origin = Literal["flag", "config", "environment", "script", "default"]

_MAX_SEED: Final = 2**32 - 1  # numpy's old generators, which Optuna draws from, take no more


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
    Option("study", parsers.text, "Name of the study (default: the objective's name and the time).", None, "NAME"),
    Option("space", parsers.text, "Search space (default: the objective's own).", None, "SPACE"),
    Option("data", parsers.text, "Data: a file, a folder, a URL, or KIND:NAME (docs/data.md).", None, "REF"),
    Option("target", parsers.text, "Column to predict.", None, "COLUMN"),
    Option("split", parsers.split, "Split: auto, random, stratified, group:COLUMN or time:COLUMN.", "auto", "HOW"),
    Option("folds", parsers.folds, "Folds of a cross-validation (default 0: one validation part).", 0, "K"),
    Option("trials", parsers.whole(1), "Trials in all (default 60, when no other budget is given)."),
    Option("time", parsers.seconds, "Wall-clock budget, such as 90s, 90m or 2h.", None, "TIME"),
    Option(
        "epochs",
        parsers.whole(1),
        "Epochs in all, over all trials; replicates and folds of a trial share its epochs.",
    ),
    Option("gpu-hours", parsers.number(0, above=True), "GPU hours in all, over all trials.", None, "H"),
    Option("cpu-hours", parsers.number(0, above=True), "CPU hours in all, over all trials.", None, "H"),
    Option("max-failures", parsers.whole(1), "Stop when N trials in a row fail."),
    Option("max-epochs", parsers.whole(1), "Epochs of the longest training (default 27).", 27),
    Option(
        "plateau",
        parsers.whole_or_none(1),
        "Stop when the best has not moved for N trials that ended or rest.",
    ),
    Option("until", parsers.value_or_none, "Stop when the best reaches this value of the metric.", None, "VALUE"),
    Option(
        "min-gain",
        parsers.gain_or_none,
        "Stop when another trial is expected to improve the metric by less than X.",
        None,
        "X",
    ),
    Option(
        "until-confident",
        parsers.share_or_none,
        "Stop when going on is expected to gain less than such a share of the noise, as in 0.5.",
        None,
        "SHARE",
    ),
    Option("metric", parsers.text, "Metric to search (default: the objective's first).", (), "NAME", many=True),
    Option("direction", parsers.direction, "minimize or maximize (default: as declared).", (), "DIRECTION", many=True),
    Option(
        "constraint", constraint, "Bound that a trial has to keep to, as in latency_ms<=30.", (), "BOUND", many=True
    ),
    Option("sampler", parsers.text, "Sampler (default auto); options as in tpe:multivariate=true.", "auto", "NAME"),
    Option("pruner", parsers.text, "Pruner (default auto); options as in asha:reduction_factor=4.", "auto", "NAME"),
    Option("seed", parsers.whole(0, _MAX_SEED), "Seed of everything random (default: drawn, and recorded)."),
    Option("replicates", parsers.whole(1, 100), "Trainings of each trial; its value is their mean (default 1).", 1),
    Option("warm-start", parsers.text, "Earlier study whose good trials this one begins from.", (), "STUDY", many=True),
    Option("cpus", parsers.number(0, above=True), "CPUs of each trial (default 1); fractions allowed.", 1.0, "X"),
    Option("gpus", parsers.gpus, "GPUs of each trial (default 0); fractions, or auto (docs/gpus.md).", 0.0, "X"),
    Option("precision", parsers.precision, "Numbers of networks: float32 (default), bf16, or auto.", "float32", "KIND"),
    Option("compile", parsers.switch, "Compile networks before they train: on or off (default).", False, "SWITCH"),
    Option("concurrency", parsers.whole(1), "Trials at once (default: as many as fit)."),
    Option("priority", parsers.whole(-100, 100), "Among the sweeps of a cluster, -100 to 100 (default 0).", 0),
    Option(
        "patience", parsers.whole(0), "End a trial when val_loss is no better for N epochs (default 8; 0: never).", 8
    ),
    Option("trial-timeout", parsers.seconds, "Longest run of one trial.", None, "TIME"),
    Option("memory", parsers.size, "Memory that one trial may take, such as 500m or 4g.", None, "SIZE"),
    Option(
        "grace", parsers.seconds, "Time that running trials get to pause when a sweep stops (default 8s).", 8.0, "TIME"
    ),
    Option("keep-checkpoints", parsers.kept, "Checkpoints kept of ended trials: best, all or none.", "best", "WHICH"),
    Option("retries", parsers.whole(0), "Fresh starts of a trial whose worker was lost (default 3).", 3),
    Option("set", parsers.assignment, "Fix a parameter.", (), "NAME=VALUE", many=True),
    Option("enqueue", parsers.text, "File of points to try first, one JSON object a line.", None, "FILE"),
    Option(
        "catch",
        parsers.text,
        "Exception of an Optuna objective that ends its trial alone (default: all).",
        (),
        "NAME",
        many=True,
    ),
    Option("cache", parsers.cache, "Disk for prepared data, or none (default: a fifth of what is free).", None, "SIZE"),
    Option(
        "storage", parsers.text, "Optuna storage: sqlite:///FILE or postgresql://... (default: a journal).", None, "URL"
    ),
    Option("address", parsers.address, "Ray cluster to use (default: this machine).", None, "ADDR"),
    Option(
        "track",
        tracker,
        "Tracker that hears of each trial: mlflow:URI, tensorboard:DIR, wandb:PROJECT, or none.",
        (),
        "TRACKER",
        many=True,
    ),
    Option("notify", notify, "URL that hears, as JSON, of a new best and of the sweep's end, or none.", None, "URL"),
)

BY_NAME: Final = {option.name: option for option in OPTIONS}

RESUMABLE: Final = {
    "trials": "trials",
    "time": "time_s",
    "epochs": "epochs",
    "gpu-hours": "gpu_hours",
    "cpu-hours": "cpu_hours",
    "plateau": "plateau",
    "until": "until",
    "min-gain": "min_gain",
    "until-confident": "until_confident",
    "max-failures": "max_failures",
    "concurrency": "concurrency",
    "priority": "priority",
    "trial-timeout": "trial_timeout_s",
    "memory": "memory_bytes",
    "grace": "grace_s",
    "keep-checkpoints": "keep_checkpoints",
    "retries": "retries",
    "cache": "cache_bytes",
    "address": "address",
    "track": "track",
    "notify": "notify",
}
"""Options that a resume may change, and the fields of the plan that they set."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose, parsed: the value of every option, and where each came from."""

    values: Mapping[str, Any]
    origins: Mapping[str, Origin]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def given(self, name: str) -> bool:
        return self.origins[name] != "default"

    def having(self, **values: Any) -> Choices:
        """Return the same choices with other values of these options, as if they had been given."""
        origins: dict[str, Origin] = {**self.origins, **dict.fromkeys(values, "flag")}
        return replace(self, values={**self.values, **values}, origins=origins)

    def with_defaults(self, raw: Mapping[str, object], origin: Origin) -> Choices:
        """Return the choices with these values for what was not given.

        Args:
            raw: By option, as a configuration file would hold them.
            origin: Where they come from.

        Raises:
            InputError: A value is wrong.
        """
        taken = {name: parsed(BY_NAME[name], name, value) for name, value in raw.items() if not self.given(name)}
        return Choices({**self.values, **taken}, {**self.origins, **dict.fromkeys(taken, origin)})


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
            if raw is None or (isinstance(raw, tuple) and not raw):
                continue
            label = option.flag if origin == "flag" else option.name
            try:
                values[option.name] = parsed(option, label, raw)
            except InputError as fault:
                faults.append(fault)
            origins[option.name] = origin  # type: ignore[assignment]
            break
        else:
            values[option.name] = option.default
            origins[option.name] = "default"
    raise_all(faults)
    return Choices(values, origins)


def parsed(option: Option, label: str, raw: object) -> Any:
    """Return the value of an option; of one that may be given more than once, all of them.

    Args:
        option: It.
        label: What an error calls it.
        raw: As it was given.

    Raises:
        InputError: It is wrong.
    """
    if not option.many:
        return option.parse(label, raw)
    many: Iterable[object]
    if isinstance(raw, Mapping):
        many = [f"{key}={value}" for key, value in raw.items()]
    else:
        many = raw if isinstance(raw, (list, tuple)) else [raw]
    found = [option.parse(label, one) for one in many]
    if option.parse is tracker:
        return together(label, found)
    return tuple(found)


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
