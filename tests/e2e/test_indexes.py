"""/v1/indexes: clients open and search FAISS files where they lie, through the program."""
import base64
import concurrent.futures
import json
import re
import shutil
import struct
import subprocess
import urllib.error
import urllib.request

import pytest

from serving import get, make_root, serving
from test_faiss_command import FILE, LISTS, golden, web, write_npy  # web is a fixture

pytestmark = pytest.mark.quick

SECRET = "X-Signature=secret"  # the query string that the server of test_faiss_command.py requires


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("indexes"))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Bypasses a proxy of the machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def ask(url, path, body=None, method=None):
    """Returns the status and the JSON of the answer, also for errors."""
    request = urllib.request.Request(f"{url}{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_index_is_searched_where_it_lies(dipper, root, web, test_data):
    queries, answers = golden(test_data, FILE)
    place = web.url.split("?")[0]
    with serving(dipper, root, "--allow-index-url", place.rsplit("/", 1)[0], "--cache-bytes", "none", "--merge-gap",
                 "none") as url:
        status, opened = ask(url, "/v1/indexes", {"name": "mine", "url": f"{place}?{SECRET}"})
        assert status == 201 and opened["d"] == 48 and opened["kind"] == "IwSq" and opened["nlist"] == LISTS
        assert opened["url"] == f"{place}?…" and opened["open"]["requests"] == len(web.seen) == 1
        for nprobe, (ids, distances) in answers.items():
            before = len(web.seen)
            status, found = ask(url, "/v1/indexes/mine/search", {"vectors": queries, "k": len(ids[0]), "nprobe": nprobe})
            assert status == 200 and len(found["results"]) == len(queries)
            for result, their_ids, their_distances in zip(found["results"], ids, distances):
                assert result["rounds"] == 1 and result["requests"] <= result["lists"] == min(nprobe, LISTS)
                for ours, theirs, i in zip(result["distances"], their_distances, their_ids):
                    assert i < 0 or ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)
            assert len(web.seen) - before == sum(result["requests"] for result in found["results"])
        raw = base64.b64encode(struct.pack("<48f", *queries[0])).decode()
        one = ask(url, "/v1/indexes/mine/search", {"vectors": raw, "k": 3, "nprobe": 8})[1]["results"][0]
        kept = ask(url, "/v1/indexes/mine/search", {"vectors": raw, "k": 3, "nprobe": 8, "skip": one["ids"][:1],
                                                    "keep": [*one["ids"], 1 << 62]})[1]["results"][0]
        assert kept["ids"] == [*one["ids"][1:], -1]
        assert ask(url, "/v1/indexes")[1]["indexes"] == [ask(url, "/v1/indexes/mine")[1]]
        assert ask(url, "/v1/indexes", {"name": "mine", "url": place})[0] == 409
        metrics = get(f"{url}/metrics")[2].decode()
        assert 'dipper_index_searches_total{status="ok"}' in metrics and "secret" not in metrics
        assert ask(url, "/v1/indexes/mine", method="DELETE") == (200, {"name": "mine", "status": "closed"})
        assert ask(url, "/v1/indexes/mine", method="DELETE")[0] == 404
        assert ask(url, "/v1/indexes/mine/search", {"vectors": raw})[0] == 404


def test_flat_and_refined_files_are_searched(dipper, root, test_data, tmp_path):
    with serving(dipper, root, "--allow-index-url", f"file://{test_data} file://{tmp_path}") as url:
        for name, extra in (("only-flat-l2", {"recall": 0.9}), ("rflat-idmap-pca-sq8-ip", {"nprobe": 5, "k_factor": 2.5})):
            queries, answers = golden(test_data, name)
            status, opened = ask(url, "/v1/indexes", {"name": name, "url": f"file://{test_data}/faiss/{name}.ivf"})
            assert status == 201 and opened["refined"] == name.startswith("rflat")
            status, found = ask(url, f"/v1/indexes/{name}/search", {"vectors": queries, "k": 10, **extra})
            assert status == 200
            for result, ids, distances in zip(found["results"], *answers[max(answers)]):
                for ours, theirs, i in zip(result["distances"], distances, ids):
                    assert i < 0 or ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)
        search = "/v1/indexes/rflat-idmap-pca-sq8-ip/search"
        assert ask(url, search, {"vectors": queries[0], "k_factor": 0.5})[0] == 400
        assert "candidates" in ask(url, search, {"vectors": queries[0], "k": 1000, "k_factor": 10000})[1]["message"]
        # The server opens no flat file of 2 GiB for clients, because each search would read all of it. (A hole takes no disk.)
        with open(tmp_path / "large.index", "wb") as out:
            out.write(b"IxF2" + struct.pack("<iqqqBiQ", 16, 1 << 25, 1 << 20, 1 << 20, 1, 1, 1 << 29))
            out.truncate(45 + (1 << 31))
        status, refused = ask(url, "/v1/indexes", {"name": "large", "url": f"file://{tmp_path}/large.index"})
        assert status in (400, 413) and "dipper faiss build" in refused["message"]
        assert ask(url, "/v1/indexes/large")[0] == 404


def test_index_is_searched_by_recall(dipper, root, web, test_data, tmp_path):
    queries, _ = golden(test_data, FILE)
    shutil.copy(test_data / "faiss" / f"{FILE}.ivf", tmp_path)
    write_npy(tmp_path / "q.npy", queries)
    subprocess.run([dipper, "faiss", "calibrate", tmp_path / f"{FILE}.ivf", "--queries", tmp_path / "q.npy"], check=True,
                   stdout=subprocess.DEVNULL)
    points = json.loads((tmp_path / f"{FILE}.ivf.recall.json").read_text())["points"]
    nprobe = min(p["nprobe"] for p in points if p["recall"] >= 0.9)
    web.root = tmp_path
    place = web.url.split("?")[0]
    table = f"{place}.recall.json?{SECRET}"
    with serving(dipper, root, "--allow-index-url", place.rsplit("/", 1)[0]) as url:
        assert ask(url, "/v1/indexes", {"name": "mine", "url": web.url, "recall_table": table})[0] == 201
        opening = len(web.seen)
        by = [ask(url, "/v1/indexes/mine/search", {"vectors": queries[0], "k": 5, **how})
              for how in ({"recall": 0.9}, {"recall": 0.9}, {"nprobe": nprobe})]
        assert [status for status, _ in by] == [200, 200, 200]
        assert len({tuple(found["results"][0]["ids"]) for _, found in by}) == 1
        assert by[0][1]["results"][0]["lists"] == nprobe
        assert sum("recall.json" in str(seen) for seen in web.seen[opening:]) <= 2  # the table is read once: its first bytes, then all
        for wrong in ({"recall": 0}, {"recall": 1.5}, {"recall": "much"}, {"recall": 0.9, "nprobe": 3}):
            assert ask(url, "/v1/indexes/mine/search", {"vectors": queries[0], **wrong})[0] == 400
        # Tables without a URL, with a URL that is not permitted, and with a URL that has no table.
        assert ask(url, "/v1/indexes", {"name": "bare", "url": web.url})[0] == 201
        status, answer = ask(url, "/v1/indexes/bare/search", {"vectors": queries[0], "recall": 0.9})
        assert status == 400 and "recall_table" in json.dumps(answer)
        for name, other in (("far", "http://127.0.0.1:1/table.json"), ("none", f"{place}?{SECRET}")):
            assert ask(url, "/v1/indexes", {"name": name, "url": web.url, "recall_table": other})[0] == 201
            status, answer = ask(url, f"/v1/indexes/{name}/search", {"vectors": queries[0], "recall": 0.9})
            assert 400 <= status < 500 and "secret" not in json.dumps(answer)


def test_index_lists_are_read_once_by_many(dipper, root, web, test_data):
    queries, _ = golden(test_data, FILE)
    with serving(dipper, root, "--allow-index-url", web.url.split("?")[0], "--merge-gap", "none") as url:
        assert ask(url, "/v1/indexes", {"name": "mine", "url": web.url})[0] == 201
        opening = len(web.seen)
        search = {"vectors": queries[0], "k": 3, "nprobe": LISTS}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda _: ask(url, "/v1/indexes/mine/search", search), range(64)))
        assert all(status == 200 for status, _ in found)
        assert len({json.dumps(answer["results"][0]["ids"]) for _, answer in found}) == 1
        assert len(web.seen) - opening == LISTS  # 64 searches read each list once
        metrics = get(f"{url}/metrics")[2].decode()
        assert f"dipper_store_cache_misses_total {LISTS}\n" in metrics


def test_index_urls_need_the_operators_permission(dipper, root, web, test_data):
    """No trick reaches another URL, and no answer shows a secret."""
    port = web.server_port
    inside = f"http://127.0.0.1:{port}/{FILE}.ivf"
    local = test_data / "faiss" / f"{FILE}.ivf"
    tricks = [
        f"http://127.0.0.1:{port}/pq-l2-d12.ivf?{SECRET}", f"{inside}x?{SECRET}", f"{inside}/../pq-l2-d12.ivf?{SECRET}",
        f"{inside}/%2e%2e/pq-l2-d12.ivf?{SECRET}", f"{inside}/..%2fpq-l2-d12.ivf?{SECRET}",
        f"http://localhost:{port}/{FILE}.ivf?{SECRET}", f"http://127.0.0.1/{FILE}.ivf?{SECRET}",
        f"http://127.1:{port}/{FILE}.ivf?{SECRET}", f"http://[::ffff:127.0.0.1]:{port}/{FILE}.ivf?{SECRET}",
        f"http://user:secret@127.0.0.1:{port}/{FILE}.ivf", f"http://evil.example#@127.0.0.1:{port}/{FILE}.ivf",
        f"https://127.0.0.1:{port}/{FILE}.ivf?{SECRET}", f"file://{local}", str(local), f"mem://{FILE}",
        f"s3://bucket/{FILE}.ivf", "http://169.254.169.254/latest/meta-data/", "gopher://127.0.0.1/", ""]
    with serving(dipper, root, "--allow-index-url", inside) as url:
        for trick in tricks:
            status, answer = ask(url, "/v1/indexes", {"name": "x", "url": trick})
            assert status in (400, 403), trick
            assert "secret" not in json.dumps(answer)
        assert not web.seen
        assert ask(url, "/v1/indexes")[1] == {"indexes": []}
    with serving(dipper, root, "--allow-index-url", f"http://*:{port}/ http://*.localhost:{port}/") as url:
        for host in ("127.0.0.1", "localhost", "a.localhost", "[::1]", "0.0.0.0"):
            status, answer = ask(url, "/v1/indexes", {"name": "x", "url": f"http://{host}:{port}/{FILE}.ivf?{SECRET}"})
            assert status == 403 and "public" in answer["message"] and "secret" not in answer["message"], host
        assert not web.seen
    with serving(dipper, root, "--allow-index-url", f"private+http://*.localhost:{port}/") as url:
        status, _ = ask(url, "/v1/indexes", {"name": "x", "url": f"http://a.localhost:{port}/{FILE}.ivf?{SECRET}"})
        assert status == 201 and web.seen
    with serving(dipper, root, "--allow-index-url", f"file://{local.parent}") as url:
        assert ask(url, "/v1/indexes", {"name": "x", "url": f"file://{local}"})[0] == 201
        assert ask(url, "/v1/indexes", {"name": "y", "url": f"file://{local.parent}/../texts/README.md"})[0] == 400


def test_index_secrets_are_in_no_log(dipper, root, web, start):
    process = start("serve", "--root", root, "--listen", "127.0.0.1:0", "--log-level", "debug", "--log-format", "json",
                    "--allow-index-url", web.url.split("?")[0])
    url = process.stdout.readline().decode().strip()
    assert ask(url, "/v1/indexes", {"name": "a", "url": web.url})[0] == 201
    web.query = "another"  # from now on the store answers 403
    assert ask(url, "/v1/indexes", {"name": "b", "url": web.url})[0] == 403
    assert ask(url, "/v1/indexes", {"name": "c", "url": f"http://user:{SECRET}@x/?{SECRET}"})[0] == 400
    assert ask(url, f"/v1/indexes/a?{SECRET}")[0] == 200
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert b"/v1/indexes" in errors and b"secret" not in errors


def test_index_rules_that_are_wrong_stop_the_start(run, root):
    done = run("serve", "--root", root, "--listen", "127.0.0.1:0", "--allow-index-url", "example.com/a", status=1)
    assert "rule \"example.com/a\"" in done.stderr and "http://" in done.stderr


def test_index_methods(dipper, root):
    with serving(dipper, root) as url:
        assert ask(url, "/v1/indexes", {"name": "a", "url": "https://example.com/"})[0] == 403
        request = urllib.request.Request(f"{url}/v1/indexes/a", method="PUT", data=b"")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 405 and refused.value.headers["Allow"] == "GET, HEAD, DELETE, OPTIONS"


def test_commands_of_the_guide_run_as_written(dipper, source, test_data, start, tmp_path):
    guide = (source / "docs" / "guide-faiss.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```sh\n(.*?)```", guide, re.S) if "/v1/indexes" in b)
    serve, *asks = [line.split("  #")[0] for line in block.splitlines()]
    shutil.copy(test_data / "faiss" / f"{FILE}.ivf", tmp_path / "vectors.ivf")
    (tmp_path / "query.json").write_text(json.dumps({"vectors": golden(test_data, FILE)[0][:1], "k": 3, "nprobe": 4}))
    (tmp_path / "build").symlink_to(dipper.parent)
    server = start("-c", "exec " + serve.removesuffix(" &"), program="bash", env={"PORT": 0})
    url = server.stdout.readline().decode().strip().removeprefix("http://")
    answers = [json.loads(subprocess.run(["bash", "-c", line.replace("127.0.0.1:8000", url)], cwd=tmp_path, timeout=60,
                                         capture_output=True, check=True).stdout) for line in asks]
    assert answers[0]["name"] == "mine" and len(answers[1]["results"][0]["ids"]) == 3
