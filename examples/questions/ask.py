#!/usr/bin/env python3
"""Searches one file with FAISS in memory and with Dipper on disk, in a bucket and at a presigned URL.

    examples/questions/ask.py [--questions FILE] [--limit N] [--folder DIR] [--bucket NAME] [--nprobe N] [QUESTION…]

Embeds the questions of questions.py or of FILE, builds one IVF file of them, and searches it where it lies. --bucket also
uploads the file: S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION say where the bucket is, as for all
of Dipper. Needs the packages dipper and faiss-cpu.
"""
import argparse
import os
import pathlib
import sys
import tempfile
import time
import urllib.error
import urllib.request

import faiss
import numpy as np

import dipper
from presign import presign
from questions import own, questions

ASKED = ["How to find a job", "What to eat for lunch", "Which sport is similar to tennis"]
K = 5


def url_of(method, path, seconds=3600):
    """Returns a presigned URL; the keys come from the environment."""
    return presign(method, os.environ["S3_ENDPOINT_URL"], path, os.environ["AWS_ACCESS_KEY_ID"],
                   os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_REGION", "us-east-1"), seconds)


def put(path, data=b""):
    request = urllib.request.Request(url_of("PUT", path), data=data, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def upload(file, bucket):
    """Puts the file into the bucket, creating the bucket if it is missing; returns its s3:// URL and a presigned one."""
    try:
        put(f"/{bucket}")
    except urllib.error.HTTPError as error:
        if error.code != 409:  # the bucket exists
            raise
    put(f"/{bucket}/{file.name}", file.read_bytes())
    return f"s3://{bucket}/{file.name}", url_of("GET", f"/{bucket}/{file.name}")


def build(texts, embedder, file):
    """Builds one IVF file of the texts' vectors; an id is a text's position."""
    dipper.build_ivf(embedder.encode(texts, show_progress=sys.stderr.isatty()), file, metric="cosine", kind="sq8", seed=1)


def by_faiss(file, vectors, nprobe):
    """(D, I) of FAISS, and the bytes read: all of the file."""
    began = time.perf_counter()
    index = faiss.read_index(str(file))
    index.nprobe = nprobe
    found = index.search(vectors, K)
    return found, (f"read {file.stat().st_size:,} bytes, all of the file", (time.perf_counter() - began) * 1e3)


def by_dipper(url, vectors, nprobe):
    """(D, I) of Dipper, and its cost."""
    began = time.perf_counter()
    with dipper.open_index(url) as index:
        found = index.search(vectors, K, nprobe)
        opened, cost = index.info, index.last_cost
    return found, (f"read {opened.open_bytes:,} bytes to open (rounds: {opened.open_rounds}), {cost.bytes:,} for "
                   f"{len(vectors)} questions (ranges: {cost.requests}, rounds: {cost.rounds})",
                   (time.perf_counter() - began) * 1e3)


def show(asked, texts, answers):
    """Prints all answers side by side: the texts once, with the distances of each searcher."""
    names = list(answers)
    for q, question in enumerate(asked):
        print(f"\n{question}\n  " + "  ".join(f"{name:>9}" for name in names))
        for rank in range(K):
            ids = {int(answers[name][1][q, rank]) for name in names}
            row = "  ".join(f"{answers[name][0][q, rank]:9.4f}" for name in names)
            print(f"  {row}  {' | '.join(texts[i] for i in ids if i >= 0)}")


def same(answers):
    """Returns whether all searchers found the same texts at the same distances."""
    (first_d, first_i), *others = answers.values()
    return all(np.array_equal(i, first_i) and np.allclose(d, first_d, rtol=1e-4, atol=1e-5) for d, i in others)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("asked", nargs="*", metavar="QUESTION")
    parser.add_argument("--questions", type=pathlib.Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--bucket")
    parser.add_argument("--nprobe", type=int, default=8)
    arguments = parser.parse_args()
    asked = arguments.asked or ASKED

    with tempfile.TemporaryDirectory() as folder:
        file = (arguments.folder or pathlib.Path(folder)) / "questions.ivf"
        texts = own(arguments.questions, arguments.limit) if arguments.questions else questions()[:arguments.limit]
        embedder = dipper.Embedder()
        build(texts, embedder, file)
        places = {"on disk": str(file)}
        if arguments.bucket:
            places["over S3"], places["presigned"] = upload(file, arguments.bucket)

        vectors = embedder.encode(asked)
        answers, costs = {}, {}
        answers["FAISS"], costs["FAISS"] = by_faiss(file, vectors, arguments.nprobe)
        for name, url in places.items():
            answers[name], costs[name] = by_dipper(url, vectors, arguments.nprobe)

        print(f"{len(texts):,} questions, {file.stat().st_size:,} bytes, {arguments.nprobe} lists probed of each")
        show(asked, texts, answers)
        print()
        for name, (what, ms) in costs.items():
            print(f"{name:>9}  {what}; {ms:.1f} ms")
        print("\nthe same answers" if same(answers) else "\nTHE ANSWERS DIFFER")
        return 0 if same(answers) else 1


if __name__ == "__main__":
    sys.exit(main())
