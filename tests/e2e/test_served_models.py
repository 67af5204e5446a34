"""`dipper serve` with several models, with none but embeddings to serve, and with models that are reloaded under load."""
import concurrent.futures
import json
import pathlib
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from serving import get, make_root, serving, serving_process


@pytest.fixture(scope="module")
def tiny(test_data):
    return test_data / "onnx" / "tiny"


@pytest.fixture
def editable(tiny, tmp_path):
    """A copy of the tiny model that a test may change."""
    return pathlib.Path(shutil.copytree(tiny, tmp_path / "editable"))


def post(url, body):
    """Returns the status and the answer of a POST; `body` None sends nothing."""
    data = b"" if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def embed(url, model, text="the river flows"):
    status, answer = post(url + "/v1/embeddings", {"model": model, "input": text})
    assert status == 200, answer
    return answer["model"], answer["data"][0]["embedding"]


def embedded_texts(url):
    """Returns the number of texts that had to be embedded so far."""
    lines = get(url + "/metrics")[2].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("dipper_embed_cache_misses_total"))


# ---- without a root ------------------------------------------------------------------------------------------

def test_serve_without_a_root_embeds(start):
    process = start("serve", "--listen", "127.0.0.1:0")
    url = process.stdout.readline().decode().strip()
    status, answer = post(url + "/v1/embed", {"text": "hello"})
    assert status == 200 and len(answer["embedding"]) == 384
    assert json.loads(get(url + "/health")[2])["namespaces"] is False
    status, answer = post(url + "/v2/namespaces/notes/query", {"rank_by": ["vector", "ANN", [1.0]], "top_k": 1})
    assert status == 400 and "--root" in answer["error"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


# ---- several models ------------------------------------------------------------------------------------------

def test_requests_name_one_of_several_models(dipper, tiny, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", "mini=", "--model", f"small={tiny}") as url:
        models = json.loads(get(url + "/v1/models")[2])["data"]
        assert [model["id"] for model in models] == ["mini", "small"]
        assert "dipper_model_info{" in get(url + "/metrics")[2].decode()
        assert len(post(url + "/v1/embed", {"text": "hello"})[1]["embedding"]) == 384
        name, vector = embed(url, "small")
        assert name == "small" and len(vector) == 16
        name, vector = embed(url, "all-MiniLM-L6-v2")  # the name in its files
        assert name == "mini" and len(vector) == 384
        status, answer = post(url + "/v1/embed", {"text": "hello", "model": "small"})
        assert (status, answer["model"], len(answer["embedding"])) == (200, "small", 16)
        status, answer = post(url + "/v1/embed", {"text": "hello", "model": "none such"})
        assert status == 404 and "there are: mini, small" in answer["message"]
        status, answer = post(url + "/v1/embeddings", {"input": "hello", "model": "none such"})
        assert status == 404 and answer["error"]["code"] == "model_not_found"


def test_a_namespace_keeps_its_model(dipper, tiny, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", "mini=", "--model", f"small={tiny}") as url:
        for name in ("mini", "small"):
            status, answer = post(f"{url}/v2/namespaces/by-{name}", {
                "upsert_rows": [{"id": 1, "text": "the river flows"}, {"id": 2, "text": "a dog and a cat"}],
                "schema": {"text": {"type": "string", "embed": name}}, "distance_metric": "cosine_distance"})
            assert status == 200, answer
    # the models change places, and one gets another name
    with serving(dipper, tmp_path / "root", "--model", f"little={tiny}", "--model", "mini=") as url:
        for name in ("mini", "small"):
            query = {"rank_by": ["vector", "ANN", ["Embed", "a dog and a cat"]], "top_k": 1}
            status, answer = post(f"{url}/v2/namespaces/by-{name}/query", query)
            assert status == 200 and answer["rows"][0]["id"] == 2, answer
        # a query may name the model; that of other vectors is refused, and an unknown one
        for model, expected, words in (("mini", 200, ""), ("little", 400, "dimensions"), ("none", 400, "no model")):
            query = {"rank_by": ["vector", "ANN", ["Embed", "a dog and a cat", {"model": model}]], "top_k": 1}
            status, answer = post(f"{url}/v2/namespaces/by-mini/query", query)
            assert status == expected and words in answer.get("error", ""), answer


def test_one_write_embeds_by_two_models(dipper, tiny, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", "mini=", "--model", f"small={tiny}") as url:
        status, answer = post(f"{url}/v2/namespaces/both", {
            "upsert_rows": [{"id": 1, "title": "a river", "text": "the river flows"},
                            {"id": 2, "title": "animals", "text": "a dog and a cat"}],
            "schema": {"text": {"type": "string", "embed": "mini"},
                       "title": {"type": "string", "embed": {"model": "small", "attribute": "title_vector"}}},
            "distance_metric": "cosine_distance"})
        assert status == 200, answer
        for attribute, words in (("vector", "a dog and a cat"), ("title_vector", "animals")):
            query = {"rank_by": [attribute, "ANN", ["Embed", words]], "top_k": 1}
            status, answer = post(f"{url}/v2/namespaces/both/query", query)
            assert status == 200 and answer["rows"][0]["id"] == 2, answer


def test_a_write_that_meets_another_life_embeds_by_its_model(dipper, tiny, editable, tmp_path):
    """A node deletes a name and makes it anew, with another model of as many dimensions, while a write on another node embeds
    its texts; a query tells that node of the new life before the write goes out."""
    settings = {"prompts": {"document": "the river "}}
    (editable / "config_sentence_transformers.json").write_text(json.dumps(settings), encoding="utf-8")
    words = "the river flows and a dog and a cat sleep "
    rows = [{"id": i, "text": f"{i} " + words * 20} for i in range(4000)]
    models = ("--model", f"first={tiny}", "--model", f"second={editable}")
    with (serving(dipper, tmp_path / "root", *models) as url, serving(dipper, tmp_path / "root", *models) as other,
          concurrent.futures.ThreadPoolExecutor(1) as pool):
        path, elsewhere = (f"{node}/v2/namespaces/notes" for node in (url, other))

        def make(model):
            status, answer = post(elsewhere, {"upsert_rows": [{"id": 9999, "text": "a dog"}], "distance_metric": "cosine_distance",
                                         "schema": {"text": {"type": "string", "embed": model}}})
            assert status == 200, answer

        embed(url, "first"), embed(url, "second")
        make("first")
        query = {"rank_by": ["id", "asc"], "top_k": 1, "include_attributes": ["vector", "text"]}
        assert post(path + "/query", query)[0] == 200
        embedded = embedded_texts(url)
        write = pool.submit(post, path, {"upsert_rows": rows})
        while embedded_texts(url) == embedded and not write.done():
            time.sleep(0.001)
        urllib.request.urlopen(urllib.request.Request(elsewhere, method="DELETE"), timeout=60).close()
        make("second")
        assert post(path + "/query", query)[0] == 200
        assert not write.done()
        status, answer = write.result()
        assert status == 200, answer
        status, answer = post(path + "/query", query)
        assert status == 200, answer
        written = answer["rows"][0]
        assert post(path, {"upsert_rows": [{"id": 0, "text": written["text"]}]})[0] == 200
        again = post(path + "/query", query)[1]["rows"][0]
        assert written["id"] == again["id"] == 0 and written["text"] == again["text"]
        assert written["vector"] == pytest.approx(again["vector"], abs=1e-6)


def test_the_flag_says_what_is_wrong_with_a_list(run, tiny, tmp_path):
    done = run("serve", "--root", tmp_path / "root", "--model", "a=", "--model", f"a={tiny}", status=None)
    assert done.returncode and 'two models are named "a"' in done.stderr
    done = run("serve", "--root", tmp_path / "root", "--model", "a=", "--model", tiny, status=None)
    assert done.returncode and f"--model NAME={tiny}" in done.stderr
    many = [f"m{i}=" for i in range(17)]
    done = run("serve", "--root", tmp_path / "root", "--model", ",".join(many), status=None)
    assert done.returncode and "at most 16 models" in done.stderr
    run("embed", "--model", ",".join(many[:16]), input="x\n")


def test_a_model_that_is_missing_fails_only_its_own_requests(dipper, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", "mini=", "--model", f"gone={tmp_path}/nowhere") as url:
        status, answer = post(url + "/v1/embeddings", {"input": "hello", "model": "gone"})
        assert status == 503 and "model gone cannot be opened" in answer["error"]["message"]
        assert answer["error"]["code"] == "unavailable"  # not "overloaded": less load would not help
        assert len(embed(url, "mini")[1]) == 384


# ---- reloading -----------------------------------------------------------------------------------------------

def damage(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def resident_kib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_a_reload_under_load_fails_no_request_and_gives_memory_back(dipper, tmp_path):
    ended = threading.Event()

    def ask(url, n):
        asked = 0
        while not ended.is_set():
            asked += 1
            embed(url, "all-MiniLM-L6-v2", f"text {asked} of client {n}")  # fails unless the status is 200
        return asked

    with serving_process(dipper, tmp_path / "root") as (url, process), \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(ask, url, n) for n in range(4)]
        memory = []
        for _ in range(20):
            status, answer = post(url + "/admin/models/reload", None)
            assert status == 200, answer
            (model,) = answer["models"]
            assert model["name"] == "all-MiniLM-L6-v2" and model["changed"] is False
            memory.append(resident_kib(process))
        ended.set()
        assert all(client.result() > 0 for client in clients)
        assert memory[-1] < memory[4] + 16384, memory


def test_a_new_version_takes_over_and_a_broken_one_does_not(dipper, editable, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", f"mine={editable}") as url:
        before = embed(url, "mine")[1]
        settings = {"prompts": {"default": "the river "}, "default_prompt_name": "default"}
        (editable / "config_sentence_transformers.json").write_text(json.dumps(settings), encoding="utf-8")
        status, answer = post(url + "/admin/models/reload", {"model": "mine"})
        assert status == 200 and answer["models"][0]["changed"] is True
        after = embed(url, "mine")[1]
        assert after != before
        whole = (editable / "model.safetensors").read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        (editable / "model.safetensors").write_bytes(whole[:header] + b"\xff" * (len(whole) - header))  # all weights NaN
        status, answer = post(url + "/admin/models/reload", {})
        assert status == 409 and "its old version goes on serving" in answer["message"]
        damage(editable)
        status, answer = post(url + "/admin/models/reload", {})
        assert status == 409 and "its old version goes on serving" in answer["message"]
        assert embed(url, "mine")[1] == after
        status, answer = post(url + "/admin/models/reload", {"model": "other"})
        assert status == 404


def test_a_query_by_the_embedded_attribute_uses_its_model(dipper, tiny, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", "first=", "--model", f"small={tiny}") as url:
        schema = {"text": {"type": "string", "embed": "small"},
                  "title": {"type": "string", "embed": {"model": "small", "attribute": "title_vector"}}}
        rows = [{"id": 1, "text": "the river flows", "title": "the bridge"},
                {"id": 2, "text": "the bridge", "title": "the river flows"}]
        assert post(url + "/v2/namespaces/n", {"schema": schema, "upsert_rows": rows,
                                               "distance_metric": "cosine_distance"})[0] == 200
        for name, nearest in (("text", 1), ("vector", 1), ("title", 2), ("title_vector", 2)):
            query = {"rank_by": [name, "ANN", ["Embed", "the river flows"]], "limit": 1}
            status, answer = post(url + "/v2/namespaces/n/query", query)
            assert status == 200 and answer["rows"][0]["id"] == nearest, (name, answer)


def test_a_packed_model_may_be_written_over_while_it_serves(dipper, tiny, tmp_path):
    packed = tmp_path / "tiny.packed"
    subprocess.run([dipper, "model", "pack", tiny, packed], check=True, stdout=subprocess.DEVNULL)
    whole = packed.read_bytes()
    with serving(dipper, tmp_path / "root", "--model", f"mine={packed}") as url:
        packed.write_bytes(b"")  # as cp leaves the file for a moment
        assert len(embed(url, "mine", "the river flows")[1]) == 16
        assert post(url + "/admin/models/reload", {})[0] == 409
        packed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert len(embed(url, "mine", "the bridge stands")[1]) == 16
        packed.write_bytes(whole)
        status, answer = post(url + "/admin/models/reload", {})
        assert status == 200 and answer["models"][0]["changed"] is False


def test_a_search_of_a_faiss_file_names_the_model_of_its_texts(dipper, tiny, test_data, tmp_path):
    files = f"file://{test_data / 'faiss'}"
    with serving(dipper, tmp_path / "root", "--model", "mini=", "--model", f"small={tiny}", "--allow-index-url", files) as url:
        assert post(url + "/v1/indexes", {"name": "file", "url": files + "/flat-l2-d16.ivf"})[0] == 201
        search = {"texts": "the river flows", "k": 3}
        status, answer = post(url + "/v1/indexes/file/search", search)  # by the first model, which has 384 dimensions
        assert status == 400 and "name another model" in answer["message"]
        status, answer = post(url + "/v1/indexes/file/search", search | {"model": "small"})
        assert status == 200 and min(answer["results"][0]["ids"]) >= 0, answer
        by_vector = {"vectors": embed(url, "small")[1], "k": 3}
        assert post(url + "/v1/indexes/file/search", by_vector)[1]["results"][0]["ids"] == answer["results"][0]["ids"]
        assert post(url + "/v1/indexes/file/search", search | {"model": "none"})[0] == 404
        assert post(url + "/v1/indexes/file/search", by_vector | {"model": "small"})[0] == 400


def test_a_failed_reload_says_whether_a_version_serves(dipper, tiny, tmp_path):
    with serving(dipper, tmp_path / "root", "--model", f"mine={tiny}", "--model", f"away={tmp_path / 'away'}") as url:
        status, answer = post(url + "/admin/models/reload", {"model": "away"})
        assert status == 409 and "no version of it is open" in answer["message"]


def test_sighup_reloads_the_models(start, editable, tmp_path):
    process = start("serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0", "--model", editable,
                    "--log-format", "json")
    url = process.stdout.readline().decode().strip()
    before = embed(url, "editable")[1]

    def hangup(words):
        process.send_signal(signal.SIGHUP)
        while words not in json.loads(process.stderr.readline())["message"]:
            pass

    hangup("it is the same version")
    damage(editable)
    hangup("was not reloaded")
    assert embed(url, "editable")[1] == before
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


# ---- the banner ----------------------------------------------------------------------------------------------

def banner(process, end):
    """Returns the messages of the log up to the one that has these words."""
    messages = []
    while not any(end in message for message in messages[-1:]):
        messages.append(json.loads(process.stderr.readline())["message"])
    return messages


def test_the_banner_says_what_is_served(start, dipper, tiny, tmp_path):
    root = make_root(dipper, tmp_path)
    process = start("serve", "--root", root, "--listen", "127.0.0.1:0", "--log-format", "json", "--model", "mini=",
                    "--model", f"small={tiny}")
    url = process.stdout.readline().decode().strip()
    said = "\n".join(banner(process, "namespaces:"))
    for words in ("dipper 0.", " core", "model mini: 384 dimensions", "model small: the first request",
                  f"serving {root} on {url}", f"search page: {url}/", "orchestra (3 rows), packages (7 rows)"):
        assert words in said


def test_the_banner_says_that_there_is_no_key_yet(start, tmp_path):
    database = {"DATABASE_URL": f"sqlite://{tmp_path}/keys.db"}
    process = start("serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--auth", env=database)
    assert any("dipper key create" in message for message in banner(process, "no key yet"))


def test_a_server_is_ready_soon(dipper, tmp_path):
    """From exec to the first answer. The bar is 100 ms on an idle machine; a busy one gets three tries and a second."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        with serving(dipper, tmp_path / "root") as url:
            get(url + "/health/ready")
            took.append(time.monotonic() - began)
    assert min(took) < 1, took
