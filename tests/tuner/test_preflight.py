"""Before a trial starts on a cluster, each node is seen to have what trials import, and what is missing is named."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.errors import ExitCode, InputError, SurroundingsError
from search.launch import versions
from search.tuner import preflight
from search.tuner.needed import HEAD, TRIALS, Need, imported, needs_of, ours
from search.tuner.preflight import Seen, differing, lack, lacking_here, refuse_missing, refuse_other_versions
from search.usermodules import import_fault, library
from tests.tuner.test_shipping import OBJECTIVE, plan_of, write
from tests.tuner.walled import ADDRESS, NODE, SWEEP, Walled, walled

IMPORTS = [
    ("import lightgbm", {"lightgbm"}),
    ("import lightgbm.sklearn as own, xgboost", {"lightgbm", "xgboost"}),
    ("from lightgbm.sklearn import LGBMModel", {"lightgbm"}),
    ("from . import own\nfrom .own import one\nfrom .. import two", set()),
    ("import json, search\nfrom search.contract import objective", set()),
    ("try:\n    import lightgbm\nexcept ImportError:\n    lightgbm = None", set()),
    ("try:\n    import lightgbm\nexcept (KeyError, ModuleNotFoundError):\n    import xgboost", set()),
    ("try:\n    import lightgbm\nexcept:\n    pass", set()),
    ("try:\n    import lightgbm\nexcept OSError:\n    import xgboost", {"lightgbm", "xgboost"}),
    ("try:\n    import a\nexcept ImportError:\n    b = 1\nelse:\n    import c\nfinally:\n    import d", {"c", "d"}),
    ("try:\n    import lightgbm\nfinally:\n    pass", {"lightgbm"}),
    ("import contextlib\nwith contextlib.suppress(ImportError):\n    import lightgbm", set()),
    ("from contextlib import suppress\nwith suppress(KeyError):\n    import lightgbm", {"lightgbm"}),
    ("with open('x'):\n    import lightgbm", {"lightgbm"}),
    (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lightgbm\nelse:\n    import xgboost",
        {"xgboost"},
    ),
    ("import typing\nif typing.TYPE_CHECKING:\n    import lightgbm", set()),
    ("if 1:\n    import a\nelif 2:\n    import b\nelse:\n    import c", {"a", "b", "c"}),
    ("match 1:\n    case 1:\n        import lightgbm", {"lightgbm"}),
    ("class Rain:\n    import lightgbm", {"lightgbm"}),
    ("def broken(:", set()),
    ("\0", set()),
]


@pytest.mark.parametrize(("code", "names"), IMPORTS)
def test_what_a_file_cannot_do_without_is_read_from_its_source(tmp_path: Path, code: str, names: set[str]) -> None:
    (tmp_path / "rain.py").write_text(code)
    assert imported(tmp_path / "rain.py", everywhere=False) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def train():\n    import lightgbm", {"lightgbm"}),
        ("class Rain:\n    async def train(self):\n        import lightgbm", {"lightgbm"}),
        ("class Rain:\n    def export(self):\n        import skl2onnx", set()),
    ],
)
def test_what_a_function_imports_counts_unless_only_promotion_calls_it(
    tmp_path: Path, code: str, names: set[str]
) -> None:
    (tmp_path / "rain.py").write_text(code)
    assert imported(tmp_path / "rain.py", everywhere=True) == names
    assert imported(tmp_path / "rain.py", everywhere=False) == set()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages: `fakeboost` and, inside a name of its own, `fakeweather`."""
    folder = tmp_path / "site-packages"
    write(folder, {"fakeboost.py": "", "fakeweather/__init__.py": "", "fakeweather/rain.py": OBJECTIVE})
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_an_objective_needs_what_its_project_imports_and_neither_its_own_files_nor_what_is_missing_here(
    tmp_path: Path, site: Path
) -> None:
    root = tmp_path / "work"
    write(
        root,
        {
            "objectives/rain.py": f"import helper\nimport numpy\nimport is_nowhere\nfrom . import deep\n{OBJECTIVE}",
            "objectives/deep.py": "def later():\n    import fakeboost\n",
            "objectives/unused.py": "import pytest\n",
            "helper.py": "import plugins\n",
            "plugins/one.py": "import pytest\n",
        },
    )
    plan = plan_of(f"{root}/objectives/rain.py:rain")
    assert needs_of(plan) == (Need("fakeboost", "fakeboost", "objectives/deep.py"),)


def test_an_installed_objective_needs_its_own_package(site: Path) -> None:
    needs = needs_of(plan_of("fakeweather.rain:rain"))
    assert needs == (Need("fakeweather", "fakeweather", "the sweep"),)
    assert needs_of(plan_of(f"{site}/fakeweather/rain.py:rain")) == needs


def test_what_is_shipped_needs_no_more_than_this_package_does() -> None:
    for name in ("tabular:Tabular", "images:Images"):
        place, _, kind = name.partition(":")
        plan = plan_of(f"{library()}/objectives/{place}.py:{kind}", f"{library()}/spaces/{place}.py:{place}")
        assert needs_of(plan) == ()


def test_what_a_cluster_is_asked_for_is_what_this_package_declares() -> None:
    declared = tomllib.loads((library() / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = {line.partition(">")[0].partition("[")[0].strip() for line in declared}
    assert {need.package.lower() for need in ours(head=True)} == packages - {"plotly"}  # of reports, made elsewhere
    assert set(TRIALS).isdisjoint(HEAD)


NEEDS = (Need("sklearn", "scikit-learn"), Need("lightgbm", "lightgbm", "objectives/rain.py"))

MISSING = [
    (
        [Seen("10.0.0.6", (), {}), Seen("10.0.0.7", ("lightgbm",), {})],
        "node 10.0.0.7 lacks lightgbm, which objectives/rain.py imports; pip install lightgbm there",
    ),
    (
        [Seen("10.0.0.7", ("sklearn",), {}), Seen("10.0.0.8", ("sklearn",), {})],
        (
            "node 10.0.0.7 lacks scikit-learn, which sweep needs, and 1 other node lacks something;"
            " pip install scikit-learn there"
        ),
    ),
    (
        [Seen(f"10.0.0.{number}", ("a", "b", "c", "d", "e"), {}) for number in range(3)],
        (
            "node 10.0.0.0 lacks a, b, c and 2 more, which sweep needs, and 2 other nodes lack something;"
            " pip install a b c there"
        ),
    ),
]


@pytest.mark.parametrize(("seen", "said"), MISSING)
def test_a_node_that_lacks_something_is_refused_by_name(seen: list[Seen], said: str) -> None:
    with pytest.raises(SurroundingsError) as caught:
        refuse_missing(seen, NEEDS)
    assert caught.value.sentence() == said
    assert caught.value.code == ExitCode.SURROUNDINGS
    assert len(said) <= 200


def test_nodes_that_have_everything_are_not_refused() -> None:
    refuse_missing([], NEEDS)
    refuse_missing([Seen("10.0.0.6", (), {})], NEEDS)


HERE = {"python": "3.11.9", "ray": "2.60.0", "torch": "2.8.0"}


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (HERE | {"ray": "2.54.0"}, "node 10.0.0.7 runs Ray 2.54.0 / Python 3.11, here 2.60.0 / 3.11: they must match"),
        (
            HERE | {"python": "3.12.1"},
            "node 10.0.0.7 runs Ray 2.60.0 / Python 3.12, here 2.60.0 / 3.11: they must match",
        ),
    ],
)
def test_other_versions_of_ray_and_python_are_refused(theirs: dict[str, str], said: str) -> None:
    with pytest.raises(SurroundingsError) as caught:
        refuse_other_versions([Seen("10.0.0.6", (), HERE), Seen("10.0.0.7", (), theirs)], HERE)
    assert caught.value.sentence() == said


def test_other_versions_of_what_results_depend_on_are_noted_once_for_all_nodes() -> None:
    refuse_other_versions([Seen("a", (), HERE | {"python": "3.11.2"}), Seen("b", (), {"python": "3.11.9"})], HERE)
    older = HERE | {"torch": "2.7.0"}
    seen = [Seen(f"10.0.0.{number}", (), older) for number in range(5)]
    seen += [Seen("10.0.0.9", (), HERE | {"torch": "2.9.0"}), Seen("10.0.0.8", (), HERE)]
    assert list(differing(seen, HERE)) == [
        "nodes 10.0.0.0, 10.0.0.1, 10.0.0.2 and 2 more have torch 2.7.0, here 2.8.0: results may differ",
        "node 10.0.0.9 has torch 2.9.0, here 2.8.0: results may differ",
    ]


def test_a_worker_that_cannot_load_the_objective_says_in_the_same_words_what_its_node_lacks() -> None:
    missing = ModuleNotFoundError("No module named 'sklearnex.svm'", name="sklearnex.svm")
    fault = import_fault("objectives/rain.py", missing)
    fault.__cause__ = missing
    told = lacking_here(fault, "10.0.0.7")
    assert told is not None
    assert told.sentence() == lack("10.0.0.7", [Need("sklearnex", "sklearnex", "objectives/rain.py")]).sentence()
    assert lacking_here(InputError("no objective"), "10.0.0.7") is None
    assert lacking_here(ImportError("cannot import name 'x'"), "10.0.0.7") is None


RAIN = f"import fakeboost\n{OBJECTIVE}"


@pytest.fixture(scope="module")
def lopsided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    """A cluster of two nodes, of which the second one does not see a package that the first one has."""
    folder = tmp_path_factory.mktemp("walled")
    write(folder, {"site/fakeboost.py": "", "work/objectives/rain.py": RAIN, "work/objectives/plain.py": OBJECTIVE})
    checkout = str(Path(preflight.__file__).parents[2])
    with walled(folder, PYTHONPATH=f"/mnt/site:{checkout}") as cluster:
        cluster.start_head()
        cluster.start_node(hidden="/mnt/site")
        yield cluster


def test_a_sweep_over_a_node_that_lacks_a_package_ends_before_a_trial_starts(lopsided: Walled) -> None:
    done = lopsided.run(*SWEEP, "run", "work/objectives/rain.py", "--address", ADDRESS, "--trials", "1", "--quiet")
    said = f"node {NODE} lacks fakeboost, which objectives/rain.py imports; pip install fakeboost there"
    assert done.returncode == ExitCode.SURROUNDINGS, done.stderr
    assert f"error: {said}\n" in done.stderr
    assert not [path for path in (lopsided.folder / "head-results").glob("*") if path.is_dir()], "nothing is left"


def test_a_sweep_over_nodes_that_have_everything_runs(lopsided: Walled) -> None:
    done = lopsided.run(*SWEEP, "run", "work/objectives/plain.py", "--address", ADDRESS, "--trials", "1", "--quiet")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "lacks" not in done.stderr
    assert versions()["ray"] not in done.stderr
