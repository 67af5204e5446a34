"""Azure Blob, as Microsoft's emulator has it: it keeps the contract of store/store.h, and the commands work as in a folder."""
import base64
import datetime
import hashlib
import hmac
import json
import re
import subprocess
import sys
import textwrap
import urllib.parse
import urllib.request

import pytest

from program import clean_environment, json_lines
from serving import serving
from test_faiss_command import FILE, LISTS, golden, write_fvecs
from test_indexes import ask
from test_s3 import QUESTIONS, ROWS

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def azurite(source, tmp_path_factory):
    """Starts the emulator. If it does not start, every test of this file fails."""
    folder = tmp_path_factory.mktemp("peers")
    script = [sys.executable, source / "scripts" / "peers"]
    done = subprocess.run([*script, "start", folder, "azurite"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    try:
        yield json.loads(done.stdout)["azurite"]
    finally:
        subprocess.run([*script, "stop", folder], check=True)


@pytest.fixture(scope="module")
def connection(azurite):
    text = f"AccountName={azurite['account']};AccountKey={azurite['key']};BlobEndpoint={azurite['endpoint']}"
    return {"AZURE_STORAGE_CONNECTION_STRING": text}


@pytest.fixture(scope="module")
def tool(build):
    subprocess.run(["ninja", "-C", str(build), "tests/azure_tool"], check=True, stdout=subprocess.DEVNULL)
    return build / "tests" / "azure_tool"


@pytest.fixture
def container(tool, connection, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")
    subprocess.run([tool, "make-container", name], env=clean_environment(**connection), check=True)
    return name


def sas_token(azurite, permissions, minutes=60, version="2021-12-02"):
    """Makes a SAS token for the whole account ("Create an account SAS", Azure Storage REST API reference)."""
    end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"sp": permissions, "ss": "b", "srt": "sco", "se": end, "spr": "https,http", "sv": version}
    text = "\n".join([azurite["account"], fields["sp"], "b", "sco", "", end, "", fields["spr"], version, "", ""])
    key = base64.b64decode(azurite["key"])
    fields["sig"] = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    return urllib.parse.urlencode(fields)


def test_azure_keeps_the_contract(tool, connection):
    done = subprocess.run([tool, "contract", "azurite"], env=clean_environment(**connection), capture_output=True, text=True,
                          timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", done.stdout + done.stderr))) >= 33


def test_azure_answers_as_a_folder_does(run, rows, container, azurite, connection, tmp_path):
    account = {"AZURE_STORAGE_ACCOUNT": azurite["account"], "AZURE_STORAGE_BLOB_ENDPOINT": azurite["endpoint"]}
    ways = {f"az://{container}/deep/er": connection, tmp_path / "folder": {},
            f"abfss://{container}@{azurite['account']}.dfs.core.windows.net/by/key": {**account, "AZURE_STORAGE_KEY": azurite["key"]},
            f"az://{container}/by/sas": {**account, "AZURE_STORAGE_SAS_TOKEN": "?" + sas_token(azurite, "rwdlac")}}
    answers = []
    for root, env in ways.items():
        run("index", "n", rows(*ROWS[:5]), "--root", root, env=env)
        run("index", "n", rows(*ROWS[4:], {"id": 0, "text": "a kitten plays", "new": True}), "--root", root, env=env)
        done = [run("search", "n", words, "--root", root, "--json", "-k", "7", env=env) for words in QUESTIONS]
        answers.append([json.loads(one.stdout)["rows"] for one in done])
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0][0]["id"] == 0 and answers[0][0][0]["new"] is True
    assert all(len(rows) == 7 for rows in answers[0])


def test_azure_serves(dipper, container, connection, azurite):
    server = subprocess.Popen([dipper, "serve", "--root", f"az://{container}", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=clean_environment(**connection))
    try:
        url = server.stdout.readline().strip()

        def ask(path, body):
            request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        ask("/v2/namespaces/animals", {"upsert_rows": [{"id": row["id"], "text": row["text"], "vector": [row["id"], 1.0]} for row in ROWS],
                                       "distance_metric": "euclidean_squared"})
        ask("/v2/namespaces/animals", {"deletes": [3]})
        found = ask("/v2/namespaces/animals/query", {"rank_by": ["vector", "ANN", [3.2, 1.0]], "top_k": 2})["rows"]
        with urllib.request.urlopen(url + "/v1/namespaces", timeout=60) as answer:
            names = [n["id"] for n in json.load(answer)["namespaces"]]
    finally:
        server.terminate()
        _, log = server.communicate(timeout=60)
    assert [row["id"] for row in found] == [4, 2] and names == ["animals"]
    assert azurite["key"] not in log


@pytest.mark.parametrize("change, says", [
    ({"AZURE_STORAGE_KEY": base64.b64encode(b"wrong").decode()}, "check AZURE_STORAGE_KEY"),
    ({"AZURE_STORAGE_KEY": "no base 64!"}, "is not base 64"),
    ({"AZURE_STORAGE_SAS_TOKEN": "read only"}, "lacks a permission"),
    ({"AZURE_STORAGE_SAS_TOKEN": "expired"}, "the SAS token has expired"),
    ({"AZURE_STORAGE_ANON": "true"}, "AZURE_STORAGE_ANON"),
    ({"AZURE_STORAGE_BLOB_ENDPOINT": "127.0.0.1:9"}, "AZURE_STORAGE_BLOB_ENDPOINT"),
    ({"AZURE_STORAGE_CONNECTION_STRING": "no names"}, "AZURE_STORAGE_CONNECTION_STRING: write Name=value"),
], ids=["key", "base 64", "permission", "expired", "anonymous", "endpoint", "connection string"])
def test_azure_says_what_is_wrong(run, container, azurite, rows, change, says):
    tokens = {"read only": sas_token(azurite, "rl"), "expired": sas_token(azurite, "rwdlac", minutes=-5)}
    change = {name: tokens.get(value, value) for name, value in change.items()}
    account = {"AZURE_STORAGE_ACCOUNT": azurite["account"], "AZURE_STORAGE_BLOB_ENDPOINT": azurite["endpoint"]}
    done = run("index", "n", rows(*ROWS), "--root", f"az://{container}", env={**account, **change}, status=None)
    assert done.returncode != 0 and says in done.stderr, done.stderr
    assert done.stderr.count("\n") <= 2 and not any(value in done.stderr for value in tokens.values())


def test_azure_says_that_there_is_no_container(run, connection, rows):
    for command in (["index", "n", rows(*ROWS)], ["search", "n", "kitten"]):
        done = run(*command, "--root", "az://no-such-container", env=connection, status=None)
        assert done.returncode != 0 and 'there is no container "no-such-container" at http://127.0.0.1:' in done.stderr, done.stderr


@pytest.fixture
def faiss_file(run, container, connection, azurite, test_data):
    """Puts the FAISS file of the tests into the container. Returns its URL."""
    url = f"{azurite['endpoint']}/{container}/deep/{FILE}.ivf"
    put = urllib.request.Request(f"{url}?{sas_token(azurite, 'rwc')}", (test_data / "faiss" / f"{FILE}.ivf").read_bytes(), method="PUT",
                                 headers={"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(put, timeout=60) as answer:
        assert answer.status == 201
    return f"az://{container}/deep/{FILE}.ivf"


def test_azure_searches_faiss_files_where_they_lie(run, faiss_file, azurite, connection, test_data, tmp_path):
    """The commands give the file's answers through az:// and through a URL with a SAS token, and read only the probed lists."""
    queries, _ = golden(test_data, FILE)
    path = write_fvecs(tmp_path / "queries.fvecs", queries[:5])
    local = test_data / "faiss" / f"{FILE}.ivf"
    signed = f"{azurite['endpoint']}/{faiss_file.removeprefix('az://')}?{sas_token(azurite, 'r')}"
    ask_for = ["--queries", path, "--nprobe", "3", "--json", "--merge-gap", "none", "--cache-bytes", "none"]
    expected = json_lines(run("faiss", "search", local, *ask_for).stdout)
    for where in (faiss_file, signed):
        env = {**connection, "no_proxy": "*"}
        info = json.loads(run("faiss", "info", where, "--json", env=env).stdout)
        assert info["kind"] == "IwSq" and info["d"] == 48 and info["open"]["requests"] == 1
        found = json_lines(run("faiss", "search", where, *ask_for, env=env).stdout)
        assert [line["ids"] for line in found] == [line["ids"] for line in expected]
        assert all(line["requests"] == 3 and line["rounds"] == 1 for line in found)


def test_azure_indexes_follow_the_rules(dipper, container, connection, faiss_file, test_data):
    queries, answers = golden(test_data, FILE)
    with serving(dipper, f"az://{container}/root", "--allow-index-url", f"az://{container}/deep/", env=connection) as server:
        status, opened = ask(server, "/v1/indexes", {"name": "mine", "url": faiss_file})
        assert status == 201 and opened["nlist"] == LISTS
        ids, _ = answers[LISTS]
        status, found = ask(server, "/v1/indexes/mine/search", {"vectors": queries, "k": len(ids[0]), "nprobe": LISTS})
        assert status == 200 and [set(r["ids"]) for r in found["results"]] == [set(i) for i in ids]
        for elsewhere in (f"az://{container}/other.ivf", f"az://{container}x/deep/a.ivf", f"s3://{container}/deep/a.ivf"):
            assert ask(server, "/v1/indexes", {"name": "no", "url": elsewhere})[0] == 403
        # A client cannot name an account: the server's token would go there.
        assert ask(server, "/v1/indexes", {"name": "no", "url": f"abfss://{container}@other.dfs.core.windows.net/deep/a.ivf"})[0] == 400


def test_azure_from_python(build, container, connection, faiss_file):
    """In a process of its own: the library reads the environment of the process."""
    subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    program = textwrap.dedent(f"""
        import dipper, numpy as np
        with dipper.open_index({faiss_file!r}) as index:
            D, I = index.search(np.zeros((1, 48), dtype=np.float32), 3, nprobe=2)
            assert index.d == 48 and I.shape == (1, 3)
        with dipper.Namespace({f"az://{container}/root"!r}, "n") as namespace:
            namespace.write(upsert_rows=[{{"id": 1, "vector": [1.0, 0.0]}}, {{"id": 2, "vector": [0.0, 1.0]}}],
                            distance_metric="cosine_distance")
            print(namespace.query(np.array([0.0, 1.0], dtype=np.float32), 1)[0].id)
        """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False,
                          env={**clean_environment(**connection), "PYTHONPATH": str(build / "python")})
    assert done.returncode == 0 and done.stdout.split() == ["2"], done.stdout + done.stderr
