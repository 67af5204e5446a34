#!/usr/bin/env python3
"""run_spin.py: checks log.pml with Spin: with all rules, then with each rule switched off.

Prints one line for each check. Only a complete search counts as "holds", and only one of the model's named assertions
as "refuted". A search that ends early (memory, depth, time, size of a state) is "NOTHING SHOWN" and fails.

  --memory MB   for one search (default 3000)
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = Path(__file__).with_name("log.pml")
READER, WRITERS = ("READER", "LATE=1"), ("LATE=2",)
# (what, definitions, the assertion that must break; None: holds)
CHECKS = [
    ("all rules, two late writers", WRITERS, None),
    ("all rules, a late writer and a reader", READER, None),
    ("L2 ack off", (*WRITERS, "NO_ACK"), "acknowledged_is_in_the_log"),
    ("L3 validated off", (*WRITERS, "NO_VALID"), "the_chain_fits_the_log"),
    ("L2 wait off", (*WRITERS, "NO_WAIT"), "the_chain_fits_the_log"),
    ("L4 grace off", (*READER, "NO_GRACE"), "a_strong_read_sees_what_was_acknowledged"),
    ("L4 floor off", (*READER, "NO_FLOOR"), "a_strong_read_sees_what_was_acknowledged"),
]
EARLY = re.compile(r"max search depth too small|Search not completed|aborting|out of memory|VECTORSZ|exceed", re.I)


def run(command, folder, seconds):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=True).stdout


def check(defines, memory, seconds):
    """(result, states). The result is "holds", the name of an assertion, or what ended the search early."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"-D{d}" for d in defines]
        try:
            run(["spin", "-a", *flags, str(MODEL)], folder, 60)
            run(["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={memory}", "-o", "pan",
                 "pan.c"], folder, 300)
            done = subprocess.run(["./pan", "-m1000000"], cwd=folder, capture_output=True, text=True, timeout=seconds,
                                  check=False)
        except subprocess.TimeoutExpired:
            return "NOTHING SHOWN: no time left", "?"
        text = done.stdout + done.stderr
    states = re.search(r"(\d+) states, stored", text)
    states = f"{int(states.group(1)):,}" if states else "?"
    broken = re.search(r"assertion violated (\w+)", text)
    if broken:
        return broken.group(1), states
    if re.search(r"errors: 0\b", text) and not EARLY.search(text):
        return "holds", states
    return "NOTHING SHOWN: " + text.strip().splitlines()[0], states


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--memory", type=int, default=3000)
    parser.add_argument("--seconds", type=int, default=1200)
    args = parser.parse_args()
    good = True
    for what, defines, expect in CHECKS:
        result, states = check(defines, args.memory, args.seconds)
        fine = result == (expect or "holds")
        good &= fine
        shown = result if result == "holds" or result.startswith("NOTHING") else f"refuted: {result}"
        print(f"{'ok  ' if fine else 'FAIL'} spin: {what:40} {shown}; {states} states", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
