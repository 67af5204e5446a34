#!/usr/bin/env python3
"""Writes, corrects and deletes books, and searches them: library.py ROOT"""
import sys

import dipper
import numpy as np

# Two numbers for each book: how much it is about the sea, and how much about bread.
BOOKS = [
    {"id": 1, "vector": [0.9, 0.1], "title": "Sailing alone", "year": 1959, "version": 1},
    {"id": 2, "vector": [0.1, 0.9], "title": "Sourdough", "year": 2016, "version": 1},
    {"id": 3, "vector": [0.6, 0.6], "title": "Ship's biscuit", "year": 1996, "version": 1},
]
NEWER = ("version", "Lt", {"$ref_new": "version"})  # the stored version is older than the one that is written


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with dipper.Namespace(sys.argv[1], "library-python") as books:
        books.upsert(BOOKS, distance_metric="cosine_distance")

        # Versions may arrive in any order: an older one never replaces a newer one.
        books.upsert([{**BOOKS[1], "title": "Sourdough, second edition", "version": 3}], condition=NEWER)
        late = books.upsert([{**BOOKS[1], "title": "Sourdough, misprinted", "version": 2}], condition=NEWER)
        print("late versions written:", late.upserted)

        # Many rows at once, as columns: one object in the root, one moment.
        ids = np.arange(100, 200)
        books.upsert({"id": ids, "vector": np.random.default_rng(1).random((100, 2), "f4"), "year": ids + 1900})

        books.patch([{"id": 1, "lent": True}])
        gone = books.write(delete_by_filter=("And", [("id", "Gte", 100), ("year", "Lt", 2090)]))
        print("deleted:", gone.deleted)

        for row in books.query([1, 0], 2, filters=("id", "Lt", 100)):
            print(row.id, row.attributes)
        print("newest:", [row.attributes["year"] for row in books.query(order=("year", "desc"), k=3)])
        print("rows:", books.info()["approx_row_count"])
        books.compact()


if __name__ == "__main__":
    main()
