"""`--track` and `--notify`: what may be given, and what is refused in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.choosing import choose
from search.errors import InputError
from search.launch import prepare
from search.plan import SweepPlan
from search.resume import changed
from tests.records.studies import plan
from tests.trackers.tracked import Study

HERE = Path.cwd()

TAKEN = [
    (("mlflow",), ("mlflow",)),
    (("mlflow:https://mlflow.example.org:5000/x",), ("mlflow:https://mlflow.example.org:5000/x",)),
    (("mlflow:sqlite:///m.db",), (f"mlflow:sqlite:///{HERE}/m.db",)),
    (("mlflow:sqlite:////srv/m.db",), ("mlflow:sqlite:////srv/m.db",)),
    (("tensorboard:runs", "wandb:team/rain"), (f"tensorboard:{HERE}/runs", "wandb:team/rain")),
    (("tensorboard:runs:2",), (f"tensorboard:{HERE}/runs:2",)),
    (("mlflow:databricks",), ("mlflow:databricks",)),
    (("mlflow", "wandb", "mlflow"), ("mlflow", "wandb")),
    (("none",), ()),
    ((), ()),
]


@pytest.mark.parametrize(("given", "stands"), TAKEN)
def test_trackers_stand_in_the_plan_in_full(given: tuple[str, ...], stands: tuple[str, ...]) -> None:
    assert choose({"track": given})["track"] == stands
    assert choose({}, {"track": [*given]})["track"] == stands


REFUSED = [
    ("mlflow,tensorboard", "--track takes mlflow, tensorboard, wandb or none, got 'mlflow,tensorboard'"),
    (3, "--track takes mlflow, tensorboard, wandb or none, got 3"),
    ("mlflow:http://h/?token=s3cret", "--track mlflow:http://h/ came with a user, a password or a token"),
    ("mlflow:mlruns", "--track mlflow takes the URI of a server or a database, got 'mlruns'"),
    ("tensorboard:${HOME}/tb", "--track tensorboard:${HOME}/tb names a variable, which is not filled in here"),
    ("mlfow", "--track takes mlflow, tensorboard, wandb or none, got 'mlfow'"),
    ("mlflow:", "--track mlflow: says nothing after the colon"),
    ("mlflow:https://me:s3cret@host/x", "--track mlflow:https://host/x came with a user, a password or a token"),
    ("mlflow:https://t0ken@host/x", "--track mlflow:https://host/x came with a user, a password or a token"),
    ("wandb:a b", "--track wandb takes PROJECT or ENTITY/PROJECT, got 'a b'"),
    ("wandb:../../x", "--track wandb takes PROJECT or ENTITY/PROJECT, got '../../x'"),
    ("tensorboard:a\nb", "--track tensorboard: says nothing after the colon"),
    ("tensorboard:s3://bucket/x", "--track tensorboard takes a folder, got 's3://bucket/x'"),
    ("tensorboard:file:///x", "--track tensorboard takes a folder, got 'file:///x'"),
    ("mlflow:http://[x", "--track mlflow: takes a URI, got 'http://[x'"),
    ("mlflow:http://me:s3cret@[x", "--track mlflow: takes a URI, got 'http://[x'"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_is_no_tracker_or_holds_a_secret_is_refused(given: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        choose({"track": (given,)})
    assert said in caught.value.message
    assert not {"s3cret", "t0ken"} & {*caught.value.sentence().replace("@", " ").replace(":", " ").split()}
    assert len(caught.value.message) <= 200


def test_no_tracker_goes_with_no_other() -> None:
    for given in ({"track": ("none", "mlflow")}, {"track": ["tensorboard", "none"]}):
        with pytest.raises(InputError, match="track none goes with no other tracker"):
            choose(given)


def test_several_in_one_are_told_to_be_given_apart() -> None:
    with pytest.raises(InputError) as caught:
        choose({"track": ("mlflow,tensorboard",)})
    assert caught.value.hint == "give --track once for each"


URLS = [
    ("https://example.org/hook", "https://example.org/hook"),
    ("http://127.0.0.1:80/${SWEEP_TEST_KEY}?token=${SWEEP_TEST_KEY}", None),
    ("none", ""),
]


@pytest.mark.parametrize(("given", "stands"), URLS)
def test_a_url_stands_in_the_plan_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, given: str, stands: str | None
) -> None:
    monkeypatch.setenv("SWEEP_TEST_KEY", "s3cret")
    assert choose({"notify": given})["notify"] == (given if stands is None else stands or None)


NO_URLS = [
    ("ftp://example.org", "--notify takes a URL of http or https, got 'ftp://example.org'"),
    ("example.org/x", "--notify takes a URL of http or https, got 'example.org/x'"),
    ("http://", "--notify takes a URL of http or https, got 'http://'"),
    ("http://h:99999/", "--notify takes a URL of http or https, got 'http://h:99999/'"),
    ("https://me:s3cret@h/", "--notify https://h came with a secret, which a plan would keep and show"),
    ("https://s3cret@h/", "--notify https://h came with a secret, which a plan would keep and show"),
    ("https://h/?token=s3cret", "--notify https://h came with a secret, which a plan would keep and show"),
]


@pytest.mark.parametrize(("given", "said"), NO_URLS)
def test_what_is_no_url_or_holds_a_secret_is_refused(given: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        choose({"notify": given})
    assert caught.value.message == said
    assert "s3cret" not in caught.value.sentence()


@pytest.mark.parametrize(
    ("url", "elsewhere", "said"),
    [
        ("https://h:${SWEEP_NOT_SET}/", False, r"^\$\{SWEEP_NOT_SET\} is not set in the environment$"),
        ("https://h:${SWEEP_NOT_SET}/", True, "nowhere.py"),
        ("none", False, "nowhere.py"),
    ],
)
def test_a_secret_has_to_be_where_the_sweep_runs(tmp_path: Path, url: str, said: str, *, elsewhere: bool) -> None:
    with pytest.raises(InputError, match=said):
        prepare("nowhere.py:x", choose({"notify": url}), results=tmp_path, folder=tmp_path, elsewhere=elsewhere)


def test_the_plan_keeps_both_over_a_round_trip(tmp_path: Path) -> None:
    one = plan("s", tmp_path, track=("mlflow", "wandb:p"), notify="https://h/${KEY}")
    assert SweepPlan.from_json(one.to_json()) == one
    old = {name: value for name, value in one.to_json().items() if name not in ("track", "notify")}
    assert SweepPlan.from_json(old).track == ()


@pytest.mark.parametrize(
    ("given", "track"), [(None, ("mlflow",)), ((), ("mlflow",)), (("wandb",), ("wandb",)), (("none",), ())]
)
def test_a_resume_keeps_its_trackers_or_takes_others(
    tmp_path: Path, given: tuple[str, ...] | None, track: tuple[str, ...]
) -> None:
    assert changed(plan("s", tmp_path, track=("mlflow",)), {"track": given}).track == track
    with pytest.raises(InputError, match="is not set"):
        changed(plan("s", tmp_path), {"notify": "https://h/${SWEEP_NOT_SET}"})


def test_a_package_that_is_not_there_is_told_before_anything_starts() -> None:
    code = (
        "import sys; sys.modules['wandb'] = None\n"
        "from search.trackers.chosen import check\n"
        "from search.errors import SurroundingsError\n"
        "try: check(['tensorboard', 'wandb'])\n"
        "except SurroundingsError as error: assert 'sweep-search[wandb]' in error.sentence(), error\n"
        "else: raise SystemExit('it passed')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_study_from_before_there_were_trackers_opens(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.trial([0.5])
    assert study.close().trials["complete"] == 1
