"""search.py: looks through every interleaving of a small model.

A model is a start state, a function that yields the steps (label, next state) that are possible in a state, and a
function that returns the name of the assertion that a state breaks, or None. States are hashable values. The search
goes breadth first, so the trace to a broken assertion is a shortest one.

A search that reaches its limit of states has shown nothing: Outcome.complete is then false, and the runner counts
that as a failure, whatever was expected.
"""
from typing import Callable, NamedTuple, Optional


class Model(NamedTuple):
    start: object
    steps: Callable   # state -> iterable of (label, state)
    broken: Callable  # state -> name of an assertion, or None


class Outcome(NamedTuple):
    states: int
    broken: Optional[str]  # name of the assertion that a reachable state breaks
    trace: list            # labels of the steps to that state
    complete: bool         # false: the limit was reached first


class Variant(NamedTuple):
    """One line of the results: a model with all its rules, or with one of them switched off."""
    model: str
    what: str              # "all rules …", or the rule that is off
    expect: Optional[str]  # the assertion that must break; None: all states must hold
    make: Callable         # () -> Model
    fast: bool = False     # part of make check


def trace_to(model, parents, order, index):
    """The labels on the way to a state. Labels are not kept during the search, so the steps are taken again."""
    path = []
    while index:
        path.append(index)
        index = parents[index]
    path.reverse()
    labels, state = [], model.start
    for index in path:
        wanted = order[index]
        labels.append(next(label for label, after in model.steps(state) if after == wanted))
        state = wanted
    return labels


def search(model, limit=4_000_000):
    seen = {model.start}
    order, parents = [model.start], [0]
    at = 0
    while at < len(order):
        state = order[at]
        name = model.broken(state)
        if name:
            return Outcome(len(order), name, trace_to(model, parents, order, at), True)
        for _, after in model.steps(state):
            if after not in seen:
                if len(order) >= limit:
                    return Outcome(len(order), None, [], False)
                seen.add(after)
                order.append(after)
                parents.append(at)
        at += 1
    return Outcome(len(order), None, [], True)


def verdict(variant, outcome):
    """(text of the result, whether it is the expected one)"""
    if not outcome.complete:
        return "NOTHING SHOWN: ended early", False
    text = f"refuted: {outcome.broken}" if outcome.broken else "holds"
    good = outcome.broken == variant.expect
    if not good:
        text += f" (expected: {variant.expect or 'holds'})"
    return text, good
