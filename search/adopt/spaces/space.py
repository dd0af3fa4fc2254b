"""A search space that was written for another tool, and the Python that stands for it: the `ForeignSpace`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING, Any

from search.adopt.spaces.parameter import Condition, Parameter, source_of
from search.trial import ParamValue

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class ForeignSpace:
    """A space, what else its file says, and what of it has no equivalent.

    Attributes:
        source: The file as the user named it.
        tool: Whose it is, for people.
        parameters: In order; one that depends on another comes after it.
        constants: Parameters with one value.
        flags: What `sweep run` is to be given for the same search, by option.
        notes: What has no equivalent, a sentence each.
    """

    source: str
    tool: str
    parameters: tuple[Parameter, ...]
    constants: Mapping[str, ParamValue] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __call__(self, trial: optuna.trial.Trial) -> None:
        """Suggest every parameter that applies."""
        chosen: dict[str, ParamValue] = {}
        for parameter in self.parameters:
            if parameter.applies(chosen):
                chosen[parameter.name] = parameter.suggest(trial)

    def command(self) -> str:
        """Return the `sweep run` that searches alike, on one line."""
        flags = (f"--{name} {quote(value)}" for name, value in self.flags.items())
        return _one_line(" ".join(["sweep run OBJECTIVE", "--space FILE", *flags]))

    def python(self) -> str:
        """Return a module that holds the space as a function of a trial."""
        title = _one_line(self.source).replace("\\", "/").replace('"', "'")
        lines = [f'"""The search space of {title}, written for {self.tool}."""', ""]
        lines += [f"# The same search: {self.command()}", "", "", "def space(trial):"]
        body = [*self._constant_lines(), *_block(self.parameters, (), 1, _variables(self.parameters))]
        return "\n".join([*lines, *(body or ["    pass  # it has no parameters"])]) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "tool": self.tool,
            "python": self.python(),
            "flags": dict(self.flags),
            "constants": dict(self.constants),
            "notes": list(self.notes),
        }

    def _constant_lines(self) -> list[str]:
        """Suggest a constant as a choice of one, so that `--set` can name it and an objective gets it."""
        return [f"    {Parameter(name, 'categorical', choices=(one,)).line()}" for name, one in self.constants.items()]


def _block(
    parameters: Sequence[Parameter], under: tuple[Condition, ...], depth: int, variables: Mapping[str, str]
) -> list[str]:
    """Return the lines of the parameters under some conditions; what a further one decides is in an `if`."""
    lines: list[str] = []
    indent = "    " * depth
    done: set[Condition] = set()
    for parameter in parameters:
        if parameter.when == under:
            variable = f"{variables[parameter.name]} = " if parameter.name in variables else ""
            lines.append(f"{indent}{variable}{parameter.line()}")
        elif parameter.when[: len(under)] == under:
            condition = parameter.when[len(under)]
            if condition in done:
                continue
            done.add(condition)
            inner = [one for one in parameters if one.when[: len(under) + 1] == (*under, condition)]
            lines.append(f"{indent}if {variables[condition[0]]} == {source_of(condition[1])}:")
            lines += _block(inner, (*under, condition), depth + 1, variables)
    return lines


def _variables(parameters: Sequence[Parameter]) -> dict[str, str]:
    """Return a variable of its own for each parameter that others depend on."""
    taken, found = {"trial"}, {}
    for name in dict.fromkeys(name for one in parameters for name, _ in one.when):
        plain = re.sub(r"\W", "_", name)
        variable = plain if plain.isidentifier() and not keyword.iskeyword(plain) else f"chosen_{plain}"
        while variable in taken:
            variable += "_"
        taken.add(variable)
        found[name] = variable
    return found


def _one_line(text: str) -> str:
    """Return a text that stays on its line: what a foreign file says must not become code."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
