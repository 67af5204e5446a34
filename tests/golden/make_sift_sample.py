#!/usr/bin/env python3
"""Makes tests/data/vectors/sift-5k.u8: 5,000 SIFT vectors of 128 dimensions, a byte each.

    make_sift_sample.py sift-dataset-5k.tsv tests/data/vectors/sift-5k.u8

The input is NGT's sample, a vector of whole numbers (0 to 191) and its id per line; ids are left out.
"""
import sys


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="ascii") as lines:
        rows = [[int(float(field)) for field in line.split("\t")[:128]] for line in lines if line.strip()]
    assert len(rows) == 5000 and all(len(row) == 128 and min(row) >= 0 and max(row) <= 255 for row in rows)
    with open(target, "wb") as out:
        for row in rows:
            out.write(bytes(row))


if __name__ == "__main__":
    main()
