"""Kills writers, readers and folding commands at random: no acknowledged row is lost, and no query shows an older state than one before
it (kill_processes.py)."""
import json
import subprocess
import sys

import pytest

import kill_processes
from program import clean_environment


def test_killed_processes_lose_nothing(dipper, tmp_path):
    (tmp_path / "root").mkdir()
    counts = kill_processes.run(dipper, tmp_path / "root", seconds=3, seed=1)
    assert counts["kills"] > 2 and counts["acknowledged"] > 10 and counts["answers"] > 10, counts


@pytest.mark.long
@pytest.mark.parametrize("seed", [2])
def test_processes_killed_for_a_minute_lose_nothing(dipper, tmp_path, seed):
    (tmp_path / "root").mkdir()
    counts = kill_processes.run(dipper, tmp_path / "root", seconds=60, seed=seed)
    assert counts["kills"] > 40 and counts["acknowledged"] > 1000 and counts["killed_folders"] > 10, counts


@pytest.fixture(name="minio")
def start_minio(source, tmp_path):
    """Starts MinIO, which is built before the first time. Returns the settings for it."""
    script = [sys.executable, source / "scripts" / "peers"]
    done = subprocess.run([*script, "start", tmp_path / "peers", "minio"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    peer = json.loads(done.stdout)["minio"]
    yield {"S3_ENDPOINT_URL": peer["endpoint"], "AWS_ACCESS_KEY_ID": peer["access_key_id"],
           "AWS_SECRET_ACCESS_KEY": peer["secret_access_key"]}
    subprocess.run([*script, "stop", tmp_path / "peers"], check=True)


@pytest.mark.peer
def test_processes_killed_over_minio_lose_nothing(dipper, build, minio):
    subprocess.run(["ninja", "-C", str(build), "tests/s3_tool"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([build / "tests" / "s3_tool", "make-bucket", "killed"], env=clean_environment(**minio), check=True)
    counts = kill_processes.run(dipper, "s3://killed", seconds=60, seed=3, env=minio)
    assert counts["kills"] > 40 and counts["acknowledged"] > 300 and counts["killed_folders"] > 10, counts
