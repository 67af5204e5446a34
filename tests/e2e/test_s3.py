"""S3 stores of other makers: they keep the contract of store/store.h, and the commands work as in a folder."""
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from program import clean_environment, json_lines
from test_faiss_command import FILE, golden, write_fvecs

pytestmark = pytest.mark.peer

ROWS = [{"id": i, "text": text, "n": i % 3} for i, text in enumerate(
    ("a cat sleeps on the sofa", "a dog barks at night", "a boat sails with the wind", "bread is baked in an oven",
     "the violin of the orchestra", "a bicycle has two wheels", "snow falls on the mountain"))]
QUESTIONS = ["kitten", "sailing", "loaf", "music"]

# MinIO can keep "a" beside "a/b". versitygw keeps objects as files, and reads and replaces them in several steps.
TRAITS = {"minio": ["holds-both"], "versitygw": ["not-atomic"]}


@pytest.fixture(scope="module")
def peers(source, tmp_path_factory):
    """Starts the stores. If one does not start, every test of this file fails."""
    folder = tmp_path_factory.mktemp("peers")
    script = [sys.executable, source / "scripts" / "peers"]
    done = subprocess.run([*script, "start", folder, "minio", "versitygw"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    try:
        yield json.loads(done.stdout)
    finally:
        subprocess.run([*script, "stop", folder], check=True)


@pytest.fixture(scope="module")
def tool(build):
    subprocess.run(["ninja", "-C", str(build), "tests/s3_tool"], check=True, stdout=subprocess.DEVNULL)
    return build / "tests" / "s3_tool"


@pytest.fixture(params=["minio", "versitygw"])
def peer(request, peers):
    return dict(peers[request.param], name=request.param)


@pytest.fixture
def s3(peer):
    """Returns the settings for the store."""
    return {"S3_ENDPOINT_URL": peer["endpoint"], "AWS_ACCESS_KEY_ID": peer["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": peer["secret_access_key"]}


@pytest.fixture
def bucket(tool, s3, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")
    subprocess.run([tool, "make-bucket", name], env=clean_environment(**s3), check=True)
    return name


@pytest.mark.parametrize("by_host", [False, True], ids=["by path", "by host"])
def test_s3_keeps_the_contract(tool, peer, s3, by_host):
    env = clean_environment(**s3)
    if by_host:
        env["S3_ENDPOINT_URL"] = "http://" + peer["domain"]
    done = subprocess.run([tool, "contract", peer["name"], *TRAITS[peer["name"]], *(["by-host"] if by_host else [])],
                          env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    groups = re.findall(r"\[  PASSED  \] (\d+) test", done.stdout + done.stderr)
    assert sum(map(int, groups)) >= 27


def test_s3_answers_as_a_folder_does(run, rows, bucket, s3, tmp_path):
    roots = {f"s3://{bucket}/deep/er": s3, tmp_path / "bucket": {}}
    answers = []
    for root, env in roots.items():
        run("index", "n", rows(*ROWS[:5]), "--root", root, env=env)
        run("index", "n", rows(*ROWS[4:], {"id": 0, "text": "a kitten plays", "new": True}), "--root", root, env=env)
        done = [run("search", "n", words, "--root", root, "--json", "-k", "7", env=env) for words in QUESTIONS]
        answers.append([json.loads(one.stdout)["rows"] for one in done])
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(QUESTIONS) and all(len(rows) == 7 for rows in answers[0])
    assert answers[0][0][0]["id"] == 0 and answers[0][0][0]["new"] is True


def test_s3_serves(dipper, bucket, s3, rows, run):
    root = f"s3://{bucket}"
    run("index", "animals", rows(*ROWS), "--root", root, env=s3)
    run("index", "animals-old", rows(*ROWS[:2]), "--root", root, env=s3)
    server = subprocess.Popen([dipper, "serve", "--root", root, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=clean_environment(**s3))
    try:
        url = server.stdout.readline().strip()
        with urllib.request.urlopen(url + "/v1/namespaces", timeout=60) as answer:
            names = [n["id"] for n in json.load(answer)["namespaces"]]
        query = {"rank_by": ["vector", "ANN", ["Embed", "kitten"]], "top_k": 1}
        request = urllib.request.Request(url + "/v2/namespaces/animals/query", json.dumps(query).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            first = json.load(answer)["rows"][0]
    finally:
        server.terminate()
        _, log = server.communicate(timeout=60)
    assert sorted(names) == ["animals", "animals-old"]
    assert first["id"] == 0
    assert s3["AWS_SECRET_ACCESS_KEY"] not in log


def test_s3_is_read_once_by_an_open_namespace(build, s3, bucket, rows, run):
    subprocess.run(["ninja", "-C", str(build), "python-package"], check=True, stdout=subprocess.DEVNULL)
    run("index", "n", rows(*ROWS), "--root", f"s3://{bucket}", env=s3)
    script = (
        "import sys, json, dipper\n"
        "for cache in (0, 1 << 20, None):\n"
        "    options = {} if cache is None else {'cache': cache}\n"
        "    with dipper.Namespace(sys.argv[1], 'n', **options) as n:\n"
        "        answers = [n.query('kitten', 3, rank='meaning') for _ in range(3)]\n"
        "    print(json.dumps([[[row.id for row in a], a.cost.bytes, a.cost.requests] for a in answers]))\n")
    done = subprocess.run([sys.executable, "-c", script, f"s3://{bucket}"], env=clean_environment(**s3, PYTHONPATH=str(build / "python")),
                          capture_output=True, text=True, check=True)
    none, small, usual = map(json.loads, done.stdout.splitlines())
    assert none[0][0] == small[2][0] == usual[2][0]  # the same rows
    assert none[2][1] == none[1][1] > 1000  # without a cache each query reads the same bytes
    for cached in small, usual:
        assert cached[2][1] < none[2][1] / 4  # the manifest alone
        assert cached[2][2] == 1


@pytest.mark.parametrize("change, says", [
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "check AWS_SECRET_ACCESS_KEY"),
    ({"AWS_ACCESS_KEY_ID": "wrong"}, "check AWS_ACCESS_KEY_ID"),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"},
     "there are no keys for S3: set AWS_ACCESS_KEY_ID"),
    ({"AWS_PROFILE": "none", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nowhere"},
     'AWS_PROFILE names "none"'),
    ({"S3_ENDPOINT_URL": "127.0.0.1:9000"}, "S3_ENDPOINT_URL: write http://host:port"),
], ids=["secret", "key id", "no keys", "profile", "endpoint"])
def test_s3_says_what_is_wrong(run, bucket, s3, rows, change, says):
    for command in (["index", "n", rows(*ROWS)], ["search", "n", "kitten"]):
        done = run(*command, "--root", f"s3://{bucket}", env={**s3, **change}, status=None)
        assert done.returncode != 0 and says in done.stderr, done.stderr
        assert done.stderr.count("\n") <= 2 and s3["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


def test_s3_says_that_there_is_no_bucket(run, s3, rows):
    for command in (["index", "n", rows(*ROWS)], ["search", "n", "kitten"]):
        done = run(*command, "--root", "s3://no-such-bucket", env=s3, status=None)
        assert done.returncode != 0 and 'there is no bucket "no-such-bucket" at http://127.0.0.1:' in done.stderr


def test_s3_keys_from_a_profile(run, bucket, peer, rows, tmp_path):
    (tmp_path / "home" / ".aws").mkdir(parents=True)
    (tmp_path / "home" / ".aws" / "credentials").write_text(
        f"[work]\naws_access_key_id = {peer['access_key_id']}\naws_secret_access_key = {peer['secret_access_key']}\n")
    (tmp_path / "home" / ".aws" / "config").write_text(f"[profile work]\nendpoint_url = {peer['endpoint']}\n")
    env = {"HOME": str(tmp_path / "home"), "AWS_PROFILE": "work"}
    run("index", "n", rows(*ROWS), "--root", f"s3://{bucket}", env=env)
    (answer,) = json_lines(run("search", "n", "kitten", "--root", f"s3://{bucket}", "--json", env=env).stdout)
    assert answer["rows"][0]["id"] == 0


def test_s3_takes_presigned_urls(run, tool, bucket, s3, rows):
    run("index", "n n+é".split()[0], rows(*ROWS), "--root", f"s3://{bucket}/a b+ü", env=s3)
    done = subprocess.run([tool, "presign", bucket, "a b+ü/n/manifest.json", "60"], env=clean_environment(**s3),
                          capture_output=True, text=True, check=True)
    url = done.stdout.strip()
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert json.load(answer)["segments"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url[:-1] + ("0" if url[-1] != "0" else "1"), timeout=60)
    assert refused.value.code == 403


def test_s3_commands_of_the_guide_run(source, dipper, tool, peer, s3, tmp_path):
    guide = (source / "docs" / "guide-bucket.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", guide, re.S).group(1)
    # Replaces the placeholders of the guide.
    for line in ("export S3_ENDPOINT_URL=http://127.0.0.1:9000", "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…"):
        assert line in block
    block = block.replace("http://127.0.0.1:9000", s3["S3_ENDPOINT_URL"]).replace(
        "AWS_ACCESS_KEY_ID=…", "AWS_ACCESS_KEY_ID=" + s3["AWS_ACCESS_KEY_ID"]).replace(
        "AWS_SECRET_ACCESS_KEY=…", "AWS_SECRET_ACCESS_KEY=" + s3["AWS_SECRET_ACCESS_KEY"])
    subprocess.run([tool, "make-bucket", "my-bucket"], env=clean_environment(**s3), check=True)
    os.symlink(dipper.parent, tmp_path / "build")
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    done = subprocess.run(["bash", "-eu", "-c", block], cwd=tmp_path, env=clean_environment(), capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bread is baked in an oven" in done.stdout.splitlines()[-len(ROWS) - 1]


def test_s3_searches_faiss_files_where_they_lie(run, tool, bucket, peer, s3, test_data, tmp_path):
    """The commands give the file's answers also through s3:// and presigned URLs, and read only the probed lists."""
    queries, _ = golden(test_data, FILE)
    path = write_fvecs(tmp_path / "queries.fvecs", queries[:5])
    local = test_data / "faiss" / f"{FILE}.ivf"
    keys = f"{peer['access_key_id']}:{peer['secret_access_key']}"
    subprocess.run(["curl", "-sSf", "--noproxy", "*", "--aws-sigv4", f"aws:amz:{peer['region']}:s3", "-u", keys, "-T", local,
                    "-H", f"x-amz-content-sha256: {hashlib.sha256(local.read_bytes()).hexdigest()}", f"{peer['endpoint']}/{bucket}/{FILE}.ivf"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    presigned = subprocess.run([tool, "presign", bucket, f"{FILE}.ivf", "60"], env=clean_environment(**s3),
                               capture_output=True, text=True, check=True).stdout.strip()
    ask = ["--queries", path, "--nprobe", "3", "--json", "--merge-gap", "none", "--cache-bytes", "none"]
    expected = json_lines(run("faiss", "search", local, *ask).stdout)
    for url in (f"s3://{bucket}/{FILE}.ivf", presigned):
        info = json.loads(run("faiss", "info", url, "--json", env={**s3, "no_proxy": "*"}).stdout)
        assert info["kind"] == "IwSq" and info["d"] == 48 and info["open"]["requests"] == 1
        found = json_lines(run("faiss", "search", url, *ask, env={**s3, "no_proxy": "*"}).stdout)
        assert [line["ids"] for line in found] == [line["ids"] for line in expected]
        assert all(line["requests"] == 3 and line["rounds"] == 1 for line in found)
