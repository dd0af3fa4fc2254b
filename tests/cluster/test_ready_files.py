"""The ready files under docs/cluster: each fits its schema or its tool, and none leaves a door open."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2] / "docs" / "cluster"
LAUNCHER = ("aws.yaml", "gcp.yaml")
SHELLCHECK = Path(sys.executable).parent / "shellcheck"
SBATCH = ROOT / "slurm" / "sweep.sbatch"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def kinds() -> dict[str, dict[str, Any]]:
    text = (ROOT / "kuberay" / "raycluster.yaml").read_text(encoding="utf-8")
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def pods() -> list[dict[str, Any]]:
    spec = kinds()["RayCluster"]["spec"]
    return [one["template"]["spec"] for one in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_launcher_file_fits_the_schema_of_ray_by_itself_and_with_what_ray_fills_in(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(load(name))
    validate_config(load(name))
    validate_config(prepared)
    assert all(one["max_workers"] <= prepared["max_workers"] for one in prepared["available_node_types"].values())


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_launcher_file_with_a_word_that_ray_does_not_know_is_refused(name: str) -> None:
    from ray.autoscaler._private.util import validate_config

    with pytest.raises(Exception, match="head_nodes"):
        validate_config({**load(name), "head_nodes": {}})


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_launched_cluster_takes_a_token_from_a_file_and_has_neither_dashboard_nor_public_addresses(name: str) -> None:
    config = load(name)
    assert config["provider"]["use_internal_ips"] is True
    for command in (config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]):
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=" in command
        assert "RAY_AUTH_TOKEN=" not in command
        assert "--temp-dir=$HOME/.sweep/ray" in command  # in a folder of the user's alone: Ray's own are open to all
    assert "--include-dashboard=false" in config["head_start_ray_commands"][-1]
    assert any("chmod 700 ~/.sweep && chmod 600 ~/.sweep/token" in command for command in config["setup_commands"])


def test_on_aws_no_rule_lets_the_internet_in() -> None:
    rules = load("aws.yaml")["provider"]["security_group"]["IpPermissions"]
    ranges = [one["CidrIp"] for rule in rules for one in rule["IpRanges"]]
    assert sorted(rule["FromPort"] for rule in rules) == [22, 10001]
    assert all(one.startswith("10.") for one in ranges)


def test_on_gcp_no_interface_has_a_public_address() -> None:
    for one in load("gcp.yaml")["available_node_types"].values():
        interfaces = one["node_config"]["networkInterfaces"]
        assert interfaces
        assert all("accessConfigs" not in interface for interface in interfaces)


def test_ray_reads_the_cluster_of_kuberay_as_a_head_without_cpus_and_workers_with_a_gpu() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
    from ray.autoscaler._private.util import validate_config

    cluster = kinds()["RayCluster"]
    cluster["metadata"]["namespace"] = "default"  # which the operator's server fills in
    config = _derive_autoscaling_config_from_ray_cr(cluster)
    validate_config(config)
    types = {one["resources"].get("GPU", 0): one for one in config["available_node_types"].values()}
    assert types[0]["resources"]["CPU"] == 0
    assert types[1]["resources"] == {"CPU": 8, "GPU": 1, "memory": 32 * 2**30}
    assert types[1]["max_workers"] == 8


def test_each_pod_of_kuberay_reads_the_token_from_a_secret_s_file_and_may_do_little() -> None:
    for pod in pods():
        container = pod["containers"][0]
        given = {one["name"]: one.get("value") for one in container["env"]}
        secret = next(one["secret"] for one in pod["volumes"] if "secret" in one)
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert given["RAY_AUTH_MODE"] == "token"
        assert given["RAY_AUTH_TOKEN_PATH"] == f"{mounts['token']}/token"
        assert "RAY_AUTH_TOKEN" not in given
        assert secret == {"secretName": "sweep-token", "defaultMode": 0o440}
        assert container["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert set(mounts) == {one["name"] for one in pod["volumes"]}
        assert {"livenessProbe", "readinessProbe"} <= container.keys()  # else KubeRay asks a dashboard that is off


def test_the_network_policy_of_kuberay_lets_in_the_cluster_itself_and_clients_at_one_port() -> None:
    every = kinds()
    name = every["RayCluster"]["metadata"]["name"]
    own = {"matchLabels": {"ray.io/cluster": name}}
    policy = every["NetworkPolicy"]["spec"]
    among, clients = policy["ingress"]
    assert policy["podSelector"] == own
    assert among == {"from": [{"podSelector": own}]}
    assert [one["port"] for one in clients["ports"]] == [10001]
    assert all(set(one) == {"podSelector"} and one["podSelector"] for one in clients["from"])
    assert every["RayCluster"]["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert every["RayCluster"]["spec"]["headGroupSpec"]["rayStartParams"]["include-dashboard"] == "false"


def test_no_token_stands_in_a_ready_file() -> None:
    assert "Secret" not in kinds()
    for path in ROOT.rglob("*"):
        if path.is_file():
            assert "stringData" not in path.read_text(encoding="utf-8")


def test_the_pods_and_objects_of_kuberay_fit_the_schema_of_kubernetes() -> None:
    every = kinds()
    objects = [every["NetworkPolicy"], every["PersistentVolumeClaim"]]
    objects += [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod} for pod in pods()]
    for one in objects:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


# --- Slurm ---


def test_the_slurm_script_is_one_of_bash_without_what_shellcheck_warns_of() -> None:
    assert subprocess.run(["bash", "-n", str(SBATCH)], check=False).returncode == 0
    found = subprocess.run([SHELLCHECK, "-S", "warning", str(SBATCH)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """What the script finds in a job: Slurm's commands, Ray's and ours as small programs that note what was asked."""
    programs, said = tmp_path / "programs", tmp_path / "said"
    run_the_rest = 'while [[ $1 == -* ]]; do shift; done; echo "srun $*" >>"$SAID"; exec "$@"'
    program(programs / "srun", run_the_rest)
    program(programs / "scontrol", 'echo "scontrol $*" >>"$SAID"; [ "$1" = show ] && printf "a\\nb\\nc\\n"; exit 0')
    program(tmp_path / "venv/bin/ray", '[ "$1" = health-check ] && exit 0; echo $$ >>"$SAID.pids"; exec sleep 60')
    note = 'echo "sweep $*" >>"$SAID"; stat -c "%a %s" "$RAY_AUTH_TOKEN_PATH" >>"$SAID"'
    program(tmp_path / "venv/bin/sweep", f'{note}; trap "exit 143" TERM; for _ in $(seq $LASTS); do sleep 0.1; done')
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SAID": str(said),
        "VENV": str(tmp_path / "venv"),
        "LASTS": "1",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_NODELIST": "a,b,c",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_CPUS_PER_TASK": "8",
    }


def asked(job: dict[str, str]) -> str:
    path = Path(job["SAID"])
    return path.read_text(encoding="utf-8") if path.exists() else ""


def nothing_is_left(job: dict[str, str]) -> bool:
    pids = [int(one) for one in Path(job["SAID"] + ".pids").read_text(encoding="utf-8").split()]
    alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    return not alive and not [*Path(job["SLURM_SUBMIT_DIR"]).glob(".sweep-*")]


def test_a_slurm_job_launches_the_sweep_with_a_private_token_and_leaves_nothing(job: dict[str, str]) -> None:
    command = ["bash", str(SBATCH), "objectives/a b.py", "--study", "rain"]
    assert subprocess.run(command, env=job, timeout=30, check=False).returncode == 0
    said = asked(job)
    address = next(line for line in said.splitlines() if line.startswith("sweep ")).rpartition(" ")[2]
    assert "sweep run objectives/a b.py --study rain --results " in said
    assert f"--address={address} --block" in said
    own = f"/tmp/sweep-{os.getuid()}"
    assert said.count(f"--temp-dir={own}/ray") == 2  # on each node: Ray's folders are open to all
    assert stat.S_IMODE(Path(own).stat().st_mode) == 0o700
    assert "600 64" in said.splitlines()
    assert nothing_is_left(job)


def test_a_slurm_job_whose_time_is_up_pauses_and_is_queued_again_and_then_resumes(job: dict[str, str]) -> None:
    long = {**job, "LASTS": "200"}
    with subprocess.Popen(["bash", str(SBATCH), "a.py", "--study=rain"], env=long) as running:
        while "sweep run" not in asked(job) or "600 64" not in asked(job):
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGUSR1)
        assert running.wait(timeout=30) == 143
    assert "scontrol requeue 4242" in asked(job)
    assert nothing_is_left(job)
    plan = Path(job["SLURM_SUBMIT_DIR"]) / "results" / "rain" / "plan.json"
    plan.parent.mkdir(parents=True)
    plan.touch()
    assert (
        subprocess.run(["bash", str(SBATCH), "a.py", "--study=rain"], env=job, timeout=30, check=False).returncode == 0
    )
    assert "sweep resume rain --results " in asked(job)
    elsewhere = plan.parents[2] / "elsewhere"
    plan.parents[1].rename(elsewhere)
    given = ["bash", str(SBATCH), "a.py", "--study=rain", f"--results={elsewhere}"]
    assert subprocess.run(given, env=job, timeout=30, check=False).returncode == 0
    assert f"sweep resume rain --results {elsewhere} " in asked(job)


def test_a_slurm_job_without_a_name_for_its_study_is_refused_before_ray_starts(job: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", str(SBATCH), "a.py"], env=job, timeout=30, check=False, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 2
    assert "--study NAME" in done.stderr
    assert asked(job) == ""


def test_the_slurm_script_ends_processes_by_their_numbers_only() -> None:
    text = SBATCH.read_text(encoding="utf-8")
    assert not any(word in text for word in ("pkill", "killall", "ray stop", "scancel"))
    assert stat.S_IMODE(SBATCH.stat().st_mode) & stat.S_IWOTH == 0
