"""m10_loads.py: loads composed with writes, folds, merges, the collector and whoever gives loads up: rules L7 and L8.

All write one id. A load makes its object, swaps it into "pending", and puts "attach"; the put may be late. A fold reads
the manifest and the tail, then swaps: it lists the loads whose attach it passes, and removes from "pending" those whose
void it passes. A merge replaces listed segments by one. The collector raises the horizon over an object that the
manifest neither lists nor has pending, and deletes it later. A fold is three steps (manifest, tail, swap), and so is
giving up a load (manifest, tail, put); a merge is two. Anything may happen between the steps.

A fold knows which rows of the segments that it has read the loads replace, but keeps no ids of loads. So when a merge
has brought a segment that it has not read, a fold that passes an attach gives up and starts again.

The tail of a fold may name a load that became pending after the fold's manifest. If it attaches the load, the fold
reads the manifest again. If it voids the load, the fold ignores that, but it gives up when its swap finds the load
pending: otherwise the load would stay pending behind wal_floor, and nobody would see its void any more.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class Manifest(NamedTuple):
    version: int = 0
    floor: int = 0
    segments: tuple = ()     # (name, value): those with a live row
    pending: tuple = ()      # loads


class State(NamedTuple):
    log: tuple               # ("write", value), ("attach", load), ("void", load)
    manifest: Manifest
    loads: tuple             # built, pending, (sent, n), (landed, n), acknowledged, end
    passed: tuple = ()       # loads whose objects the horizon has passed
    deleted: tuple = ()      # loads whose objects the collector has removed
    folder: Optional[tuple] = None     # (manifest, upto); upto is None until the fold has read the tail
    merger: Optional[tuple] = None     # (inputs, output)
    remover: Optional[tuple] = None    # (load, manifest, tail); tail is None until it has read the tail
    collector: Optional[int] = None    # the load whose object it may delete
    folds: int = 0
    merges: int = 0
    removals: int = 0


def decided(log):
    """What became of each load: the first record of a load counts."""
    out = {}
    for kind, what in log:
        if kind != "write":
            out.setdefault(what, kind)
    return out


def newest(log, first, last):
    """The last effect in log[first:last], as (kind, what), or None. Who reads from `first` on knows no earlier fate."""
    out, fate = None, {}
    for kind, what in log[first:last]:
        if kind == "write":
            out = (kind, what)
        elif what not in fate:
            fate[what] = kind
            out = (kind, what) if kind == "attach" else out
    return out


def value_of(effect):
    return None if effect is None else effect[1] if effect[0] == "write" else f"load {effect[1]}"


def replace(items, i, item):
    return items[:i] + (item,) + items[i + 1:]


def model(loads=1, writes=1, folds=2, merges=1, removals=1, off=""):
    def swapped(m, **changes):
        return m._replace(version=m.version + 1, **changes)

    def load_steps(s, i):
        m, doing = s.manifest, s.loads[i]
        if doing == "built" and i in s.passed and off != "horizon":
            yield f"L{i}: the horizon has passed: gives up", "end", s
        elif doing == "built":
            yield f"L{i}: swap: pending", "pending", s._replace(manifest=swapped(m, pending=m.pending + (i,)))
        elif doing == "pending" and (i not in m.pending or i in decided(s.log[m.floor:]) and off != "the loader looks"):
            yield f"L{i}: was given up", "end", s
        elif doing == "pending":
            yield f"L{i}: sends PUT {len(s.log) + 1} attach", ("sent", len(s.log) + 1), s
        if doing[0] == "sent" and len(s.log) + 1 == doing[1]:
            yield f"L{i}: the put is carried out", ("landed", doing[1]), s._replace(log=s.log + (("attach", i),))
        elif doing[0] == "sent" and len(s.log) >= doing[1]:
            yield f"L{i}: taken: again", "pending", s
        elif doing[0] == "landed":
            yield f"L{i}: GET manifest: acknowledged", "acknowledged", s

    def fold_applied(s, seen, upto):
        """The manifest after a fold over the present one, or None: the fold gives up."""
        m = s.manifest
        effect, fate = newest(s.log, seen.floor, upto), decided(s.log[seen.floor:upto])
        touched = [i for i in fate if i in seen.pending]
        younger = [i for i in fate if i not in seen.pending and i in m.pending]
        known = {name for name, _ in seen.segments}
        unknown = [g for g in m.segments if g[0] not in known]
        if m.floor != seen.floor and off != "fold gives up":
            return None
        if touched and unknown and off != "fold knows its segments":
            return None
        if younger and off != "no younger load":
            return None
        searched = effect is not None and effect[0] == "write"  # it has the ids of the tail's records only
        segments = () if effect is None or searched else tuple(unknown)
        if effect is None:
            segments = m.segments
        elif searched:
            segments = ((f"fold {m.version}", effect[1]),)
        else:
            segments += ((f"load {effect[1]}", value_of(effect)),)
        gone = set(touched) if off != "void listed" else {i for i in touched if fate[i] == "attach"}
        return swapped(m, floor=upto, segments=segments, pending=tuple(i for i in m.pending if i not in gone))

    def folder_steps(s):
        m = s.manifest
        if s.folder is None and s.folds < folds:
            yield f"F: reads manifest {m.version}", s._replace(folder=(m, None), folds=s.folds + 1)
        elif s.folder is not None and s.folder[1] is None:
            seen = s.folder[0]
            for upto in range(seen.floor + 1, len(s.log) + 1):
                if all(kind != "attach" or i in seen.pending for kind, i in s.log[seen.floor:upto]):
                    yield f"F: reads the tail up to {upto}", s._replace(folder=(seen, upto))
                else:
                    yield "F: reads an attach that it does not know", s._replace(folder=None, folds=s.folds - 1)
        elif s.folder is not None:
            after = fold_applied(s, *s.folder)
            if after is None:
                yield "F: gives up", s._replace(folder=None, folds=s.folds - 1)
            else:
                yield f"F: swap: floor {after.floor}", s._replace(manifest=after, folder=None)

    def other_fold(s):
        """A fold by another node, in one step."""
        m = s.manifest
        if s.folder is not None and m.floor < len(s.log):
            after = fold_applied(s, m, len(s.log))
            yield f"G: folds up to {after.floor}", s._replace(manifest=after)

    def merger_steps(s):
        m = s.manifest
        if s.merger is None and s.merges < merges:
            inputs = m.segments
            if off == "only listed segments merge":
                inputs += tuple((f"load {i}", f"load {i}") for i in m.pending)
            if inputs:
                yield "M: reads its inputs", s._replace(
                    merger=(inputs, (f"merge {s.merges}", inputs[-1][1])), merges=s.merges + 1)
        elif s.merger is not None:
            inputs, output = s.merger
            names = {name for name, _ in inputs}
            there = {name for name, _ in m.segments} | {f"load {i}" for i in m.pending}
            if names <= there:
                rest = tuple(g for g in m.segments if g[0] not in names)
                pending = tuple(i for i in m.pending if f"load {i}" not in names)
                yield "M: swap", s._replace(merger=None, manifest=swapped(m, segments=rest + (output,), pending=pending))
            else:
                yield "M: an input has vanished", s._replace(merger=None)

    def remover_steps(s):
        m = s.manifest
        if s.remover is None and s.removals < removals:
            for i in m.pending:
                yield f"K: reads manifest {m.version}: load {i}", s._replace(
                    remover=(i, m, None), removals=s.removals + 1)
        elif s.remover is not None and s.remover[2] is None:
            i, seen, _ = s.remover
            if i in decided(s.log[seen.floor:]):
                yield f"K: reads the tail: load {i} has its fate", s._replace(remover=None)
            else:
                yield f"K: reads the tail up to {len(s.log)}", s._replace(remover=(i, seen, len(s.log)))
        elif s.remover is not None:
            i, seen, tail = s.remover
            if off == "void":
                if seen.version == m.version:
                    yield f"K: swap: load {i} is not pending", s._replace(remover=None, manifest=swapped(
                        m, pending=tuple(p for p in m.pending if p != i)))
                else:
                    yield "K: swap fails", s._replace(remover=None)
            elif len(s.log) == tail:
                yield f"K: PUT {tail + 1} void", s._replace(remover=None, log=s.log + (("void", i),))
            else:
                yield "K: taken", s._replace(remover=None)

    def collector_steps(s):
        m = s.manifest
        needed = {name for name, _ in m.segments}
        if off != "pending protects":
            needed |= {f"load {i}" for i in m.pending}
        for i in range(loads):
            if f"load {i}" not in needed and i not in s.deleted and s.collector is None:
                yield f"C: swap: the horizon passes load {i}", s._replace(
                    passed=tuple(sorted(set(s.passed) | {i})), manifest=swapped(m) if i not in s.passed else m,
                    collector=i)
        if s.collector is not None:
            yield f"C: DELETE load {s.collector}", s._replace(deleted=s.deleted + (s.collector,), collector=None)

    def steps(s):
        out = []
        for i in range(loads):
            out += [(label, t._replace(loads=replace(s.loads, i, after))) for label, after, t in load_steps(s, i)]
        done = sum(kind == "write" for kind, _ in s.log)
        if done < writes:
            out.append((f"O: PUT {len(s.log) + 1} write", s._replace(log=s.log + (("write", f"w{done}"),))))
        for part in (folder_steps, other_fold, merger_steps, remover_steps, collector_steps):
            out += part(s)
        return out

    def broken(s):
        m = s.manifest
        truth = newest(s.log, 0, len(s.log))
        tail = newest(s.log, m.floor, len(s.log))
        seen = [value for _, value in m.segments] if tail is None else [value_of(tail)]
        if any(i in m.pending and i in decided(s.log[:m.floor]) for i in range(loads)):
            return "a-load-has-one-fate"
        if tail is not None and tail[0] == "attach" and tail[1] not in m.pending:
            return "every-attach-names-a-pending-load"
        if any(f"load {i}" == name for i in s.deleted for name, _ in m.segments) or set(s.deleted) & set(m.pending):
            return "listed-objects-exist"
        if seen != [v for v in [value_of(truth)] if v is not None]:
            return "a-reader-sees-the-log"
        if any(doing == "acknowledged" and decided(s.log).get(i) != "attach" for i, doing in enumerate(s.loads)):
            return "an-acknowledged-load-counts"
        return None

    return Model(State((), Manifest(), ("built",) * loads), steps, broken)


TRUTH, EXISTS, KNOWN = "a-reader-sees-the-log", "listed-objects-exist", "every-attach-names-a-pending-load"
VARIANTS = [
    Variant("m10 loads", "all rules, one load", None, lambda: model(), fast=True),
    Variant("m10 loads", "all rules, two loads, a write", None, lambda: model(2, folds=1, removals=0)),
    Variant("m10 loads", "all rules, two loads, one given up", None, lambda: model(2, writes=0, folds=1)),
    Variant("m10 loads", "fold gives up off", KNOWN, lambda: model(off="fold gives up"), fast=True),
    Variant("m10 loads", "fold knows its segments off", TRUTH, lambda: model(off="fold knows its segments"), fast=True),
    Variant("m10 loads", "a fold passes no void of a younger load off", "a-load-has-one-fate",
            lambda: model(off="no younger load"), fast=True),
    Variant("m10 loads", "only listed segments merge off", TRUTH,
            lambda: model(off="only listed segments merge"), fast=True),
    Variant("m10 loads", "pending protects off", EXISTS, lambda: model(off="pending protects"), fast=True),
    Variant("m10 loads", "the horizon's check off", EXISTS, lambda: model(off="horizon"), fast=True),
    Variant("m10 loads", "void off: a swap takes the load back", KNOWN, lambda: model(off="void"), fast=True),
    Variant("m10 loads", "the loader looks off", "an-acknowledged-load-counts",
            lambda: model(off="the loader looks"), fast=True),
]
