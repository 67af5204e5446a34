"""m1_log.py: writers, fold and collector of the log: rules L1, L2, L3, L5.

The bucket has slots for entries 1 … N. A put-if-absent that got no answer may still be carried out at any later time.
An up-to-date writer puts and acknowledges in one step; late writers do each request as a step of its own, may try a
put twice, and may be as old as they like. `log` is a ghost: the entries in the order in which each number was first
put, which is what every reader should see.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class Entry(NamedTuple):
    id: str
    before: str             # stands for the hash of the entry before it; "-": the first entry
    judged: Optional[tuple]  # the entries over which its conditions were judged; None: it has none


class Late(NamedTuple):
    doing: str = "reading"  # reading, sent, landed, taken, doubting, anew, gave_up, unknown
    floor: int = 0
    base: tuple = ()        # ids of the entries up to floor
    tail: tuple = ()        # ids of the entries after it, as this writer read them
    valid: bool = True      # a manifest read after the tail's last read allows its use (L3)
    number: int = 0
    entry: Optional[Entry] = None
    flying: tuple = ()      # tries on their way: (number, entry, an answer is awaited)
    tries: int = 0
    op: int = 1


class State(NamedTuple):
    floor: int
    gone: int
    slots: tuple
    log: tuple              # ghost: (number, Entry)
    base: tuple             # ids that the folded segments hold
    acked: tuple            # (number, id)
    fresh: int
    late: tuple


def put(s, number, entry, holes):
    """Puts an entry if its number is free. Returns (landed, state)."""
    if s.slots[number - 1] is not None:
        return False, s
    slots = s.slots[:number - 1] + (entry,) + s.slots[number:]
    new = number == len(s.log) + 1 or (holes and number > len(s.log) + 1)
    return True, s._replace(slots=slots, log=s.log + ((number, entry),) if new else s.log)


def model(numbers=3, fresh=2, late=1, ops=1, off=""):
    """off: the rule that is switched off, see VARIANTS."""
    holes = off == "L2 wait"

    def shared_steps(s):
        n = len(s.log) + 1
        if s.fresh < fresh and n <= numbers and s.slots[n - 1] is None:
            name = f"O{n}"
            _, t = put(s, n, Entry(name, s.log[-1][1].id if s.log else "-", None), holes)
            yield f"O: PUT {n}, GET manifest: acknowledged", t._replace(fresh=s.fresh + 1, acked=s.acked + ((n, name),))
        m = s.floor
        while m < numbers and s.slots[m] is not None:
            m += 1
        if m > s.floor:
            ids = tuple(e.id for e in s.slots[s.floor:m])
            yield f"fold: floor {m}", s._replace(floor=m, base=s.base + ids)
        if s.gone < s.floor:
            yield f"collector: gone {s.floor}", s._replace(gone=s.floor)
        for k in range(s.gone):
            if s.slots[k] is not None:
                yield f"collector: DELETE {k + 1}", s._replace(slots=s.slots[:k] + (None,) + s.slots[k + 1:])

    def flying_steps(s, w, change):
        for j, (n, entry, awaited) in enumerate(w.flying):
            rest = w.flying[:j] + w.flying[j + 1:]
            landed, t = put(s, n, entry, holes)
            if not awaited:
                yield f"an old try of PUT {n} is carried out: {landed}", change(t, flying=rest)
                continue
            yield f"PUT {n} ({entry.id}): {landed}", change(t, flying=rest, doing="landed" if landed else "taken")
            if w.tries < 2:
                again = rest + ((n, entry, False), (n, entry, True))
                yield f"PUT {n}: no answer, tries again", change(s, flying=again, tries=2)
            else:
                yield f"PUT {n}: gives up", change(s, flying=rest + ((n, entry, False),), doing="gave_up")

    def reading_steps(s, w, me, change):
        n = w.floor + len(w.tail) + 1
        if w.op > ops or n > numbers:
            return
        if s.slots[n - 1] is not None and not w.tries:
            seen = s.slots[n - 1].id
            yield f"GET {n}: {seen}", change(s, tail=w.tail + (seen,), valid=False)
        if not w.valid and s.gone <= w.floor:
            yield "GET manifest: the tail is valid", change(s, valid=True)
        elif not w.valid:
            yield f"GET manifest: gone {s.gone}, anew", change(s, floor=s.floor, base=s.base, tail=(), valid=True)
        if w.valid or off in ("L3 judged", "L5 validated"):
            known = w.base + w.tail
            judged = known if w.valid or off == "L3 judged" else None
            entry = Entry(me, known[-1] if known else "-", judged)
            yield f"sends PUT {n} behind {entry.before}", change(
                s, doing="sent", number=n, entry=entry, flying=w.flying + ((n, entry, True),), tries=1)

    def outcome_steps(s, w, change):
        n = w.number
        follow = dict(doing="reading", tail=w.tail + (w.entry.id,), op=w.op + 1, tries=0)
        if w.doing == "gave_up" and off == "L2 wait" and w.op < ops:
            yield f"goes on with {n + 1}", change(s, **follow)
        if w.doing == "landed":
            allowed = {"L2 ack": True, "L1 two numbers": s.floor <= n}.get(off, s.gone < n)
            if allowed:
                yield f"GET manifest: {n} acknowledged", change(s, **follow)._replace(acked=s.acked + ((n, w.entry.id),))
            else:
                yield "GET manifest: unknown", change(s, doing="unknown")
            if off in ("L3 judged", "L5 validated") and w.op < ops:
                yield "sends the next before that read", change(s, **follow)
        if w.doing == "taken":
            there = s.slots[n - 1]
            if there is None:
                yield f"GET {n}: none", change(s, doing="unknown" if w.tries > 1 else "anew")
            elif there.id == w.entry.id:
                yield f"GET {n}: mine", change(s, doing="landed")
            elif w.tries > 1 and off != "L2 not mine":
                yield f"GET {n}: {there.id}, to be checked", change(s, doing="doubting", tail=w.tail + (there.id,))
            else:
                lost = dict(doing="reading", tail=w.tail + (there.id,), valid=False, tries=0)
                yield f"GET {n}: {there.id}: lost the race", change(s, **lost)
        if w.doing == "doubting":
            if s.gone < n:
                yield "GET manifest: really lost", change(s, doing="reading", valid=False, tries=0)
            else:
                yield "GET manifest: unknown", change(s, doing="unknown")
        if w.doing == "anew":
            fresh_view = dict(doing="reading", floor=s.floor, base=s.base, tail=(), valid=True, tries=0)
            yield "GET manifest: anew", change(s, **fresh_view)

    def steps(s):
        yield from shared_steps(s)
        for i, w in enumerate(s.late):
            def change(t, i=i, **fields):
                return t._replace(late=t.late[:i] + (t.late[i]._replace(**fields),) + t.late[i + 1:])
            me = f"W{i + 1}.{w.op}"
            own = list(flying_steps(s, w, change))
            if w.doing == "reading":
                own += reading_steps(s, w, me, change)
            elif w.entry:
                own += outcome_steps(s, w, change)
            for label, t in own:
                yield f"W{i + 1}: {label}", t

    def broken(s):
        ids = [e.id for _, e in s.log]
        for n, name in s.acked:
            if not any(m == n and e.id == name for m, e in s.log):
                return "acknowledged-is-in-the-log"
            if any(m > i + 1 for i, (m, _) in enumerate(s.log[:n])):
                return "acknowledged-is-behind-no-hole"
        if len(ids) != len(set(ids)):
            return "a-write-is-in-the-log-once"
        for i, (m, e) in enumerate(s.log):
            if m == i + 1 and e.before != (ids[i - 1] if i else "-") and off != "L3 judged":
                return "the-chain-fits-the-log"
            if m == i + 1 and e.judged is not None and e.judged != tuple(ids[:i]):
                return "conditions-are-judged-over-the-log"
        if s.base != tuple(ids[:s.floor]):
            return "the-base-is-the-log"
        return None

    return Model(State(0, 0, (None,) * numbers, (), (), (), 0, (Late(),) * late), steps, broken)


def off(rule, expect, **sizes):
    return Variant("m1 log", rule + " off", expect, lambda: model(off=rule, **sizes), fast=True)


VARIANTS = [
    Variant("m1 log", "all rules, a late writer, 1 write, 2 tries", None, lambda: model(), fast=True),
    Variant("m1 log", "all rules, a late writer, 2 writes, 2 tries each", None, lambda: model(numbers=4, ops=2)),
    Variant("m1 log", "all rules, two late writers", None, lambda: model(late=2, fresh=1)),
    off("L1 two numbers", "acknowledged-is-in-the-log"),
    off("L2 ack", "acknowledged-is-in-the-log"),
    off("L2 wait", "acknowledged-is-behind-no-hole", ops=2, fresh=0),
    off("L2 not mine", "a-write-is-in-the-log-once", late=2, fresh=0),
    off("L3 judged", "conditions-are-judged-over-the-log", numbers=2, fresh=1, late=2),
    off("L5 validated", "the-chain-fits-the-log", numbers=2, fresh=1, late=2),
]
