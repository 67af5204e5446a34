"""`dipper search`: the rows nearest in meaning, for people and as JSON."""
import json
import os
import re
import shutil
import signal

import pytest

from program import json_lines, read_line

pytestmark = pytest.mark.quick

ROWS = [{"id": 1, "text": "a cat sleeps on the sofa", "legs": 4}, {"id": 2, "text": "a dog barks at night", "legs": 4},
        {"id": "boat", "text": "a boat sails with the wind"}]
QUESTIONS = ["kitten", "sailing", "puppy"]


@pytest.fixture
def bucket(run, rows, tmp_path):
    run("index", "n", rows(*ROWS), "--root", tmp_path / "bucket")
    return tmp_path / "bucket"


def test_search_json_has_rows_and_costs(run, bucket):
    done = run("search", "n", "kitten", "--root", bucket, "--rank", "meaning", "--json")
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    answer = json.loads(done.stdout)
    assert list(answer) == ["rows", "rank", "performance"] and answer["rank"] == "meaning"
    first = answer["rows"][0]
    assert list(first)[:2] == ["id", "$dist"]
    assert first == {"id": 1, "$dist": first["$dist"], "text": ROWS[0]["text"], "legs": 4}
    distances = [row["$dist"] for row in answer["rows"]]
    assert len(distances) == 3 and distances == sorted(distances) and 0 < distances[0] < distances[2] < 2
    cost = answer["performance"]
    assert list(cost) == ["rounds", "requests", "bytes", "ms"]
    assert 1 <= cost["rounds"] <= 4 and cost["rounds"] <= cost["requests"] and cost["bytes"] > 0 < cost["ms"]


def test_search_distance_is_one_minus_the_cosine(run, bucket):
    (row,) = json.loads(run("search", "n", ROWS[0]["text"], "--root", bucket, "--rank", "meaning", "--json", "-k", "1").stdout)["rows"]
    assert row["id"] == 1 and row["$dist"] < 1e-5
    texts = [ROWS[2]["text"], "kitten"]
    a, b = (json.loads(line)["embedding"] for line in run("embed", input="\n".join(texts)).stdout.splitlines())
    rows = json.loads(run("search", "n", texts[1], "--root", bucket, "--rank", "meaning", "--json").stdout)["rows"]
    dist = next(row["$dist"] for row in rows if row["id"] == "boat")
    assert abs(dist - (1 - sum(x * y for x, y in zip(a, b)))) < 1e-5


def test_search_for_people(run, bucket):
    lines = run("search", "n", "kitten", "--root", bucket, "--rank", "meaning").stdout.splitlines()
    assert lines[0] == '"kitten" (similarity, id, text)'
    (shown,) = re.fullmatch(r"  1\. (0\.\d{3})  1  a cat sleeps on the sofa", lines[1]).groups()
    (row, *_) = json.loads(run("search", "n", "kitten", "--root", bucket, "--rank", "meaning", "--json").stdout)["rows"]
    assert abs(1 - row["$dist"] - float(shown)) < 0.0006
    assert re.fullmatch(r" +\d rounds, \d+ requests, \d+\.\d KB, \d+\.\d\d ms", lines[-1])
    assert len(lines) == 5


def test_search_shows_nothing_that_steers_the_terminal(run, rows, tmp_path):
    row = {"id": "\x1b[31mid", "text": "a\x1b]0;title\x07b\nsecond line \u009b31m " + "ü" * 200}
    run("index", "n", rows(row), "--root", tmp_path / "bucket")
    shown = run("search", "n", "\x1b[2Jquery", "--root", tmp_path / "bucket").stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown), shown
    assert shown.count("\n") == 3 and "…" in shown
    answer = json.loads(run("search", "n", "query", "--root", tmp_path / "bucket", "--json").stdout)
    assert answer["rows"][0]["text"] == row["text"]


def test_search_answers_k_rows(run, rows, tmp_path):
    run("index", "n", rows(*({"id": i, "text": f"row number {i}"} for i in range(30))), "--root", tmp_path / "bucket")

    def count(*options):
        return len(json.loads(run("search", "n", "row", "--root", tmp_path / "bucket", "--json", *options).stdout)["rows"])
    assert count() == 10
    assert [count("-k", "1"), count("-k5"), count("--top-k=7"), count("--top-k", "30"), count("-k", "1000")] == [1, 5, 7, 30, 30]


def test_search_queries_of_a_file_are_answered_in_order(run, bucket, tmp_path):
    (tmp_path / "questions.txt").write_text("\n".join(QUESTIONS), encoding="utf-8")  # the last line has no newline
    answers = json_lines(run("search", "n", "--queries", tmp_path / "questions.txt", "--root", bucket, "--json").stdout)
    assert [a["rows"][0]["id"] for a in answers] == [1, "boat", 2]
    for question, answer in zip(QUESTIONS, answers):
        (alone,) = json_lines(run("search", "n", question, "--root", bucket, "--json").stdout)
        assert alone["rows"] == answer["rows"]
    # The first query opens the namespace. The later ones only check for changes, while they score.
    assert answers[0]["performance"]["rounds"] <= 4
    assert all(a["performance"]["rounds"] <= 2 for a in answers[1:])
    piped = run("search", "n", "--queries", "-", "--root", bucket, "--json", input="\n".join(QUESTIONS) + "\n")
    assert [a["rows"] for a in json_lines(piped.stdout)] == [a["rows"] for a in answers]
    people = run("search", "n", "--queries", "-", "--root", bucket, input="\n".join(QUESTIONS) + "\n").stdout
    assert [line for line in people.splitlines() if line.startswith('"')] == [f'"{q}" (score, id, text)' for q in QUESTIONS]


def test_search_answers_each_query_of_a_pipe_at_once(start, bucket):
    process = start("search", "n", "--queries", "-", "--root", bucket, "--json")
    for question, best in zip(QUESTIONS, [1, "boat", 2]):
        process.stdin.write(question.encode() + b"\n")
        process.stdin.flush()
        assert read_line(process)["rows"][0]["id"] == best
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT


def test_search_sees_rows_that_another_process_added(run, rows, start, bucket):
    process = start("search", "n", "--queries", "-", "--root", bucket, "--json")
    for more in (None, {"id": 9, "text": "kitten"}, {"id": 10, "text": "a kitten"}):
        if more:
            run("index", "n", rows(more), "--root", bucket)
        process.stdin.write(b"kitten\n")
        process.stdin.flush()
        answer = read_line(process)
        assert more is None or more["id"] in [row["id"] for row in answer["rows"]]
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("line", ["", "x" * (1 << 20) + "x"], ids=["empty", "long"])
def test_search_of_a_bad_line_names_it(run, bucket, line):
    done = run("search", "n", "--queries", "-", "--root", bucket, "--json", input=f"kitten\n{line}\nsailing\n", status=1)
    assert len(json_lines(done.stdout)) == 1 and "line 2" in done.stderr, done.stderr


def test_search_of_empty_words_is_refused(run, bucket):
    assert "empty" in run("search", "n", "", "--root", bucket, status=1).stderr


def test_search_cuts_long_words(run, bucket):
    run("search", "n", "word " * 1000, "--root", bucket)


def test_search_ranks_by_words_by_meaning_or_by_both(run, rows, tmp_path):
    texts = ["a kitten sleeps", "the puppy barks", "a young cat plays", "kitten kitten kitten food", "rain in autumn"]
    run("index", "pets", rows(*({"id": i, "text": text} for i, text in enumerate(texts, 1))), "--root", tmp_path / "pets")

    def found(*options):
        answer = run("search", "pets", "kitten", "--root", tmp_path / "pets", "--json", *options).stdout
        return [(row["id"], row["$dist"]) for row in json.loads(answer)["rows"]]

    words, meaning, both = found("--rank", "words"), found("--rank", "meaning"), found("--rank", "hybrid")
    assert found() == both and len(meaning) == 5  # without --rank; and without a word in common
    assert [row for row, _ in words] == [4, 1] and words[0][1] > words[1][1] > 0
    places = [[row for row, _ in lane] for lane in (meaning, words)]
    fused = {i: sum(1 / (61 + lane.index(i)) for lane in places if i in lane) for i in places[0]}
    assert both == [(i, pytest.approx(fused[i], rel=1e-6)) for i in sorted(fused, key=lambda i: (-fused[i], i))]
    assert found("--rank", "hybrid", "-k", "2") == both[:2]
    cosine, best = {i: max(0, 1 - dist) for i, dist in meaning}, words[0][1]
    for options, share in (((), 0.3), (("--words-share", "90"), 0.9)):
        by_scores = {i: (1 - share) * cosine[i] + share * dict(words).get(i, 0) / best for i in cosine}
        assert found("--rank", "hybrid", "--fusion", "convex", *options) == [
            (i, pytest.approx(by_scores[i], abs=1e-6)) for i in sorted(by_scores, key=lambda i: -by_scores[i])]
    assert "(score, id, text)" in run("search", "pets", "kitten", "--root", tmp_path / "pets", "--rank", "words").stdout


def test_search_ranks_by_words_where_the_model_makes_no_such_vectors(run, rows, tmp_path):
    head = {"dipper_export": 1, "distance_metric": "cosine_distance",
            "schema": {"vector": "[2]f32", "text": {"type": "string", "full_text_search": True}}}
    own = [{"id": 1, "vector": [1, 0], "text": "bread and salt"}, {"id": 2, "vector": [0, 1], "text": "night train"}]
    run("namespace", "import", "films", rows(head, *own), "--root", tmp_path)
    answer = json.loads(run("search", "films", "bread", "--root", tmp_path, "--json").stdout)
    assert answer["rank"] == "words" and [row["id"] for row in answer["rows"]] == [1]
    assert "2" in run("search", "films", "bread", "--root", tmp_path, "--rank", "hybrid", status=1).stderr


@pytest.mark.parametrize("how", ["nonsense", "", "word"])
def test_search_refuses_another_rank(run, bucket, how):
    done = run("search", "n", "kitten", "--root", bucket, "--rank", how, status=2)
    assert f"--rank is '{how}'" in done.stderr and "meaning" in done.stderr
    done = run("search", "n", "kitten", "--root", bucket, "--fusion", how, status=2)
    assert f"--fusion is '{how}'" in done.stderr and "convex" in done.stderr


@pytest.mark.parametrize("arguments, says", [
    ([], "namespace"), (["n"], "query"), (["n", "a", "b"], "quotes"), (["n", "a", "--queries", "f"], "--queries"),
    (["n", "a", "-k", "0"], "1 to"), (["n", "a", "-k", "x"], "'x'"), (["n", "a", "-k", "-1"], "'-1'"),
    (["n", "a", "-k", "99999999999999999999"], "1 to"), (["n", "a", "-k"], "value"), (["n", "a", "--json=yes"], "no value"),
    (["n", "a", "--nprobe", "-1"], "0 to"), (["n", "a", "--bogus"], "--bogus"), (["n", "a", "-z"], "-z"),
])
def test_search_names_what_is_wrong_with_its_arguments(run, bucket, arguments, says):
    done = run("search", "--root", bucket, *arguments, status=2)
    assert says in done.stderr.splitlines()[0] and "usage: dipper search" in done.stderr, done.stderr
    assert done.stdout == ""


def test_search_of_an_unknown_namespace(run, bucket):
    done = run("search", "nobody", "kitten", "--root", bucket, status=1)
    assert 'no namespace "nobody"' in done.stderr


@pytest.mark.parametrize("name, says", [
    ("../n", "A-Z"), (".n", "begin"), ("_n", "begin"), ("a/b", "A-Z"), ("x" * 129, "128"), ("ä", "A-Z"), ("a b", "A-Z"),
    ("", "128"),
])
def test_names_of_namespaces_are_checked(run, rows, bucket, name, says):
    for done in (run("search", name, "kitten", "--root", bucket, status=1),
                 run("index", name, rows(*ROWS), "--root", bucket, status=1)):
        assert "a namespace's name" in done.stderr and says in done.stderr, done.stderr


def test_search_without_a_root_says_how_to_give_one(run):
    done = run("search", "n", "kitten", status=1)
    assert "--root" in done.stderr
    assert "--root" in run("index", "n", "-", status=1).stderr


def test_search_of_a_root_that_is_missing_does_not_make_it(run, tmp_path):
    done = run("search", "n", "kitten", "--root", tmp_path / "nowhere", status=1)
    assert str(tmp_path / "nowhere") in done.stderr and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("root, says", [("nonsense://x", "nonsense"), ("file://host/x", "three slashes")])
def test_roots_of_other_kinds_are_refused_by_name(run, root, says):
    done = run("search", "n", "kitten", "--root", root, status=1)
    assert says in done.stderr, done.stderr


def test_search_of_s3_without_keys_says_how_to_give_them(run):
    env = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
    done = run("search", "n", "kitten", "--root", "s3://bucket/x", env=env, status=1)
    assert "AWS_ACCESS_KEY_ID" in done.stderr, done.stderr


def test_search_reads_but_never_writes(run, bucket):
    for path in [bucket, *bucket.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted((str(p), p.stat().st_mtime_ns) for p in [bucket, *bucket.rglob("*")])
    run("search", "n", "kitten", "--root", bucket)
    assert sorted((str(p), p.stat().st_mtime_ns) for p in [bucket, *bucket.rglob("*")]) == before
    for path in [bucket, *bucket.rglob("*")]:
        path.chmod(0o755)


def test_search_with_another_model_is_refused(run, bucket, other_model):
    done = run("search", "n", "kitten", "--root", bucket, "--model", other_model, status=1)
    assert "all-MiniLM-L6-v2" in done.stderr and "model" in done.stderr, done.stderr


def test_index_with_another_model_is_refused_and_changes_nothing(run, rows, bucket, other_model, ask):
    before = ask("n", "kitten", bucket)
    done = run("index", "n", rows({"id": 1, "text": "changed"}), "--root", bucket, "--model", other_model, status=1)
    assert "all-MiniLM-L6-v2" in done.stderr, done.stderr
    assert ask("n", "kitten", bucket) == before


@pytest.fixture(scope="module")
def other_model(dipper, source, tmp_path_factory):
    """The default model with one weight of its embeddings changed."""
    import struct
    folder = tmp_path_factory.mktemp("other") / "all-MiniLM-L6-v2"
    shutil.copytree(source / "models" / "all-MiniLM-L6-v2", folder)
    with open(folder / "model.safetensors", "r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        name = next(k for k in header if k.endswith("word_embeddings.weight"))
        file.seek(8 + length + header[name]["data_offsets"][0] + 4 * 384 * 2000)
        file.write(struct.pack("<f", 0.125))
        file.flush()
        os.fsync(file.fileno())
    return folder


def test_search_names_existing_namespaces(run, rows, tmp_path):
    root = tmp_path / "bucket"
    for name in ("notes", "pages"):
        run("index", name, rows({"id": 1, "text": "a"}), "--root", root)
    assert 'there is no namespace "note"; there are notes, pages\n' in run("search", "note", "a", "--root", root, status=1).stderr


def test_the_documentations_answer_is_true(run, source, tmp_path):
    """docs/http-api.md shows the true answer to "public transport" over the README's notes."""
    tour = re.search(r"<<'ROWS'\n(.*?)^ROWS$", (source / "README.md").read_text(encoding="utf-8"), re.S | re.M).group(1)
    (tmp_path / "notes.jsonl").write_text(tour, encoding="utf-8")
    run("index", "notes", tmp_path / "notes.jsonl", "--root", tmp_path / "bucket")
    (answer,) = json_lines(run("search", "notes", "public transport", "--root", tmp_path / "bucket", "--rank", "meaning", "--json").stdout)
    page = (source / "docs" / "http-api.md").read_text(encoding="utf-8")
    shown = json.loads(re.search(r'^\{"rows": \[(\{"id": 3.*?\})\],$', page, re.M).group(1))
    assert shown["id"] == answer["rows"][0]["id"] and shown["text"] == answer["rows"][0]["text"]
    assert abs(shown["$dist"] - answer["rows"][0]["$dist"]) < 1e-6
