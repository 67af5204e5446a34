"""Namespaces that the Python package writes: upsert, patch, delete, conditions, types, upkeep, queries with filters.

`make check` runs this file against the build folder, and `make check-python` against the wheel.
"""
import datetime
import threading
import uuid

import numpy as np
import pytest

from package_fixtures import dipper, embedder  # noqa: F401

# The tests load the library into Python's own process, which is impossible for a sanitizer's build.
pytestmark = pytest.mark.tree

FILMS = [{"id": 1, "vector": np.array([0.9, 0.1]), "title": "Night train", "year": 1959, "tags": ["rail", "thriller"]},
         {"id": 2, "vector": [0.1, 0.9], "title": "Cats at sea", "year": np.int64(2016)},
         {"id": 3, "vector": np.float16([0.5, 0.5]), "title": "Harbour", "year": 1996}]


@pytest.fixture
def films(dipper, tmp_path):
    with dipper.Namespace(tmp_path / "bucket", "films") as films:
        films.upsert(FILMS, distance_metric="cosine_distance")
        yield films


def ids(rows):
    return [row.id for row in rows]


def test_upsert_creates_writes_and_replaces(dipper, tmp_path):
    films = dipper.Namespace(tmp_path / "bucket", "films")
    written = films.upsert(FILMS, distance_metric="cosine_distance")
    assert (written.rows, written.upserted, written.patched, written.deleted) == (3, 3, 0, 0)
    assert written.answer["status"] == "OK"
    found = films.query([1, 0], 2)
    assert ids(found) == [1, 3] and found[0].attributes == {"title": "Night train", "year": 1959, "tags": ["rail", "thriller"]}
    films.upsert([{"id": 1, "vector": [0, 1], "title": "Day train"}])
    again = dipper.Namespace(tmp_path / "bucket", "films").query([0, 1], 1)[0]
    assert (again.id, again.attributes) == (1, {"title": "Day train"})
    assert films.info()["approx_row_count"] == 3


def test_columns_of_arrays(dipper, tmp_path):
    x = np.random.default_rng(3).standard_normal((500, 16)).astype("f4")
    points = dipper.Namespace(tmp_path, "points")
    columns = {"id": np.arange(500), "vector": x, "n": np.arange(500) * 2, "name": [f"point {i}" for i in range(500)]}
    assert points.upsert(columns, distance_metric="euclidean_squared").upserted == 500
    assert points.query(x[123], 1)[0] == (123, 0.0, {"n": 246, "name": "point 123"})
    assert points.patch({"id": np.arange(2), "name": ("a", "b")}).patched == 2
    assert points.query(x[1], 1)[0].attributes == {"n": 2, "name": "b"}
    points.upsert({"id": [1000, 1001], "vector": [x[0], [0.5] * 16]})
    with pytest.raises(ValueError, match="column"):
        points.upsert({"id": [1, 2], "vector": x[:3]})
    with pytest.raises(TypeError, match="list of rows"):
        points.write(upsert_rows=columns)
    with pytest.raises(TypeError, match="dict of columns"):
        points.write(upsert_columns=[FILMS[0]])


def test_a_write_of_more_than_a_log_entry_holds(dipper, tmp_path):
    x = np.random.default_rng(4).random((17000, 256), "f4")  # 17.4 MB
    points = dipper.Namespace(tmp_path, "points")
    assert points.upsert({"id": np.arange(17000), "vector": x}, distance_metric="euclidean_squared").upserted == 17000
    assert points.query(x[16999], 1)[0][:2] == (16999, 0.0)
    with pytest.raises(dipper.errors.TooLargeError, match="split"):
        points.upsert({"id": np.arange(131073), "n": np.arange(131073)})


def test_patch_and_delete(films):
    assert films.patch([{"id": 2, "year": 2017, "title": None}, {"id": 99, "year": 1}]).patched == 1
    assert films.query([0, 1], 1)[0].attributes == {"year": 2017}
    assert films.delete(2).deleted == 1
    assert films.delete(np.array([3, 77])).deleted == 2  # an id without a row counts
    assert ids(films.query([0, 1], 10)) == [1]
    assert films.delete(1, condition=("year", "Gt", 2000)).deleted == 0
    assert films.delete({1}).rows == 1 and films.query([1, 0]) == []
    films.upsert(FILMS)
    assert films.delete(filters=("year", "Lt", 2000)).deleted == 2 and ids(films.query([1, 0])) == [2]
    for wrong in ({}, {"ids": 1, "filters": ("id", "Eq", 1)}, {"filters": ("id", "Eq", 1), "condition": ("id", "Eq", 1)}):
        with pytest.raises(TypeError, match="delete takes|condition is only"):
            films.delete(**wrong)


def test_conditions(films):
    newer = ("year", "Lt", {"$ref_new": "year"})
    later = [{"id": 1, "vector": [1, 0], "year": 1950}, {"id": 3, "vector": [1, 0], "year": 2000}]
    assert films.upsert(later, condition=newer).upserted == 1
    absent = ("id", "Eq", None)
    assert films.upsert([{"id": 1, "vector": [1, 0]}, {"id": 4, "vector": [1, 0]}], condition=absent).upserted == 1
    written = films.write(patch_rows=[{"id": 1, "year": 1}], patch_condition=("year", "Eq", 1959), deletes=[2], return_affected_ids=True)
    assert (written.patched, written.deleted) == (1, 1)
    assert (written.answer["patched_ids"], written.answer["deleted_ids"]) == ([1], [2])


def test_a_write_with_a_key_counts_once(films):
    first = {"upsert_rows": FILMS, "idempotency_key": "first"}
    assert films.write(**first).upserted == 3
    films.delete(1)
    assert films.write(**first).upserted == 3 and ids(films.query([1, 0])) == [3, 2]
    with pytest.raises(TypeError, match="idempotency_key"):
        films.write(deletes=[1], idempotency_key=7)


def test_queries_with_filters_and_orders(films):
    new = ("year", "Gte", 1990)
    assert ids(films.query([1, 0], filters=new)) == [3, 2]
    assert ids(films.query(np.array([1, 0]), 1, filters=("Not", new), exact=True)) == [1]
    rows = films.query(order=("year", "desc"), k=2)
    assert ids(rows) == [2, 3] and rows[0].dist is None and rows[0].attributes["title"] == "Cats at sea"
    assert rows.cost.rounds >= 0 and rows.cost.ms > 0
    near = films.query([1, 0], 1, exact=True)[0]
    assert near.id == 1 and 0 < near.dist < 0.1 and near.attributes["tags"] == ["rail", "thriller"]
    with pytest.raises(TypeError, match="give a text"):
        films.query()
    with pytest.raises(TypeError, match="one of them"):
        films.query([1, 0], order=("year", "asc"))
    with pytest.raises(ValueError, match="nothing"):
        films.query(order=("nothing", "asc"))
    with pytest.raises(TypeError, match="exact"):
        films.query([1, 0], exact=1)


def test_types_come_back_as_they_were(dipper, tmp_path):
    things = dipper.Namespace(tmp_path, "things")
    key, when = uuid.UUID(int=7), datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.timezone.utc)
    row = {"id": 2**64 - 1, "n": 2**63 - 1, "big": 2**64 - 1, "x": 0.1, "yes": np.bool_(True), "key": key, "when": when,
           "raw": b"\x00\xff", "shown": np.datetime64("2024-03-01T12:00:00.000000000"), "names": np.array(["a", "b"]), "none": None}
    schema = {"big": "uint", "key": "uuid", "when": "datetime", "raw": "bytes", "shown": "datetime"}
    things.upsert([row], schema=schema)
    (found,) = things.query(order=("id", "asc"))
    same = "2024-03-01T12:00:00.000000000Z"
    assert found.id == 2**64 - 1
    assert found.attributes == {"n": 2**63 - 1, "big": 2**64 - 1, "x": 0.1, "yes": True, "key": str(key), "when": same, "raw": "AP8=",
                                "shown": same, "names": ["a", "b"]}
    assert things.info()["schema"]["key"]["type"] == "uuid"
    with pytest.raises(dipper.errors.InvalidError, match="uuid"):
        things.upsert([{"id": 1, "key": "no uuid"}])
    for value in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            things.upsert([{"id": 1, "x": value}])


def test_words_and_uuids_are_ids(dipper, tmp_path):
    words = dipper.Namespace(tmp_path, "words")
    words.upsert([{"id": "a", "n": 1}, {"id": np.str_("b"), "n": 2}])
    assert words.delete("a").deleted == 1 and ids(words.query(order=("id", "asc"))) == ["b"]
    keys = dipper.Namespace(tmp_path, "keys")
    keys.upsert([{"id": uuid.UUID(int=1), "n": 1}], schema={"id": "uuid", "n": "int"})
    assert ids(keys.query(order=("id", "asc"))) == [str(uuid.UUID(int=1))]
    assert keys.delete([uuid.UUID(int=1)]).deleted == 1


def test_texts_are_embedded_on_the_way_in(dipper, embedder, tmp_path):
    notes = dipper.Namespace(tmp_path, "notes", embedder=embedder)
    texts = [{"id": 1, "text": "The train was late again"}, {"id": 2, "text": "Bread needs flour, water, salt and patience"}]
    notes.upsert(texts, schema={"text": {"type": "string", "embed": embedder.name}})
    assert notes.query("how do I bake a loaf", 1)[0].id == 2
    assert ids(notes.query("how do I bake a loaf", filters=("id", "Eq", 1))) == [1]
    fresh = dipper.Namespace(tmp_path, "notes", embedder=embedder)  # learns from the schema that it needs the model
    fresh.upsert([{"id": 3, "text": "A loaf of bread"}])
    assert fresh.query("a loaf of bread", 1)[0].id == 3
    plain = dipper.Namespace(tmp_path, "plain")
    with pytest.raises(dipper.errors.UnsupportedError, match="other-model"):
        plain.upsert(texts, schema={"text": {"type": "string", "embed": "other-model"}})


def test_a_namespace_ends_and_begins_anew(dipper, films):
    films.delete_all()
    with pytest.raises(FileNotFoundError):
        films.query([1, 0])
    with pytest.raises(dipper.errors.NotFoundError):
        films.delete_all()
    films.upsert([{"id": "word", "vector": [1, 0, 0]}], distance_metric="euclidean_squared")
    assert ids(films.query([1, 0, 0])) == ["word"]


@pytest.mark.parametrize("how", ["branch", "copy"])
def test_branches_and_copies_go_their_ways(dipper, films, how):
    trial = getattr(films, how)("trial")
    assert trial.name == "trial" and trial.root == films.root
    trial.delete(1)
    films.patch([{"id": 2, "year": 1}])
    assert ids(trial.query([1, 0])) == [3, 2] and ids(films.query([1, 0])) == [1, 3, 2]
    assert trial.query([0, 1], 1)[0].attributes["year"] == 2016
    with pytest.raises(dipper.errors.InvalidError, match="trial"):
        films.branch("trial")
    films.delete_all()
    assert ids(trial.query([1, 0])) == [3, 2]
    with pytest.raises(FileNotFoundError):
        films.branch("other")


def test_reading_creates_nothing(dipper, tmp_path):
    nothing = dipper.Namespace(tmp_path / "bucket", "nothing")
    for call in (lambda: nothing.query([1, 0]), nothing.info, nothing.compact, nothing.delete_all,
                 lambda: nothing.query(order=("id", "asc"))):
        with pytest.raises(FileNotFoundError):
            call()
    assert not (tmp_path / "bucket").exists()
    with pytest.raises(FileNotFoundError):
        nothing.patch([{"id": 1, "n": 1}])  # a patch creates no namespace


def test_compact(dipper, tmp_path):
    counts = dipper.Namespace(tmp_path, "counts")
    for i in range(3):
        counts.upsert([{"id": i, "n": i}])
    assert counts.compact(when_due=True) == (0, 0, 0, 0)
    assert counts.info()["index"]["unindexed_rows"] == 3
    assert counts.compact().folded == 3
    assert counts.info()["segments"] == 1 and counts.info()["index"]["status"] == "up-to-date"
    with pytest.raises(TypeError, match="when_due"):
        counts.compact(when_due=1)


def test_what_is_wrong_is_named(dipper, films, tmp_path):
    for rows in ("text", [FILMS[0], "text"]):
        with pytest.raises(TypeError, match="a row is a dict"):
            films.upsert(rows)
    with pytest.raises(ValueError, match="vector of row 0"):
        films.upsert([{"id": 1, "vector": np.zeros((2, 2))}])
    with pytest.raises(dipper.errors.InvalidError, match="unknown field"):
        films.write(upsert_row=[FILMS[0]])
    with pytest.raises(dipper.errors.InvalidError, match="dimensions|numbers"):
        films.upsert([{"id": 1, "vector": [1, 2, 3]}])
    with pytest.raises(dipper.errors.InvalidError, match="distance_metric"):
        dipper.Namespace(tmp_path, "new").upsert([{"id": 1, "vector": [1, 2, 3]}])
    with pytest.raises(dipper.errors.InvalidError, match="twice|once"):
        films.delete([1, 1])
    with pytest.raises(ValueError, match="timeout"):
        films.delete(1, timeout=0)
    assert ids(films.query([1, 0])) == [1, 3, 2]  # nothing was written


def test_threads_write_with_one_namespace(dipper, tmp_path):
    counts = dipper.Namespace(tmp_path, "counts")
    failures = []

    def write(first):
        try:
            for i in range(first, first + 20):
                counts.upsert([{"id": i, "n": i}])
        except dipper.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(20 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and counts.info()["approx_row_count"] == 80
