"""What a script gives to `study.optimize`, read from its source: the `Target` that a sweep of it should search."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Target:
    """The first argument of one call of `optimize`.

    Attributes:
        name: Under which the script's module holds it; "" if it holds no such thing.
        text: As it stands there.
        line: Of the call.
        advice: What to write, so that there is a name for it.
        made: What that name then stands for.
    """

    name: str
    text: str
    line: int
    advice: str = ""
    made: str = ""


def read(script: Path) -> list[Target]:
    """Return what a script optimizes; nothing where it has nothing to do with Optuna, or cannot be read."""
    try:
        tree = ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    if not any(_is_of_optuna(node) for node in ast.walk(tree)):
        return []
    found = (_target(call, scopes, tree) for call, scopes in _runs(tree, []))
    return [target for target in found if target is not None]


def assigned(script: Path, name: str) -> str:
    """Return what a script assigns to a name at its top level, "" if nothing, or nobody can tell."""
    try:
        found = _bound_in(ast.parse(script.read_bytes())).get(name)
    except (OSError, SyntaxError, ValueError):
        return ""
    return ast.unparse(found) if isinstance(found, ast.expr) else ""


def _is_of_optuna(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.split(".")[0] == "optuna" for name in names)


def _runs(node: ast.AST, scopes: list[ast.AST]) -> Iterator[tuple[ast.Call, list[ast.AST]]]:
    """Yield each call of `optimize` with what is around it and binds names of its own, the innermost one first."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "optimize":
        yield node, scopes
    inner = [node, *scopes] if isinstance(node, _FUNCTIONS) or _is_main(node) else scopes
    for child in ast.iter_child_nodes(node):
        yield from _runs(child, inner)


def _is_main(node: ast.AST) -> bool:
    """Tell whether this is an `if __name__ == "__main__":`, which is not run here."""
    return isinstance(node, ast.If) and any(
        isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node.test)
    )


def _target(call: ast.Call, scopes: list[ast.AST], tree: ast.Module) -> Target | None:
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "func")]
    if not given:
        return None
    text = ast.unparse(given[0])
    node: ast.AST | None = given[0]
    for _ in range(9):  # a name for a name for ...
        if not isinstance(node, ast.Name):
            break
        name = node.id
        scope = next((one for one in scopes if name in _bound_in(one)), None)
        if scope is None:
            return Target(name, text, call.lineno) if name in _bound_in(tree) else None
        node = _bound_in(scope)[name]
    if node is None:  # an argument, a loop's variable: nobody knows what it is
        return None
    if isinstance(node, _FUNCTIONS):
        return Target("", text, call.lineno, f"move {node.name} to the top level")
    assert isinstance(node, ast.expr)
    if (plain := _plain_name(node, tree)) is not None:
        return Target(plain, text, call.lineno)
    made = _as_partial(node, tree)
    return Target("", ast.unparse(node), call.lineno, f"add `obj = {made}` at the top level, above that", made)


def _plain_name(node: ast.expr, tree: ast.Module) -> str | None:
    """Return the name of what `Name()` or `lambda trial: name(trial)` comes to."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args and not node.keywords:
        return node.func.id if isinstance(_bound_in(tree).get(node.func.id), ast.ClassDef) else None
    if not isinstance(node, ast.Lambda) or not isinstance(node.body, ast.Call):
        return None
    inner, arguments = node.body, [one.arg for one in node.args.args]
    same = [one.id if isinstance(one, ast.Name) else "" for one in inner.args] == arguments and not inner.keywords
    return inner.func.id if same and isinstance(inner.func, ast.Name) and inner.func.id in _bound_in(tree) else None


def _as_partial(node: ast.expr, tree: ast.Module) -> str:
    """Return an expression as it may stand in a module: `lambda t: f(t, 3)` as `functools.partial(f, x=3)`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        owners = [one for one in tree.body if isinstance(one, ast.ClassDef) and node.attr in _bound_in(one)]
        return f"{owners[0].name}(...).{node.attr}" if owners else ast.unparse(node)
    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call) and isinstance(node.body.func, ast.Name):
        call, first = node.body, node.args.args[0].arg if node.args.args else ""
        known = _bound_in(tree).get(call.func.id) if isinstance(call.func, ast.Name) else None
        names = [one.arg for one in known.args.args] if isinstance(known, _FUNCTIONS) else []
        stands_first = bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == first
        rest = [*call.args[1:], *(word.value for word in call.keywords)]
        if (
            stands_first
            and len(call.args) <= len(names)
            and all(word.arg for word in call.keywords)
            and not any(isinstance(one, ast.Name) and one.id == first for part in rest for one in ast.walk(part))
        ):
            given = dict(zip(names[1:], map(ast.unparse, call.args[1:]), strict=False))
            given |= {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}
            words = ", ".join(f"{name}={value}" for name, value in given.items())
            return f"functools.partial({ast.unparse(call.func)}, {words})"
    return ast.unparse(node)


def _bound_in(scope: ast.AST) -> dict[str, ast.AST | None]:
    """Return what a scope binds by itself, each name with its value; None where that cannot be read, or is several."""
    found: dict[str, ast.AST | None] = {}
    arguments = getattr(scope, "args", None)
    if isinstance(arguments, ast.arguments):
        found |= {node.arg: None for node in ast.walk(arguments) if isinstance(node, ast.arg)}
    waiting: list[ast.AST] = [*getattr(scope, "body", [])]
    while waiting:
        node = waiting.pop(0)
        for name, value in _binds(node):
            found[name] = value if name not in found else None
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)) and not _is_main(node):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _binds(node: ast.AST) -> list[tuple[str, ast.AST | None]]:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return [(node.name, node)]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [((alias.asname or alias.name).split(".")[0], None) for alias in node.names]
    if isinstance(node, ast.Assign):
        single = len(node.targets) == 1
        return [
            (one.id, node.value if single and one is node.targets[0] else None)
            for target in node.targets
            for one in ast.walk(target)
            if isinstance(one, ast.Name)
        ]
    if isinstance(node, (ast.AnnAssign, ast.For, ast.NamedExpr)) and isinstance(node.target, ast.Name):
        return [(node.target.id, node.value if isinstance(node, ast.AnnAssign) else None)]
    return []
