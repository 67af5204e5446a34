"""Public clients, unchanged, against `dipper serve`: turbopuffer-python's own tests, LangChain's vector store for turbopuffer, the
turbopuffer clients for Node, Go and Java, and OpenAI's client for Node. scripts/clients, which `make check-all` runs before, gets them
from their registries."""
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import clean_environment
from serving import serving

pytestmark = pytest.mark.peer

SUITE = "turbopuffer-3.1.0"


@pytest.fixture(scope="module")
def url(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("clients") / "root"
    root.mkdir()
    with serving(dipper, root) as address:
        yield address


@pytest.fixture
def client(source):
    """client("node"): the folder that has the client. Skips the test if it is not there."""
    def find(name):
        folder = source / "build" / "clients"
        if not (folder / f"{name}.made").exists():
            pytest.skip(f"scripts/clients {name} has not brought the client")
        return folder / name

    return find


def call(*command, cwd=None):
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, env=clean_environment(), timeout=240,
                          check=False)
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout[-3000:] + done.stderr[-3000:]


def known_failures(source):
    with open(source / "tests" / "clients" / "python" / "known_failures", encoding="utf-8") as lines:
        return {line.split()[0] for line in lines if not line.startswith("#")}


def run_suite(folder, url, report, *arguments):
    """Runs the tests of the source package with its own settings, in one process. Returns {name: whether the test failed},
    without tests that skip themselves."""
    environment = clean_environment(TURBOPUFFER_BASE_URL=url, TURBOPUFFER_API_KEY="tpuf_none", PYTHONDONTWRITEBYTECODE=1)
    done = subprocess.run([folder / "bin" / "python", "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                           *arguments], cwd=folder / SUITE, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
    results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file, *classes = case.get("classname").removeprefix("tests.custom.").split(".")
        if case.find("skipped") is None:
            failed = case.find("failure") is not None or case.find("error") is not None
            results["::".join([file + ".py", *classes, case.get("name")])] = failed
    return results, done.stdout


def test_the_python_clients_own_tests(source, url, client, tmp_path):
    results, output = run_suite(client("python"), url, tmp_path / "report.xml", "tests/custom")
    failed = {name for name, bad in results.items() if bad}
    assert failed == known_failures(source), output[-6000:]
    assert len(results) - len(failed) > 120


def test_the_python_clients_own_test_of_queries(source, url, client, tmp_path):
    """The test passes if the price is raised to the service's minimum (tests/clients/python/price_floor.py)."""
    folder = client("python")
    names = ["test_upsert_rows", "test_delete_vectors", "test_upsert_columns", "test_query_vectors", "test_delete_all"]
    plugin = os.path.relpath(source / "tests" / "clients" / "python", folder / SUITE)
    results, output = run_suite(folder, url, tmp_path / "report.xml", "-o", f"pythonpath={plugin}", "-p", "price_floor",
                                *[f"tests/custom/test_vectors.py::{name}" for name in names])
    assert len(results) == len(names) and not any(results.values()), output[-6000:]


def test_langchain_vector_store(source, url, client):
    call(client("langchain") / "bin" / "python", source / "tests" / "clients" / "langchain" / "calls.py", url)


def test_node_client(url, client):
    call("node", "calls.mjs", url, cwd=client("node"))


def test_openai_client_for_node(url, client):
    call("node", "calls.mjs", url, cwd=client("openai"))


def test_go_client(url, client):
    call(client("go") / "calls", url)


def test_java_client(url, client):
    folder = client("java")
    classpath = (folder / "classpath").read_text(encoding="utf-8")
    call("java", "-cp", f"{folder / 'target' / 'classes'}:{classpath}", "Calls", url)
