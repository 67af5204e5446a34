"""m3_load.py: a load's place in the order of writes: rule L7.

`attach` is the rule: a swap lists the load's segment as pending, then the log entry "attach" makes it count, and the
fold that passes this entry makes the segment a listed one. The two other ways list the segment by a swap, with a
position p in the log. Rows of entries after p win over the segment while they are in the tail. `begin` reads p when the
load begins, and `swap` reads p anew for each try of the swap. Both show what a position cannot say.

Folds and merges are one step each (their swaps are compared, see m9). The oracle is the sequence of states, one for
each moment. The answer of a strong reader must have been the state at a moment since the read began. The condition of a
write must be true at the moment of the write. All rows of a load count from one moment on. A value that was replaced
does not return.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class Segment(NamedTuple):
    name: str
    at: Optional[int]        # position; None: pending
    rows: tuple              # (id, value)


class Load(NamedTuple):
    doing: str = "idle"      # idle, built, read, ready, pending, done
    at: int = 0
    manifest: Optional[tuple] = None


class Inserter(NamedTuple):
    """Inserts x if it is absent: reads manifest, tail, manifest, then puts."""
    doing: str = "none"      # none, idle, base, tail, valid
    manifest: Optional[tuple] = None
    tail: int = 0


class Reader(NamedTuple):
    doing: str = "none"      # none, idle, reading, done
    manifest: Optional[tuple] = None
    tail: Optional[int] = None
    moments: frozenset = frozenset()  # states since the query began


class State(NamedTuple):
    floor: int
    segments: tuple
    log: tuple               # ("write", rows) or ("attach", name)
    loads: tuple
    inserter: Inserter
    reader: Reader
    past: tuple              # ghost: the states so far
    flag: Optional[str]


def without(segment, keys):
    return segment._replace(rows=tuple(r for r in segment.rows if r[0] not in keys))


def model(way="attach", loads=1, writes=(), insert=False, reader=False, merge=True, old=True,
          watch=None):
    """watch: the only assertion to check; None: all."""
    ids = "xy"

    def flagged(flag, broken, name):
        return flag or (name if broken and watch in (None, name) else None)

    def rows_of(name):
        return tuple((k, name) for k in ids)

    def seen(floor, segments, log, upto):
        """The state that this manifest and the log up to `upto` show; None: the manifest is too old."""
        rows = {}
        for g in segments:
            if g.at is not None:
                rows.update({k: (g.at, v) for k, v in g.rows})
        pending = {g.name: g.rows for g in segments if g.at is None}
        for n in range(floor + 1, upto + 1):
            kind, what = log[n - 1]
            if kind == "attach" and what not in pending:
                return None
            for k, v in pending[what] if kind == "attach" else what:
                if way == "attach" or n > rows.get(k, (-1, None))[0]:
                    rows[k] = (n, v)
        return tuple(sorted((k, v) for k, (_, v) in rows.items() if v is not None))

    def now(s):
        return seen(s.floor, s.segments, s.log, len(s.log))

    def after(s, t):
        """The ghosts of a step."""
        a, b = now(s), now(t)
        if a == b:
            return t
        flag = t.flag
        for k in ids:
            values = [dict(p).get(k) for p in s.past]
            replaced = {v for v, w in zip(values, values[1:]) if v != w}
            new = dict(b).get(k)
            returns = new is not None and new != dict(a).get(k) and new in replaced
            flag = flagged(flag, returns, "a-replaced-value-does-not-return")
        r = t.reader
        if r.doing == "reading":
            r = r._replace(moments=r.moments | {b})
        return t._replace(past=s.past + (b,), flag=flag, reader=r)

    def fold(s, upto):
        """Lists the tail up to `upto`; None: the manifest is too old for that."""
        segments, new = s.segments, {}
        for n in range(s.floor + 1, upto + 1):
            kind, what = s.log[n - 1]
            if kind == "attach":
                keys = set(ids)
                segments = tuple(g._replace(at=n) if g.name == what else g if g.at is None else without(g, keys)
                                 for g in segments)
                new = {}
                continue
            for k, v in what:
                at = max([g.at for g in segments if g.at is not None and k in dict(g.rows)] + [-1])
                if way == "attach" or n > at:
                    new[k] = v
                    segments = tuple(g if g.at is None else without(g, {k}) for g in segments)
        rows = tuple(sorted((k, v) for k, v in new.items() if v is not None))
        segments += (Segment(f"F{upto}", upto, rows),)
        return s._replace(floor=upto, segments=tuple(g for g in segments if g.rows or g.at is None))

    def shared_steps(s):
        written = sum(kind == "write" for kind, _ in s.log)
        if written < len(writes):
            t = s._replace(log=s.log + (("write", writes[written]),))
            lost = any(dict(now(t)).get(k) != v for k, v in writes[written])
            done = any(load.doing == "done" for load in s.loads)
            yield "W: write, acknowledged", t._replace(flag=flagged(s.flag, lost and done, "a-write-after-a-load-wins"))
        for upto in range(s.floor + 1, len(s.log) + 1):
            yield f"fold: floor {upto}", fold(s, upto)
        can = [g for g in s.segments if g.at is not None and g.at <= s.floor]
        if merge and len(can) > 1:
            output = Segment("M", max(g.at for g in can), tuple(sorted(r for g in can for r in g.rows)))
            yield "merge", s._replace(segments=tuple(g for g in s.segments if g not in can) + (output,))

    def load_steps(s, j, load):
        name, manifest = f"L{j + 1}", (s.floor, s.segments)

        def change(t, **fields):
            return t._replace(loads=t.loads[:j] + (load._replace(**fields),) + t.loads[j + 1:])

        def counts(t):
            whole = all(dict(now(t)).get(k) == name for k in ids)
            return t._replace(flag=flagged(t.flag, not whole, "a-load-is-one-batch"))

        if load.doing == "idle":
            yield "begins", change(s, doing="built", at=len(s.log))
        elif load.doing == "built" and way == "attach":
            yield "swap: pending", change(s, doing="pending")._replace(
                segments=s.segments + (Segment(name, None, rows_of(name)),))
        elif load.doing == "pending":
            yield "PUT attach, returns", counts(change(s, doing="done")._replace(log=s.log + (("attach", name),)))
        elif load.doing == "built" and way == "swap":
            yield "GET manifest", change(s, doing="read", manifest=manifest)
        elif load.doing == "read":
            yield f"reads the log's end: p = {len(s.log)}", change(s, doing="ready", at=len(s.log))
        elif load.doing == "ready" and load.manifest != manifest:
            yield "swap fails", change(s, doing="built", manifest=None)
        elif load.doing in ("built", "ready"):
            segments = tuple(without(g, set(ids)) for g in s.segments) + (Segment(name, load.at, rows_of(name)),)
            t = change(s, doing="done", manifest=None)._replace(segments=tuple(g for g in segments if g.rows))
            yield f"swap: listed at p = {load.at}, returns", counts(t)

    def inserter_steps(s):
        x = s.inserter
        if x.doing == "idle":
            yield "GET manifest", s._replace(inserter=Inserter("base"))
        elif x.doing == "base":
            yield "reads the tail", s._replace(inserter=Inserter("tail", tail=len(s.log)))
        elif x.doing == "tail":
            yield "GET manifest: valid", s._replace(inserter=Inserter("valid", (s.floor, s.segments), x.tail))
        elif x.doing == "valid":
            upto = max(x.tail, x.manifest[0])
            view = seen(*x.manifest, s.log, upto)
            if view is None or upto != len(s.log):
                yield "old manifest or number taken: anew", s._replace(inserter=Inserter("idle"))
            elif "x" in dict(view):
                yield "x is there", s._replace(inserter=Inserter())
            else:
                t = s._replace(inserter=Inserter(), log=s.log + (("write", (("x", "X"),)),))
                yield "PUT: acknowledged", t._replace(
                    flag=flagged(s.flag, "x" in dict(now(s)), "a-condition-is-true-at-its-moment"))

    def reader_steps(s):
        r = s.reader
        if r.doing == "idle":
            yield "query begins", s._replace(reader=Reader("reading", moments=frozenset([now(s)])))
        elif r.doing == "reading":
            if r.manifest is None:
                yield "GET manifest", s._replace(reader=r._replace(manifest=(s.floor, s.segments)))
            if r.tail is None:
                yield "reads the tail", s._replace(reader=r._replace(tail=len(s.log)))
            if r.manifest is None or r.tail is None:
                return
            view = seen(*r.manifest, s.log, max(r.tail, r.manifest[0]))
            if r.manifest[0] > r.tail:
                yield "the floor is beyond my tail", s._replace(reader=r._replace(tail=None))
            elif view is None:
                yield "my manifest is old", s._replace(reader=r._replace(manifest=None))
            else:
                yield f"answers {view}", s._replace(
                    reader=Reader("done"), flag=flagged(s.flag, view not in r.moments, "a-strong-read-is-one-moment"))

    def steps(s):
        named = [(label, t) for label, t in shared_steps(s)]
        for j, load in enumerate(s.loads):
            named += [(f"L{j + 1}: {label}", t) for label, t in load_steps(s, j, load)]
        named += [(f"X: {label}", t) for label, t in inserter_steps(s)]
        named += [(f"R: {label}", t) for label, t in reader_steps(s)]
        for label, t in named:
            yield label, after(s, t)

    first = (Segment("B", 0, (("x", "o"), ("y", "o"))),) if old else ()
    start = State(0, first, (), (Load(),) * loads, Inserter("idle" if insert else "none"),
                  Reader("idle" if reader else "none"), (), None)
    return Model(start._replace(past=(now(start),)), steps, lambda s: s.flag)


W1, W2, D1 = ((("x", "w1"),),), ((("x", "w1"),), (("x", "w2"),)), ((("x", None),),)


def off(what, expect, *args, **sizes):
    return Variant("m3 load", f"L7 off: {what}", expect, lambda: model(*args, watch=expect, **sizes), fast=True)


VARIANTS = [
    Variant("m3 load", "all rules, two loads, a write", None, lambda: model("attach", 2, W1), fast=True),
    Variant("m3 load", "all rules, two loads, a deletion, an insert, empty", None,
            lambda: model("attach", 2, D1, insert=True, old=False), fast=True),
    Variant("m3 load", "all rules, two loads, two writes, an insert", None, lambda: model("attach", 2, W2, insert=True)),
    Variant("m3 load", "all rules, a load, an insert, a reader", None,
            lambda: model("attach", 1, W2, insert=True, reader=True)),
    Variant("m3 load", "all rules, two loads, a reader", None, lambda: model("attach", 2, W1, reader=True)),
    off("p at the begin", "a-load-is-one-batch", "begin", 1, W1),
    off("p at the begin, two loads", "a-replaced-value-does-not-return", "begin", 2, W1),
    off("p at the begin, a reader", "a-strong-read-is-one-moment", "begin", 1, W1, reader=True),
    off("p at the begin, an insert", "a-condition-is-true-at-its-moment", "begin", 1, insert=True, old=False),
    off("p at the swap", "a-load-is-one-batch", "swap", 1, W1),
    off("p at the swap, a reader", "a-strong-read-is-one-moment", "swap", 1, W1, reader=True),
    off("p at the swap, an insert", "a-condition-is-true-at-its-moment", "swap", 1, insert=True, old=False),
]
