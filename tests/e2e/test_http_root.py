"""A bucket behind plain http URLs, as a web server or presigned URLs give it: searched in place, never written."""
import hashlib
import http.server
import json
import re
import threading
import urllib.request

import pytest

from program import json_lines
from serving import serving

pytestmark = pytest.mark.quick

NO_PROXY = {"no_proxy": "*"}
ROWS = [{"id": 1, "text": "a cat sleeps on the sofa"}, {"id": 2, "text": "a dog barks at night"},
        {"id": 3, "text": "a boat sails with the wind"}]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET with one range and If-Match, if the URL has the token. Refuses HEAD, as presigned URLs do."""
    protocol_version = "HTTP/1.1"

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        path, _, query = self.path.partition("?")
        with server.lock:
            server.seen.append((self.command, self.path))
            failing = server.failures.pop() if server.failures else None
        if failing:
            return self.answer(failing, b"busy")
        if query != server.query:
            return self.answer(403, b"no")
        file = server.root / path.lstrip("/")
        if not file.is_file():
            return self.answer(404 if server.lists else 403)
        data = file.read_bytes()
        etag = '"' + hashlib.sha256(data).hexdigest()[:32] + '"'
        if self.headers["If-Match"] not in (None, etag):
            return self.answer(412)
        if self.headers["If-None-Match"] == etag:
            return self.answer(304, ETag=etag)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if not asked:
            return self.answer(200, data, ETag=etag)
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return self.answer(416, Content_Range=f"bytes */{len(data)}")
        return self.answer(206, data[first:last + 1], ETag=etag, Content_Range=f"bytes {first}-{last}/{len(data)}")

    def do_HEAD(self):
        self.server.seen.append((self.command, self.path))
        self.answer(403)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def bucket(run, rows, tmp_path):
    run("index", "n", rows(*ROWS), "--root", tmp_path / "bucket")
    return tmp_path / "bucket"


@pytest.fixture
def web(bucket):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.root, server.query, server.seen, server.failures, server.lock = bucket, "", [], [], threading.Lock()
    server.lists = True
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def search(run, root, *more, **kwargs):
    return run("search", "n", "kitten", "--root", root, "--json", *more, env=NO_PROXY, **kwargs)


def test_http_root_answers_as_the_folder_does(run, bucket, web):
    local, remote = json.loads(search(run, bucket).stdout), json.loads(search(run, web.url).stdout)
    assert remote["rows"] == local["rows"]
    assert remote["performance"]["rounds"] == local["performance"]["rounds"]
    assert remote["performance"]["requests"] == len(web.seen)
    assert {command for command, _ in web.seen} == {"GET"}


def test_http_root_ranges_merge_by_default(run, web):
    cost = {}
    for gap in ("none", "1MiB"):
        web.seen.clear()
        cost[gap] = json.loads(search(run, web.url, "--merge-gap", gap).stdout)["performance"]
        assert cost[gap]["requests"] == len(web.seen)
    assert cost["1MiB"]["requests"] < cost["none"]["requests"]
    assert cost["1MiB"]["bytes"] >= cost["none"]["bytes"]
    assert cost["1MiB"]["rounds"] == cost["none"]["rounds"]


def test_http_root_sends_its_query_and_shows_no_secret(run, web):
    web.query = "token=sesame&x=%2F"
    assert len(json.loads(search(run, f"{web.url}/?{web.query}").stdout)["rows"]) == 3
    assert all(path.endswith("?" + web.query) for _, path in web.seen)
    done = search(run, f"{web.url}/?token=wrongsecret", status=None)
    assert done.returncode != 0 and "403" in done.stderr
    assert "wrongsecret" not in done.stdout + done.stderr


@pytest.mark.parametrize("lists", [True, False])
def test_http_root_follows_a_log(dipper, run, bucket, web, lists):
    """It also works if the server answers 403 for a missing object, as S3 does without the right to list."""
    web.lists = lists
    written = {"upsert_rows": [{"id": i, "text": text} for i, text in enumerate(("a red car", "a green apple"))],
               "schema": {"text": {"type": "string", "embed": "all-MiniLM-L6-v2"}}, "distance_metric": "cosine_distance"}
    with serving(dipper, bucket) as address:
        request = urllib.request.Request(f"{address}/v2/namespaces/logged", json.dumps(written).encode(), method="POST")
        urllib.request.urlopen(request, timeout=60).close()
    args = ("search", "logged", "fruit", "--json", "-k", 1)
    (found,) = json_lines(run(*args, "--root", web.url, env=NO_PROXY).stdout)
    assert [row["id"] for row in found["rows"]] == [1]
    # A missing namespace is still an error, and so is a server that refuses everything.
    assert "nothing" in run("search", "nothing", "fruit", "--root", web.url, env=NO_PROXY, status=None).stderr
    web.query = "token=other"
    done = run(*args, "--root", web.url, env=NO_PROXY, status=None)
    assert done.returncode != 0 and "403" in done.stderr


def test_http_root_survives_a_busy_server(run, bucket, web):
    web.failures = [503, 500, 429]
    assert json.loads(search(run, web.url).stdout)["rows"] == json.loads(search(run, bucket).stdout)["rows"]
    assert not web.failures


def test_http_root_is_not_written(run, rows, web):
    done = run("index", "other", rows(*ROWS), "--root", web.url, env=NO_PROXY, status=None)
    assert done.returncode != 0 and "can only be read" in done.stderr
    done = run("search", "none", "kitten", "--root", web.url, env=NO_PROXY, status=None)
    assert done.returncode != 0 and "none" in done.stderr


def test_http_root_is_read_once_while_it_stays_in_memory(run, web, tmp_path):
    queries = tmp_path / "queries"
    queries.write_text("kitten\nkitten\nkitten\n")
    cost = {}
    for size in ("16MiB", "0", "none"):
        done = run("search", "n", "--queries", queries, "--root", web.url, "--json", "--cache-bytes", size, env=NO_PROXY)
        cost[size] = [json.loads(line)["performance"] for line in done.stdout.splitlines()]
    # Each query asks for the current manifest; the objects that it lists come from memory.
    assert cost["16MiB"][1]["bytes"] < cost["0"][1]["bytes"]
    assert cost["16MiB"][1]["rounds"] < cost["0"][1]["rounds"]
    assert cost["16MiB"][2] | {"ms": 0} == cost["16MiB"][1] | {"ms": 0}
    assert cost["16MiB"][0] | {"ms": 0} == cost["0"][0] | {"ms": 0}
    assert [line | {"ms": 0} for line in cost["none"]] == [line | {"ms": 0} for line in cost["0"]]


def test_http_root_served_reports_cache_hits(dipper, web, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    def ask(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(url + path, data, {"Content-Type": "application/json"}),
                                      timeout=60).read().decode()

    def metric(name):
        return int(re.search(rf"^dipper_store_cache_{name} (\d+)$", ask("/metrics"), re.MULTILINE)[1])

    query = {"rank_by": ["vector", "ANN", ["Embed", "kitten"]], "top_k": 3}
    with serving(dipper, web.url, "--cache-bytes", "16MiB") as url:
        assert metric("hits_total") == metric("misses_total") == metric("bytes") == 0
        first, again = (json.loads(ask("/v2/namespaces/n/query", query)) for _ in range(2))
        assert again["rows"] == first["rows"]
        assert first["performance"]["cache_hits"] == 0 < again["performance"]["cache_hits"]
        assert again["performance"]["bytes"] < first["performance"]["bytes"]
        assert metric("hits_total") == again["performance"]["cache_hits"] <= metric("misses_total")
        assert metric("bytes") > 0
    with serving(dipper, web.url, "--cache-bytes", "none") as url:
        assert "dipper_store_cache" not in ask("/metrics")
