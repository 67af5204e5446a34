"""`dipper index`: loads rows of a JSON-lines file into a namespace, whole or not at all."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from program import copy_bucket, files_below, objects, shown
from serving import serving
from test_turbopuffer_write import query, write

ANIMALS = [{"id": 1, "text": "a cat sleeps on the sofa", "legs": 4}, {"id": 2, "text": "a dog barks at night", "legs": 4},
           {"id": "boat", "text": "a boat sails with the wind"}]


def test_index_then_search_finds_each_row_with_its_attributes(run, rows, ask, tmp_path):
    done = run("index", "animals", rows(*ANIMALS), "--root", tmp_path / "bucket")
    assert re.search(r"^animals: 3 rows in \S+ s \(\d+ rows/s, \d+\.\d tokens a row\), \d+\.\d KB written in 1 segment$",
                     done.stdout, re.M), done.stdout
    assert "the namespace now has 3 rows" in done.stdout and "longer" not in done.stdout
    assert shown(ask("animals", "kitten", tmp_path / "bucket")) == shown(ANIMALS)
    for row in ANIMALS:
        assert ask("animals", row["text"], tmp_path / "bucket")[0]["id"] == row["id"]


def test_index_keeps_every_type_of_attribute(run, rows, ask, tmp_path):
    row = {"id": 2**64 - 1, "text": "all \"types\" \u0001 \U0001f642", "int": -5, "big": 9007199254740993, "float": 0.1,
           "yes": True, "no": False, "string": "", "strings": ["a", "é"], "ints": [1, -2], "none": None,
           "with space \u00e9": "x"}
    run("index", "n", rows(row), "--root", tmp_path / "bucket")
    (answer,) = ask("n", "types", tmp_path / "bucket")
    del answer["$dist"]
    assert answer == row or answer == {k: v for k, v in row.items() if v is not None}


def test_index_adds_rows_and_replaces_those_with_their_ids(run, rows, ask, tmp_path):
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    more = [{"id": 2, "text": "a horse eats grass", "legs": 4}, {"id": "2", "text": "a text for the string two"},
            {"id": 10, "text": "an eagle in the air", "legs": 2, "new": "attribute"}]
    done = run("index", "n", rows(*more), "--root", bucket)
    assert "1 row took the place of one with the same id" in done.stdout
    assert "the namespace now has 5 rows" in done.stdout
    found = ask("n", "animal", bucket)
    assert shown(found) == shown([ANIMALS[0], ANIMALS[2], *more])
    assert run("index", "n", rows(*more), "--root", bucket).stdout.count("3 rows took the place") == 1
    assert shown(ask("n", "animal", bucket)) == shown(found)


def test_index_of_two_namespaces_keeps_them_apart(run, rows, ask, tmp_path):
    run("index", "one", rows(ANIMALS[0]), "--root", tmp_path / "bucket")
    run("index", "two", rows(ANIMALS[1]), "--root", f"file://{tmp_path}/bucket")
    assert shown(ask("one", "x", tmp_path / "bucket")) == shown(ANIMALS[:1])
    assert shown(ask("two", "x", tmp_path / "bucket")) == shown(ANIMALS[1:2])


def test_index_splits_long_texts_and_says_how_many(run, rows, ask, tmp_path):
    filler = "the committee discussed the budget of the coming year at length and adjourned. " * 60
    long = [{"id": i, "text": filler + secret} for i, secret in enumerate(["penguins live in antarctica", "volcano eruptions"])]
    done = run("index", "n", rows(*long, {"id": 7, "text": "short"}), "--root", tmp_path / "bucket")
    assert "2 texts were longer than the model's limit" in done.stdout
    assert "the namespace now has 3 rows" in done.stdout
    first = ask("n", "penguins in the antarctic", tmp_path / "bucket")
    assert [row["id"] for row in first][0] == 0 and len(first) == 3  # each row once, however many windows it has
    assert ask("n", "volcano", tmp_path / "bucket")[0]["id"] == 1


def test_index_reads_standard_input_blank_lines_crlf_and_a_byte_order_mark(run, ask, tmp_path):
    text = "\ufeff" + "\r\n\n  \n".join(json.dumps(row) for row in ANIMALS)
    done = run("index", "n", "-", "--root", tmp_path / "bucket", input=text)
    assert "the namespace now has 3 rows" in done.stdout
    assert shown(ask("n", "x", tmp_path / "bucket")) == shown(ANIMALS)


def test_index_takes_vectors_instead_of_texts(run, rows, tmp_path):
    items = [{"id": i, "vector": [1.0, i / 7, -i]} for i in range(20)]
    run("index", "n", rows(*items), "--root", tmp_path / "bucket")
    manifest = json.loads((tmp_path / "bucket" / "n" / "manifest.json").read_text())
    assert manifest["vector"]["dim"] == 3 and manifest["segments"][0]["rows"] == 20


def test_index_makes_files_that_stock_faiss_opens(run, rows, tmp_path):
    faiss = pytest.importorskip("faiss")
    run("index", "n", rows(*ANIMALS), "--root", tmp_path / "bucket")
    (path,) = (tmp_path / "bucket").rglob("*.ivf")
    index = faiss.read_index(str(path))
    assert index.ntotal == 3 and index.d == 384 and index.metric_type == faiss.METRIC_INNER_PRODUCT


def test_index_settings_come_from_environment_and_file_too(run, rows, tmp_path):
    (tmp_path / "cwd" / "dipper.toml").write_text('root = "from-file"\n')
    run("index", "n", rows(*ANIMALS))
    assert (tmp_path / "cwd" / "from-file" / "n" / "manifest.json").exists()
    run("index", "n", rows(*ANIMALS), env={"DIPPER_ROOT": tmp_path / "from-environment"})
    assert (tmp_path / "from-environment" / "n" / "manifest.json").exists()


def read_terminal(master, process, seconds=60):
    """Reads everything that the program prints on its terminal until it ends."""
    text, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                text += os.read(master, 1 << 16)
            except OSError:  # the program closed its end
                break
        elif process.poll() is not None:
            break
    return text.decode()


def test_index_shows_a_bar_with_rate_and_time_left_on_a_terminal(start, rows, tmp_path):
    path = rows(*({"id": i, "text": f"{i} rows make some work for the progress bar to tell about"} for i in range(1500)))
    master, slave = pty.openpty()
    process = start("index", "n", path, "--root", tmp_path / "bucket", stderr=slave)
    os.close(slave)
    said = read_terminal(master, process)
    os.close(master)
    assert process.wait(60) == 0
    bars = re.findall(r"\r\x1b\[K\[(#*)(\.*)\] +(\d+) %  (\d+) rows, (\d+)/s, (\d+) s left", said)
    assert bars, said
    done = [int(bar[3]) for bar in bars]
    assert done == sorted(done) and all(len(bar[0]) + len(bar[1]) == 24 for bar in bars)
    assert "\r\x1b[K1500 rows embedded; writing segments" in said


def test_index_without_a_terminal_prints_no_control_characters(run, rows, tmp_path):
    done = run("index", "n", rows(*ANIMALS), "--root", tmp_path / "bucket")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.stderr + done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_index_interrupted_leaves_the_old_state(run, rows, start, ask, tmp_path, number):
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    before, answer = objects(bucket), ask("n", "animal", bucket)
    process = start("index", "n", "-", "--root", bucket)
    for i in range(3000):  # more than a pipe holds, so the program has read a few batches and waits for more
        process.stdin.write(json.dumps({"id": i, "text": f"row {i}"}).encode() + b"\n")
    process.stdin.flush()
    process.send_signal(number)
    assert process.wait(60) == -number  # SIGINT ends the program, so that a loop in a shell ends too
    assert b"interrupted" in process.stderr.read()
    assert objects(bucket) == before and ask("n", "animal", bucket) == answer
    assert list((bucket / ".dipper" / "tmp").iterdir()) == []


def test_index_ends_at_a_wrong_row_before_the_input_ends(start, tmp_path):
    process = start("index", "n", "-", "--root", tmp_path / "bucket", "--threads", "1")
    for i in range(1000):  # a few batches; the reader waits for more when a later stage notices the repeated id
        process.stdin.write(json.dumps({"id": 7 if i == 100 else i, "text": f"row {i}"}).encode() + b"\n")
    process.stdin.flush()
    assert process.wait(60) == 1  # while its standard input is still open
    assert b"line 101: id 7 occurs twice" in process.stderr.read()
    assert not (tmp_path / "bucket" / "n").exists()


def test_index_with_a_closed_standard_output_writes_no_word_into_the_bucket(run, rows, start, ask, tmp_path):
    process = start("index", "n", rows(*ANIMALS), "--root", tmp_path / "bucket", preexec_fn=lambda: os.close(1))
    process.wait(60)
    assert shown(ask("n", "x", tmp_path / "bucket")) == shown(ANIMALS)
    for name, content in files_below(tmp_path / "bucket").items():
        assert b"the namespace now has" not in content, name


# ---- killed, or out of room, at every write ---------------------------------------------------------------

MORE = [{"id": 2, "text": "a horse eats grass"}, {"id": 10, "text": "an eagle in the air"}]


@pytest.fixture(scope="module")
def shim(build):
    subprocess.run(["ninja", "-C", str(build), "tests/kill_at_write.so"], check=True, stdout=subprocess.DEVNULL)
    return build / "tests" / "kill_at_write.so"


@pytest.fixture
def load_under_shim(run, rows, shim, tmp_path):
    """load_under_shim(bucket, KILL_AT=3) runs `dipper index` on MORE. Returns how many writes the command made if it
    ends by itself."""
    more, count = rows(*MORE), tmp_path / "count"

    def go(bucket, status=0, **settings):
        count.unlink(missing_ok=True)
        env = {"LD_PRELOAD": shim, "DIPPER_KILL_ROOT": bucket, "DIPPER_KILL_COUNT": count,
               # A sanitizer that is linked into the program must be the first library.
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        env.update({f"DIPPER_{name}": value for name, value in settings.items()})
        done = run("index", "n", more, "--root", bucket, env=env, status=status)
        return done, int(count.read_text()) if count.exists() else None

    go.rows = more
    return go


def answers(run, bucket):
    """Returns the namespace's answers, or None if there is no namespace."""
    done = run("search", "n", "animal", "--root", bucket, "--json", status=None)
    if done.returncode:
        assert 'no namespace "n"' in done.stderr and done.returncode == 1, done.stderr
        return None
    return json.loads(done.stdout)["rows"]


@pytest.mark.parametrize("first", [[], ANIMALS], ids=["first load", "second load"])
def test_index_killed_at_every_write_leaves_the_old_state_or_the_new(run, rows, load_under_shim, tmp_path, first):
    old_bucket, new_bucket = tmp_path / "old", tmp_path / "new"
    old_bucket.mkdir()
    if first:
        run("index", "n", rows(*first), "--root", old_bucket)
    copy_bucket(old_bucket, new_bucket)
    _, writes = load_under_shim(new_bucket)
    old, new = answers(run, old_bucket), answers(run, new_bucket)
    assert writes > 20 and old != new
    states = []
    for n in range(1, writes + 1):
        bucket = tmp_path / f"killed{n}"
        copy_bucket(old_bucket, bucket)
        load_under_shim(bucket, status=-signal.SIGKILL, KILL_AT=n)
        found = answers(run, bucket)
        assert found in (old, new), f"killed at write {n} of {writes}: {found}"
        states.append(found == new)
        run("index", "n", load_under_shim.rows, "--root", bucket)
        assert answers(run, bucket) == new, f"killed at write {n} of {writes}, then loaded again"
    assert states == sorted(states)  # old before the swap of the manifest, new from then on
    print(f"killed at each of {writes} writes: {states.count(False)} times the old state, {states.count(True)} the new")
    assert 0 < states.count(True) < writes


def test_index_on_a_disk_that_fills_up_at_every_write_changes_nothing(run, rows, load_under_shim, tmp_path):
    old_bucket = tmp_path / "old"
    run("index", "n", rows(*ANIMALS), "--root", old_bucket)
    old, n, refused = answers(run, old_bucket), 0, 0
    while True:
        n += 1
        bucket = tmp_path / f"full{n}"
        copy_bucket(old_bucket, bucket)
        done, writes = load_under_shim(bucket, status=None, FULL_AT=n)
        if done.returncode == 0:  # later writes need no room
            assert answers(run, bucket) != old
            if writes < n:
                break
            continue
        refused += 1
        assert done.returncode == 1 and "space" in done.stderr, done.stderr
        assert objects(bucket) == objects(old_bucket), f"full at write {n}"
        assert list((bucket / ".dipper" / "tmp").iterdir()) == []
        assert answers(run, bucket) == old
    print(f"the disk was full at {refused} of {n - 1} writes")
    assert refused > 5


def test_index_that_is_not_durable_fails_and_says_what_to_do(run, rows, load_under_shim, tmp_path):
    """The last sync is of the manifest's folder. If it fails, the rows are visible, but the load counts as failed."""
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    copy_bucket(bucket, tmp_path / "trial")
    _, calls = load_under_shim(tmp_path / "trial")
    for number in range(calls, 0, -1):
        copy_bucket(bucket, tmp_path / str(number))
        done, _ = load_under_shim(tmp_path / str(number), status=None, UNSYNCED_AT=number)
        if done.returncode:
            break
    assert done.returncode == 1 and "the namespace now has" not in done.stdout
    assert "a crash of the host may lose them; check the disk and load the same rows again" in done.stderr
    assert shown(answers(run, tmp_path / str(number))) == shown(answers(run, tmp_path / "trial"))
    done, _ = load_under_shim(tmp_path / str(number))
    assert "the namespace now has 4 rows" in done.stdout


def test_index_beside_a_log_is_refused(run, rows, tmp_path):
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    incarnation = json.loads((bucket / "n" / "manifest.json").read_text())["incarnation"]
    log = bucket / "n" / incarnation / "wal"
    log.mkdir()
    (log / f"{1:020}").write_bytes(b"an entry")
    before = files_below(bucket)
    done = run("index", "n", rows(*MORE), "--root", bucket, status=1)
    assert "write-ahead log, which this version cannot read" in done.stderr
    assert files_below(bucket) == before


def test_index_goes_through_the_log_of_a_namespace_that_takes_writes(run, rows, ask, dipper, tmp_path):
    bucket = tmp_path / "bucket"
    run("index", "animals", rows(*ANIMALS), "--root", bucket)
    with serving(dipper, bucket) as url:
        write(url, "animals", {"patch_rows": [{"id": 1, "legs": 5}], "deletes": [2]})
        done = run("index", "animals", rows({"id": 1, "text": "a cat sleeps", "legs": 3}, {"id": 3, "text": "a hen"}), "--root", bucket)
        assert "the namespace now has 3 rows" in done.stdout and "1 row took the place" in done.stdout
        write(url, "animals", {"patch_rows": [{"id": 3, "legs": 2}]})
        seen = query(url, "animals", {"rank_by": ["id", "asc"], "limit": 10, "include_attributes": True})
        assert [(row["id"], row.get("legs")) for row in seen] == [(1, 3), (3, 2), ("boat", None)]
    assert {row["id"] for row in ask("animals", "an animal", bucket)} == {1, 3, "boat"}
    verified = json.loads(run("ns", "verify", "animals", "--root", bucket, "--json").stdout)
    assert verified["faults"] == [] and verified["log_entries"] == 1
    manifest = json.loads((bucket / "animals" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["wal_floor"] == 2 and manifest.get("pending", []) == []


def schema_of(run, name, bucket):
    return json.loads(run("namespace", "info", name, "--root", bucket, "--json").stdout)["schema"]


def test_compact_gives_the_text_of_an_older_namespace_full_text_search(run, rows, dipper, tmp_path):
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    with serving(dipper, bucket) as url:
        write(url, "n", {"schema": {"text": {"type": "string", "full_text_search": False}}})
        write(url, "own", {"distance_metric": "cosine_distance",
                           "upsert_rows": [{"id": 1, "vector": [1, 0], "text": "without a model"}]})
    assert not schema_of(run, "n", bucket)["text"].get("full_text_search")
    assert json.loads(run("ns", "compact", "own", "--root", bucket, "--json").stdout)["full_text_search"] is False
    assert '"text" has full-text search now' in run("ns", "compact", "n", "--root", bucket).stdout
    assert schema_of(run, "n", bucket)["text"]["full_text_search"]
    assert "nothing to merge" in run("ns", "compact", "n", "--root", bucket).stdout
    assert "0 faults" in run("ns", "verify", "n", "--root", bucket).stdout
    (found,) = json.loads(run("search", "n", "barks", "--rank", "words", "--root", bucket, "--json").stdout)["rows"]
    assert found["id"] == 2


def test_a_new_text_is_declared_for_full_text_search(run, rows, dipper, tmp_path):
    bucket = tmp_path / "bucket"
    run("index", "n", rows(*ANIMALS), "--root", bucket)
    schema = schema_of(run, "n", bucket)
    english = {"language": "english", "stemming": True, "remove_stopwords": True}
    assert schema["text"]["full_text_search"] == english and "full_text_search" not in schema["legs"]
    with serving(dipper, bucket) as url:
        write(url, "texts", {"upsert_rows": [{"id": 1, "text": "as a write made it"}]})
        write(url, "facts", {"upsert_rows": [{"id": 1, "legs": 2}]})
    for name in ("texts", "facts", "n"):  # a load joins a namespace with a log, and one without
        run("index", name, rows(ANIMALS[0]), "--root", bucket)
    assert not schema_of(run, "texts", bucket)["text"].get("full_text_search")
    assert schema_of(run, "facts", bucket)["text"]["full_text_search"]
    assert schema_of(run, "n", bucket) == schema


def test_the_language_of_a_text_decides_which_words_are_one(run, rows, tmp_path):
    bucket = tmp_path / "bucket"
    texts = rows({"id": 1, "text": "the baker bakes two loaves"}, {"id": 2, "text": "die Häuser am See"})
    for language in ("english", "german", "none"):
        run("index", language, "--language", language, texts, "--root", bucket)

    def found(name, words):
        done = run("search", name, words, "--rank", "words", "--root", bucket, "--json")
        return [row["id"] for row in json.loads(done.stdout)["rows"]]
    assert (found("english", "baking the loaf"), found("german", "ein Haus"), found("none", "baking the loaf")) == ([1], [2], [1])
    assert (found("english", "the"), found("german", "die"), found("none", "bake")) == ([], [], [])
    assert (found("english", "haus"), found("german", "loaf"), found("none", "bakes")) == ([], [], [1])
    run("index", "english", texts, "--root", bucket)
    run("index", "english", "--language", "english", texts, "--root", bucket)
    run("index", "none", "--language", "none", texts, "--root", bucket)
    for name, given in (("english", "german"), ("english", "none"), ("none", "english")):  # a namespace keeps its language
        refused = run("index", name, "--language", given, texts, "--root", bucket, status=1)
        assert f'its "text" has the language {name}, and keeps it' in refused.stderr
    assert schema_of(run, "english", bucket)["text"]["full_text_search"]["language"] == "english"
    refused = run("index", "other", texts, "--language", "latin", "--root", bucket, status=2)
    assert 'there is no language "latin"; choose arabic' in refused.stderr
