"""m9_fold.py: folds and merges that swap one manifest: rule L6 and the fold as a load that also moves the floor.

A fold reads the manifest and the tail, writes one segment of the tail's newest rows, marks rows of listed segments that
these replace or delete, and lists all of it by one swap with the new floor. A merge reads the live rows of listed
segments, writes them as one segment, and lists that in their place by a swap. Both swap "if this version". When that
fails, they read the manifest and decide again. A fold computes its marks anew, and gives up if the floor has passed its
first entry. A merge starts anew if an input has vanished, and else carries over the marks that came meanwhile.

One writer writes the log's entries; tails are valid (m1, m2). The oracle is the log itself.
"""
from typing import NamedTuple, Optional

from search import Model, Variant

WRITES = (("x", "1"), ("y", "1"), ("z", "1"), ("x", None), ("y", "2"))


class Segment(NamedTuple):
    name: str
    rows: tuple              # (id, value)
    dead: tuple              # ids of rows that are marked deleted


class Manifest(NamedTuple):
    version: int
    floor: int
    segments: tuple


class Worker(NamedTuple):
    doing: str = "idle"      # idle, built, again
    seen: Optional[Manifest] = None
    upto: int = 0            # a fold: the new floor
    output: Optional[Segment] = None
    inputs: tuple = ()       # a merge: the segments as it read them
    runs: int = 0


class State(NamedTuple):
    log: int                 # entries written, of WRITES
    manifest: Manifest
    folders: tuple
    mergers: tuple


def newest(first, last):
    rows = {}
    for key, value in WRITES[first:last]:
        rows[key] = value
    return rows


def live(segment):
    return tuple((k, v) for k, v in segment.rows if k not in segment.dead)


def marked(segments, keys):
    return tuple(g._replace(dead=tuple(sorted(set(g.dead) | {k for k, _ in g.rows if k in keys}))) for g in segments)


def model(folders=1, mergers=1, writes=len(WRITES), runs=2, off=""):
    def fold_swap(s, w):
        """The manifest after this fold's swap."""
        m = s.manifest
        keys = set(newest(w.seen.floor, w.upto))
        segments = marked(m.segments, keys)
        if off == "fold marks anew":  # marks that were computed for the segments of an older manifest
            names = {g.name for g in w.seen.segments}
            segments = tuple(new if new.name in names else old for old, new in zip(m.segments, segments))
        return Manifest(m.version + 1, w.upto, tuple(g for g in segments if live(g)) +
                        ((w.output,) if w.output.rows else ()))

    def folder_steps(s, i, w):
        m = s.manifest
        if w.doing == "idle" and m.floor < s.log and w.runs < runs:
            for upto in range(m.floor + 1, s.log + 1):
                rows = tuple(sorted((k, v) for k, v in newest(m.floor, upto).items() if v is not None))
                yield f"reads manifest {m.version}, writes the tail up to {upto}", Worker(
                    "built", m, upto, Segment(f"F{i}.{w.runs}", rows, ()), (), w.runs + 1), m
        elif w.doing == "built" and (m.version == w.seen.version or off == "L6 if this version"):
            yield f"swap: floor {w.upto}", Worker(runs=w.runs), fold_swap(s, w)
        elif w.doing == "built":
            yield "swap fails", w._replace(doing="again"), m
        elif w.doing == "again" and m.floor != w.seen.floor and off != "fold gives up":
            yield f"floor {m.floor}: another fold was first", Worker(runs=w.runs), m
        elif w.doing == "again":
            seen = w.seen if off in ("fold marks anew", "fold gives up") else m
            yield "computes its marks anew", w._replace(doing="built", seen=seen._replace(version=m.version)), m

    def merger_steps(s, i, w):
        m = s.manifest
        if w.doing == "idle" and len(m.segments) > 1 and w.runs < runs:
            rows = tuple(sorted(r for g in m.segments for r in live(g)))
            yield f"reads manifest {m.version} and its rows", Worker(
                "built", m, 0, Segment(f"M{i}.{w.runs}", rows, ()), m.segments, w.runs + 1), m
        elif w.doing == "built" and m.version == w.seen.version:
            names = {g.name for g in w.inputs}
            rest = tuple(g for g in m.segments if g.name not in names)
            yield "swap: the output for its inputs", Worker(runs=w.runs), Manifest(
                m.version + 1, m.floor, rest + ((w.output,) if live(w.output) else ()))
        elif w.doing == "built":
            yield "swap fails", w._replace(doing="again"), m
        elif w.doing == "again":
            there = {g.name: g for g in m.segments}
            lost = [g for g in w.inputs if g.name not in there and off != "merge inputs listed"]
            gone = {k for g in w.inputs if g.name in there for k in there[g.name].dead if k not in g.dead}
            if lost:
                yield "an input has vanished: starts anew", Worker(runs=w.runs), m
            else:
                output = w.output if off == "merge carries marks" else marked((w.output,), gone)[0]
                yield "carries the new marks over", w._replace(doing="built", seen=m, output=output), m

    def steps(s):
        if s.log < writes:
            yield f"O: entry {s.log + 1}", s._replace(log=s.log + 1)
        for i, w in enumerate(s.folders):
            for label, after, m in folder_steps(s, i, w):
                yield f"F{i}: {label}", s._replace(manifest=m, folders=s.folders[:i] + (after,) + s.folders[i + 1:])
        for i, w in enumerate(s.mergers):
            for label, after, m in merger_steps(s, i, w):
                yield f"M{i}: {label}", s._replace(manifest=m, mergers=s.mergers[:i] + (after,) + s.mergers[i + 1:])

    def broken(s):
        rows = [r for g in s.manifest.segments for r in live(g)]
        if len(rows) != len({k for k, _ in rows}):
            return "an-id-has-one-live-row"
        if sorted(rows) != sorted((k, v) for k, v in newest(0, s.manifest.floor).items() if v is not None):
            return "the-segments-are-the-log-up-to-the-floor"
        return None

    start = State(0, Manifest(0, 0, ()), (Worker(),) * folders, (Worker(),) * mergers)
    return Model(start, steps, broken)


SAME, ONE = "the-segments-are-the-log-up-to-the-floor", "an-id-has-one-live-row"
VARIANTS = [
    Variant("m9 fold", "all rules, a folder, a merger", None, lambda: model(runs=3), fast=True),
    Variant("m9 fold", "all rules, two folders, two mergers", None, lambda: model(2, 2)),
    Variant("m9 fold", "L6 if this version off", SAME, lambda: model(2, 0, off="L6 if this version"), fast=True),
    Variant("m9 fold", "fold gives up off", SAME, lambda: model(2, 0, off="fold gives up"), fast=True),
    Variant("m9 fold", "fold marks anew off", SAME, lambda: model(runs=3, off="fold marks anew"), fast=True),
    Variant("m9 fold", "merge carries marks off", SAME, lambda: model(runs=3, off="merge carries marks"), fast=True),
    Variant("m9 fold", "merge inputs listed off", ONE, lambda: model(1, 2, runs=3, off="merge inputs listed"), fast=True),
]
