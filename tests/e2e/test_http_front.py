"""The front of the server, as browsers, proxies and supervisors meet it: CORS, names of the server, compression."""
import gzip
import http.client
import json
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
