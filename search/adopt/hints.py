"""What a script says of the study that it would make with its objective, read from its source: the `Hints`.

Nothing is run. What stands there as a literal becomes the default of an option; all else is named and left alone.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SAMPLERS: Final = {
    "CmaEsSampler": "cmaes",
    "GPSampler": "gp",
    "NSGAIISampler": "nsga2",
    "QMCSampler": "qmc",
    "RandomSampler": "random",
    "TPESampler": "tpe",
}
PRUNERS: Final = {
    "HyperbandPruner": "hyperband",
    "MedianPruner": "median",
    "NopPruner": "none",
    "PatientPruner": "patient",
    "PercentilePruner": "percentile",
    "SuccessiveHalvingPruner": "asha",
    "WilcoxonPruner": "wilcoxon",
}
_FIRST_ARGUMENTS: Final = {
    "MedianPruner": ("n_startup_trials", "n_warmup_steps", "interval_steps"),
    "PatientPruner": ("wrapped_pruner", "patience", "min_delta"),
    "PercentilePruner": ("percentile", "n_startup_trials", "n_warmup_steps", "interval_steps"),
    "SuccessiveHalvingPruner": ("min_resource", "reduction_factor", "min_early_stopping_rate", "bootstrap_count"),
    "HyperbandPruner": ("min_resource", "max_resource", "reduction_factor", "bootstrap_count"),
    "CmaEsSampler": ("x0", "sigma0", "n_startup_trials", "independent_sampler", "warn_independent_sampling", "seed"),
    "QMCSampler": ("qmc_type", "scramble", "seed"),
    "RandomSampler": ("seed",),
}
"""What Optuna's classes take by position, as far as anybody writes it so; none of the others."""

_ELSEWHERE: Final = {"study_name": "--study", "storage": "--storage", "load_if_exists": "`sweep resume`"}
_HARMLESS: Final = ("gc_after_trial", "show_progress_bar")
_MISSING: Final = object()


@dataclass(slots=True)
class Hints:
    """What was found.

    Attributes:
        defaults: Raw values by option, as a configuration file would hold them.
        taken: What was found, for people: `direction maximize`.
        left: What was found and is not taken, with the reason.
        line: Where the study is made, or run.
    """

    defaults: dict[str, Any] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    line: int = 0

    def take(self, option: str, value: Any, shown: str | None = None) -> None:
        self.defaults[option] = value
        self.taken.append(shown or f"{option} {value}")

    def notes(self, script: str) -> list[str]:
        """Return what is told to people, a sentence each; flags win over what was taken."""
        said = []
        if self.taken:
            flags = ", ".join(f"--{option}" for option in self.defaults)
            said.append(f"taken from {script} line {self.line}: {', '.join(self.taken)} ({flags} override)")
        if self.left:
            said.append(f"not taken from {script}: {'; '.join(self.left)}")
        return said


def read(script: Path, objective: str) -> Hints:
    """Read what a script says of the study of one of its objectives; nothing where it says it twice.

    Args:
        script: A Python file.
        objective: Name of the function in it.
    """
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return Hints()
    return _Reader(tree, objective).hints()


class _Reader:
    def __init__(self, tree: ast.Module, objective: str) -> None:
        self._objective = objective
        self._assigned = _assignments(tree)
        self._calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]

    def hints(self) -> Hints:
        found = Hints()
        runs = [call for call in self._calls if _called(call) == "optimize" and self._is_run(call)]
        made = [call for call in self._calls if _called(call) == "create_study"]
        studies = self._of_runs(runs, made) or made
        if len(runs) > 1 or len(studies) > 1:
            several = runs if len(runs) > 1 else studies
            lines = ", ".join(str(call.lineno) for call in several)
            found.left.append(f"it makes or runs several studies (lines {lines}); give flags")
            return found
        found.line = min((call.lineno for call in (*studies, *runs)), default=0)
        for study in studies:
            self._study(study, found)
        others = [one for one in made if one not in studies]
        for call in self._calls:
            if self._receiver(call) not in others:
                self._of_a_study(call, found, sure=not others or self._receiver(call) in studies)
        for run in runs:
            self._run(run, found)
        return found

    def _is_run(self, call: ast.Call) -> bool:
        given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "func")]
        return any(isinstance(node, ast.Name) and node.id == self._objective for one in given for node in ast.walk(one))

    def _of_runs(self, runs: list[ast.Call], made: list[ast.Call]) -> list[ast.Call]:
        """Return the calls that made the studies which are run with this objective, as far as that can be seen."""
        found = []
        for run in runs:
            receiver = self._receiver(run)
            if receiver in made:
                found.append(receiver)
        return [one for one in found if isinstance(one, ast.Call)]

    def _receiver(self, call: ast.Call) -> ast.expr | None:
        """Return what a method is called of."""
        return self._resolved(call.func.value) if isinstance(call.func, ast.Attribute) else None

    def _study(self, call: ast.Call, found: Hints) -> None:
        _leave_unpacked(call, found)
        words = {word.arg: word.value for word in call.keywords if word.arg}
        single, many = self._direction(words.get("direction")), self._directions(words.get("directions"))
        ways = many or ([single] if single else [])
        if ways:
            found.take("direction", ways, f"direction{'s' * (len(ways) > 1)} {', '.join(ways)}")
        for name in ("direction", "directions"):
            if name in words and not ways and self._literal(words[name]) is not None:
                found.left.append(f"{name} (line {words[name].lineno}) is no literal")
        self._algorithm("sampler", words.get("sampler"), SAMPLERS, found)
        self._algorithm("pruner", words.get("pruner"), PRUNERS, found)
        for name, instead in _ELSEWHERE.items():
            if name in words:
                found.left.append(f"{name} (line {words[name].lineno}; see {instead})")

    def _algorithm(self, kind: str, node: ast.expr | None, known: Mapping[str, str], found: Hints) -> None:
        node = self._resolved(node)
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return
        text = self._choice(node, known, found) if isinstance(node, ast.Call) else None
        if text is None:
            found.left.append(f"{kind} (line {node.lineno}) is none of {', '.join(sorted(known))}")
        else:
            found.take(kind, text)

    def _choice(self, call: ast.Call, known: Mapping[str, str], found: Hints) -> str | None:
        """Return an algorithm as `NAME:OPTION=VALUE,...`; None if it is not known."""
        name = _called(call)
        if name not in known:
            return None
        _leave_unpacked(call, found)
        first = _FIRST_ARGUMENTS.get(name, ())
        given = dict(zip(first, call.args, strict=False))
        found.left.extend(f"{ast.unparse(one)} of {name} (line {one.lineno})" for one in call.args[len(first) :])
        given |= {word.arg: word.value for word in call.keywords if word.arg}
        options: dict[str, Any] = {}
        for option, node in given.items():
            value = self._literal(node)
            resolved = self._resolved(node)
            if option == "wrapped_pruner":
                wrapped = self._choice(resolved, known, found) if isinstance(resolved, ast.Call) else None
                inner, _, rest = (wrapped or "none").partition(":")
                options |= {"wrapped": inner} if wrapped else {}
                options |= dict(part.split("=", 1) for part in rest.split(",") if part)
            elif option == "seed":
                if isinstance(value, int):
                    found.take("seed", value)
                elif value is not None:
                    found.left.append(f"seed of {name} (line {node.lineno}) is no literal")
            elif isinstance(value, (bool, int, float, str)) and "," not in str(value):
                options[option] = str(value).lower() if isinstance(value, bool) else value
            else:
                found.left.append(f"{option} of {name} (line {node.lineno})")
        if known[name] == "asha":
            options.setdefault("reduction_factor", 4)  # where Optuna's default is not ours
            if options.get("min_resource", "auto") == "auto":
                options["min_resource"] = 1  # what Optuna finds out from its first trial
        text = ",".join(f"{option}={value}" for option, value in options.items())
        return f"{known[name]}:{text}" if text else known[name]

    def _of_a_study(self, call: ast.Call, found: Hints, *, sure: bool) -> None:
        """Read a call of the study's; `sure` tells that it is of no other one."""
        if _called(call) == "set_metric_names":
            words = {word.arg: word.value for word in call.keywords}
            names = self._literal(call.args[0] if call.args else words.get("metric_names"))
            if sure and isinstance(names, list) and all(isinstance(one, str) for one in names):
                found.take("metric", names, f"metric{'s' * (len(names) > 1)} {', '.join(names)}")
            else:
                found.left.append(f"set_metric_names (line {call.lineno}; see --metric)")
        elif _called(call) == "enqueue_trial":
            found.left.append(f"enqueue_trial (line {call.lineno}; see --enqueue)")

    def _run(self, call: ast.Call, found: Hints) -> None:
        _leave_unpacked(call, found)
        words = dict(zip(("func", "n_trials", "timeout", "n_jobs", "catch", "callbacks"), call.args, strict=False))
        words |= {word.arg: word.value for word in call.keywords if word.arg}
        for name, option, unit in (("n_trials", "trials", ""), ("timeout", "time", "s")):
            value = self._literal(words.get(name))
            if isinstance(value, (int, float)) and value > 0:
                found.take(option, f"{value}{unit}" if unit else value)
            elif name in words and value is not None:
                found.left.append(f"{name} (line {words[name].lineno}) is no literal")
        jobs = self._literal(words.get("n_jobs"))
        if jobs not in (None, 1, _MISSING):
            found.left.append(f"n_jobs {jobs} (see --concurrency)")
        if "catch" in words:
            names = self._classes(words["catch"])
            if names:
                found.take("catch", names, f"catch {', '.join(names)}")
        if "callbacks" in words:
            found.left.append(f"callbacks (line {words['callbacks'].lineno}): they are not called")

    def _classes(self, node: ast.expr) -> list[str]:
        node = self._resolved(node) or node
        each = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
        return [ast.unparse(one) for one in each if isinstance(one, (ast.Name, ast.Attribute))]

    def _direction(self, node: ast.expr | None) -> str | None:
        resolved = self._resolved(node)
        name = resolved.attr if isinstance(resolved, ast.Attribute) else self._literal(resolved)
        text = str(name).lower()
        return text if text in ("minimize", "maximize") else None

    def _directions(self, node: ast.expr | None) -> list[str]:
        resolved = self._resolved(node)
        ways = [self._direction(one) for one in getattr(resolved, "elts", [])]
        return [way for way in ways if way] if all(ways) else []

    def _resolved(self, node: ast.expr | None) -> ast.expr | None:
        """Return what a name stands for, if it is assigned once in the script."""
        return self._assigned.get(node.id, node) if isinstance(node, ast.Name) else node

    def _literal(self, node: ast.expr | None) -> Any:
        """Return the value of a literal; None where nothing is given, `_MISSING` where it cannot be read."""
        if node is None:
            return None
        try:
            return ast.literal_eval(self._resolved(node) or node)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            return _MISSING


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _leave_unpacked(call: ast.Call, found: Hints) -> None:
    """Name what a call takes by `*` or `**`: it is seen only when the script runs."""
    stars = [node for node in call.args if isinstance(node, ast.Starred)]
    if stars or any(word.arg is None for word in call.keywords):
        found.left.append(f"what {_called(call)} (line {call.lineno}) takes by {'*' if stars else '**'}")


def _assignments(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what is assigned to each name that is bound once, in whatever way and wherever in the script."""
    bound = Counter(name for node in ast.walk(tree) for name in _bound(node))
    return {name: value for name, value in _each_assignment(tree) if bound[name] == 1}


def _bound(node: ast.AST) -> list[str]:
    """Return the names that a node binds itself: not what stands inside it."""
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).split(".")[0]]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    name = getattr(node, "name", None) if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) else None
    return [name] if name else []


def _each_assignment(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
