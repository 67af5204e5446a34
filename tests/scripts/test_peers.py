"""scripts/peers starts and stops the named peers and says which tools it lacks. The peers here are stand-ins; the tests
marked `peer` start the real ones."""
import json
import os
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(TOP, "scripts", "peers")
TOXIPROXY = "toxiproxy-v2.5.0"

STAND_IN = f"""#!{sys.executable}
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("-port") + 1])), Handler).serve_forever()
"""


def peers(tmp_path, *words, path=os.environ["PATH"]):
    return subprocess.run([sys.executable, PEERS, *map(str, words)], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, DIPPER_PEERS_BIN=str(tmp_path / "bin"), PATH=path))


def program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_peers_without_go(tmp_path):
    (tmp_path / "empty").mkdir()
    answer = peers(tmp_path, "build", "versitygw", path=str(tmp_path / "empty"))
    assert answer.returncode == 1
    assert answer.stderr == "scripts/peers: versitygw is built with Go 1.25 or newer, and there is no `go` on the PATH\n"


def test_peers_with_an_old_go(tmp_path):
    program(tmp_path / "path" / "go", "#!/bin/sh\necho go1.19.8\n")
    answer = peers(tmp_path, "start", tmp_path / "run", "minio", path=f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert answer.returncode == 1
    assert "needs Go 1.24 or newer; this is Go 1.19" in answer.stderr


def test_peers_that_do_not_build(tmp_path):
    program(tmp_path / "path" / "go", '#!/bin/sh\n[ "$1" = env ] && echo go1.99.1 && exit\necho broken >&2\nexit 1\n')
    answer = peers(tmp_path, "build", "toxiproxy", path=f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert answer.returncode == 1
    assert "broken" in answer.stderr and "toxiproxy: go install failed" in answer.stderr
    assert os.listdir(tmp_path / "bin") == []


def test_peers_start_and_stop(tmp_path):
    program(tmp_path / "bin" / TOXIPROXY, STAND_IN)
    answer = peers(tmp_path, "start", tmp_path / "run", "toxiproxy")
    assert answer.returncode == 0, answer.stderr
    started = json.loads(answer.stdout)
    assert started == json.loads((tmp_path / "run" / "peers.json").read_text())
    peer = started["toxiproxy"]
    assert peer["endpoint"].startswith("http://127.0.0.1:") and is_running(peer["pid"])
    assert peers(tmp_path, "stop", tmp_path / "run").returncode == 0
    assert not is_running(peer["pid"])
    again = peers(tmp_path, "stop", tmp_path / "run")
    assert again.returncode == 1 and "nothing was started" in again.stderr


def test_peers_stop_spares_a_foreign_process_with_the_saved_id(tmp_path):
    program(tmp_path / "bin" / TOXIPROXY, STAND_IN)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "peers.json").write_text(json.dumps({"toxiproxy": {"pid": os.getpid()}}))
    assert peers(tmp_path, "stop", tmp_path / "run").returncode == 0


def test_peers_run_a_command(tmp_path):
    program(tmp_path / "bin" / TOXIPROXY, STAND_IN)
    answer = peers(tmp_path, "run", "toxiproxy", "--", "sh", "-c", 'cat "$DIPPER_PEERS"; exit 7')
    assert answer.returncode == 7, answer.stderr
    assert not is_running(json.loads(answer.stdout)["toxiproxy"]["pid"])


def test_peers_that_do_not_start(tmp_path):
    program(tmp_path / "bin" / TOXIPROXY, "#!/bin/sh\necho no such luck\nexit 3\n")
    answer = peers(tmp_path, "run", "toxiproxy", "--", "true")
    assert answer.returncode == 1
    assert "toxiproxy did not start" in answer.stderr and "no such luck" in answer.stderr


@pytest.mark.parametrize("words", [[], ["start"], ["stop"], ["run", "minio"], ["run", "--"], ["what"]])
def test_peers_usage(tmp_path, words):
    answer = peers(tmp_path, *words)
    assert answer.returncode == 2
    assert "scripts/peers COMMAND" in answer.stderr


def test_peers_of_an_unknown_name(tmp_path):
    answer = peers(tmp_path, "build", "nobody")
    assert answer.returncode == 1
    assert "choose from minio, versitygw, fake-gcs, azurite, toxiproxy" in answer.stderr
