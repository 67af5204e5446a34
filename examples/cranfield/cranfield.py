"""Reads the Cranfield collection: documents, queries and graded judgements (standard library only)."""
import math
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data", "cranfield")


def _records(name):
    """Yields (number, {field letter: text}) of a file in SMART format."""
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        text = file.read()
    for record in re.split(r"^\.I ", text, flags=re.M)[1:]:
        number, body = record.split("\n", 1)
        parts = re.split(r"^\.([A-Z])\n", body, flags=re.M)
        yield int(number), {parts[i]: parts[i + 1].strip() for i in range(1, len(parts) - 1, 2)}


def documents():
    """Yields (id, title, text) of the 1,400 abstracts, white space folded. The text begins with the title."""
    for number, fields in _records("cran.all.1400"):
        yield number, " ".join(fields.get("T", "").split()), " ".join(fields.get("W", "").split())


def queries():
    """The 225 questions in order; the judgements number them 1 to 225 by that order."""
    return [" ".join(fields["W"].split()) for _, fields in _records("cran.qry")]


def judgements():
    """{query number: {document id: grade}}; higher grades are better."""
    judged = {}
    with open(os.path.join(FOLDER, "QRelsCorrectedforTRECeval"), encoding="utf-8") as file:
        for line in file:
            query, _, document, grade = line.split()
            judged.setdefault(int(query), {})[int(document)] = int(grade)
    return judged


def ndcg_at_10(ranked, grades):
    """nDCG@10 of one ranking of document ids, as trec_eval: gain = grade, discount = log2(rank + 1)."""
    def dcg(gains):
        return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
    best = dcg(sorted(grades.values(), reverse=True)[:10])
    return dcg([grades.get(document, 0) for document in ranked[:10]]) / best if best else 0.0
