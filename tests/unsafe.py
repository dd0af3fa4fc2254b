"""What runs code that somebody else wrote, or lets it in, found in the syntax tree of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

REASONS: Final = {
    "search/adopt/search_cv.py": {"joblib": "asks how many jobs `n_jobs` means; nothing is stored or loaded"},
    "search/tuner/pool.py": {"joblib": "has scikit-learn's fits run on Ray; nothing is stored or loaded"},
    "benchmarks/preprocess_cache_problem.py": {"joblib": "an arm that is compared with: joblib's own cache"},
    "benchmarks/serve_peers/pickled.py": {
        "pickle": "a peer that is compared with: a model pickled by the benchmark itself a moment before",
    },
}
"""Files that do some of it nevertheless, and why."""

_MODULES: Final = frozenset(
    ("pickle", "_pickle", "cloudpickle", "ray.cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle")
)
_CALLS: Final = {
    "torch": ("load", "save"),
    "torch.jit": ("load", "save"),
    "torch.serialization": ("load", "save"),
    "torch.hub": ("load", "load_state_dict_from_url"),
    "yaml": ("load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"),
    "pandas": ("read_pickle", "to_pickle", "eval"),
    "os": ("system", "popen"),
    "subprocess": ("getoutput", "getstatusoutput"),
    "asyncio": ("create_subprocess_shell",),
    "tempfile": ("mktemp",),
    "shutil": ("unpack_archive",),
    "ssl": ("_create_unverified_context", "CERT_NONE"),
    "builtins": ("eval", "exec", "compile", "__import__"),
    "code": ("interact", "InteractiveConsole", "InteractiveInterpreter"),
}
_METHODS: Final = frozenset(("extractall", "read_pickle", "to_pickle"))
_FLAGS: Final = {"shell": (False,), "allow_pickle": (False,), "weights_only": (True,)}
"""Keywords, and the only values that they may be given."""

_NEVER: Final = {"verify": (False, None), "check_hostname": (False,)}
"""Keywords, and values that they are never given."""

_SAYS_SO: Final = frozenset(("numpy.save",))
"""Calls that say `allow_pickle=False`, which is not their default."""

UNSAFE: Final = [
    ("import pickle", "pickle"),
    ("import pickle as plain", "pickle"),
    ("from pickle import loads", "pickle"),
    ("def later():\n    from cloudpickle import loads as read", "cloudpickle"),
    ("from ray import cloudpickle", "ray.cloudpickle"),
    ("import dill._dill", "dill"),
    ("import shelve", "shelve"),
    ("import marshal", "marshal"),
    ("import joblib", "joblib"),
    ("import importlib\nimportlib.import_module('pickle')", "pickle"),
    ("from importlib import import_module as get\nget('dill')", "dill"),
    ("eval('1')", "builtins.eval"),
    ("run = exec", "builtins.exec"),
    ("compile('1', 'x', 'eval')", "builtins.compile"),
    ("__import__('os')", "builtins.__import__"),
    ("import builtins\nbuiltins.eval('1')", "builtins.eval"),
    ("import os\nos.system('ls')", "os.system"),
    ("from os import system", "os.system"),
    ("import os as o\no.popen('ls')", "os.popen"),
    ("import subprocess\nsubprocess.run('ls', shell=True)", "shell"),
    ("import subprocess\nsubprocess.run('ls', shell=asked)", "shell"),
    ("import subprocess\nsubprocess.getoutput('ls')", "subprocess.getoutput"),
    ("import torch\ntorch.load('x')", "torch.load"),
    ("import torch as t\nread = t.load", "torch.load"),
    ("from torch import save", "torch.save"),
    ("import torch\ntorch.jit.load('x')", "torch.jit.load"),
    ("import torch\nread(weights_only=False)", "weights_only"),
    ("import yaml\nyaml.load(text, Loader=yaml.SafeLoader)", "yaml.load"),
    ("from yaml import unsafe_load", "yaml.unsafe_load"),
    ("import numpy as np\nnp.save('x', rows)", "numpy.save"),
    ("import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle"),
    ("import pandas as pd\npd.read_pickle('x')", "pandas.read_pickle"),
    ("frame.to_pickle('x')", "to_pickle"),
    ("archive.extractall('x')", "extractall"),
    ("import shutil\nshutil.unpack_archive('x')", "shutil.unpack_archive"),
    ("import tempfile\ntempfile.mktemp()", "tempfile.mktemp"),
    ("import httpx\nhttpx.Client(verify=False)", "verify"),
    ("import ssl\ncontext.verify_mode = ssl.CERT_NONE", "ssl.CERT_NONE"),
    ("context.check_hostname = False", "check_hostname"),
    ("import asyncio\nasyncio.create_subprocess_shell('ls')", "asyncio.create_subprocess_shell"),
]

HARMLESS: Final = [
    "import re\nre.compile('x')",
    "network.eval()",
    "def eval_of(x): return x",
    "spec.loader.exec_module(module)",
    "import json\njson.loads('1')",
    "import numpy as np\nnp.load('x', allow_pickle=False)",
    "import numpy as np\nnp.load('x')",
    "import yaml\nyaml.safe_load('x')",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "from safetensors.torch import load, save",
    "'import pickle; eval(1)'",
    "# eval('1')",
    "import httpx\nhttpx.Client(verify=context)",
    "import torch\ntorch.compile(network)",
    "tempfile.mkstemp()",
]


def unsafe(tree: ast.Module) -> Iterator[str]:
    """Yield what of it a file does, by the names that things have where they are from."""
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _of_import(node)
        elif isinstance(node, ast.Name) and node.id in _CALLS["builtins"] and isinstance(node.ctx, ast.Load):
            yield f"builtins.{node.id}"
        elif isinstance(node, ast.Attribute):
            yield from _of_attribute(node, names)
        elif isinstance(node, ast.Call):
            yield from _of_call(node, names)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what the names that imports bind stand for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _of_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (found for alias in node.names if (found := _module(alias.name)))
        return
    if node.level:
        return
    if found := _module(node.module or ""):
        yield found
        return
    for alias in node.names:
        if alias.name in _CALLS.get(node.module or "", ()):
            yield f"{node.module}.{alias.name}"
        elif found := _module(f"{node.module}.{alias.name}"):
            yield found


def _of_attribute(node: ast.Attribute, names: dict[str, str]) -> Iterator[str]:
    module, _, name = _dotted(node, names).rpartition(".")
    if name in _CALLS.get(module, ()):
        yield f"{module}.{name}"
    elif node.attr in _METHODS or (node.attr == "check_hostname" and isinstance(node.ctx, ast.Store)):
        yield node.attr


def _of_call(node: ast.Call, names: dict[str, str]) -> Iterator[str]:
    called = _dotted(node.func, names)
    if called == "importlib.import_module" and node.args and isinstance(node.args[0], ast.Constant):
        yield from filter(None, [_module(str(node.args[0].value))])
    given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    for name, value in given.items():
        if (name in _FLAGS and not _is_one_of(value, _FLAGS[name])) or _is_one_of(value, _NEVER.get(name, ())):
            yield name
    if called in _SAYS_SO and "allow_pickle" not in given:
        yield called


def _is_one_of(value: ast.expr, constants: tuple[object, ...]) -> bool:
    return isinstance(value, ast.Constant) and value.value in constants


def _module(name: str) -> str:
    """Return which of the modules a dotted name lies in, "" if in none."""
    return next((one for one in _MODULES if name == one or name.startswith(f"{one}.")), "")


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the whole name of what an expression such as `np.load` stands for, "" if it is no plain name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        around = _dotted(node.value, names)
        return f"{around}.{node.attr}" if around else ""
    return ""
