"""What travels to a cluster is the code that the objective needs, the same each time, and never what is private."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from search.errors import InputError
from search.loading import BY_VALUE, Loaded, code_hash
from search.plan import SweepPlan
from search.tuner import shipping
from search.tuner.shipping import Shipment, pack, pack_ours, pack_projects
from search.usermodules import library

OBJECTIVE = """
from search.contract import objective

def space(trial):
    trial.suggest_float("x", 0, 1)

@objective(space=space, metrics={"val_loss": "minimize"})
def rain(run):
    yield {"val_loss": 1.0}
"""

LOADS = """
import json, sys
from pathlib import Path
from search import loading
objective = loading.load(sys.argv[1], kind="objective", folder=Path.cwd())
space = loading.load(sys.argv[2], kind="space", folder=Path.cwd())
print(json.dumps([loading.code_hash(objective, space), loading.__file__]))
"""


def plan_of(objective: str, space: str | None = None, results: str = "/nowhere") -> SweepPlan:
    return SweepPlan(
        objective=objective,
        space=space or f"{objective}.space",
        study="s",
        results=results,
        metrics=("val_loss",),
        directions=("minimize",),
        seed=0,
    )


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder: Path) -> set[str]:
    """Return what a folder holds, relative to the project's place in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def packed(root: Path, files: Mapping[str, str], at: str = "rain.py", *, results: str = "/nowhere") -> Shipment:
    write(root, {at: OBJECTIVE, **files})
    into = root.parent / "shipment"
    into.mkdir()
    return pack_projects(plan_of(f"{root / at}:rain", results=results), into)


def loaded(shipment: Shipment) -> tuple[str, str]:
    """Return the hash of the code, and where this package is, in a process that has only the shipment."""
    run = subprocess.run(
        [sys.executable, "-c", LOADS, shipment.objective, shipment.space],
        cwd=shipment.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(shipment.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    digest, ours = json.loads(run.stdout)
    return digest, ours


def here(plan: SweepPlan) -> str:
    """Return the hash of the code of this machine's files."""
    files = [shipping.file_of(reference) for reference in (plan.objective, plan.space)]
    return code_hash(*(Loaded(None, "", file.path, file.root) for file in files if file is not None))


HOME_FILE = {"other.py": "import helper\n", "deep/other.py": "", "notes.txt": "mine", ".env": "KEY=1"}


def test_of_a_folder_that_is_no_project_only_what_the_objective_imports_travels(tmp_path: Path) -> None:
    write(tmp_path / "home", {"helper.py": "", "tools/__init__.py": "", "tools/math.py": ""})
    (tmp_path / "home" / "rain.py").write_text("")
    crowd = {f"things/{number}.py": "" for number in range(30)}
    shipment = packed(
        tmp_path / "home", {**HOME_FILE, **crowd, "rain.py": f"import helper\nfrom tools import math\n{OBJECTIVE}"}
    )
    assert names(shipment.folder / "project-1") == {"rain.py", "helper.py", "tools/__init__.py", "tools/math.py"}
    assert shipment.objective == "project-1/rain.py:rain"
    assert shipment.space == "project-1/rain.py:rain.space"


@pytest.mark.parametrize("mark", ["pyproject.toml", "setup.cfg", "setup.py", ".git/HEAD"])
def test_of_a_project_all_code_travels_also_what_is_imported_by_name(tmp_path: Path, mark: str) -> None:
    shipment = packed(tmp_path / "rain", {mark: "", "plugins/fast.py": "", "data.csv": "1", "model.pkl": "x"})
    assert names(shipment.folder / "project-1") - {"setup.py"} == {"rain.py", "plugins/fast.py"}


def test_a_project_that_came_to_a_home_travels_on_from_there_whole(tmp_path: Path) -> None:
    """From a laptop to the head, and from the head to the workers: what marks the project stays on the laptop."""
    ship = '[tool.sweep]\nship = ["lib/table.json"]'
    files = {"pyproject.toml": ship, "lib/table.json": "{}", "lib/__init__.py": "", "lib/plug_a.py": "", "data.csv": ""}
    first = packed(tmp_path / "laptop", files)
    study = tmp_path / "results" / "s"
    shutil.copytree(first.folder, study)
    write(study, {"plan.json": "{}", "trials/00001/log.txt": "", "project-1/__pycache__/rain.pyc": ""})
    again = tmp_path / "again"
    again.mkdir()
    pack_projects(plan_of(f"{study / first.objective}", results=str(study.parent)), again)
    assert names(again) == names(first.folder)
    assert "project-1/lib/table.json" in names(again)


def test_a_home_is_no_project_whatever_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    shipment = packed(tmp_path / "ann", {"pyproject.toml": "", "diary.py": ""})
    assert names(shipment.folder) == {"project-1/rain.py"}


PRIVATE = [
    ".env",
    ".hidden/code.py",
    ".hidden.py",
    ".git/hooks/hook.py",
    "venv/pyvenv.cfg",
    "venv/lib/python3.11/site-packages/torch/__init__.py",
    "own-venv/pyvenv.cfg",
    "own-venv/lib/tool.py",
    "node_modules/x/gyp.py",
    "__pycache__/rain.cpython-311.pyc",
    "secrets.toml",
    "server.pem",
    "id_rsa",
    "id_rsa.pub",
    "explore.ipynb",
    "weather.csv",
    "results/s/plan.json",
    "results/s/project-1/rain.py",
    "results/s/trials/00001/log.txt",
]


def test_installed_and_hidden_files_keys_notebooks_data_and_results_stay(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "objectives/part.py": "", **dict.fromkeys(PRIVATE, "")}
    results = str(tmp_path / "rain" / "results")
    shipment = packed(tmp_path / "rain", files, "objectives/rain.py", results=results)
    assert names(shipment.folder / "project-1") == {"objectives/rain.py", "objectives/part.py"}


SHIPPED = '[tool.sweep]\nship = ["configs/*.yaml", "vocabulary.txt"]\n'


def test_what_the_project_declares_travels_too(tmp_path: Path) -> None:
    files = {"pyproject.toml": SHIPPED, "configs/a.yaml": "a: 1", "configs/b.json": "{}", "vocabulary.txt": "sun"}
    shipment = packed(tmp_path / "rain", files)
    assert names(shipment.folder / "project-1") == {"rain.py", "configs/a.yaml", "vocabulary.txt"}


def test_a_project_with_its_code_in_src_declares_it_beside_that_folder(tmp_path: Path) -> None:
    files = {"../pyproject.toml": '[tool.sweep]\nship = ["src/rain/*.yaml"]', "rain/__init__.py": "", "rain/a.yaml": ""}
    (tmp_path / "work" / "src").mkdir(parents=True)
    shipment = packed(tmp_path / "work" / "src", files, "rain/objective.py")
    assert "rain/a.yaml" in names(shipment.folder / "project-1")


@pytest.mark.parametrize("name", [name for name in PRIVATE if not name.endswith((".py", ".csv"))])
def test_what_is_private_does_not_travel_even_if_it_is_declared(tmp_path: Path, name: str) -> None:
    results = str(tmp_path / "rain" / "results")
    files = {"pyproject.toml": f'[tool.sweep]\nship = ["**/*", "{name}"]', name: "secret"}
    shipment = packed(tmp_path / "rain", files, results=results)
    assert name not in names(shipment.folder / "project-1")


def test_a_declared_file_that_may_hold_secrets_is_told(tmp_path: Path) -> None:
    shipment = packed(tmp_path / "rain", {"pyproject.toml": '[tool.sweep]\nship = ["*.toml"]', "secrets.toml": ""})
    assert shipment.notes == ("secrets.toml may hold secrets, and is not sent",)
    assert "pyproject.toml" in names(shipment.folder / "project-1")


@pytest.mark.parametrize(
    "ship",
    ['"configs"', "3", '["/etc/passwd"]', "[1]", '["../*"]', '[""]', '{a = "b"}'],
)
def test_a_wrong_declaration_is_told(tmp_path: Path, ship: str) -> None:
    with pytest.raises(InputError, match=r"tool\.sweep\.ship"):
        packed(tmp_path / "rain", {"pyproject.toml": f"[tool.sweep]\nship = {ship}", "../outside.txt": ""})


def test_a_damaged_declaration_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pyproject\.toml"):
        packed(tmp_path / "rain", {"pyproject.toml": "[tool"})


def test_links_are_followed_inside_the_project_and_never_out_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"private.py": "KEY = 1", "folder/private.py": "KEY = 1", "keys.yaml": "key: 1"})
    root = tmp_path / "rain"
    write(root, {"pyproject.toml": "", "real/part.py": "", ".hidden/code.py": ""})
    for link, target in {
        "linked": root / "real",
        "linked.py": root / "real" / "part.py",
        "private.py": outside / "private.py",
        "elsewhere": outside / "folder",
        "shown": root / ".hidden",
        "loop": root,
        "real/loop": root / "real",
        "broken.py": root / "gone.py",
    }.items():
        (root / link).symlink_to(target)
    shipment = packed(root, {})
    assert names(shipment.folder / "project-1") == {"rain.py", "real/part.py", "linked/part.py", "linked.py"}
    assert not any(path.is_symlink() for path in shipment.folder.rglob("*"))
    assert f"private.py leads out of {root}, and is not sent" in shipment.notes
    assert f"elsewhere leads out of {root}, and is not sent" in shipment.notes


def test_a_declared_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "outside", {"keys.yaml": "key: 1"})
    root = tmp_path / "rain"
    root.mkdir()
    (root / "keys.yaml").symlink_to(tmp_path / "outside" / "keys.yaml")
    with pytest.raises(InputError, match=r"leads out of the project, to .*keys\.yaml"):
        packed(root, {"pyproject.toml": '[tool.sweep]\nship = ["*.yaml"]'})


def test_more_code_than_a_cluster_should_be_sent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_MOST_BYTES", 10_000)
    with pytest.raises(InputError, match=r"weights\.py alone 0 MB; a cluster is sent") as caught:
        packed(tmp_path / "rain", {"pyproject.toml": "", "weights.py": "#" * 20_000})
    assert caught.value.field == "objective"
    assert len(caught.value.message) - len(str(tmp_path)) < 200


def test_of_too_many_files_only_those_that_are_imported_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_MOST_FILES", 20)
    crowd = {f"things/{number}.py": "" for number in range(25)}
    shipment = packed(tmp_path / "rain", {"pyproject.toml": "", **crowd})
    assert names(shipment.folder / "project-1") == {"rain.py"}
    assert [note for note in shipment.notes if "over 20 files of code: only what rain.py imports is sent" in note]


PLACES = {
    "a file alone": ("rain.py", {"helper.py": "WET = 1"}, "import helper"),
    "a package with relative imports": (
        "weather/rain.py",
        {"weather/__init__.py": "", "weather/helper.py": "WET = 1", "weather/deep/__init__.py": ""},
        "from . import helper\nfrom .deep import __name__ as _",
    ),
    "its own objectives, spaces and search": (
        "objectives/tabular.py",
        {"objectives/helper.py": "WET = 1", "spaces/tabular.py": "", "search.py": "raise SystemExit('not ours')"},
        "from . import helper",
    ),
    "its own objectives as a package": (
        "objectives/rain.py",
        {"objectives/__init__.py": "", "objectives/helper.py": "WET = 1", "search/__init__.py": "1 / 0"},
        "from objectives import helper",
    ),
    "spaces and other letters": ("Wetter für morgen/régen ☔.py", {"Wetter für morgen/helper.py": ""}, "import helper"),
    "a folder that is no package's name": ("rain.py", {"__init__.py": "", "helper.py": ""}, "import helper"),
}


@pytest.mark.parametrize("place", PLACES)
def test_code_loads_from_the_shipment_with_the_hash_that_it_has_here(tmp_path: Path, place: str) -> None:
    at, files, imports = PLACES[place]
    root = tmp_path / "my rain-project"
    write(root, files)
    write(root, {at: f"{imports}\n{OBJECTIVE}", "pyproject.toml": ""})
    plan = plan_of(f"{root / at}:rain")
    into = tmp_path / "shipment"
    into.mkdir()
    shipment = pack(plan, into)
    digest, ours = loaded(shipment)
    assert Path(ours).is_relative_to(into), "the package itself came along"
    assert digest == here(plan)


def test_objective_and_space_of_two_projects_travel_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "one", {"objectives/rain.py": OBJECTIVE})
    write(tmp_path / "two", {"spaces/wide.py": "def wide(trial):\n    trial.suggest_float('x', 0, 9)\n"})
    plan = plan_of(f"{tmp_path}/one/objectives/rain.py:rain", f"{tmp_path}/two/spaces/wide.py:wide")
    into = tmp_path / "shipment"
    into.mkdir()
    shipment = pack(plan, into)
    assert (shipment.objective, shipment.space) == (
        "project-1/objectives/rain.py:rain",
        "project-2/spaces/wide.py:wide",
    )
    assert loaded(shipment)[0] == here(plan)


def test_what_is_shipped_with_this_package_travels_with_it(tmp_path: Path) -> None:
    plan = plan_of(f"{library()}/objectives/tabular.py:Tabular", f"{library()}/spaces/tabular.py:tabular")
    into = tmp_path / "shipment"
    into.mkdir()
    shipment = pack(plan, into)
    assert (shipment.objective, shipment.space) == ("tabular:Tabular", "tabular:tabular")
    assert not [name for name in names(into) if not name.startswith("search/")]
    assert loaded(shipment)[0] == here(plan)


def test_this_package_travels_alike_from_a_wheel(tmp_path: Path) -> None:
    """A shipment has the layout of a wheel; as an installed package it packs itself, and its library, once more."""
    site = tmp_path / "lib" / "site-packages"
    site.mkdir(parents=True)
    first = pack_ours(site)
    code = (
        "import sys; from pathlib import Path; from search.tuner import shipping;"
        "from search.usermodules import library; from tests.tuner.test_shipping import plan_of;"
        "into = Path(sys.argv[1]); into.mkdir();"
        "plan = plan_of(f'{library()}/objectives/tabular.py:Tabular', f'{library()}/spaces/tabular.py:tabular');"
        "print(shipping.pack_ours(into)); print(shipping.pack_projects(plan, into).objective); print(library())"
    )
    path = os.pathsep.join([str(site), str(Path(shipping.__file__).parents[2])])
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "again")],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [first, "tabular:Tabular", str(site / "search" / "library")]


def test_a_module_that_is_not_installed_travels_and_an_installed_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    write(tmp_path / "work", {"ownweather/__init__.py": "", "ownweather/rain.py": OBJECTIVE})
    write(site, {"theirweather/__init__.py": "", "theirweather/rain.py": OBJECTIVE})
    for folder in (tmp_path / "work", site):
        monkeypatch.syspath_prepend(str(folder))
    into = tmp_path / "shipment"
    into.mkdir()
    own = pack_projects(plan_of("ownweather.rain:rain"), into)
    assert own.objective == "project-1/ownweather/rain.py:rain"
    theirs = pack_projects(plan_of("theirweather.rain:rain"), tmp_path / "other")
    assert theirs.objective == "theirweather.rain:rain"
    by_path = pack_projects(plan_of(f"{site}/theirweather/rain.py:rain"), tmp_path / "other")
    assert by_path.objective == "theirweather.rain:rain"
    assert not (tmp_path / "other").exists()


def test_what_stands_in_a_script_is_left_to_the_orders(tmp_path: Path) -> None:
    shipment = pack_projects(plan_of(f"{BY_VALUE}:rain", f"{BY_VALUE}:space"), tmp_path)
    assert (shipment.objective, shipment.space) == (f"{BY_VALUE}:rain", f"{BY_VALUE}:space")
    assert not names(tmp_path)


def test_the_same_code_is_the_same_package_for_ray_and_small(tmp_path: Path) -> None:
    from ray._private.runtime_env.packaging import create_package, get_uri_for_directory

    write(tmp_path / "rain", {"rain.py": OBJECTIVE, "pyproject.toml": "", "part.py": ""})
    plan = plan_of(f"{tmp_path}/rain/rain.py:rain")
    uris = []
    for name, results in (("first", "/nowhere"), ("second", str(tmp_path / "results"))):
        (tmp_path / name).mkdir()
        shipment = pack(replace(plan, study=name, results=results), tmp_path / name)
        uris.append(get_uri_for_directory(str(shipment.folder), include_gitignore=False))
        write(tmp_path / "rain", {"__pycache__/rain.cpython-311.pyc": "compiled meanwhile"})
    assert uris[0] == uris[1]
    create_package(str(tmp_path / "first"), tmp_path / "code.zip", include_gitignore=False, include_parent_dir=False)
    assert (tmp_path / "code.zip").stat().st_size < 5_000_000  # as Ray sends it, uncompressed
