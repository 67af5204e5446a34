"""m8_rows.py: patches, conditions and group commit over entries that hold whole rows.

An entry holds results, not requests: the row after an upsert or patch, or its deletion. So it is right only over the
exact state before it. A writer that finds its number taken reads the winner, evaluates all its requests again over
the new state, and puts the result at the next number. A group of requests becomes one entry: each request is
evaluated over the view and the requests of the group before it.

One row of two cells. The oracle carries out the requests one after another, in the order of the log: entry by entry,
and in an entry in the order of the group.
"""
from typing import NamedTuple, Optional

from search import Model, Variant

# Requests: (name, condition on the row, change of the row). A condition is None or (cell, value); cell None: no row.
PATCH_A = ("a := 1", None, ("patch", 0, 1))
PATCH_B = ("b := 2", None, ("patch", 1, 2))
IF_A = ("b := 3 if a = 1", (0, 1), ("patch", 1, 3))
CREATE = ("create if absent", (None, None), ("upsert", 5, 5))
DELETE_IF = ("delete if b = 2", (1, 2), ("delete",))
START = (0, 0)


def apply(row, request):
    """(row after the request, whether it was carried out)"""
    _, condition, change = request
    if condition is not None:
        cell, value = condition
        if (row is not None) if cell is None else (row is None or row[cell] != value):
            return row, False
    if change[0] == "delete":
        return None, row is not None
    if change[0] == "upsert":
        return change[1:], True
    if row is None:
        return None, False  # a patch of a missing row does nothing
    return tuple(change[2] if i == change[1] else cell for i, cell in enumerate(row)), True


class Writer(NamedTuple):
    doing: str = "idle"       # idle, sent, taken, done
    seen: int = 0             # entries in its view
    row: Optional[tuple] = START
    result: Optional[tuple] = None  # (row to write, outcomes) as evaluated
    group: int = 0            # number of its group, of those it has to write


class State(NamedTuple):
    log: tuple                # (row, requests)
    acked: tuple              # (entry, outcomes)
    writers: tuple


def model(jobs, off=""):
    """jobs: for each writer the groups of requests that it writes, one after another."""
    def evaluate(w, group):
        row, outcomes = w.row, ()
        for request in group:
            after, done = apply(w.row if off == "group order" else row, request)
            row, outcomes = (after if done or off != "group order" else row), outcomes + (done,)
        return row, outcomes

    def steps(s):
        for i, w in enumerate(s.writers):
            if w.group == len(jobs[i]):
                continue
            group = jobs[i][w.group]

            def change(t, i=i, w=w, **fields):
                return t._replace(writers=t.writers[:i] + (w._replace(**fields),) + t.writers[i + 1:])

            if w.doing == "idle":
                if w.seen < len(s.log):
                    yield f"W{i}: reads the log", change(s, seen=len(s.log), row=s.log[-1][0])
                yield f"W{i}: evaluates, sends PUT {w.seen + 1}", change(s, doing="sent", result=evaluate(w, group))
            elif w.doing == "sent" and len(s.log) == w.seen:
                t = s._replace(log=s.log + ((w.result[0], group),))
                end = dict(doing="idle", seen=w.seen + 1, row=w.result[0], group=w.group + 1, result=None)
                yield f"W{i}: PUT {w.seen + 1}: acknowledged", change(
                    t._replace(acked=s.acked + ((w.seen + 1, w.result[1]),)), **end)
                yield f"W{i}: PUT {w.seen + 1} lands, the answer is lost", change(t, doing="taken")
            elif w.doing == "sent":
                yield f"W{i}: PUT {w.seen + 1}: taken", change(s, doing="taken")
            elif w.doing == "taken":
                row, requests = s.log[w.seen]
                if requests is group:
                    end = dict(doing="idle", seen=w.seen + 1, row=row, group=w.group + 1, result=None)
                    yield f"W{i}: GET {w.seen + 1}: mine: acknowledged", change(
                        s._replace(acked=s.acked + ((w.seen + 1, w.result[1]),)), **end)
                elif off == "evaluate again":
                    yield f"W{i}: lost, the same entry at the next number", change(s, doing="sent", seen=w.seen + 1)
                elif off == "conditions again":  # evaluates the rows again, but keeps the conditions' outcomes
                    kept = tuple((n, None, c) for (n, _, c), done in zip(group, w.result[1]) if done)
                    again = evaluate(w._replace(row=row), kept)[0]
                    yield f"W{i}: lost, patches evaluated again", change(
                        s, doing="sent", seen=w.seen + 1, row=row, result=(again, w.result[1]))
                else:
                    yield f"W{i}: lost the race", change(s, doing="idle", seen=w.seen + 1, row=row)

    def broken(s):
        row, outcomes = START, []
        for written, requests in s.log:
            dones = ()
            for request in requests:
                row, done = apply(row, request)
                dones += (done,)
            outcomes.append(dones)
            if row != written:
                return "rows-are-those-of-one-order"
        for n, told in s.acked:
            if told != outcomes[n - 1]:
                return "outcomes-are-those-of-one-order"
        return None

    return Model(State((), (), (Writer(),) * len(jobs)), steps, broken)


SINGLE = (((PATCH_A,), (IF_A,)), ((PATCH_B,), (DELETE_IF,)), ((CREATE,), (PATCH_A,)))
GROUPS = (((PATCH_A, IF_A), (CREATE, PATCH_B)), ((PATCH_B, DELETE_IF, CREATE),), ((IF_A, PATCH_A),))
ROWS, TOLD = "rows-are-those-of-one-order", "outcomes-are-those-of-one-order"
VARIANTS = [
    Variant("m8 rows", "all rules, single requests", None, lambda: model(SINGLE), fast=True),
    Variant("m8 rows", "all rules, group commit", None, lambda: model(GROUPS), fast=True),
    Variant("m8 rows", "evaluate again off", ROWS, lambda: model(SINGLE, "evaluate again"), fast=True),
    Variant("m8 rows", "conditions again off", TOLD, lambda: model(SINGLE, "conditions again"), fast=True),
    Variant("m8 rows", "group order off", ROWS, lambda: model(GROUPS, "group order"), fast=True),
]
