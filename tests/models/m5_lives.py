"""m5_lives.py: deletion and recreation of a name: rules L2 and L9.

The manifest goes from life 1 to a tombstone to life 2. Meanwhile: a delete whose answer is lost, a writer, a load and a
fold of life 1, and a load that began on the tombstone and has an object of ULID horizon + 1.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class State(NamedTuple):
    live: bool = True
    life: int = 1
    version: int = 1
    horizon: int = 0
    deleter: tuple = ("idle",)   # idle, (going, life, version, ended), (lost, …), done
    writer: str = "idle"         # idle, put, end
    load: str = "built"          # of life 1
    fold: Optional[int] = 1      # version that a fold of life 1 has read; None: done
    second: tuple = ("idle",)    # the load that began on the tombstone: idle, (built, ulid), listed, end
    object: bool = True          # of the second load
    flag: Optional[str] = None


def model(off="", versions=7):
    def deleter_steps(s):
        doing, *rest = s.deleter
        if doing == "idle":
            yield f"D: GET manifest: life {s.life}", s._replace(deleter=("going", s.life, s.version, 0))
        elif doing == "going":
            life, version, ended = rest
            if s.version == version:
                yield "D: swap to a tombstone, answer lost", s._replace(
                    live=False, version=version + 1, deleter=("lost", life, 0, ended + 1),
                    flag="a-delete-ends-one-life" if ended else s.flag)
            else:
                yield "D: swap fails", s._replace(deleter=("lost", *rest))
        elif doing == "lost":
            life, _, ended = rest
            if not s.live or (off != "L9 of the life" and s.life != life):
                yield "D: GET manifest: done", s._replace(deleter=("done",))
            else:
                yield "D: GET manifest: again", s._replace(deleter=("going", life, s.version, ended))

    def writer_steps(s):
        if s.writer == "idle":
            yield "W: PUT 1 in life 1", s._replace(writer="put")
        elif s.writer == "put" and s.life == 1 and (s.live or off == "L2 live"):
            yield "W: GET manifest: acknowledged", s._replace(
                writer="end", flag=s.flag if s.live else "an-acknowledged-write-is-in-a-live-namespace")
        elif s.writer == "put":
            yield "W: GET manifest: unknown", s._replace(writer="end")

    def load_steps(s):
        if s.load == "built" and s.life == 1 and s.live:
            yield "L: swap", s._replace(load="end", version=s.version + 1)
        elif s.load == "built" and off != "L9 conflict":
            yield "L: its life has ended: conflict", s._replace(load="end")
        elif s.load == "built":
            yield "L: swap lists objects of life 1", s._replace(
                load="end", live=True, version=s.version + 1, flag="a-load-of-an-ended-life-is-not-listed")
        if s.fold is not None:
            t = s._replace(version=s.version + 1) if s.version == s.fold else s
            yield "F: the fold's swap", t._replace(fold=None)

    def second_steps(s):
        if s.second[0] == "idle" and not s.live:
            yield "N: begins on the tombstone, PUT object", s._replace(second=("built", s.horizon + 1))
        if s.second[0] != "built":
            return
        ulid = s.second[1]
        if s.horizon < ulid:
            yield "N: swap", s._replace(live=True, life=2, version=s.version + 1, second=("listed",),
                                        flag=s.flag if s.object else "listed-objects-exist")
        else:
            yield "N: at or below the horizon: fails", s._replace(second=("end",))
        if not s.live and s.horizon < ulid:
            yield "collector: raises the horizon", s._replace(horizon=ulid, version=s.version + 1)
        if s.horizon >= ulid and s.object:
            yield "collector: DELETE object", s._replace(object=False)

    def steps(s):
        if s.version > versions:
            return
        yield from deleter_steps(s)
        if not s.live and s.life == 1:
            yield "the name is made again", s._replace(live=True, life=2, version=s.version + 1,
                                                       horizon=0 if off == "L9 carries on" else s.horizon)
        yield from writer_steps(s)
        yield from load_steps(s)
        yield from second_steps(s)

    return Model(State(), steps, lambda s: s.flag)


def off(rule, expect):
    return Variant("m5 lives", rule + " off", expect, lambda: model(rule), fast=True)


VARIANTS = [
    Variant("m5 lives", "all rules", None, lambda: model(), fast=True),
    off("L2 live", "an-acknowledged-write-is-in-a-live-namespace"),
    off("L9 of the life", "a-delete-ends-one-life"),
    off("L9 conflict", "a-load-of-an-ended-life-is-not-listed"),
    off("L9 carries on", "listed-objects-exist"),
]
