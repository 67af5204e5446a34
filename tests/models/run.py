#!/usr/bin/env python3
"""run.py [--fast] [--trace] [NAME…]: searches the models of the log and prints one line for each variant.

Each variant says what must come out: "holds" in the whole space of the small model, or the name of the assertion that
the model breaks without one of its rules. Any other result fails, and so does a search that ends early.

  --fast   only the variants of make check
  --trace  also print the shortest trace to each broken assertion
  NAME     only models or variants whose names contain this text
"""
import argparse
import importlib
import sys
import time

from search import search, verdict

MODELS = ["m1_log", "m2_read", "m3_load", "m4_pending", "m5_lives", "m6_branch", "m7_swap", "m8_rows", "m9_fold",
          "m10_loads"]


def variants(fast=False, names=()):
    for module in MODELS:
        for variant in importlib.import_module(module).VARIANTS:
            title = f"{variant.model}: {variant.what}"
            if (variant.fast or not fast) and (not names or any(n in title for n in names)):
                yield title, variant


def run(title, variant, trace=False):
    """Prints the line of one variant. Returns whether the result is the expected one."""
    started = time.monotonic()
    outcome = search(variant.make())
    text, good = verdict(variant, outcome)
    seconds = time.monotonic() - started
    print(f"{'ok  ' if good else 'FAIL'} {title:74} {text}; {outcome.states:,} states, {seconds:.1f} s", flush=True)
    if trace or (outcome.broken and not good):
        for i, label in enumerate(outcome.trace, 1):
            print(f"       {i:2} {label}")
    return good


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    results = [run(title, variant, args.trace) for title, variant in variants(args.fast, args.names)]
    print(f"{sum(results)} of {len(results)} as expected")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
