"""A pushed version is in MLflow as it is here, once, with its aliases."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search.bundle.bundle import MODEL, Bundle
from search.errors import InputError, RefusedError, SurroundingsError
from search.registry.mlflow import Pushed, push
from tests.registry.models import three

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def test_a_version_is_pushed_once_and_comes_back_as_the_bundle_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, uri = three(tmp_path), f"sqlite:///{tmp_path / 'mlflow.db'}"
    one.move("candidate", 2, "")
    first = push(one, 3, uri)
    assert (first.name, first.version, first.aliases) == ("churn", "1", ("production",))
    assert push(one, 3, uri) == first
    second = push(one, 2, uri)
    assert (second.version, second.aliases) == ("2", ("candidate",))
    one.rollback("too slow")
    assert push(one, 2, uri) == Pushed("churn", "2", second.run, ("candidate", "production"))
    assert capfd.readouterr() == ("", "")

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert [found.version for found in client.search_model_versions("name = 'churn'")] == [2, 1]
    served = client.get_model_version_by_alias("churn", "production")
    assert served.tags == {"sweep.digest": one.find(2).digest, "sweep.version": "2"}
    run = client.get_run(served.run_id)
    assert run.data.metrics == {"accuracy": 0.9, "auc": 0.97}
    assert run.data.params["model.kind"] == "linear"
    assert served.source == f"{run.info.artifact_uri}/bundle"
    assert Bundle.open(Path(served.source), digest=one.find(2).digest).manifest.members[0].number == 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db", "models"]


def test_what_is_not_there_or_damaged_is_not_pushed(tmp_path: Path) -> None:
    one, uri = three(tmp_path), f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(InputError, match="no version 9"):
        push(one, 9, uri)
    (one.folder.version(3) / MODEL).write_bytes(b"")
    with pytest.raises(RefusedError, match=MODEL):
        push(one, 3, uri)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:canary@{place}")
        one = three(tmp_path)
        for uri in (f"http://{place}", ""):
            with pytest.raises(SurroundingsError, match=f"MLflow did not take version 3: .*http://{place}") as told:
                push(one, 3, uri)
            assert len(told.value.message) < 200
            assert "canary" not in told.value.message
