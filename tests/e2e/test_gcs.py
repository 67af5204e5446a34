"""Google Cloud Storage, as fake-gcs-server plays it: the store keeps the contract, and commands, the server and Python work
as in a folder. tests/store/gcs_dialect.c is stricter than this emulator, which ignores the conditions of reads."""
import json
import re
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request

import pytest

from program import clean_environment, json_lines
from serving import get, serving
from test_faiss_command import FILE, LISTS, golden, write_fvecs
from test_indexes import ask
from test_s3 import QUESTIONS, ROWS

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def emulator(source, tmp_path_factory):
    """Starts the emulator, and returns its address."""
    folder = tmp_path_factory.mktemp("peers")
    script = [sys.executable, source / "scripts" / "peers"]
    done = subprocess.run([*script, "start", folder, "fake-gcs"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    try:
        yield json.loads(done.stdout)["fake-gcs"]["endpoint"]
    finally:
        subprocess.run([*script, "stop", folder], check=True)


def send(url, body, kind):
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def bucket(emulator, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")
    send(f"{emulator}/storage/v1/b", json.dumps({"name": name}).encode(), "application/json")
    return name


@pytest.fixture
def gcs(emulator):
    return {"STORAGE_EMULATOR_HOST": emulator.removeprefix("http://"), "no_proxy": "*"}


@pytest.fixture
def faiss_file(emulator, bucket, test_data):
    """Puts a FAISS file into the bucket, and returns its local path and its URL."""
    local = test_data / "faiss" / f"{FILE}.ivf"
    name = urllib.parse.quote(f"deep/er/{FILE}.ivf", safe="")
    send(f"{emulator}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}", local.read_bytes(),
         "application/octet-stream")
    return local, f"gs://{bucket}/deep/er/{FILE}.ivf"


def test_gcs_keeps_the_contract(build, bucket, gcs):
    subprocess.run(["ninja", "-C", str(build), "tests/contract_tool"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([build / "tests" / "contract_tool", f"gs://{bucket}", "holds-both"],
                          env=clean_environment(**gcs), capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    groups = re.findall(r"\[  PASSED  \] (\d+) test", done.stdout + done.stderr)
    assert sum(map(int, groups)) >= 27


def test_gcs_answers_as_a_folder_does(run, rows, bucket, gcs, tmp_path):
    answers = []
    for root, env in ((f"gs://{bucket}/deep/er", gcs), (tmp_path / "bucket", {})):
        run("index", "n", rows(*ROWS[:5]), "--root", root, env=env)
        run("index", "n", rows(*ROWS[4:], {"id": 0, "text": "a kitten plays", "new": True}), "--root", root, env=env)
        done = [run("search", "n", words, "--root", root, "--json", "-k", "7", env=env) for words in QUESTIONS]
        answers.append([json.loads(one.stdout)["rows"] for one in done])
        assert "n" in run("namespace", "list", "--root", root, env=env).stdout.split()
        run("namespace", "verify", "n", "--root", root, env=env)
    assert answers[0] == answers[1]
    assert answers[0][0][0]["id"] == 0 and answers[0][0][0]["new"] is True


def test_gcs_serves_and_takes_writes(dipper, bucket, gcs):
    with serving(dipper, f"gs://{bucket}", env=gcs) as url:
        for row in ROWS:
            written = {"id": row["id"], "vector": [row["id"], 1.0], "text": row["text"]}
            assert ask(url, "/v2/namespaces/animals", {"upsert_rows": [written],
                                                       "distance_metric": "euclidean_squared"})[0] == 200
        status, found = ask(url, "/v2/namespaces/animals/query", {"rank_by": ["vector", "ANN", [2.0, 1.0]], "top_k": 3,
                                                                   "include_attributes": ["text"]})
        assert status == 200 and found["rows"][0]["id"] == 2 and found["rows"][0]["text"] == ROWS[2]["text"]
        assert [n["id"] for n in json.loads(get(url + "/v1/namespaces")[2])["namespaces"]] == ["animals"]
    with serving(dipper, f"gs://{bucket}", env=gcs) as url:  # nothing was in the process alone
        assert ask(url, "/v2/namespaces/animals/query", {"rank_by": ["vector", "ANN", [2.0, 1.0]], "top_k": 9})[1]["rows"][6]


def test_gcs_searches_faiss_files_where_they_lie(run, emulator, gcs, faiss_file, test_data, tmp_path):
    """Also through a signed URL, which is an URL like any other: its query says who may read."""
    local, url = faiss_file
    queries, _ = golden(test_data, FILE)
    path = write_fvecs(tmp_path / "queries.fvecs", queries[:5])
    ask_for = ["--queries", path, "--nprobe", "3", "--json", "--merge-gap", "none", "--cache-bytes", "none"]
    expected = json_lines(run("faiss", "search", local, *ask_for).stdout)
    signed = (f"{emulator}/{url.removeprefix('gs://')}?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=600"
              "&X-Goog-Signature=0badc0ffee")
    for place in (url, signed):
        info = json.loads(run("faiss", "info", place, "--json", env=gcs).stdout)
        assert info["kind"] == "IwSq" and info["d"] == 48 and info["open"]["requests"] == 1
        done = run("faiss", "search", place, *ask_for, env=gcs)
        found = json_lines(done.stdout)
        assert [line["ids"] for line in found] == [line["ids"] for line in expected]
        assert all(line["requests"] == 3 and line["rounds"] == 1 for line in found)
    failed = run("faiss", "info", signed.replace(FILE, "missing"), env=gcs, status=None)
    assert failed.returncode != 0 and "there is no such object" in failed.stderr and "0badc0ffee" not in failed.stderr


def test_gcs_files_are_built_and_attached(run, bucket, gcs, rows, tmp_path):
    """The file has more than one chunk of an upload (8 MiB)."""
    numpy = pytest.importorskip("numpy")
    numpy.save(tmp_path / "v.npy", numpy.random.default_rng(1).random((6000, 384), dtype=numpy.float32))
    url = f"gs://{bucket}/made.ivf"
    run("faiss", "build", url, "--vectors", tmp_path / "v.npy", "--kind", "flat", env=gcs)
    info = json.loads(run("faiss", "info", url, "--json", env=gcs).stdout)
    assert info["vectors"] == 6000 and info["file_bytes"] > 8 << 20
    texts = rows(*({"id": i, "text": f"row {i}"} for i in range(6000)))
    more = ["--root", f"gs://{bucket}/root", "--allow-index-url", f"gs://{bucket}/"]
    run("faiss", "attach", "n", url, "--rows", texts, *more, env=gcs)
    found = json.loads(run("search", "n", "row 77", "--rank", "meaning", "--json", *more, env=gcs).stdout)
    assert len(found["rows"]) == 10


def test_gcs_indexes_follow_the_rules(dipper, bucket, gcs, faiss_file, test_data):
    queries, answers = golden(test_data, FILE)
    _, url = faiss_file
    with serving(dipper, f"gs://{bucket}/root", "--allow-index-url", f"gs://{bucket}/deep/", env=gcs) as server:
        status, opened = ask(server, "/v1/indexes", {"name": "mine", "url": url})
        assert status == 201 and opened["nlist"] == LISTS
        ids, _ = answers[LISTS]
        status, found = ask(server, "/v1/indexes/mine/search", {"vectors": queries, "k": len(ids[0]), "nprobe": LISTS})
        assert status == 200 and [set(r["ids"]) for r in found["results"]] == [set(i) for i in ids]
        for elsewhere in (f"gs://{bucket}/other.ivf", f"gs://{bucket}x/deep/a.ivf", f"s3://{bucket}/deep/a.ivf"):
            assert ask(server, "/v1/indexes", {"name": "no", "url": elsewhere})[0] == 403


def test_gcs_from_python(build, bucket, gcs, faiss_file):
    """In a process of its own: the library reads the environment of the process."""
    subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    _, url = faiss_file
    program = textwrap.dedent(f"""
        import dipper, numpy as np
        with dipper.open_index({url!r}) as index:
            assert index.d == 48
            D, I = index.search(np.zeros((1, 48), dtype=np.float32), 3, nprobe=2)
            assert I.shape == (1, 3)
        with dipper.Namespace({f"gs://{bucket}/root"!r}, "n") as namespace:
            namespace.write(upsert_rows=[{{"id": 1, "vector": [1.0, 0.0]}}, {{"id": 2, "vector": [0.0, 1.0]}}],
                            distance_metric="cosine_distance")
            print(namespace.query(np.array([0.0, 1.0], dtype=np.float32), 1)[0].id)
        """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False,
                          env={**clean_environment(**gcs), "PYTHONPATH": str(build / "python")})
    assert done.returncode == 0 and done.stdout.split() == ["2"], done.stdout + done.stderr


@pytest.mark.parametrize("change, says", [
    ({"STORAGE_EMULATOR_HOST": "", "NO_GCE_CHECK": "true", "HOME": "/nowhere"},
     "there are no credentials for Google Cloud Storage: set GOOGLE_APPLICATION_CREDENTIALS"),
    ({"STORAGE_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"},
     "GOOGLE_APPLICATION_CREDENTIALS"),
    ({"STORAGE_EMULATOR_HOST": "ftp://h"}, "STORAGE_EMULATOR_HOST: write http://host:port"),
], ids=["none", "no file", "emulator"])
def test_gcs_says_what_is_wrong(run, bucket, gcs, rows, change, says):
    for command in (["index", "n", rows(*ROWS)], ["search", "n", "kitten"]):
        done = run(*command, "--root", f"gs://{bucket}", env={**gcs, **change}, status=None)
        assert done.returncode != 0 and says in done.stderr, done.stderr


def test_gcs_says_that_there_is_no_bucket(run, gcs, rows):
    done = run("index", "n", rows(*ROWS), "--root", "gs://no-such-bucket", env=gcs, status=None)
    assert done.returncode != 0 and 'there is no bucket "no-such-bucket" at http://127.0.0.1:' in done.stderr
