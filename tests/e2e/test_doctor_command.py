"""`dipper doctor` names what is wrong: with the root, a bucket's conditional puts and clock, Redis, accounts, and the model."""
import contextlib
import email.utils
import hashlib
import http.server
import json
import re
import socket
import threading
import time
import urllib.parse

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}


def found(run, *arguments, status=0, env=None):
    """Returns the findings as {about: [(finding, text), …]}."""
    done = run("doctor", "--json", *arguments, status=status, env=env)
    findings = {}
    for one in json.loads(done.stdout):
        findings.setdefault(one["about"], []).append((one["finding"], one["text"]))
    return findings


@contextlib.contextmanager
def bucket(conditions=True, seconds_off=0):
    """A bucket of its own kind: it may ignore the conditions of puts, or have another time. Gives its URL and its objects."""
    objects = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, code, body=b"", **headers):
            self.send_response_only(code)
            self.send_header("Date", email.utils.formatdate(time.time() + seconds_off, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        def log_message(self, *arguments):
            pass

        def do_PUT(self):
            name, body = self.path.split("?")[0], self.rfile.read(int(self.headers["Content-Length"]))
            tag = objects.get(name, (b"", None))[1]
            if conditions and ((self.headers["If-None-Match"] and tag) or
                               (self.headers["If-Match"] and self.headers["If-Match"] != tag)):
                self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            objects[name] = body, f'"{hashlib.md5(body).hexdigest()}"'
            self.answer(200, ETag=objects[name][1])

        def do_GET(self):
            path, _, query = self.path.partition("?")
            if "list-type" in urllib.parse.parse_qs(query):
                self.answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            elif path not in objects:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self.answer(200, objects[path][0], ETag=objects[path][1])

        do_HEAD = do_GET

        def do_DELETE(self):
            objects.pop(self.path, None)
            self.answer(204)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", objects
        finally:
            server.shutdown()


def test_doctor_finds_a_folder_well_and_leaves_nothing(run, tmp_path):
    (tmp_path / "root").mkdir()
    findings = found(run, "--root", tmp_path / "root")
    assert {about: finding for about, [(finding, _)] in findings.items()} == dict.fromkeys(
        ("program", "model", "root", "writing", "clock"), "ok")
    assert [path for path in (tmp_path / "root").rglob("*") if ".dipper" not in path.parts] == []
    untouched = tmp_path / "untouched"
    untouched.mkdir()
    assert found(run, "--root", untouched, "--no-write")["writing"] == [("note", "was not tried (--no-write)")]
    assert list(untouched.iterdir()) == []
    plain = run("doctor", "--root", tmp_path / "root").stdout
    assert all(line.startswith("ok ") for line in plain.splitlines())


def test_doctor_counts_faults(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = run("doctor", "--root", tmp_path / "none", "--model", tmp_path / "none", status=1,
               env={"REDIS_URL": f"redis://127.0.0.1:{port}", "DATABASE_URL": f"sqlite://{tmp_path}/none.db"})
    assert done.stderr == "dipper doctor: 3 faults\n"
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", "program"], ["FAULT", "model"], ["FAULT", "root"], ["FAULT", "redis"], ["note", "accounts"]]
    assert f"127.0.0.1:{port}/0: Connection refused" in done.stdout and not (tmp_path / "none.db").exists()
    [setting] = re.findall(r"\(setting ([^)]*)\)", done.stdout)
    assert f"\n{setting} = " in run("config").stdout


def test_doctor_finds_accounts(run, tmp_path):
    env = {"DATABASE_URL": f"sqlite://{tmp_path}/accounts.db"}
    run("key", "create", "--email", "a@example.org", env=env)
    assert found(run, env=env)["accounts"] == [("ok", "the database answers, and has keys")]
    (tmp_path / "accounts.db").write_bytes(b"no database" * 100)
    [(finding, text)] = found(run, status=1, env=env)["accounts"]
    assert finding == "fault" and "database is damaged" in text


def test_doctor_finds_a_bucket_well(run):
    with bucket() as (url, objects):
        findings = found(run, "--root", "s3://bucket/prefix", "--s3-endpoint-url", url, env=KEYS)
        assert [findings[about][0][0] for about in ("root", "writing", "clock")] == ["ok"] * 3
        assert objects == {}


def test_doctor_names_a_bucket_that_ignores_conditions(run):
    with bucket(conditions=False) as (url, objects):
        [(finding, text)] = found(run, "--root", "s3://bucket/prefix", "--s3-endpoint-url", url, status=1, env=KEYS)["writing"]
        assert finding == "fault" and "ignores If-None-Match" in text
        assert objects == {}


@pytest.mark.parametrize("seconds, words", [(3600, "behind the store"), (-3600, "ahead of the store")])
def test_doctor_names_a_clock_that_is_off(run, seconds, words):
    with bucket(seconds_off=seconds) as (url, _):
        [(finding, text)] = found(run, "--root", "s3://bucket/prefix", "--s3-endpoint-url", url, status=1, env=KEYS)["clock"]
        assert finding == "fault" and words in text and any(f"{n} s" in text for n in (3599, 3600, 3601))


def test_doctor_says_that_a_url_is_read_only(run):
    [(finding, text)] = found(run, "--root", "http://127.0.0.1:1/folder")["root"]
    assert finding == "note" and "can only be read" in text
