"""m6_branch.py: branches pin the objects of their owners: rule L10.

O owns an object, which a merge may unlist at any time. A creator makes B from O, another makes C from B. O's collector
removes unused pins. It deletes the object after it has read a manifest of O that neither lists nor pins the object. O may be
deleted and made again. Every step is one request.

A second, smaller model has O's log: acknowledged writes, folds, and a creator of B that folds before it pins. A branch lists
no log entries. So its segments must hold every write that was acknowledged before the creator began.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class Manifest(NamedTuple):
    state: str = "none"          # none, live, tombstone, again (a new life)
    version: int = 0
    lists: bool = False          # the object of O
    pins: frozenset = frozenset()

    def changed(self, **fields):
        return self._replace(version=self.version + 1, **fields)


class State(NamedTuple):
    o: Manifest = Manifest("live", 1, True)
    b: Manifest = Manifest()
    c: Manifest = Manifest()
    object: bool = True
    first: tuple = ("idle",)     # creator of B: idle, (read, O, version of B), (pinned, version of B), made, ok, end
    second: tuple = ("end",)     # creator of C: idle, (read, B), pins B, pins O, ok, end
    collector: tuple = ("idle",)  # idle, (read, O), (unpin, O, name), delete, end
    written: bool = False        # a write was acknowledged in B
    flag: Optional[str] = None


def model(off="", branch_of_branch=False, owner_deleted=False, writer=False):
    look = off == "L10 tombstone first"  # the older wording of the rule: look at the branch, then remove its pin

    def owner_steps(s):
        o = s.o
        if o.lists and o.state == "live":
            yield "O: a merge unlists the object", s._replace(o=o.changed(lists=False))
        pins = frozenset() if off == "L9 carries pins on" else o.pins
        if owner_deleted and o.state == "live":
            yield "O: deleted", s._replace(o=o.changed(state="tombstone", lists=False, pins=pins))
        if owner_deleted and o.state == "tombstone":
            yield "O: made again", s._replace(o=o.changed(state="again", lists=False, pins=pins))
        if branch_of_branch and s.b.state == "live" and s.b.lists:
            yield "B: a merge unlists the object", s._replace(b=s.b.changed(lists=False))
        if writer and s.b.state == "live" and not s.written:
            yield "a write in B is acknowledged", s._replace(written=True)

    def first_steps(s):
        doing, *rest = s.first
        if doing == "idle":
            yield "GET B, GET O", s._replace(first=("read", s.o, s.b.version))
        elif doing == "read" and s.o.version == rest[0].version and s.o.lists:
            yield "swap O: pin B", s._replace(o=s.o.changed(pins=s.o.pins | {"B"}), first=("pinned", rest[1]))
        elif doing == "read":
            yield "swap lost: gives up", s._replace(first=("end",))
        elif doing == "pinned" and (s.b.state == "none" if look else s.b.version == rest[0]):
            yield "PUT manifest of B", s._replace(b=s.b.changed(state="live", lists=True),
                                                  first=("made",) if look else ("ok",))
        elif doing == "pinned":
            yield "PUT manifest of B: taken: gives up", s._replace(first=("end",))
        elif doing == "made" and "B" in s.o.pins:
            yield "GET O: the pin is there", s._replace(first=("ok",))
        elif doing == "made":
            yield "GET O: no pin: swaps B to a tombstone", s._replace(
                b=s.b.changed(state="tombstone", lists=False), first=("end",),
                flag="acknowledged-writes-of-a-branch-stay" if s.written else s.flag)

    def second_steps(s):
        doing, *rest = s.second
        if doing == "idle" and s.b.state == "live" and s.b.lists and s.first[0] == "ok":
            yield "GET B", s._replace(second=("read", s.b))
        elif doing == "read" and s.b.version == rest[0].version:
            yield "swap B: pin C", s._replace(b=s.b.changed(pins=s.b.pins | {"C"}), second=("pins B",))
        elif doing == "read":
            yield "swap lost: gives up", s._replace(second=("end",))
        elif doing == "pins B" and off == "L10 every owner":
            yield "PUT manifest of C", s._replace(c=Manifest("live", 1, True), second=("ok",))
        elif doing == "pins B" and (s.o.lists or s.o.pins or off == "L10 still there"):
            yield "swap O: pin C", s._replace(o=s.o.changed(pins=s.o.pins | {"C"}), second=("pins O",))
        elif doing == "pins B":
            yield "the object is neither listed nor pinned: gives up", s._replace(second=("end",))
        elif doing == "pins O" and s.c.state == "none":
            yield "PUT manifest of C", s._replace(c=Manifest("live", 1, True), second=("ok",))
        elif doing == "pins O":
            yield "PUT manifest of C: taken", s._replace(second=("end",))

    def unpin_steps(s, seen, name):
        branch = s.b if name == "B" else s.c
        unpin, field = s._replace(collector=("unpin", seen, name)), name.lower()
        if branch.state == "none" and not look:
            yield f"PUT tombstone of {name} if absent", unpin._replace(**{field: branch.changed(state="tombstone")})
        elif branch.state == "none" or (branch.state == "tombstone" and look) or (
                branch.state == "live" and not branch.lists):
            yield f"GET {name}: needs no pin", unpin
        elif branch.state == "tombstone":
            yield f"swaps the tombstone of {name}", unpin._replace(**{field: branch.changed()})

    def collector_steps(s):
        doing, *rest = s.collector
        if doing == "idle":
            yield "GET O", s._replace(collector=("read", s.o))
        elif doing == "read":
            if not rest[0].lists and not rest[0].pins:
                yield "the object is neither listed nor pinned", s._replace(collector=("delete",))
            for name in sorted(rest[0].pins):
                yield from unpin_steps(s, rest[0], name)
            yield "stops", s._replace(collector=("idle",))
        elif doing == "unpin" and s.o.version == rest[0].version:
            yield f"swap O: no pin {rest[1]}", s._replace(o=s.o.changed(pins=s.o.pins - {rest[1]}), collector=("idle",))
        elif doing == "unpin":
            yield "swap lost", s._replace(collector=("idle",))
        elif doing == "delete" and s.object:
            yield "DELETE the object", s._replace(object=False, collector=("end",))

    def steps(s):
        for who, own in (("", owner_steps), ("creator of B: ", first_steps), ("creator of C: ", second_steps),
                         ("collector: ", collector_steps)):
            for label, t in own(s):
                if t.o.version < 9 and t.b.version < 6:
                    yield who + label, t

    def broken(s):
        if s.flag or s.object:
            return s.flag
        if s.o.lists:
            return "owner-lists-what-exists"
        if s.b.state == "live" and s.b.lists and s.first[0] == "ok":
            return "branch-lists-what-exists"
        if s.c.state == "live" and s.c.lists:
            return "branch-of-branch-lists-what-exists"
        return None

    return Model(State(second=("idle",) if branch_of_branch else ("end",)), steps, broken)


class LogState(NamedTuple):
    acked: int = 0     # entries of O's log; all are acknowledged
    floor: int = 0     # wal_floor of O's manifest: entries up to it are in listed segments
    version: int = 0   # of O's manifest
    creator: tuple = ("idle",)  # idle, (tail, needed, known floor), (read, needed, version, floor), (made, needed, taken)


def log_model(off=""):
    def creator_steps(s):
        doing, *rest = s.creator
        if doing == "idle":
            yield "reads the log to its end", s._replace(creator=("tail", s.acked))
        elif doing == "tail" and (s.floor >= rest[0] or off == "L10 folds first"):
            yield "GET O", s._replace(creator=("read", rest[0], s.version, s.floor))
        elif doing == "tail":
            yield "folds up to what it read", s._replace(floor=rest[0], version=s.version + 1)
        elif doing == "read" and s.version == rest[1]:
            yield "swap O: pin, and take what this manifest lists", s._replace(
                version=s.version + 1, creator=("made", rest[0], rest[2]))
        elif doing == "read":
            yield "swap lost: GET O again", s._replace(creator=("tail", rest[0]))

    def steps(s):
        if s.acked < 3:
            yield "a write is acknowledged", s._replace(acked=s.acked + 1)
        if s.floor < s.acked and s.version < 6:
            yield "a node folds", s._replace(floor=s.acked, version=s.version + 1)
        for label, t in creator_steps(s):
            yield "creator: " + label, t

    def broken(s):
        short = s.creator[0] == "made" and s.creator[2] < s.creator[1]
        return "a-branch-has-what-was-acknowledged" if short else None

    return Model(LogState(), steps, broken)


def off(rule, expect, **sizes):
    return Variant("m6 branch", rule + " off", expect, lambda: model(off=rule, **sizes), fast=True)


VARIANTS = [
    Variant("m6 branch", "all rules, a writer", None, lambda: model(writer=True), fast=True),
    Variant("m6 branch", "all rules, the owner deleted", None, lambda: model(owner_deleted=True), fast=True),
    Variant("m6 branch", "all rules, a branch of the branch", None,
            lambda: model(branch_of_branch=True, owner_deleted=True), fast=True),
    Variant("m6 branch", "all rules, a log", None, log_model, fast=True),
    Variant("m6 branch", "L10 folds first off", "a-branch-has-what-was-acknowledged",
            lambda: log_model("L10 folds first"), fast=True),
    off("L10 tombstone first", "branch-lists-what-exists"),
    off("L10 tombstone first", "acknowledged-writes-of-a-branch-stay", writer=True),
    off("L9 carries pins on", "branch-lists-what-exists", owner_deleted=True),
    off("L10 every owner", "branch-of-branch-lists-what-exists", branch_of_branch=True),
    off("L10 still there", "branch-of-branch-lists-what-exists", branch_of_branch=True),
]
