"""m7_swap.py: a swap whose answer was lost, and the horizon: rules L6 and L8.

unknown(): node A swaps the manifest; the answer is lost, or the swap is carried out late. A checks whether its writer
or its segment is listed. Meanwhile B overwrites the row, a merge unlists A's segment, and A's place in `writers` ages.

mint(): what the ULIDs and the horizon are for.

horizon(): objects have ULIDs by clocks that may be wrong. The collector raises the horizon, and deletes what lies at or
below it and is not listed in the manifest that this very swap wrote.
"""
from typing import NamedTuple, Optional

from search import Model, Variant


class Unknown(NamedTuple):
    version: int = 0
    x: str = "old"
    writers: bool = False      # A has a place in writers
    segment: bool = False      # A's segment is listed
    a: tuple = ("read", 0)     # (read | sent | flying | lost, version), done, unknown
    past: tuple = ("old",)     # values that x has had
    late: bool = False         # A's place has aged out: more than 10 minutes since it was stamped
    flag: Optional[str] = None


def unknown(off=""):
    def lands(s):
        return s._replace(version=s.version + 1, x="A", writers=True, segment=True, a=("lost", s.a[1]))

    def swapper_steps(s):
        doing, version = s.a
        if doing == "read":
            yield "A: sends its swap", s._replace(a=("sent", version))
        elif doing == "sent":
            if version == s.version:
                yield "A: the swap lands, the answer is lost", lands(s)
            yield "A: no answer", s._replace(a=("flying" if version == s.version else "lost", version))
        elif doing == "flying" and version == s.version:
            yield "A: the swap is carried out late", lands(s)
        if doing in ("lost", "flying"):
            if s.writers or s.segment:
                yield "A: looks: its id or segment is there: done", s._replace(a=("done", 0))
            elif s.late and off != "L6 bounded look":
                yield "A: looks more than 5 minutes later: unknown", s._replace(a=("unknown", 0))
            elif doing == "lost" or s.version == version:
                yield "A: looks: not there: swaps again", s._replace(a=("sent", s.version))

    def steps(s):
        if s.version > 6:
            return
        out = list(swapper_steps(s))
        more = s._replace(version=s.version + 1)
        if s.x == "A" and "B" not in s.past:
            out.append(("B: overwrites x", more._replace(x="B")))
        if s.segment:
            out.append(("a merge unlists A's segment", more._replace(segment=False)))
        if s.writers:
            out.append(("10 minutes later a swap drops A's place", more._replace(writers=False, late=True)))
        if s.writers and off == "L6 store's clock":
            out.append(("a node whose clock is ahead drops A's place", more._replace(writers=False)))
        for label, t in out:
            if t.x != s.x:
                t = t._replace(past=s.past + (t.x,), flag="a-replaced-value-does-not-return" if t.x in s.past else s.flag)
            yield label, t

    return Model(Unknown(), steps, lambda s: s.flag)


class Horizon(NamedTuple):
    now: int = 0
    horizon: int = 0
    listed: bool = False
    object: bool = False
    load: tuple = ("idle",)      # idle, (built, ulid), (listed, ulid), end
    collector: tuple = ("idle",)  # idle, (read, listed), (deletes, listed)


def horizon(off="", ticks=4):
    def steps(s):
        if s.now < ticks:
            yield "time passes", s._replace(now=s.now + 1)
        if s.load[0] == "idle":
            for skew in (-3, 0, 3):
                ulid = max(s.now + skew, s.horizon + 1)
                yield f"L: clock {skew:+}: PUT object {ulid}", s._replace(load=("built", ulid), object=True)
        elif s.load[0] == "built":
            if s.load[1] > s.horizon or off == "L8 checked at the swap":
                yield "L: swap lists it", s._replace(listed=True, load=("listed", s.load[1]))
            else:
                yield "L: at or below the horizon: fails", s._replace(load=("end", 0))
        doing = s.collector[0]
        if doing == "idle" and off == "L8 that manifest":
            yield "C: GET manifest", s._replace(collector=("read", s.listed))
        elif doing == "idle":
            for skew in (0, 5):
                if s.now + skew > s.horizon:
                    yield f"C: clock {skew:+}: swap", s._replace(horizon=s.now + skew, collector=("deletes", s.listed))
        elif doing == "read":
            yield "C: swap", s._replace(horizon=s.now + 5, collector=("deletes", s.collector[1]))
        elif doing == "deletes" and not s.collector[1] and s.object:
            if s.load[0] == "end" or 0 < s.load[1] <= s.horizon:
                yield "C: DELETE object", s._replace(object=False, collector=("idle",))

    return Model(Horizon(), steps, lambda s: "listed-objects-exist" if s.listed and not s.object else None)


class Mint(NamedTuple):
    now: int = 4                 # the store's clock
    horizon: int = 0
    loads: tuple = ((), ())      # () or (ULID, its random bits, start) of each node's load
    ended: tuple = ()            # outcomes of loads: True: committed
    garbage: bool = True         # an object of tick 1 that nothing lists
    flag: Optional[str] = None


def mint(off="", lag=3, ticks=12):
    """ULIDs and the horizon are useful only if short loads commit, names are unique, and garbage is removed."""
    def steps(s):
        if s.now < ticks:
            yield "time passes", s._replace(now=s.now + 1)
        newest = max([1] + [load[0] for load in s.loads if load])
        raised = s.now - lag if off == "L8 newest object" else min(s.now - lag, newest)
        refused = off == "L8 newest object" and s.now - lag > newest  # the older wording
        if raised > s.horizon and not refused:
            yield f"C: horizon {raised}", s._replace(horizon=raised)
        if s.garbage and s.horizon >= 1:
            yield "C: DELETE the garbage", s._replace(garbage=False)
        for i, load in enumerate(s.loads):
            others = s.loads[:i] + s.loads[i + 1:]

            def change(t, value, i=i):
                return t._replace(loads=t.loads[:i] + (value,) + t.loads[i + 1:])

            if not load:
                clock = s.now - 5 if off == "L8 store's clock" else s.now  # a node whose own clock is behind
                ulid = max(clock, s.horizon + 1)
                bits = 0 if off == "L8 random bits" else i
                same = any(other and other[:2] == (ulid, bits) for other in others)
                t = change(s, (ulid, bits, s.now))
                yield f"N{i}: begins, ULID {ulid}", t._replace(flag="two-objects-have-two-names" if same else s.flag)
            elif len(s.ended) < 2:
                short = s.now - load[2] < lag
                failed = load[0] <= s.horizon
                t = s._replace(ended=s.ended + (not failed,))
                yield f"N{i}: commits: {not failed}", t._replace(
                    flag="a-load-shorter-than-the-lag-commits" if failed and short else s.flag)

    def broken(s):
        if s.flag:
            return s.flag
        # Idle at the end of time, no step but "the collector" is left: garbage must be able to go.
        if s.now == ticks and s.garbage and not any(s.loads) and not any(label.startswith("C:") for label, _ in steps(s)):
            return "garbage-goes-in-the-end"
        return None

    return Model(Mint(), steps, broken)


VARIANTS = [
    Variant("m7 swap", "all rules, an unknown swap", None, lambda: unknown(), fast=True),
    Variant("m7 swap", "L6 bounded look off", "a-replaced-value-does-not-return",
            lambda: unknown("L6 bounded look"), fast=True),
    Variant("m7 swap", "L6 store's clock off", "a-replaced-value-does-not-return",
            lambda: unknown("L6 store's clock"), fast=True),
    Variant("m7 swap", "all rules, the horizon", None, lambda: horizon(), fast=True),
    Variant("m7 swap", "L8 that manifest off", "listed-objects-exist", lambda: horizon("L8 that manifest"), fast=True),
    Variant("m7 swap", "L8 checked at the swap off", "listed-objects-exist",
            lambda: horizon("L8 checked at the swap"), fast=True),
    Variant("m7 swap", "all rules, minting", None, lambda: mint(), fast=True),
    Variant("m7 swap", "L8 store's clock off", "a-load-shorter-than-the-lag-commits",
            lambda: mint("L8 store's clock"), fast=True),
    Variant("m7 swap", "L8 random bits off", "two-objects-have-two-names", lambda: mint("L8 random bits"), fast=True),
    Variant("m7 swap", "L8 newest object off: refused beyond it", "garbage-goes-in-the-end",
            lambda: mint("L8 newest object"), fast=True),
]
