"""The public clients of OpenAI and turbopuffer, curl-like requests and signals, against `dipper serve`."""
import base64
import concurrent.futures
import contextlib
import datetime
import gzip
import http.client
import json
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import openai
import pytest
import turbopuffer

from conftest import clean_environment
from serving import ROWS, get, make_root, serving


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def url(dipper, root):
    with serving(dipper, root) as address:
        yield address


@pytest.fixture(scope="module")
def openai_client(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def turbopuffer_client(url):
    return turbopuffer.Turbopuffer(base_url=url, api_key="none", max_retries=0)


def post(url, body, **headers):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_openai_embeddings(openai_client):
    model = openai_client.models.list().data[0].id
    assert model == "all-MiniLM-L6-v2"
    assert openai_client.models.retrieve("sentence-transformers/all-MiniLM-L6-v2").object == "model"
    # By default the client asks for base 64; with encoding_format it asks for numbers.
    one = openai_client.embeddings.create(model=model, input="keep two folders in sync")
    same = openai_client.embeddings.create(model=model, input=["keep two folders in sync", "something else"],
                                           encoding_format="float")
    assert len(one.data[0].embedding) == 384
    assert one.usage.prompt_tokens == one.usage.total_tokens > 4
    assert [item.index for item in same.data] == [0, 1]
    as_float32 = struct.unpack("<384f", struct.pack("<384f", *same.data[0].embedding))
    assert list(as_float32) == pytest.approx(one.data[0].embedding, abs=0, rel=1e-7)
    assert sum(x * x for x in one.data[0].embedding) == pytest.approx(1, abs=1e-5)
    short = openai_client.embeddings.create(model=model, input="keep two folders in sync", dimensions=64)
    assert len(short.data[0].embedding) == 64


def test_openai_token_arrays(dipper, root, openai_client):
    forms = ([7592, 2088], [[7592, 2088]], [101, 7592, 2088, 102])
    for tokens in forms:
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as error:
            openai_client.embeddings.create(model="all-MiniLM-L6-v2", input=tokens)
        assert error.value.param == "input"
    text = openai_client.embeddings.create(model="all-MiniLM-L6-v2", input="hello world")
    with serving(dipper, root, "--allow-token-input") as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        for tokens in forms:
            answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=tokens)
            assert answer.data[0].embedding == text.data[0].embedding


def test_openai_many_inputs(openai_client):
    answer = openai_client.embeddings.create(model="all-MiniLM-L6-v2", input=[f"text {i}" for i in range(2048)])
    assert len(answer.data) == 2048
    with pytest.raises(openai.BadRequestError, match="2048"):
        openai_client.embeddings.create(model="all-MiniLM-L6-v2", input=["x"] * 2049)


def test_openai_errors(openai_client):
    with pytest.raises(openai.NotFoundError) as error:
        openai_client.embeddings.create(model="text-embedding-3-small", input="x")
    assert error.value.code == "model_not_found" and error.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError) as error:
        openai_client.embeddings.create(model="all-MiniLM-L6-v2", input="")
    assert error.value.param == "input"
    with pytest.raises(openai.BadRequestError) as error:
        openai_client.embeddings.create(model="all-MiniLM-L6-v2", input="x", dimensions=385)
    assert error.value.param == "dimensions"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("gpt-4")


def test_turbopuffer_namespaces(turbopuffer_client):
    assert [n.id for n in turbopuffer_client.namespaces()] == ["orchestra", "packages"]
    assert [n.id for n in turbopuffer_client.namespaces(prefix="pack")] == ["packages"]
    assert [n.id for n in turbopuffer_client.namespaces(page_size=1)] == ["orchestra", "packages"]
    facts = turbopuffer_client.namespace("packages").metadata()
    assert facts.approx_row_count == len(ROWS)
    assert facts.schema_["section"].type == "string"
    assert isinstance(facts.created_at, datetime.datetime)
    assert facts.index.status == "up-to-date"
    assert turbopuffer_client.namespace("packages").schema()["size"].type in ("int", "uint")
    assert turbopuffer_client.namespace("packages").hint_cache_warm().status == "ACCEPTED"


def test_turbopuffer_query_by_text(turbopuffer_client):
    answer = turbopuffer_client.namespace("packages").query(
        rank_by=("vector", "ANN", ("Embed", "what is using up my disk space?")), top_k=3, include_attributes=True)
    assert answer.rows[0].id == 2
    assert answer.rows[0].title == "ncdu" and answer.rows[0].size == 120
    distances = [row["$dist"] for row in answer.rows]
    assert distances == sorted(distances) and len(distances) == 3
    assert answer.performance.approx_namespace_size == len(ROWS)
    assert answer.performance.embedding_tokens > 5
    assert answer.billing.billable_logical_bytes_queried >= 0
    extra = answer.performance.model_extra
    assert extra["rounds"] >= 1 and extra["requests"] >= 1 and extra["bytes"] > 0 and extra["ms"] > 0


@pytest.mark.parametrize("compression", [False, True])
def test_turbopuffer_query_by_vector(url, openai_client, compression):
    vector = openai_client.embeddings.create(model="all-MiniLM-L6-v2", input="play multimedia files and convert them").data[0].embedding
    client = turbopuffer.Turbopuffer(base_url=url, api_key="none", max_retries=0, compression=compression)
    namespace = client.namespace("packages")
    answer = namespace.query(rank_by=("vector", "ANN", vector), limit=2, include_attributes=["section"],
                             consistency={"level": "eventual"}, distance_metric="cosine_distance")
    assert answer.rows[0].id == "four" and answer.rows[0].section == "video"
    assert not hasattr(answer.rows[0], "title")
    encoded = base64.b64encode(struct.pack("<384f", *vector)).decode()
    same = namespace.query(rank_by=("vector", "ANN", encoded), limit=2)
    assert [row.id for row in same.rows] == [row.id for row in answer.rows]


def test_turbopuffer_errors(turbopuffer_client):
    packages = turbopuffer_client.namespace("packages")
    with pytest.raises(turbopuffer.NotFoundError, match="nowhere"):
        turbopuffer_client.namespace("nowhere").query(rank_by=("vector", "ANN", ("Embed", "x")), top_k=1)
    with pytest.raises(turbopuffer.BadRequestError, match="384"):
        packages.query(rank_by=("vector", "ANN", [1.0, 2.0]), top_k=1)
    with pytest.raises(turbopuffer.BadRequestError, match="regex"):
        packages.query(rank_by=("vector", "ANN", ("Embed", "x")), top_k=1, filters=("text", "Regex", "a+"))
    with pytest.raises(turbopuffer.BadRequestError, match="BM25 needs full_text_search"):
        packages.query(rank_by=("section", "BM25", "disk"), top_k=1)
    with pytest.raises(turbopuffer.BadRequestError, match="has 1 dimensions; those of the namespace have 384"):
        packages.write(upsert_rows=[{"id": 1, "vector": [0.1]}])
    with pytest.raises(turbopuffer.UnprocessableEntityError, match="unknown field"):
        packages.write(extra_body={"upserts": []})


def test_fastembed(url):
    status, answer = post(f"{url}/v1/embed", b'{"text":"keep two folders in sync"}')
    assert status == 200 and len(answer["embedding"]) == 384
    assert answer["model"] == "all-MiniLM-L6-v2" and answer["cached"] is False
    assert answer["tokens"] > 4 and answer["latency_ms"] > 0
    status, answer = post(f"{url}/v1/embed/batch", b'{"texts":["a","b"],"normalize":true}')
    assert status == 200 and [len(v) for v in answer["embeddings"]] == [384, 384]
    assert post(f"{url}/v1/embed", b'{"text":""}')[1]["error"] == "invalid_request"
    status, answer = post(f"{url}/v1/embed", json.dumps({"text": "word " * 1000, "truncate": False}).encode())
    assert status == 400 and answer["error"] == "text_too_long" and answer["max_tokens"] == 256


def test_gzip_bodies(url):
    packed = gzip.compress(b'{"text":"hello"}')
    assert post(f"{url}/v1/embed", packed, **{"Content-Encoding": "gzip"})[0] == 200
    assert post(f"{url}/v1/embed", packed[:-3], **{"Content-Encoding": "gzip"})[0] == 400
    bomb = gzip.compress(b" " * (200 << 20))
    assert post(f"{url}/v1/embed", bomb, **{"Content-Encoding": "gzip"})[0] == 413


def test_metrics_and_health(url):
    status, headers, body = get(f"{url}/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = body.decode().splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(families) == len(set(families))
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert int(samples["dipper_embedded_texts_total"]) > 0
    for name, value in samples.items():
        float(value)
        assert name.split("{")[0].startswith(tuple(families))
    assert json.loads(get(f"{url}/health")[2])["status"] == "ok"


def test_concurrent_clients_get_their_own_answers(url):
    texts = [f"number {i} of many" for i in range(24)]
    alone = {text: post(f"{url}/v1/embed", json.dumps({"text": text}).encode())[1]["embedding"] for text in texts}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda t: post(f"{url}/v1/embed", json.dumps({"text": t}).encode())[1], texts * 4))
    for text, answer in zip(texts * 4, together):
        assert answer["embedding"] == alone[text]


def test_sigterm_lets_a_request_in_progress_finish(dipper, root):
    """After SIGTERM the server still answers a large request in progress, but no new connection."""
    process = subprocess.Popen([dipper, "serve", "--root", root, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=clean_environment())
    try:
        url = process.stdout.readline().strip()
        body = json.dumps({"texts": [f"{i} " + "word " * 200 for i in range(64)]}).encode()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(post, f"{url}/v1/embed/batch", body)
            while b'dipper_http_requests_in_flight 2' not in get(f"{url}/metrics")[2]:
                assert not asked.done()
            process.send_signal(signal.SIGTERM)
            status, answer = asked.result(timeout=120)
        assert status == 200 and len(answer["embeddings"]) == 64
        process.communicate(timeout=60)
        assert process.returncode == 0
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(OSError):
            socket.create_connection((host, int(port)), timeout=5)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_idle_connections_leave_file_descriptors_to_the_store(dipper, root):
    """With very many open connections the server can still open the namespace's files. It ends idle connections for a new
    one, so the request comes by the last."""
    with serving(dipper, root, files=256) as url, contextlib.ExitStack() as idle:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(300):
            idle.enter_context(socket.create_connection((host, int(port)), timeout=60))
        last = http.client.HTTPConnection(host, int(port), timeout=60)
        idle.callback(last.close)
        body = json.dumps({"rank_by": ["vector", "ANN", ["Embed", "keep two folders in sync"]]})
        last.request("POST", "/v2/namespaces/packages/query", body)
        answer = last.getresponse()
        assert (answer.status, len(json.loads(answer.read())["rows"])) == (200, len(ROWS))


@pytest.mark.parametrize("address, says", [("nonsense", "127.0.0.1:8000"), ("0.0.0.0:0", "--insecure")])
def test_serve_refuses_addresses(run, root, address, says):
    done = run("serve", "--root", root, "--listen", address, status=None)
    assert done.returncode != 0 and says in done.stderr


def test_restarted_server_finds_everything(dipper, root):
    began = time.monotonic()
    with serving(dipper, root) as url:
        client = turbopuffer.Turbopuffer(base_url=url, api_key="none", max_retries=0)
        answer = client.namespace("orchestra").query(rank_by=("vector", "ANN", ("Embed", "who plays the timpani")), top_k=1)
        assert answer.rows[0].id == 2
    assert time.monotonic() - began < 60
