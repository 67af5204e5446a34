"""The front of the server, as browsers, proxies and supervisors meet it: CORS, names of the server, compression."""
import gzip
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

import pytest

from serving import make_root, serving

QUERY = json.dumps({"rank_by": ["id", "asc"], "limit": 7, "include_attributes": True})
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("front"))


def send(url, method, path, headers=None, body=None):
    """Returns status, headers and body of one request."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_a_page_of_a_permitted_site_asks_as_the_clients_of_openai_do(dipper, root):
    wanted = "authorization,content-type,x-stainless-lang,x-stainless-os,x-stainless-retry-count"
    page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    with serving(dipper, root, "--cors-origin", "https://app.example http://localhost:5173") as url:
        status, headers, _ = send(url, "OPTIONS", "/v1/embeddings", {
            **page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted})
        assert status == 204 and headers["Access-Control-Allow-Headers"] == wanted
        assert headers["Access-Control-Allow-Origin"] == "https://app.example"
        model = json.loads(send(url, "GET", "/v1/models")[2])["data"][0]["id"]
        body = json.dumps({"input": "disk usage", "model": model})
        status, headers, _ = send(url, "POST", "/v1/embeddings", {**page, "Content-Type": "application/json"}, body)
        assert status == 200 and headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "X-RateLimit-Remaining" in headers["Access-Control-Expose-Headers"]
        page["Origin"] = "https://other.example"
        status, headers, _ = send(url, "POST", "/v1/embeddings", page, body)
        assert status == 403 and "Access-Control-Allow-Origin" not in headers


def test_a_rebound_name_gets_nothing(dipper, root):
    with serving(dipper, root) as url:
        port = urllib.parse.urlsplit(url).port
        for path in ("/", "/v1/namespaces", "/metrics", "/nowhere"):
            status, _, body = send(url, "GET", path, {"Host": f"evil.example:{port}"})
            assert status == (404 if path == "/nowhere" else 403), path
            assert b"packages" not in body
        status, _, body = send(url, "GET", "/v1/namespaces", {"Host": f"evil.example:{port}"})
        assert b"--allowed-hosts" in body
        for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}"):
            assert send(url, "GET", "/v1/namespaces", {"Host": host})[0] == 200
    with serving(dipper, root, "--allowed-hosts", "search.example *.internal") as url:
        for host, expected in (("search.example", 200), ("node1.internal:8000", 200), ("evil.example", 403)):
            assert send(url, "GET", "/v1/namespaces", {"Host": host})[0] == expected


def test_a_page_cannot_post_text_to_a_server_without_keys(dipper, root):
    with serving(dipper, root) as url:
        foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        status, _, _ = send(url, "POST", "/v2/namespaces/packages/query", foreign, QUERY)
        assert status == 403
        own = {"Origin": url, "Content-Type": "text/plain"}
        assert send(url, "POST", "/v2/namespaces/packages/query", own, QUERY)[0] == 200


def test_answers_and_requests_may_be_compressed(dipper, root):
    with serving(dipper, root) as url:
        path = "/v2/namespaces/packages/query"
        status, headers, plain = send(url, "POST", path, body=QUERY)
        assert status == 200 and "Content-Encoding" not in headers and "Accept-Encoding" in headers["Vary"]
        status, headers, packed = send(url, "POST", path, {"Accept-Encoding": "gzip, deflate, br"}, QUERY)
        assert headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(packed))["rows"] == json.loads(plain)["rows"]
        status, headers, packed = send(url, "POST", path, {"Accept-Encoding": "gzip, deflate, br, zstd"}, QUERY)
        assert headers["Content-Encoding"] == "zstd" and packed.startswith(ZSTD_MAGIC) and len(packed) < len(plain)
        packed = gzip.compress(QUERY.encode())
        status, _, body = send(url, "POST", path, {"Content-Encoding": "gzip"}, packed)
        assert status == 200 and json.loads(body)["rows"] == json.loads(plain)["rows"]
        assert send(url, "POST", path, {"Content-Encoding": "br"}, packed)[0] == 415


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


def test_a_unix_socket_serves_until_the_end(start, root):
    # not tmp_path: the path of a Unix socket has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="dipper-") as folder:
        path = pathlib.Path(folder) / "s"
        for _ in range(2):
            process = start("serve", "--root", root, "--unix-socket", path)
            assert process.stdout.readline() == f"unix:{path}\n".encode()
            connection = UnixConnection(path)
            connection.request("GET", "/v1/namespaces", headers={"Host": "any.example"})
            assert b"packages" in connection.getresponse().read()
            second = start("serve", "--root", root, "--unix-socket", path)
            assert second.wait(timeout=60) == 1 and b"another program does" in second.stderr.read()
            connection.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0 and not path.exists()


def test_a_supervisor_opens_the_socket_and_hears_when_the_server_is_ready(dipper, start, root):
    with tempfile.TemporaryDirectory(prefix="dipper-") as folder, socket.socket() as listening, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.bind(f"{folder}/n")
        notes.settimeout(60)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        code = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
                "os.execv(sys.argv[2], sys.argv[2:])")
        process = start("-c", code, str(listening.fileno()), dipper, "serve", "--root", root, program=sys.executable,
                        env={"NOTIFY_SOCKET": f"{folder}/n"}, pass_fds=(listening.fileno(),))
        assert process.stdout.readline() == f"http://127.0.0.1:{port}\n".encode()
        assert notes.recv(100) == b"READY=1"
        assert b"packages" in send(f"http://127.0.0.1:{port}", "GET", "/v1/namespaces")[2]
        process.send_signal(signal.SIGTERM)
        assert notes.recv(100) == b"STOPPING=1"
        assert process.wait(timeout=60) == 0


def test_routes_and_page_work_below_a_base_path(dipper, root):
    with serving(dipper, root, "--base-path", "/dip/") as url:
        status, headers, _ = send(url, "GET", "/dip")
        assert status == 308 and headers["Location"] == "/dip/"
        page = send(url, "GET", "/dip/")[2].decode()
        links = re.findall(r'(?:href|src)="([^"]+)"', page)
        assert len(links) > 5
        for link in links:
            assert send(url, "GET", urllib.parse.urljoin("/dip/", link))[0] == 200, link
        assert send(url, "POST", "/dip/v2/namespaces/packages/query", body=QUERY)[0] == 200
        assert send(url, "GET", "/health")[0] == 200 and send(url, "GET", "/other/health")[0] == 404


@pytest.mark.parametrize("flags, message", [
    (["--base-path", "/a/../b"], 'the base path "/a/../b" is not a path'),
    (["--base-path", "/v1"], 'the base path "/v1" would hide the server\'s own path /v1/embed'),
    (["--base-path", "/v1/models/mini/"], 'the base path "/v1/models/mini/" would hide'),
    (["--base-path", "/health"], 'the base path "/health" would hide'),
    (["--cors-origin", "https://a.example/"], '"https://a.example/" is no origin of --cors-origin'),
    (["--allowed-hosts", "a.example:8000"], '"a.example:8000" is no name of --allowed-hosts'),
    (["--tls-cert", "c.pem"], "TLS needs both"),
    (["--host", "0.0.0.0"], "host 0.0.0.0 (--host), port 8000 (default): 0.0.0.0:8000 can be reached")])
def test_a_server_refuses_a_setting_that_would_do_nothing(run, flags, message):
    assert run("serve", *flags, status=1).stderr.startswith("dipper serve: " + message)


def make_certificate(folder, name, trusted):
    """Writes cert.pem and key.pem, and adds the certificate to the ones that `trusted` believes."""
    made = {"cert": folder / f"{name}.pem", "key": folder / f"{name}.key"}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made["key"], "-out", made["cert"]],
                   check=True, capture_output=True)
    trusted.load_verify_locations(made["cert"])
    for kind, file in made.items():
        shutil.copy(file, folder / f"{kind}.new")
        (folder / f"{kind}.new").rename(folder / f"{kind}.pem")


def peer_name(port, trusted):
    """Asks the server on a new connection. Returns the name in its certificate."""
    connection = http.client.HTTPSConnection(f"127.0.0.1:{port}", context=trusted, timeout=60)
    connection.request("GET", "/v1/namespaces")
    assert b"packages" in connection.getresponse().read()
    name = dict(pair for part in connection.sock.getpeercert()["subject"] for pair in part)["commonName"]
    connection.close()
    return name


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")
def test_the_server_speaks_tls_and_reads_its_certificate_again(start, root, tmp_path):
    trusted = ssl.create_default_context()
    make_certificate(tmp_path, "first", trusted)
    process = start("serve", "--root", root, "--listen", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem",
                    stderr=subprocess.DEVNULL)
    url = process.stdout.readline().decode().strip()
    port = urllib.parse.urlsplit(url).port
    assert url == f"https://127.0.0.1:{port}"
    assert peer_name(port, trusted) == "first"
    kept = http.client.HTTPSConnection(f"127.0.0.1:{port}", context=trusted, timeout=60)
    body = json.dumps({"upsert_rows": [{"id": i, "vector": [1, 0], "text": "x" * 1000} for i in range(3000)],
                       "distance_metric": "cosine_distance"})
    kept.request("POST", "/v2/namespaces/large", body=body)  # large: the connection is suspended in the middle
    assert kept.getresponse().read().startswith(b'{"status":"OK"')
    (tmp_path / "cert.pem").write_text("nonsense")
    process.send_signal(signal.SIGHUP)
    assert peer_name(port, trusted) == "first"
    make_certificate(tmp_path, "second", trusted)
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while peer_name(port, trusted) != "second":
        assert time.monotonic() < deadline
    kept.request("GET", "/v1/namespaces")  # a connection outlives the certificate that it began with
    assert b"large" in kept.getresponse().read()
    kept.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        send(f"http://127.0.0.1:{port}", "GET", "/v1/namespaces")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_tls_needs_a_certificate_and_its_key(run, root, tmp_path):
    done = run("serve", "--root", root, "--tls-cert", tmp_path / "cert.pem", status=1)
    assert "--tls-cert and --tls-key" in done.stderr
    done = run("serve", "--root", root, "--tls-cert", tmp_path / "none.pem", "--tls-key", tmp_path / "none.key", status=1)
    assert "none.pem" in done.stderr
