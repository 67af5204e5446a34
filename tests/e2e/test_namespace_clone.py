"""Branches and copies of namespaces: `dipper namespace branch` and `cp`, and their requests."""
import json

import pytest
import turbopuffer

from accounts import Accounts
from program import objects
from serving import serving
from test_turbopuffer_write import EVERYTHING, query, send, write

ROWS = [{"id": i, "vector": [i, 1], "title": f"film {i}"} for i in range(6)]


def ids(url, name):
    return [row["id"] for row in query(url, name, EVERYTHING)]


@pytest.fixture
def films(dipper, tmp_path):
    """A server whose namespace "films" has rows in its log."""
    (tmp_path / "root").mkdir()
    with serving(dipper, tmp_path / "root") as url:
        write(url, "films", {"upsert_rows": ROWS, "distance_metric": "euclidean_squared"})
        write(url, "films", {"deletes": [5]})
        yield url


@pytest.mark.parametrize("kind", ["branch", "copy"])
def test_a_clone_goes_its_own_way(films, kind):
    field = f"{kind}_from_namespace"
    answer = write(films, "mine", {field: "films"})
    assert (answer["message"], answer["rows_affected"]) == ("namespace cloned successfully", 5)
    assert ids(films, "mine") == ids(films, "films") == [0, 1, 2, 3, 4]
    assert query(films, "mine", EVERYTHING) == query(films, "films", EVERYTHING)
    write(films, "mine", {"deletes": [0], "patch_rows": [{"id": 1, "title": "mine"}]})
    write(films, "films", {"deletes": [4], "upsert_rows": [{"id": 9, "vector": [9, 9]}]})
    assert ids(films, "mine") == [1, 2, 3, 4] and ids(films, "films") == [0, 1, 2, 3, 9]
    assert send(films, "DELETE", "/v2/namespaces/films")[0] == 200
    assert ids(films, "mine") == [1, 2, 3, 4]
    assert send(films, "POST", "/v2/namespaces/mine?stainless_overload=branchFrom",
                {field: {"source_namespace": "films"}})[0] == 400
    assert send(films, "POST", "/v2/namespaces/other", {field: {"source_namespace": "films"}})[0] == 404
    write(films, "films", {field: {"source_namespace": "mine"}})
    assert ids(films, "films") == [1, 2, 3, 4]


def test_what_a_clone_refuses(films):
    for kind in ("branch", "copy"):
        field = f"{kind}_from_namespace"
        status, answer = send(films, "POST", "/v2/namespaces/films", {field: "films"})
        assert status == 400 and "out of itself" in answer["error"]
        write(films, f"one-{kind}", {field: "films"})
        status, answer = send(films, "POST", f"/v2/namespaces/one-{kind}", {field: "films"})
        assert status == 400 and "destination namespace already exists" in answer["error"]
        assert send(films, "POST", "/v2/namespaces/new", {field: "films", "deletes": [1]})[0] == 400
        assert send(films, "POST", "/v2/namespaces/new", {field: 7})[0] == 422
        assert send(films, "POST", "/v2/namespaces/new", {field: {}})[0] == 422
        assert send(films, "POST", "/v2/namespaces/new", {field: ".films"})[0] == 400
    assert send(films, "PATCH", "/v1/namespaces/films/metadata", {"read_only": True})[0] == 200
    write(films, "still", {"branch_from_namespace": "films"})
    write(films, "film", {"copy_from_namespace": "films"})
    for name in ("still", "film"):
        assert send(films, "GET", f"/v1/namespaces/{name}/metadata")[1]["read_only"]


def test_the_public_client_branches_and_copies(films):
    client = turbopuffer.Turbopuffer(base_url=films, api_key="none", max_retries=0)
    client.namespace("twig").branch_from(source_namespace="films")
    client.namespace("copy").copy_from(source_namespace="films")
    client.namespace("leaf").write(branch_from_namespace="twig")
    for name in ("twig", "copy", "leaf"):
        assert ids(films, name) == [0, 1, 2, 3, 4]
    with pytest.raises(turbopuffer.BadRequestError):
        client.namespace("copy").copy_from(source_namespace="films")


def test_a_clone_needs_the_right_to_read_its_source(dipper, tmp_path):
    (tmp_path / "root").mkdir()
    accounts = Accounts(dipper, f"sqlite://{tmp_path}/accounts.db")
    writer = accounts.key("a@example.org", "--rights", "read,write", "--namespaces", "a-")["key"]
    other = accounts.key("b@example.org", "--rights", "read,write")["key"]
    with accounts.serve(tmp_path) as node:
        make, mine = (turbopuffer.Turbopuffer(base_url=node.url, api_key=key, max_retries=0) for key in (other, writer))
        make.namespace("b-films").write(upsert_rows=ROWS, distance_metric="euclidean_squared")
        for field in ("branch_from_namespace", "copy_from_namespace"):
            with pytest.raises(turbopuffer.PermissionDeniedError):
                mine.namespace("a-films").write(**{field: "b-films"})
        make.namespace("a-films").write(branch_from_namespace="b-films")
        with pytest.raises(turbopuffer.PermissionDeniedError):
            mine.namespace("b-twig").write(branch_from_namespace="a-films")
        mine.namespace("a-twig").write(branch_from_namespace="a-films")


def test_the_command_branches_and_copies(run, rows, ask, tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    run("index", "notes", rows({"id": 1, "text": "cats"}, {"id": 2, "text": "boats"}), "--root", root)
    run("ns", "rm", "notes", "2", "--root", root)
    branch = json.loads(run("ns", "branch", "notes", "twig", "--root", root, "--json").stdout)
    assert branch["rows"] == 1
    assert json.loads(run("ns", "info", "notes", "--root", root, "--json").stdout)["branches"] == 1
    copy = run("namespace", "cp", "notes", "copied", "--to", other, "--root", root)
    assert "copied: a copy of notes, 1 rows in 1 segments" in copy.stdout
    run("ns", "cp", "twig", "here", "--root", root)
    run("ns", "rm", "notes", "--yes", "--root", root)
    for name, place in (("twig", root), ("here", root), ("copied", other)):
        assert [row["id"] for row in ask(name, "a cat", place)] == [1]
        assert json.loads(run("ns", "verify", name, "--root", place, "--json").stdout)["faults"] == []
    lines = run("ns", "export", "twig", "-", "--root", root).stdout.splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["text"] == "cats"
    assert not [name for name in objects(root) if name.startswith("twig/") and name.endswith(".dpr")]
    run("ns", "compact", "twig", "--root", root)
    assert [row["id"] for row in ask("twig", "a cat", root)] == [1]
    assert "exists already" in run("ns", "branch", "twig", "here", "--root", root, status=1).stderr
    assert "no namespace" in run("ns", "cp", "notes", "new", "--root", root, status=1).stderr
