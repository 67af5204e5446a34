"""m4_pending.py: a load that stalls between "pending" and "attach", and is given up: rule L7.

A process that gives the load up puts an entry "void". Only the fold that passes this entry removes the load from the
pending ones. The loader puts "attach" only behind a tail without a void of the load. That put may be carried out hours
late.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class State(NamedTuple):
    version: int
    floor: int
    pending: bool
    listed: bool
    log: tuple               # "other", "attach", "void"
    object: bool
    load: tuple              # built, pending, (sent, n), (landed, n), end
    remover: tuple           # idle, (looked, version, tail, attached), end
    collecting: bool         # read a manifest that has let the object go
    acked: bool = False
    visible: bool = False
    flag: Optional[str] = None


def model(numbers=4, off=""):
    def visible(s):
        return s.listed or (s.pending and "attach" in s.log[s.floor:])

    def checked(s, t):
        flag = t.flag
        if s.visible and not visible(t):
            flag = flag or "a-visible-load-stays"
        if t.acked and not visible(t):
            flag = flag or "an-acknowledged-load-is-there"
        if t.listed and not t.object:
            flag = flag or "listed-objects-exist"
        if "attach" in t.log[t.floor:] and not t.pending and t.remover[0] == "end":
            flag = flag or "every-attach-can-be-explained"
        return t._replace(flag=flag, visible=visible(t))

    def load_steps(s):
        doing = s.load[0]
        if doing == "built":
            yield "L: swap: pending", s._replace(version=s.version + 1, pending=True, load=("pending",))
        elif doing == "pending":
            if off != "the loader looks" and ("void" in s.log[s.floor:] or not s.pending):
                yield "L: sees a void: gives up", s._replace(load=("end",))
            else:
                yield f"L: sends PUT {len(s.log) + 1} attach", s._replace(load=("sent", len(s.log) + 1))
        elif doing == "sent" and len(s.log) + 1 == s.load[1]:
            yield "L: the put is carried out", s._replace(log=s.log + ("attach",), load=("landed", s.load[1]))
        elif doing == "sent" and len(s.log) >= s.load[1]:
            yield "L: taken: again", s._replace(load=("pending",))
        elif doing == "landed":
            yield "L: GET manifest: acknowledged", s._replace(load=("end",), acked=True)

    def remover_steps(s):
        doing = s.remover[0]
        if doing == "idle" and s.pending:
            yield "K: reads manifest and tail", s._replace(
                remover=("looked", s.version, len(s.log), "attach" in s.log[s.floor:]))
        if doing != "looked":
            return
        _, version, tail, attached = s.remover
        if attached:
            yield "K: it is attached", s._replace(remover=("gave up",))
        elif off == "void":
            if version == s.version:
                yield "K: swap: not pending", s._replace(version=version + 1, pending=False, remover=("end",))
            else:
                yield "K: swap fails", s._replace(remover=("idle",))
        elif len(s.log) == tail and tail < numbers:
            yield f"K: PUT {tail + 1} void", s._replace(log=s.log + ("void",), remover=("end",))
        else:
            yield "K: taken", s._replace(remover=("idle",))

    def steps(s):
        out = list(load_steps(s)) + list(remover_steps(s))
        if len(s.log) < numbers and "other" not in s.log:
            out.append(("O: another entry", s._replace(log=s.log + ("other",))))
        for m in range(s.floor + 1, len(s.log) + 1):
            t = s._replace(version=s.version + 1, floor=m)
            for entry in s.log[s.floor:m]:
                if entry == "attach" and t.pending:
                    t = t._replace(pending=False, listed=True)
                elif entry == "void":
                    t = t._replace(pending=False)
            out.append((f"fold: floor {m}", t))
        if not s.collecting and s.load[0] != "built" and not s.pending and not s.listed:
            out.append(("C: GET manifest: neither listed nor pending", s._replace(collecting=True)))
        if s.collecting and s.object:
            out.append(("C: DELETE the object", s._replace(object=False)))
        return [(label, checked(s, t)) for label, t in out]

    return Model(State(0, 0, False, False, (), True, ("built",), ("idle",), False), steps, lambda s: s.flag)


VARIANTS = [
    Variant("m4 pending", "all rules", None, lambda: model(), fast=True),
    Variant("m4 pending", "void off: a swap takes the load back", "a-visible-load-stays",
            lambda: model(off="void"), fast=True),
    Variant("m4 pending", "the loader looks off", "a-visible-load-stays",
            lambda: model(off="the loader looks"), fast=True),
]
