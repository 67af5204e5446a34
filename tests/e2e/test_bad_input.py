"""Bad rows, files, roots, disks, models and objects: the commands name the cause and change nothing."""
import ctypes
import gzip
import json
import os
import re
import resource
import shutil
import subprocess

import pytest

from program import clean_environment, files_below, objects, shown

pytestmark = pytest.mark.quick

ROWS = [{"id": 1, "text": "a cat sleeps on the sofa"}, {"id": 2, "text": "a dog barks at night", "n": 7},
        {"id": "boat", "text": "a boat sails with the wind"}]
GOOD = b'{"id": 101, "text": "good"}\n'
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


@pytest.fixture
def bucket(run, rows, tmp_path):
    """A bucket whose namespace n has ROWS."""
    run("index", "n", rows(*ROWS), "--root", tmp_path / "bucket")
    return tmp_path / "bucket"


@pytest.fixture
def refused(run, bucket, tmp_path):
    """refused(bytes) runs `dipper index` on a file of these bytes. It returns the error and checks that nothing changed."""
    def go(content, namespace="n"):
        before = objects(bucket)
        path = tmp_path / "bad.jsonl"
        path.write_bytes(content)
        done = run("index", namespace, path, "--root", bucket, status=1)
        assert objects(bucket) == before, "the bucket was changed"
        assert list((bucket / ".dipper" / "tmp").iterdir()) == [], "something was left half-written"
        said = [line for line in done.stderr.splitlines() if " rows, " not in line]  # slow machines also print progress
        assert done.stdout == "" and len(said) == 1 and said[0].startswith("dipper index: "), done.stderr
        return said[0]

    return go


@pytest.mark.parametrize("line, says", [
    ('{"id": 1}', '"text"'),
    ('{"text": "a"}', '"id" is missing'),
    ('{"id": 1, "text": 7}', '"text" must be a string, not a number'),
    ('{"id": 1, "text": null}', '"text" must be a string, not null'),
    ('{"id": 1, "text": ["a"]}', '"text" must be a string, not an array'),
    ('{"id": 1, "text": ""}', '"text" is empty'),
    ('{"id": 1, "text": " \\n\\t"}', '"text" is empty'),
    ('{"id": 1.5, "text": "a"}', '"id" must be'),
    ('{"id": 1.0, "text": "a"}', '"id" must be'),
    ('{"id": -1, "text": "a"}', '"id" must be'),
    ('{"id": 18446744073709551616, "text": "a"}', '"id" must be'),
    ('{"id": null, "text": "a"}', '"id" must be'),
    ('{"id": true, "text": "a"}', '"id" must be'),
    ('{"id": "", "text": "a"}', '"id" must have 1 to 128 bytes, not 0'),
    ('{"id": "' + "x" * 129 + '", "text": "a"}', '"id" must have 1 to 128 bytes, not 129'),
    ('{"id": 1, "text": "a", "text": "b"}', '"text" is given twice'),
    ('{"id": 1, "id": 2, "text": "b"}', '"id" is given twice'),
    ('{"id": 1, "text": "a", "x": {"deep": 1}}', '"x" must be'),
    ('{"id": 1, "text": "a", "x": [1, "a"]}', '"x" must be'),
    ('{"id": 1, "text": "a", "x": [[1]]}', '"x" must be'),
    ('{"id": 1, "text": "a", "n": "a string"}', '"n" has type int'),
    ('{"id": 1, "text": "a", "x": 1e999}', "out of range|1e999"),
    ('{"id": 1, "text": "a", "x": -}', "number|'-'"),
    ('{"id": 1, "text": "a", "x": ' + "9" * 401 + "}", "longer than|400"),
    ('{"id": 1, "text": "a", "": 1}', "name must have 1 to"),
    ('{"id": 1, "text": "a", "$dist": 1}', r"'\$'"),
    ('{"id": 1, "text": "a", "' + "x" * 129 + '": 1}', "name must have 1 to 128 bytes"),
    ('{"id": 1, "text": "a", ' + ", ".join(f'"x{i}": 1' for i in range(5000)) + "}", "more than .* fields"),
    ('{"id": 1, "text": "a", "x": ' + "[" * 100000 + "]" * 100000 + "}", "deep|nest"),
    ('{"id": 1, "text": "a", "x": NaN}', "NaN|value|'N'"),
    ('{"id": 1, "text": "a",}', "key"),
    ('{"id": 1, "text": "a"', "end"),
    ('{"id": 1, "text": "a"} {}', "end of the text"),
    ("{'id': 1}", "double quotes"),
    ("[1, 2]", "object"),
    ("7", "object"),
    ("id,text", "object"),
    (b'{"id": 1, "text": "\xff\xfe"}', "UTF-8"),
    (b'{"id": 1, "text": "\xc3"}', "UTF-8"),
    (b'{"id": 1, "text": "\xed\xa0\x80"}', "UTF-8"),
    ('{"id": 1, "text": "\\ud800 alone"}', "surrogate"),
    (b'{"id": 1, "text": "bare \x01 control"}', "control"),
    (b'\x00', "object"),
    ('{"id": 1, "vector": [1, 2, 3]}', '"vector" is given, but earlier rows are embedded'),
    ('{"id": 101, "text": "again"}', "id 101 occurs twice|twice"),
], ids=lambda value: None if isinstance(value, str) and len(value) < 40 else "")
def test_index_names_the_line_of_a_bad_row(refused, line, says):
    line = line if isinstance(line, bytes) else line.encode()
    said = refused(GOOD + b"\n" + line + b"\n" + GOOD.replace(b"101", b"102"))
    assert re.search(r"\bline 3\b", said) and re.search(says, said), said


def test_index_finds_the_same_id_thousands_of_rows_apart(refused):
    lines = [json.dumps({"id": i % 1500, "text": f"row {i}"}).encode() for i in range(1501)]
    said = refused(b"\n".join(lines))
    assert "line 1501" in said and "id 0" in said, said
    assert 'id "a"' in refused(b'{"id": "a", "text": "x"}\n{"id": "b", "text": "x"}\n{"id": "a", "text": "x"}\n')


def test_index_takes_the_largest_id_and_numbers_and_strings_that_look_alike(run, rows, ask, tmp_path):
    run("index", "m", rows({"id": 2**64 - 1, "text": "a"}, {"id": str(2**64 - 1), "text": "b"}, {"id": 0, "text": "c"},
                           {"id": "x" * 128, "text": "d"}), "--root", tmp_path / "bucket")
    assert {r["id"] for r in ask("m", "a", tmp_path / "bucket")} == {2**64 - 1, str(2**64 - 1), 0, "x" * 128}


@pytest.mark.parametrize("lines, says", [
    ('{"id": 1, "vector": [1, 2, 3]}\n{"id": 2, "vector": [1, 2]}', 'line 2: .*"vector" has 2 numbers'),
    ('{"id": 1, "vector": [1, 2, 3]}\n{"id": 2, "text": "a"}', "line 2: .*missing"),
    ('{"id": 1, "vector": []}', "line 1: .*1 to"),
    ('{"id": 1, "vector": [1, "2"]}', "line 1: expected a number, found a string"),
    ('{"id": 1, "vector": [1, NaN]}', "line 1: .*'N'"),
    ('{"id": 1, "vector": [1, -Infinity]}', "line 1: "),
    ('{"id": 1, "vector": [1, 1e39]}', "line 1: .*out of range"),
    ('{"id": 1, "vector": [0, 0, 0]}', "line 1: .*(zero|length|direction)"),
    ('{"id": 1, "vector": 7}', 'line 1: "vector" must be an array'),
    ('{"id": 1, "vector": [[1]]}', "line 1: expected a number, found an array"),
    ('{"id": 1, "vector": [' + "1," * 20000 + "1]}", "line 1: .*16384"),
])
def test_index_names_the_line_of_a_bad_vector(refused, lines, says):
    said = refused(lines.encode(), namespace="vectors")
    assert re.search(says, said), said


def test_index_of_vectors_refuses_another_dimension_than_the_namespace_has(run, rows, refused):
    assert "384" in refused(b'{"id": 1, "vector": [1, 2, 3]}')


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\t\n", b"\xef\xbb\xbf"])
def test_index_of_no_rows_is_an_error(refused, content):
    assert "no rows" in refused(content)


def test_index_of_a_line_that_is_too_long(refused):
    said = refused(GOOD + b'{"id": 2, "text": "' + b"x" * (16 << 20) + b'"}\n')
    assert "line 2 is longer than the limit of 16777216 bytes" in said and said.count("line 2") == 1, said


def test_index_takes_a_text_of_many_windows_and_a_row_of_megabytes(run, rows, ask, tmp_path):
    many = {"id": 1, "text": "words and words " * 2000}
    large = {"id": 2, "text": "a short text", "body": "x" * (3 << 20)}
    done = run("index", "n", rows(many, large), "--root", tmp_path / "bucket")
    assert "1 text was longer" in done.stdout
    assert shown(ask("n", "words", tmp_path / "bucket")) == shown([many, large])


def test_index_of_files_that_cannot_be_read(run, bucket, tmp_path):
    before = objects(bucket)
    assert "nowhere.jsonl: No such file" in run("index", "n", "nowhere.jsonl", "--root", bucket, status=1).stderr
    assert "it is a folder" in run("index", "n", tmp_path, "--root", bucket, status=1).stderr
    assert "it is a folder" in run("search", "n", "--queries", tmp_path, "--root", bucket, status=1).stderr
    assert "No such file" in run("search", "n", "--queries", tmp_path / "nothing", "--root", bucket, status=1).stderr
    (tmp_path / "secret.jsonl").write_bytes(GOOD)
    (tmp_path / "secret.jsonl").chmod(0)
    done = run("index", "n", tmp_path / "secret.jsonl", "--root", bucket, status=1, preexec_fn=as_nobody_special)
    assert "secret.jsonl: Permission denied" in done.stderr
    assert objects(bucket) == before


# ---- roots and disks ----------------------------------------------------------------------------------------

def as_nobody_special():
    """Makes file permissions count for the program even when the tests run as root."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability)


def test_index_into_a_root_that_may_not_be_written(run, rows, bucket, tmp_path):
    before = files_below(bucket)
    for folder in [bucket, *(p for p in bucket.rglob("*") if p.is_dir())]:
        folder.chmod(0o555)
    done = run("index", "n", rows(*ROWS), "--root", bucket, status=1, preexec_fn=as_nobody_special)
    assert "Permission denied" in done.stderr and str(bucket) in done.stderr, done.stderr
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    done = run("index", "n", rows(*ROWS), "--root", closed / "bucket", status=1, preexec_fn=as_nobody_special)
    assert "Permission denied" in done.stderr and str(closed) in done.stderr, done.stderr
    assert files_below(bucket) == before and list(closed.iterdir()) == []
    run("search", "n", "cat", "--root", bucket, preexec_fn=as_nobody_special)
    for folder in [bucket, *(p for p in bucket.rglob("*") if p.is_dir())]:
        folder.chmod(0o755)


def test_a_root_that_may_not_be_read(run, bucket):
    manifest = bucket / "n" / "manifest.json"
    manifest.chmod(0)
    done = run("search", "n", "cat", "--root", bucket, status=1, preexec_fn=as_nobody_special)
    assert "manifest.json" in done.stderr and "Permission denied" in done.stderr, done.stderr
    manifest.chmod(0o644)


def test_files_in_the_place_of_folders(run, rows, bucket, tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "not a folder" in run("index", "n", rows(*ROWS), "--root", root, status=1).stderr.replace("Not a directory", "not a folder")
    (bucket / "m").write_text("a file where a namespace would be")
    done = run("index", "m", rows(*ROWS), "--root", bucket, status=1)
    assert "m/" in done.stderr or '"m"' in done.stderr, done.stderr
    (bucket / "k").mkdir()
    (bucket / "k" / "manifest.json").mkdir()
    assert "manifest.json" in run("index", "k", rows(*ROWS), "--root", bucket, status=1).stderr
    run("search", "k", "cat", "--root", bucket, status=1)
    # After the manifest was sent, its objects stay, because a store may still carry out a swap that seemed to fail.
    assert (bucket / "k" / "manifest.json").is_dir() and not list((bucket / "k" / "manifest.json").iterdir())


def test_index_where_files_may_not_grow(run, bucket, tmp_path):
    """Each write beyond RLIMIT_FSIZE fails."""
    before = objects(bucket)
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"id": i, "text": f"row {i} " + "x" * 200}) + "\n" for i in range(300)))
    for limit in (0, 100, 4096, 65536):
        done = run("index", "n", path, "--root", bucket, status=1,
                   preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        assert "File too large" in done.stderr, done.stderr
        assert objects(bucket) == before and list((bucket / ".dipper" / "tmp").iterdir()) == []


def test_index_on_a_full_disk(dipper, rows, tmp_path):
    """A file system of 200 KB, if mounts are allowed. test_index_command.py fills the disk at every write without one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    small = rows(*ROWS)
    large = rows(*({"id": i, "text": f"row {i} of those that do not fit"} for i in range(10, 400)))
    script = f"""mount -t tmpfs -o size=200k none {disk} || exit 77
        {dipper} index n {small} --root {disk}/bucket >&2 || exit 3
        {dipper} search n cat --root {disk}/bucket --json >{tmp_path}/before || exit 4
        {dipper} index n {large} --root {disk}/bucket && exit 5
        ls -A {disk}/bucket/.dipper/tmp
        {dipper} search n cat --root {disk}/bucket --json >{tmp_path}/after || exit 6"""
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True,
                          env=clean_environment(), timeout=120, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        print("no mount is allowed here")
        return
    assert done.returncode == 0, done.stderr
    assert "No space left" in done.stderr and done.stdout == "", done.stderr
    before, after = (json.loads((tmp_path / name).read_text())["rows"] for name in ("before", "after"))
    assert before == after and len(before) == 3


# ---- damaged models -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def model(source):
    return source / "models" / "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def packed(dipper, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "model.dipper"
    subprocess.run([dipper, "model", "pack", model, path], check=True, stdout=subprocess.DEVNULL)
    return path


def test_a_damaged_packed_model_is_refused_by_name(run, packed, tmp_path):
    """Flips about 60 bytes in turn, in the header, the tables and every section, and cuts the file at 12 places."""
    whole = packed.read_bytes()
    damaged = tmp_path / "damaged.dipper"
    damaged.write_bytes(whole)
    offsets = [*range(0, 256, 16), *range(256, 2048, 97), *range(4096, len(whole), len(whole) // 24), len(whole) - 1]
    with open(damaged, "r+b") as file:
        for at in offsets:
            for value in (whole[at] ^ 0x10, whole[at]):  # flips the byte, and then restores it
                os.pwrite(file.fileno(), bytes([value]), at)
                if value != whole[at]:
                    done = run("embed", "--model", damaged, input="hello\n", status=1)
                    assert str(damaged) in done.stderr, f"byte {at}: {done.stderr}"
                    assert done.stdout == ""
    for length in (0, 1, 7, 8, 100, 232, 1000, 4096, len(whole) // 2, len(whole) - 64, len(whole) - 1):
        damaged.write_bytes(whole[:length])
        done = run("embed", "--model", damaged, input="hello\n", status=1)
        assert str(damaged) in done.stderr, f"cut at {length}: {done.stderr}"
    damaged.write_bytes(whole + b"x")
    run("embed", "--model", damaged, input="hello\n", status=1)
    print(f"{len(offsets)} bytes flipped, cut at 11 places")


def test_a_model_folder_with_a_file_missing_or_damaged_is_refused_by_name(run, model, tmp_path):
    folder = tmp_path / "model"
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        for content in (None, b"", b"{", b"\xff" * 100, (model / name).read_bytes()[:-1000]):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(model, folder, copy_function=os.symlink)
            (folder / name).unlink()
            if content is not None:
                (folder / name).write_bytes(content)
            done = run("embed", "--model", folder, input="hello\n", status=1)
            assert name in done.stderr and done.stdout == "", done.stderr


@pytest.mark.parametrize("what, says", [("nowhere", "nowhere"), ("empty", "empty"), ("/dev/null", "/dev/null")])
def test_files_that_are_not_models(run, tmp_path, what, says):
    (tmp_path / "cwd" / "empty").mkdir()
    for command in (["embed"], ["model", "info"], ["serve", "--root", tmp_path, "--port", "0"]):
        done = run(*command, "--model", what, status=1)
        assert says in done.stderr, done.stderr


def test_model_pack_leaves_nothing_when_it_fails(run, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "there.dipper").write_text("as it was")
    (tmp_path / "empty").mkdir()
    run("model", "pack", tmp_path / "empty", out / "there.dipper", status=1)
    run("model", "pack", model, out / "no" / "folder.dipper", status=1)
    done = run("model", "pack", model, out / "there.dipper", status=1,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert "there.dipper" in done.stderr
    assert files_below(out) == {"there.dipper": b"as it was"}


# ---- damaged objects ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def damaged(dipper, tmp_path_factory):
    """A bucket with a namespace of two loads, so that it has a manifest, two segments and deleted rows."""
    folder = tmp_path_factory.mktemp("damaged")
    for rows in (ROWS, [{"id": 2, "text": "a horse eats grass"}]):
        text = "".join(json.dumps(r) + "\n" for r in rows)
        subprocess.run([dipper, "index", "n", "-", "--root", folder / "bucket"], input=text, text=True, check=True,
                       capture_output=True, env=clean_environment())
    return folder / "bucket"


def search_rows(run, bucket):
    done = run("search", "n", "animal", "--root", bucket, "--json", status=None)
    return done, json.loads(done.stdout)["rows"] if done.returncode == 0 else None


def test_a_flipped_byte_of_any_object_is_detected_or_harmless(run, damaged, tmp_path):
    """Flips some 30 bytes of each object in turn; tests/index flips every byte, in process."""
    _, whole = search_rows(run, damaged)
    assert len(whole) == 3
    found = harmless = 0
    for path in sorted(objects(damaged)):
        content = (damaged / path).read_bytes()
        step = max(1, len(content) // 28)
        for at in range(0, len(content), step):
            flipped = bytearray(content)
            flipped[at] ^= 0x40
            (damaged / path).write_bytes(flipped)
            done, rows = search_rows(run, damaged)
            if rows is None:
                found += 1
                assert done.returncode == 1 and path.split("/")[-1] in done.stderr, f"{path} byte {at}: {done.stderr}"
            else:
                harmless += 1
                assert rows == whole, f"{path} byte {at}"
        (damaged / path).write_bytes(content)
    print(f"{found} flipped bytes were found, {harmless} changed nothing")
    assert found > 60 and search_rows(run, damaged)[1] == whole


def test_a_cut_or_missing_object_is_named(run, damaged):
    for path in sorted(objects(damaged)):
        content = (damaged / path).read_bytes()
        for length in (None, 0, 1, len(content) // 2, len(content) - 1):
            (damaged / path).unlink(missing_ok=True)
            if length is not None:
                (damaged / path).write_bytes(content[:length])
            done, rows = search_rows(run, damaged)
            assert rows is None and done.returncode == 1, f"{path} cut at {length}: {rows}"
            assert path.split("/")[-1] in done.stderr or (length is None and 'namespace "n"' in done.stderr), done.stderr
        (damaged / path).write_bytes(content)


def test_index_over_a_damaged_namespace_changes_nothing(run, rows, damaged):
    more = rows({"id": 1, "text": "replaced"})
    for path in sorted(objects(damaged)):
        content = (damaged / path).read_bytes()
        (damaged / path).write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        before = objects(damaged)
        done = run("index", "n", more, "--root", damaged, status=None)
        if done.returncode == 0:  # a part that a load does not read
            assert path.endswith((".ivf", ".dpr")), path
            shutil.rmtree(damaged)
            for name, was in before.items():
                (damaged / name).parent.mkdir(parents=True, exist_ok=True)
                (damaged / name).write_bytes(was)
        else:
            assert path.split("/")[-1] in done.stderr, done.stderr
            assert objects(damaged) == before
        (damaged / path).write_bytes(content)


@pytest.mark.parametrize("beginning, says", [
    (gzip.compress(b'{"id": 1, "text": "a"}\n'), "gzip -dc"),
    ('{"id": 1, "text": "a"}\n'.encode("utf-16"), "iconv -f UTF-16 "),
    ('{"id": 1, "text": "a"}\n'.encode("utf-16-le"), "iconv -f UTF-16LE"),
    ('{"id": 1, "text": "a"}\n'.encode("utf-16-be"), "iconv -f UTF-16BE"),
    ('{"id": 1, "text": "a"}\n'.encode("utf-32"), "iconv -f UTF-32"),
    (b"\x28\xb5\x2f\xfd\x04\x58", "zstd -dc"),
    (b"PK\x03\x04\x14\x00", "zip file"),
    (b"PAR1\x15\x04", "Parquet"),
    (b"%PDF-1.7\n", "PDF"),
    (b"\x93NUMPY\x01\x00", "numpy"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_input_without_lines_of_text_is_named(run, tmp_path, beginning, says):
    """Every command that reads lines refuses such bytes, because their embeddings would mean nothing."""
    (tmp_path / "file").write_bytes(beginning)
    (tmp_path / "ok.jsonl").write_text('{"id": 1, "text": "a"}\n')
    root = ("--root", tmp_path / "bucket")
    run("index", "n", tmp_path / "ok.jsonl", *root)
    for command in (("index", "n", tmp_path / "file", *root), ("embed",), ("search", "n", "--queries", "-", *root)):
        done = run(*command, input=beginning.decode("utf-8", "surrogateescape"), status=1)
        assert "not lines of text, but" in done.stderr and says in done.stderr and not done.stdout, done.stderr


def test_a_first_line_that_only_looks_foreign_is_text(run):
    lines = ["B", "BZ", "PK", "\u00ff\u00fe", "%PD"]
    assert len(run("embed", input="\n".join(lines) + "\nBZh is bzip2\n").stdout.splitlines()) == len(lines) + 1


def test_index_sees_that_its_arguments_are_swapped(run, tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"id": 1, "text": "a"}\n')
    done = run("index", "-", "notes.jsonl", "--root", "bucket", input="", status=2)
    assert "the namespace comes first" in done.stderr
    done = run("index", tmp_path / "notes.jsonl", "notes", "--root", tmp_path / "bucket", status=2)
    assert "the namespace comes first" in done.stderr and "notes.jsonl" in done.stderr
    assert not (tmp_path / "bucket").exists()
