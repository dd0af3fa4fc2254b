"""Import a user's file under a package name of its own, and follow what it imports: the `UserFile`.

A file of the project `/home/ann/rain` becomes `sweep_loaded_<hash of that path>.objectives.rain`. So relative imports
work inside its package folders, and nothing clashes with another project's `objectives`, or with ours.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from search.adopt.starting import held_back
from search.errors import InputError

LIBRARY_FOLDERS: Final = ("objectives", "spaces")
_OURS: Final = Path(__file__).resolve().parent
_PREFIX: Final = "sweep_loaded_"
_INSTALLED: Final = frozenset(("site-packages", "dist-packages", ".venv", "venv"))
_IMPORTED: Final[dict[str, tuple[UserFile, str]]] = {}
"""What was imported, by the name of its module, each with a hash of the code as it was then."""


@dataclass(frozen=True, slots=True)
class UserFile:
    """A Python file, and the root of the project it belongs to.

    Attributes:
        path: Absolute.
        root: Parent of the topmost folder with an `__init__.py`, or of a folder named `objectives` or `spaces`;
            else the file's own folder.
    """

    path: Path
    root: Path

    @classmethod
    def of(cls, path: Path) -> UserFile:
        path = path.resolve()
        if any(path.is_relative_to(library() / name) for name in LIBRARY_FOLDERS):
            return cls(path, library())  # in a wheel it lies in a package of ours
        root = path.parent
        while (root / "__init__.py").exists() and root.name.isidentifier():
            root = root.parent
        if root == path.parent and root.name in LIBRARY_FOLDERS:
            root = root.parent
        return cls(path, root)

    @property
    def shown(self) -> str:
        """The file as a person in the current folder would write it."""
        here = Path.cwd()
        return str(self.path.relative_to(here)) if self.path.is_relative_to(here) else str(self.path)

    @property
    def module_name(self) -> str:
        """The private, dotted name that it is imported under."""
        package = _PREFIX + hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        *folders, stem = self.path.relative_to(self.root).with_suffix("").parts
        return ".".join([package, *folders, re.sub(r"\W", "_", stem)])


def library() -> Path:
    """Return the folder that holds the shipped `objectives/` and `spaces/`: in a wheel ours, else the checkout."""
    installed = _OURS / "library"
    return installed if (installed / "objectives").is_dir() else _OURS.parent


def is_file(path: Path) -> bool:
    """Tell whether a file exists; a name that no file can have is no file."""
    try:
        return path.is_file()
    except OSError:
        return False


def imported_names(module: ModuleType) -> set[str]:
    """Return the names that import statements of a module bind."""
    try:
        tree = ast.parse(Path(module.__file__ or "").read_bytes())
    except (OSError, SyntaxError):
        return set()
    statements = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return {(alias.asname or alias.name).split(".")[0] for node in statements for alias in node.names}


def import_file(file: UserFile) -> ModuleType:
    """Import a file, once per process; its root goes onto `sys.path` and stays there.

    Raises:
        InputError: It fails to import; the user's own traceback is in the error's notes.
    """
    name = file.module_name
    if name in sys.modules:
        return sys.modules[name]
    _extend_path(file)
    digest = _digest(file)
    try:
        _import_packages(file)
        spec = importlib.util.spec_from_file_location(name, file.path)
        assert spec is not None
        module = _run(spec, file.path)
    except (Exception, SystemExit) as error:
        raise import_fault(file.shown, error, roots=(file.root,)) from error
    _IMPORTED[name] = (file, digest)
    return module


def import_module(name: str) -> ModuleType:
    """Import an installed module under its own name, and start nothing that a script would start.

    Raises:
        Exception: Whatever its code raises; ModuleNotFoundError if there is none.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or not (spec.origin or "").endswith(".py"):
        return importlib.import_module(name)
    module = _run(spec, Path(spec.origin or ""))
    package, _, own = name.rpartition(".")
    if package:
        setattr(sys.modules[package], own, module)
    return module


def _run(spec: ModuleSpec, file: Path) -> ModuleType:
    """Run a module's code, up to the line that starts a search, and register the module."""
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with held_back(file):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def changed_since_import() -> bool:
    """Tell whether a file that this process has imported, or what it imports, is another one by now."""
    return any(name in sys.modules and _digest(file) != digest for name, (file, digest) in _IMPORTED.items())


def _digest(file: UserFile) -> str:
    found = hashlib.sha256()
    for path in code_files(file):
        try:
            found.update(f"{path}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        except OSError:  # it is gone, which is a change too
            found.update(f"{path}\0\n".encode())
    return found.hexdigest()


def import_fault(shown: str, error: BaseException, *, roots: tuple[Path, ...] = ()) -> InputError:
    """Say where and why a user's module fails, with the user's own part of the traceback as a note."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename, roots)]
    where = shown
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{Path(error.filename).name} line {error.lineno}"
    elif frames:
        where = f"{Path(frames[-1].filename).name} line {frames[-1].lineno}"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    said = (text or type(error).__name__).splitlines()[0]
    if not isinstance(error, (ImportError, SyntaxError)):
        said = f"{type(error).__name__}: {said}"
    hint = "install it or fix the line" if isinstance(error, ImportError) else "fix the line"
    fault = InputError(f"{where} fails to import: {said}", field=shown, hint=hint)
    own = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    fault.add_note("".join([*own, *traceback.format_exception_only(error)]).rstrip())
    return fault


def code_files(start: UserFile) -> list[Path]:
    """Return the file and every file under its root that it imports, also later, inside functions; sorted.

    Imports are read from the source, so the answer is the same in every process. Installed packages are left out.
    """
    found: set[Path] = set()
    waiting = [start.path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        around = path.parent / "__init__.py"  # runs before the file does
        imported = [*_imports(path, start.root), *([around] if is_file(around) else [])]
        waiting.extend(one for one in imported if not _is_foreign(one, start))
    return sorted(found)


def _extend_path(file: UserFile) -> None:
    if file.root == library():
        return  # it would make our `objectives` importable in place of the user's
    folders = [file.root] if (file.path.parent / "__init__.py").exists() else [file.root, file.path.parent]
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _import_packages(file: UserFile) -> None:
    """Import the packages around a file, from the root inwards."""
    package, *_ = file.module_name.split(".")
    if package not in sys.modules:
        module = ModuleType(package)
        module.__path__ = [str(file.root)]
        module.__spec__ = ModuleSpec(package, None, is_package=True)
        sys.modules[package] = module
    around = file.module_name.split(".")[1:-1]
    for depth in range(len(around)):
        importlib.import_module(".".join([package, *around[: depth + 1]]))


def _is_users(filename: str, roots: tuple[Path, ...]) -> bool:
    path = Path(filename)
    if not roots:
        return not filename.startswith("<") and not path.is_relative_to(_OURS) and "importlib" not in path.parts
    return any(path.is_relative_to(root) for root in roots) and not path.is_relative_to(_OURS)


def _is_foreign(path: Path, start: UserFile) -> bool:
    """Tell whether a file is installed, or ours, and so not part of the project that `start` belongs to."""
    if path.is_relative_to(_OURS) and not path.is_relative_to(_OURS / "library"):
        return True
    if not path.is_relative_to(start.root):
        return True
    parts = path.relative_to(start.root).parts
    if start.root.name in _INSTALLED:  # an installed objective: its own package alone
        return parts[0] != start.path.relative_to(start.root).parts[0]
    return not _INSTALLED.isdisjoint(parts)


def _imports(path: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of([root, path.parent], alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            folders = [path.parents[node.level - 1]] if 0 < node.level <= len(path.parents) else [root, path.parent]
            parts = node.module.split(".") if node.module else []
            yield from _files_of(folders, parts)
            for alias in node.names:
                yield from _files_of(folders, [*parts, alias.name])


def _files_of(folders: Iterable[Path], parts: list[str]) -> Iterator[Path]:
    """Return the files of a dotted name that exist: its packages' `__init__.py` and the module itself."""
    for folder in folders:
        for depth in range(1, len(parts) + 1):
            whole = folder.joinpath(*parts[:depth])
            for path in (whole / "__init__.py", whole.with_name(whole.name + ".py")):
                if is_file(path):
                    yield path.resolve()
