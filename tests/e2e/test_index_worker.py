"""`dipper index-worker`: looks after all namespaces of a root until it is ended."""
import json
import signal
import subprocess
import time

from program import clean_environment, objects


def test_a_worker_merges_and_ends(run, rows, dipper, tmp_path):
    bucket = tmp_path / "bucket"
    for i in range(9):
        run("index", "notes", rows({"id": i, "text": f"note {i}"}), "--root", bucket)
    worker = subprocess.Popen([dipper, "index-worker", "--root", bucket], stderr=subprocess.PIPE, env=clean_environment())
    try:
        deadline = time.monotonic() + 60
        while json.loads((bucket / "notes" / "manifest.json").read_text(encoding="utf-8"))["segments"][1:]:
            assert time.monotonic() < deadline, "nothing was merged"
            time.sleep(0.1)
        time.sleep(2)  # it rests now
        stored = objects(bucket)
        time.sleep(2)
        assert objects(bucket) == stored
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) in (0, -signal.SIGTERM)
    assert json.loads(run("ns", "verify", "notes", "--root", bucket, "--json").stdout)["faults"] == []
