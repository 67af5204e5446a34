"""`dipper namespace export` and `import`: a namespace as a file, whole, and back."""
import base64
import json
import re
import struct

import pytest

from program import json_lines, shown
from serving import serving
from test_turbopuffer_write import EVERYTHING, query, write

TYPES = {"id": "uuid", "big": "uint", "when": "datetime", "owner": "uuid", "raw": "bytes", "old": "string",
         "half": {"type": "[2]f16", "ann": True}, "title": {"type": "string", "filterable": False},
         "tags": "[]string", "vector": "[3]f16"}


def lines(path):
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    head = json.loads(head)
    del head["namespace"]
    return head, sorted(rows)


def copy(run, name, root, folder):
    """Exports a namespace, imports it elsewhere, exports it again, and returns the head and rows, which must be equal."""
    run("ns", "export", name, folder / "first.jsonl", "--root", root)
    done = json.loads(run("ns", "import", "copy", folder / "first.jsonl", "--root", folder / "new", "--json").stdout)
    run("ns", "export", "copy", folder / "second.jsonl", "--root", folder / "new")
    head, rows = lines(folder / "first.jsonl")
    assert (head, rows) == lines(folder / "second.jsonl")
    assert done["rows"] == head["rows"] == len(rows)
    assert json.loads(run("ns", "verify", "copy", "--root", folder / "new", "--json").stdout)["faults"] == []
    return head, [json.loads(row) for row in rows]


def test_rows_that_were_loaded_come_back(run, rows, ask, tmp_path):
    text = "The harbour was empty. " * 80
    run("index", "notes", rows({"id": 1, "text": "cats", "n": 1.5, "tags": []}, {"id": "x", "text": text, "né": "h\n"}),
        "--root", tmp_path / "old")
    head, copied = copy(run, "notes", tmp_path / "old", tmp_path)
    assert head["model"] == "all-MiniLM-L6-v2" and len(head["fingerprint"]) == 64
    by_id = {row["id"]: row for row in copied}
    assert isinstance(by_id[1]["vector"], str) and len(by_id["x"]["vector"]) > 1
    assert by_id["x"]["né"] == "h\n" and by_id[1]["tags"] == []
    assert shown(ask("copy", "a cat", tmp_path / "new")) == shown(ask("notes", "a cat", tmp_path / "old"))


def test_all_types_come_back_from_segments_and_log(run, dipper, tmp_path):
    (tmp_path / "old").mkdir()
    uuid = "00112233-4455-6677-8899-aabbccddee{:02x}".format
    row = {"id": uuid(1), "vector": [1, 0.5, 0.25], "big": 2**64 - 1, "when": "2024-03-01T01:02:03.456Z",
           "owner": uuid(9).upper(), "raw": "AAH/", "half": [1.5, -2], "title": "long " * 2000, "tags": ["a", "b"],
           "old": "gone", "n": -2**63}
    with serving(dipper, tmp_path / "old") as url:
        write(url, "all", {"schema": TYPES, "distance_metric": "euclidean_squared", "upsert_rows": [
            row, {"id": uuid(2), "vector": [0, 0, 1]}, {"id": uuid(3), "vector": [0, 1, 1]}]})
        run("ns", "compact", "all", "--root", tmp_path / "old")
        write(url, "all", {"deletes": [uuid(2)], "patch_rows": [{"id": uuid(3), "title": "patched"}],
                           "upsert_rows": [{"id": uuid(4), "vector": [1, 1, 1], "big": 7}]})
        write(url, "all", {"schema": {"old": {"drop": True}}})
        before = query(url, "all", EVERYTHING)
        schema = json.loads(run("ns", "info", "all", "--root", tmp_path / "old", "--json").stdout)["schema"]
    head, copied = copy(run, "all", tmp_path / "old", tmp_path)
    assert head["schema"]["title"] == {"type": "string", "filterable": False} and "old" not in head["schema"]
    assert head["schema"]["big"] == {"type": "uint"} and head["schema"]["vector"] == "[3]f16"
    (first,) = (r for r in copied if r["id"] == uuid(1))
    assert "old" not in first and first["big"] == 2**64 - 1
    assert struct.unpack("<3f", base64.b64decode(first["vector"])) == (1, 0.5, 0.25)
    with serving(dipper, tmp_path / "new") as url:
        assert query(url, "copy", EVERYTHING) == before
        write(url, "copy", {"upsert_rows": [{"id": uuid(5), "vector": [1, 2, 3], "title": "x" * 9000}]})
    assert json.loads(run("ns", "info", "copy", "--root", tmp_path / "new", "--json").stdout)["schema"] == schema


def test_rows_without_vectors_come_back(run, dipper, tmp_path):
    (tmp_path / "old").mkdir()
    with serving(dipper, tmp_path / "old") as url:
        write(url, "bare", {"upsert_rows": [{"id": 1, "a": "x"}, {"id": 2, "a": None}]})
    head, copied = copy(run, "bare", tmp_path / "old", tmp_path)
    assert head["schema"] == {"id": "uint", "a": {"type": "string"}} and copied == [{"id": 1, "a": "x"}, {"id": 2}]


def test_a_file_made_by_hand_is_imported(run, rows, tmp_path):
    head = {"dipper_export": 1, "distance_metric": "cosine_distance", "schema": {"vector": "[2]f32"}}
    path = rows(head, {"id": 1, "vector": [1, 0], "a": 1}, {"id": "b", "vector": [[1, 0], [0, 1]], "a": 2})
    run("ns", "import", "hand", "-", "--root", tmp_path / "new", input=path.read_text(encoding="utf-8"))
    done = run("ns", "export", "hand", "-", "--root", tmp_path / "new")
    first, second = sorted(json_lines(done.stdout)[1:], key=lambda row: row["a"])
    assert (first["id"], second["id"], len(second["vector"])) == (1, "b", 2) and "exported 2 rows" in done.stderr


@pytest.mark.parametrize("change, complaint", [
    (lambda text: text[:-9], "line 4: "),
    (lambda text: "".join(text.splitlines(True)[:3]), "the file has 2 rows, but its head says 3"),
    (lambda text: "".join(text.splitlines(True)[1:]), "line 1: the first line is not the head"),
    (lambda text: text.replace('"id":2', '"id":1'), "line 3: id 1 occurs twice"),
    (lambda text: text.replace('"dipper_export":1', '"dipper_export":2'), "line 1: this version reads exports"),
    (lambda text: text.replace('"n":2', '"n":"two"'), "line 3: id 2: attribute \"n\" has type int"),
    (lambda text: text.replace('1,"vector":"', '1,"vector":"AAAA', 1), "must be base 64 of 384"),
    (lambda text: text.replace('"model":"all-MiniLM-L6-v2",', ""), "must have both"),
    (lambda text: re.sub('"fingerprint":"[^"]*",', "", text), "must have both"),
    (lambda text: re.sub('"fingerprint":"[^"]*"', '"fingerprint":"mine"', text), "must have both"),
    (lambda text: "", "the file is empty"),
])
def test_a_damaged_file_makes_no_namespace(run, rows, tmp_path, change, complaint):
    run("index", "notes", rows(*({"id": i, "text": "a note", "n": i} for i in (1, 2, 3))), "--root", tmp_path / "old")
    run("ns", "export", "notes", tmp_path / "whole.jsonl", "--root", tmp_path / "old")
    (tmp_path / "bad.jsonl").write_text(change((tmp_path / "whole.jsonl").read_text(encoding="utf-8")), encoding="utf-8")
    assert complaint in run("ns", "import", "copy", tmp_path / "bad.jsonl", "--root", tmp_path / "new", status=1).stderr
    assert run("ns", "list", "--root", tmp_path / "new").stdout == ""
    assert not list((tmp_path / "new").rglob("*.dpr"))
    assert "already" in run("ns", "import", "notes", tmp_path / "whole.jsonl", "--root", tmp_path / "old",
                            status=1).stderr
    assert "no namespace" in run("ns", "export", "none", tmp_path / "none", "--root", tmp_path / "old", status=1).stderr
    assert not (tmp_path / "none").exists()
