"""`dipper namespace`: lists, describes, verifies, compacts and tidies namespaces."""
import json
import re

import pytest

from program import objects, shown

ROWS = [{"id": i, "text": f"note number {i} about {what}"} for i, what in enumerate(["cats", "boats", "bread", "rain"])]


@pytest.fixture
def bucket(run, rows, tmp_path):
    for row in ROWS:
        run("index", "notes", rows(row), "--root", tmp_path / "bucket")
    run("index", "other", rows(ROWS[0]), "--root", tmp_path / "bucket")
    return tmp_path / "bucket"


def namespace(run, verb, *arguments, root, status=0):
    return json.loads(run("namespace", verb, *arguments, "--root", root, "--json", status=status).stdout)


def test_list_and_info_tell_what_there_is(run, bucket):
    assert run("namespace", "list", "--root", bucket).stdout.split() == ["notes", "other"]
    assert run("ns", "list", "no", "--root", bucket).stdout.split() == ["notes"]
    assert namespace(run, "list", root=bucket)["namespaces"] == ["notes", "other"]
    info = namespace(run, "info", "notes", root=bucket)
    assert (info["name"], info["rows"], info["segments"], info["dimensions"]) == ("notes", 4, 4, 384)
    assert info["schema"]["text"]["type"] == "string" and info["cost"]["rounds"] >= 1
    done = run("namespace", "info", "notes", "--root", bucket)
    assert re.search(r"^rows +4$", done.stdout, re.M) and re.search(r"^\d+ rounds, \d+ requests", done.stderr, re.M)
    assert "no namespace" in run("namespace", "info", "none", "--root", bucket, status=1).stderr


def test_compact_makes_one_segment_with_the_same_answers(run, ask, bucket):
    before = shown(ask("notes", "a boat", bucket))
    done = namespace(run, "compact", "notes", root=bucket)
    assert (done["merges"], done["inputs"], done["outputs"], done["rows"]) == (1, 4, 1, 4)
    assert namespace(run, "info", "notes", root=bucket)["segments"] == 1
    assert shown(ask("notes", "a boat", bucket)) == before
    assert "nothing to merge" in run("ns", "compact", "notes", "--root", bucket).stdout


def test_rm_deletes_rows_or_the_whole_namespace(run, ask, bucket):
    assert namespace(run, "rm", "notes", "1", "3", root=bucket)["deleted"] == 2
    assert {row["id"] for row in ask("notes", "a note", bucket)} == {0, 2}
    assert namespace(run, "info", "notes", root=bucket)["rows"] == 2
    verified = namespace(run, "verify", "notes", root=bucket)
    assert (verified["log_entries"], verified["faults"]) == (1, [])
    assert namespace(run, "compact", "notes", root=bucket)["folded_entries"] == 1
    assert {row["id"] for row in ask("notes", "a note", bucket)} == {0, 2}
    assert "add --yes" in run("namespace", "rm", "notes", "--root", bucket, status=2).stderr
    assert namespace(run, "rm", "notes", "--yes", root=bucket)["deleted"] is True
    assert namespace(run, "list", root=bucket)["namespaces"] == ["other"]
    assert "no namespace" in run("ns", "info", "notes", "--root", bucket, status=1).stderr


def test_gc_waits_for_what_is_young(run, bucket):
    run("namespace", "compact", "notes", "--root", bucket)
    stored = objects(bucket)
    done = namespace(run, "gc", "notes", root=bucket)
    assert (done["removed_objects"], done["waiting"], done["young"], done["cost"]["bytes_written"]) == (0, 0, 8, 0)
    assert objects(bucket) == stored


def test_verify_names_each_damaged_object(run, bucket):
    done = namespace(run, "verify", "notes", root=bucket)
    assert (done["faults"], done["segments"], done["objects"], done["rows"]) == ([], 4, 8, 4)
    assert "0 faults" in run("namespace", "verify", "notes", "--root", bucket).stdout
    paths = [bucket / key for key in sorted(objects(bucket)) if key.startswith("notes/") and "/seg/" in key]
    for path in paths:
        whole = path.read_bytes()
        for damaged in (whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], whole[:-1], whole + b"x", None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            faults = namespace(run, "verify", "notes", root=bucket, status=1)["faults"]
            assert [str(bucket / fault["object"]) for fault in faults] == [str(path)], faults
            path.write_bytes(whole)
    assert namespace(run, "verify", "notes", root=bucket)["faults"] == []


def test_verify_of_a_damaged_manifest_says_so(run, bucket):
    manifest = bucket / "notes" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"rows": 1', '"rows": 2', 1), encoding="utf-8")
    (fault,) = namespace(run, "verify", "notes", root=bucket, status=1)["faults"]
    assert fault["object"] == "notes/manifest.json" and "checksum" in fault["fault"]


def answered(ask, bucket):
    return {row["id"] for row in ask("notes", "a note", bucket)}


def test_repair_takes_out_what_is_lost_and_keeps_the_rest(run, ask, bucket):
    run("namespace", "rm", "notes", "0", "--root", bucket)
    run("namespace", "rm", "notes", "3", "--root", bucket)
    segments = sorted(key for key in objects(bucket) if key.startswith("notes/") and key.endswith(".dpr"))
    (bucket / segments[1]).unlink()
    lists = (bucket / segments[2].replace(".dpr", ".1.ivf"))
    lists.write_bytes(lists.read_bytes()[:-1])
    (entry,) = (bucket / key for key in objects(bucket) if key.endswith("/wal/00000000000000000001"))
    entry.unlink()
    assert "missing" in run("search", "notes", "a note", "--root", bucket, status=1).stderr
    stored = objects(bucket)
    assert "add --yes" in run("ns", "verify", "notes", "--repair", "--json", "--root", bucket, status=2).stderr
    refused = run("ns", "verify", "notes", "--repair", "--root", bucket, status=1)
    assert "nothing was changed" in refused.stderr and objects(bucket) == stored
    assert "lost are 1 rows of 2 damaged segments (the ids of 1 too) and 1 log entries" in refused.stdout, refused.stdout
    done = json.loads(run("ns", "verify", "notes", "--repair", "--yes", "--json", "--root", bucket).stdout)
    assert {fault["object"] for fault in done["faults"]} == {segments[1], str(lists.relative_to(bucket)),
                                                             str(entry.relative_to(bucket))}
    assert (done["damaged_segments"], done["kept_rows"], done["lost_rows"], done["lost_log_entries"]) == (2, 1, 1, 1)
    assert done["lost_ids"] == [] and done["lost_rows_without_id"] == 1 and done["faults_left"] == []
    assert answered(ask, bucket) == {0, 2}  # the entry that deleted row 0 is lost, row 1 is lost, and row 3 is deleted
    (kept,) = (key for key in objects(bucket) if "before-repair" in key)
    assert objects(bucket)[kept] == stored["notes/manifest.json"]
    assert "0 faults" in run("ns", "verify", "notes", "--repair", "--root", bucket).stdout


def test_repair_names_the_ids_of_lost_rows(run, rows, ask, tmp_path):
    root = tmp_path / "bucket"
    run("index", "notes", rows(*({"id": i, "text": f"a note {i}"} for i in range(20)), {"id": "x", "text": "y"}), "--root", root)
    (path,) = (root / key for key in objects(root) if key.endswith(".dpr"))
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])  # in the vector of the first row
    done = run("ns", "verify", "notes", "--repair", "--yes", "--root", root).stdout
    (lost,) = re.findall(r"^lost: row (\S+)$", done, re.M)
    assert "lost are 1 rows of 1 damaged segments and 0 log entries" in done and "20 rows are kept" in done
    left = {json.dumps(row["id"]) for row in ask("notes", "a note", root, "--top-k", "30")}
    assert lost not in left and len(left) == 20


def test_a_damaged_manifest_cannot_be_repaired(run, bucket):
    (bucket / "notes" / "manifest.json").write_text("{}", encoding="utf-8")
    assert "these faults cannot be repaired" in run("ns", "verify", "notes", "--repair", "--yes", "--root", bucket, status=1).stdout
