"""m2_read.py: strong reads, zombies and collectors: rules L3 and L4 as one rule for every read.

An answer about the log counts when it came within G/2 of the *sending* of a manifest read that shows `gone` below the
first number that was asked. Otherwise the reader reads the manifest again after that answer, and this manifest decides.
A collector deletes entry k only when a manifest that it read G ago had k <= gone.

Time is explicit: a tick is G/2, so collectors wait two ticks and answers count for one. Any number of requests fits
between two ticks. A warm reader sends the manifest and the probe of n + 1 in one round; a cold one reads the manifest
and then all entries by name, in any order. A zombie is an old try that is carried out after its number was deleted.
"""
from typing import NamedTuple, Optional

from search import Model, Variant

class Reader(NamedTuple):
    doing: str = "nothing"   # nothing, waiting (knows n), reading, checking, done
    n: int = 0               # knows the log up to here
    first: int = 0           # first number that was asked since the manifest read
    sent: int = 0            # tick at which the manifest read was sent
    manifest: Optional[tuple] = None
    answers: tuple = ()      # of the entries first, first + 1, …: None, "404", "T" or "Z"
    late: bool = False       # an answer came more than G/2 after `sent`
    zombie: bool = False     # a zombie was used
    need: int = 0            # what was acknowledged when the query began


class State(NamedTuple):
    now: int
    floor: int
    gone: int
    n: int                   # entries acknowledged
    slots: tuple             # None, "T" (true) or "Z" (zombie)
    zombies: int
    collectors: tuple        # None or (tick of the manifest read, gone in it)
    reader: Reader


def model(numbers=3, collectors=1, cold=False, ticks=5, off=""):
    window = numbers if cold else 1

    def slot(s, k):
        return (s.slots[k - 1] if k <= numbers else None) or "404"

    def world_steps(s):
        k = s.n + 1
        if s.now < ticks:
            yield "time passes: G/2", s._replace(now=s.now + 1)
        if k <= numbers and s.slots[k - 1] is None:
            yield f"O: PUT {k}, acknowledged", s._replace(n=k, slots=s.slots[:k - 1] + ("T",) + s.slots[k:])
        if s.floor < s.n:
            yield f"fold: floor {s.n}", s._replace(floor=s.n)
        if s.gone < s.floor:
            yield f"a collector: gone {s.floor}", s._replace(gone=s.floor)
        if s.zombies:
            for k in range(1, s.gone + 1):
                if s.slots[k - 1] is None:
                    yield f"zombie: PUT {k}", s._replace(zombies=0, slots=s.slots[:k - 1] + ("Z",) + s.slots[k:])

    def collector_steps(s, i):
        c = s.collectors[i]
        looked = s.collectors[:i] + ((s.now, s.gone),) + s.collectors[i + 1:]
        if looked != s.collectors and not (c and off == "L4 that manifest"):
            yield f"C{i + 1}: GET manifest: gone {s.gone}", s._replace(collectors=looked)
        if off == "L1 raise first":
            allowed = s.floor
        elif c is None or (s.now - c[0] < 2 and off != "L4 grace"):
            allowed = 0
        else:
            allowed = s.gone if off == "L4 that manifest" else c[1]
        for k in range(allowed):
            if s.slots[k] is not None:
                yield f"C{i + 1}: DELETE {k + 1}", s._replace(slots=s.slots[:k] + (None,) + s.slots[k + 1:])

    def ask(s, n, need, manifest=None):
        first = n + 1 if not cold or manifest else 0
        return Reader("reading", n, first, s.now, manifest, (None,) * window if first else (), need=need)

    def answer_steps(s, r):
        """One request of the round is answered."""
        if r.manifest is None:
            t = r._replace(manifest=(s.floor, s.gone))
            if cold:
                t = t._replace(n=s.floor, first=s.floor + 1, answers=(None,) * window)
            yield f"manifest: floor {s.floor}, gone {s.gone}", t
        for i, a in enumerate(r.answers):
            if a is None:
                got = slot(s, r.first + i)
                late = r.late or s.now - r.sent > 1
                yield f"entry {r.first + i}: {got}{' (late)' if late else ''}", r._replace(
                    answers=r.answers[:i] + (got,) + r.answers[i + 1:], late=late)

    def judge(s, r):
        """All requests are answered: uses the answers or asks again."""
        floor, gone = r.manifest
        if r.late and off != "L4 half":
            return "late: GET manifest again", r._replace(doing="checking")
        if gone >= r.first and off != "L3 floor":
            return "gone: begins anew", ask(s, floor, r.need)
        if floor > r.n and off != "L3 floor":
            return f"floor {floor} is beyond my tail", ask(s, floor, r.need)
        return use(s, r)

    def use(s, r):
        taken = 0
        while taken < len(r.answers) and r.answers[taken] != "404":
            taken += 1
        n = max(r.n, r.first - 1 + taken)
        zombie = r.zombie or "Z" in r.answers[:taken]
        if any(a != "404" for a in r.answers[taken:]):
            return "a hole: begins anew", ask(s, s.floor, r.need)
        if taken == len(r.answers) and not cold:
            return f"takes {n}, probes on", r._replace(n=n, first=n + 1, answers=(None,), zombie=zombie)
        return f"answers with {n}", r._replace(doing="done", n=max(n, r.manifest[0]), zombie=zombie)

    def reader_steps(s):
        r = s.reader
        if r.doing == "nothing" and cold:
            yield "query begins", ask(s, 0, s.n)
        elif r.doing == "nothing":
            yield f"opened at {s.n}", Reader("waiting", s.n)
        elif r.doing == "waiting":
            yield "query begins", ask(s, r.n, s.n)
        elif r.doing == "checking" and s.gone >= r.first:
            yield f"manifest: gone {s.gone}: begins anew", ask(s, s.floor, r.need)
        elif r.doing == "checking":
            checked = r._replace(doing="reading", late=False, sent=s.now, manifest=(s.floor, s.gone))
            if s.floor > r.n:
                yield "manifest: floor beyond my tail", ask(s, s.floor, r.need)
            else:
                yield "manifest: the tail is valid", use(s, checked)[1]
        elif r.doing == "reading":
            if r.manifest is not None and None not in r.answers:
                yield judge(s, r)
            else:
                yield from answer_steps(s, r)

    def steps(s):
        yield from world_steps(s)
        for i in range(collectors):
            yield from collector_steps(s, i)
        for label, r in reader_steps(s):
            yield f"R: {label}", s._replace(reader=r)

    def broken(s):
        if s.reader.doing == "done" and s.reader.n < s.reader.need:
            return "a-strong-read-sees-what-was-acknowledged"
        if s.reader.doing == "done" and s.reader.zombie:
            return "no-read-uses-a-zombie"
        return None

    return Model(State(0, 0, 0, 0, (None,) * numbers, 1, (None,) * collectors, Reader()), steps, broken)


SEES = "a-strong-read-sees-what-was-acknowledged"
VARIANTS = [
    Variant("m2 read", "all rules, warm", None, lambda: model(numbers=2, ticks=3), fast=True),
    Variant("m2 read", "all rules, cold", None, lambda: model(numbers=2, cold=True, ticks=3), fast=True),
    Variant("m2 read", "all rules, warm, two collectors", None, lambda: model(numbers=2, collectors=2, ticks=4)),
    Variant("m2 read", "all rules, warm, three entries", None, lambda: model(ticks=4)),
    Variant("m2 read", "all rules, cold, three entries", None, lambda: model(cold=True, ticks=4)),
    Variant("m2 read", "L4 grace off, warm", SEES, lambda: model(numbers=2, off="L4 grace"), fast=True),
    Variant("m2 read", "L4 grace off, cold", SEES, lambda: model(numbers=2, cold=True, off="L4 grace"), fast=True),
    Variant("m2 read", "L4 half off, warm", SEES, lambda: model(numbers=2, off="L4 half"), fast=True),
    Variant("m2 read", "L4 half off, cold", SEES, lambda: model(numbers=2, cold=True, off="L4 half"), fast=True),
    Variant("m2 read", "L4 that manifest off, two collectors", SEES,
            lambda: model(numbers=2, collectors=2, ticks=3, off="L4 that manifest"), fast=True),
    Variant("m2 read", "L3 floor off", SEES, lambda: model(numbers=2, ticks=2, off="L3 floor"), fast=True),
    Variant("m2 read", "L1 raise first off", SEES, lambda: model(numbers=2, off="L1 raise first"), fast=True),
]
