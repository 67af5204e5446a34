"""Stores behind https with a certificate of a test authority: which authorities the program and the library trust."""
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading

import pytest

from program import clean_environment

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make certificates with")
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true", "no_proxy": "*"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one object under any name, by ranges."""

    def do_GET(self):
        body = self.server.body
        first, last = (int(v) for v in self.headers["Range"][len("bytes="):].split("-"))
        last = min(last, len(body) - 1)
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[first:last + 1])

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with ca.pem (the authority's certificate) and server.pem (key and certificate for localhost)."""
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA")
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "server.crt", "-days", "2", "-extfile", "names")
    (folder / "server.pem").write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    (folder / "hashed").mkdir()
    shutil.copy(folder / "ca.pem", folder / "hashed")
    openssl("rehash", "hashed")
    return folder


@pytest.fixture(scope="module")
def store(authority, test_data):
    """Starts an https server that has an index, and gives its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.body = (test_data / "faiss" / "flat-l2-d16.ivf").read_bytes()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ways(authority, home):
    """Returns the ways to make the program trust the authority: {name: (environment, flags)}."""
    ca, hashed = authority / "ca.pem", authority / "hashed"
    (home / "config").write_text(f"[default]\nca_bundle = {ca}\n")
    return {
        "flag": ({}, ["--ca-file", ca]),
        "own": ({"DIPPER_CA_FILE": ca}, []),
        "aws": ({"AWS_CA_BUNDLE": ca}, []),
        "aws folder": ({"AWS_CA_BUNDLE": hashed}, []),
        "openssl": ({"SSL_CERT_FILE": ca}, []),
        "openssl folder": ({"SSL_CERT_DIR": hashed}, []),
        "curl": ({"CURL_CA_BUNDLE": ca}, []),
        "requests": ({"REQUESTS_CA_BUNDLE": ca}, []),
        "profile": ({"AWS_CONFIG_FILE": home / "config"}, []),
    }


@pytest.mark.parametrize("way", ["flag", "own", "aws", "aws folder", "openssl", "openssl folder", "curl", "requests",
                                 "profile"])
def test_tls_trusts_a_named_authority(run, authority, store, tmp_path, way):
    env, flags = ways(authority, tmp_path)[way]
    s3 = run("faiss", "info", "s3://bucket/x.ivf", "--s3-endpoint-url", store, *flags, env=KEYS | env)
    assert "vectors" in s3.stdout
    if way != "profile":  # a profile only applies to S3
        assert run("faiss", "info", f"{store}/x.ivf", *flags, env=KEYS | env).stdout


@pytest.mark.parametrize("url", ["s3://bucket/x.ivf", "{store}/x.ivf"])
def test_tls_trusts_no_other_authority(run, store, url):
    done = run("faiss", "info", url.format(store=store), env=KEYS | {"S3_ENDPOINT_URL": store}, status=None)
    assert done.returncode == 1
    assert "certificate" in done.stderr and "AWS_CA_BUNDLE" in done.stderr


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "DIPPER_CA_FILE"])
def test_tls_names_an_unusable_file(run, store, authority, tmp_path, name):
    useless = {tmp_path / "missing.pem": "No such file", authority / "server.key": "holds no certificate"}
    for file, says in useless.items():
        done = run("faiss", "info", "s3://bucket/x.ivf", env=KEYS | {"S3_ENDPOINT_URL": store, name: file}, status=None)
        assert done.returncode != 0
        assert str(file) in done.stderr and name in done.stderr and says in done.stderr


def test_tls_settings_do_not_affect_a_folder(run, rows, tmp_path):
    env = {"SSL_CERT_FILE": "/nonexistent", "AWS_CA_BUNDLE": "/nonexistent"}
    run("index", "n", rows({"id": 1, "text": "a"}), "--root", tmp_path / "root", env=env)


@pytest.mark.tree
@pytest.mark.parametrize("scheme", ["s3", "https"])
def test_tls_python_trusts_as_the_program_does(build, authority, store, scheme):
    if os.environ.get("DIPPER_PYTHON") != "installed":
        subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    url = "s3://bucket/x.ivf" if scheme == "s3" else f"{store}/x.ivf"
    code = f"import dipper; print(dipper.open_index({url!r}, timeout=20).ntotal)"
    env = clean_environment(**KEYS, S3_ENDPOINT_URL=store, PYTHONPATH=build / "python")
    done = [subprocess.run([sys.executable, "-c", code], env=env | more, capture_output=True, text=True, timeout=60,
                           check=False) for more in ({"AWS_CA_BUNDLE": str(authority / "ca.pem")}, {})]
    assert done[0].returncode == 0 and int(done[0].stdout) > 0, done[0].stderr
    assert done[1].returncode != 0 and "certificate" in done[1].stderr
