#!/usr/bin/env python3
"""mutations.py BUILD [--histories N] [--only NAME]…: shows that the simulation notices when a rule is broken.

Each mutation changes one line of a copy of one source file of src/index/, which breaks a rule of the log (L1 … L11,
docs/internals/wal.md). The simulation linked with that copy must find a history that breaks a promise, among the first N
seeds. Prints how many histories that took. A mutation whose text is not in the source any
more fails: write it anew.
"""
import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]


class Mutation(NamedTuple):
    rule: str
    file: str  # below src/index/
    old: str
    new: str
    old_too: str = ""
    new_too: str = ""
    unnoticed: str = ""  # why no history among 12,000 noticed it


MUTATIONS = [
    Mutation("L1 entries go by wal_gone, not by wal_floor", "fold/collect.c",
             "object->number <= c->manifest.wal_gone", "object->number <= c->manifest.wal_floor"),
    Mutation("L2 acknowledged under wal_gone < n", "wal/append.c",
             "if (m->wal_gone >= a->put->number)", "if (false)"),
    Mutation("L2 acknowledged in a live namespace", "wal/append.c",
             "if (m->state != NAMESPACE_LIVE)", "if (false)"),
    Mutation("L2 \"another's\" after an unclear try", "wal/append.c",
             "a->found == LOOK_OTHERS && !a->unclear && is_within_grace(a)", "a->found == LOOK_OTHERS"),
    Mutation("L3 a lost race is evaluated again", "write.c",
             "*again = status == DP_OK && appended.lost;", "*again = false;"),
    Mutation("L4 the collector waits", "fold/collect.c",
             "return passed >= c->grace_ms ? 0 :", "return true ? 0 :"),
    Mutation("L4 late answers ask the manifest again", "query/follow.c",
             "return by_store || reader_now_ns(view->reader) - seen->sent_ns > FOLLOW_GRACE_NS;", "return false && by_store;"),
    Mutation("L5 the manifest carries the chain of wal_floor", "fold/fold.c",
             "m->wal_chain = f->at.chain;", "m->wal_chain ^= 1;"),
    Mutation("L6 a swap compares the version", "manifest/swap.c",
             ".condition = s->exists ? STORE_IF_VERSION : STORE_IF_ABSENT,", ".condition = STORE_ANY,"),
    Mutation("L6 a lost swap is looked up", "manifest/swap.c",
             "(status != DP_OK && !is_refusal(status))", "false"),
    Mutation("L6 a fold gives up behind another", "fold/fold.c",
             "m->wal_floor >= f->at.last ||", ""),
    Mutation("L7 a loader looks for a void", "load/decide.c",
             "return pending && d->fate == LOAD_OPEN;", "return pending;"),
    Mutation("L7 objects of pending loads stay", "manifest/objects.c",
             "for (size_t i = 0; i < m->pending_count; i++)", "for (size_t i = 0; i < 0 * m->pending_count; i++)"),
    Mutation("L7 a fold with loads knows all segments", "fold/loads.c",
             "if (!manifest_has_segment(loads->base->manifest.segments, loads->base->listed_count, &m->segments[i].id))",
             "if (false)"),
    Mutation("L7 a fold does not pass the void of a load that it lacks", "fold/loads.c",
             "if (has_younger(loads, m))", "if (false)",
             unnoticed="one history in some 60,000 notices it (seed 135775); test_index_load_log.c makes the moment"),
    Mutation("L7 pending loads do not count yet", "query/view.c",
             "row_set_add(*mask, row);", "(void)row;"),
    Mutation("L7 a load replaces rows of segments", "query/attach.c",
             "row_set_add(*fresh, row);", "(void)row;"),
    Mutation("L7 a load replaces rows of the tail", "query/attach.c",
             "tail_supersede(&view->locked.tail, a->rows[i]);", ""),
    Mutation("L8 no object at or below the horizon is listed", "load/row_change.c",
             "if (memcmp(c->segments[i].id.text, m->horizon.text, ULID_LEN) <= 0)", "if (false)"),
    # Without plan_swap()'s half, the test of is_let_go() changes nothing (fold/collect.c says why), so both go here.
    Mutation("L8 only objects at or below the horizon go", "fold/collect.c",
             "memcmp(object->born.text, c->manifest.horizon.text, ULID_LEN) <= 0 && ", "",
             "c->horizon = o->born;", "(void)o->born;"),
    Mutation("L8 only the collector deletes: listed objects stay", "fold/collect.c",
             " && !is_needed(c, object)", ""),
    Mutation("L10 pins keep objects", "fold/collect.c",
             " || pin_set_has(&c->pins, object)", ""),
    Mutation("L10 a pin without a branch goes behind a tombstone", "fold/unpin.c",
             "if (*needed && !exists)", "*needed = false;\n    if (*needed && !exists)"),
    Mutation("L10 a branch is made on the state before its pins", "branch.c",
             "b->again = exists != b->existed || (exists && m->sequence != b->sequence);", "b->again = false;"),
    Mutation("L10 a pin is added where its objects are still kept", "branch.c",
             "*kept = manifest_lists(m, owner->name, &name) || pin_set_has(&pins, &name);", "(void)name;",
             unnoticed="none of the histories with traps among the first 20,000 seeds; "
                       "test_index_a_branch_of_a_branch_begins_again_over_a_merged_source makes the moment"),
    Mutation("L9 a delete is of one life", "lives.c",
             "return d->found && (m->state == NAMESPACE_DELETED || !ulid_equal(&m->incarnation, &d->incarnation));",
             "return d->found && m->state == NAMESPACE_DELETED;",
             "*needed = live && ulid_equal(&m->incarnation, &d->incarnation);", "*needed = live;"),
    Mutation("L11 unknown is not refused", "wal/append.c",
             "*again = a->unclear;", "if (status == DP_UNKNOWN)\n        return call_fail(call, DP_UNAVAILABLE, \"refused\");"),
    Mutation("a write of a group sees those before it", "wal/effects.c",
             "newest = map_find(&e->newest, key);", "newest = NULL;"),
    Mutation("a merge carries deletions over", "fold/merge.c",
             "return lose_rows(call, m, input, NULL);", "return DP_OK;"),
    Mutation("rows that the tail replaces are masked", "query/view.c",
             "row_set_add(*mask, found->row);", ""),
]


def commands(build):
    """(compile command of each source of index/, link command of the simulation)"""
    text = subprocess.check_output(["ninja", "-C", build, "-t", "commands", "tests/simulation"], text=True)
    compiles, link = {}, None
    for line in text.splitlines():
        source = re.search(r"-c (\S*src/index/(\S+\.c))", line)
        if source:
            compiles[source.group(2)] = line
        if re.search(r"-o tests/simulation(\s|$)", line):
            link = line
    return compiles, link


def build_mutant(build, mutation, folder, compiles, link):
    source = TOP / "src" / "index" / mutation.file
    text = source.read_text(encoding="utf-8")
    for old, new in ((mutation.old, mutation.new), (mutation.old_too, mutation.new_too)):
        if old and text.count(old) != 1:
            return f"its text occurs {text.count(old)} times in {mutation.file}: {old}"
        text = text.replace(old, new) if old else text
    copy = folder / source.name
    copy.write_text(text, encoding="utf-8")
    command = shlex.split(compiles[mutation.file])
    command[command.index("-c") + 1] = str(copy)
    command[command.index("-o") + 1] = str(folder / "mutant.o")
    for flag in ("-MQ", "-MF"):
        command[command.index(flag) + 1] = str(folder / "mutant.d")
    command = [word for word in command if word != "-Werror"] + ["-w"]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    if done.returncode:
        return "it does not compile: " + done.stderr
    command = shlex.split(link)
    at = command.index("-o")
    command[at + 1] = str(folder / "simulation")
    # Before the libraries, so that the linker takes nothing of that file from them.
    command[at + 2:at + 2] = [str(folder / "mutant.o")]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    return "it does not link: " + done.stderr if done.returncode else None


def first_failure(program, histories, step=250):
    """(seed, what it broke), or None. A mutant that crashes or hangs counts as found."""
    for first in range(1, histories + 1, step):
        try:
            done = subprocess.run([program, "--first", str(first), str(step)], capture_output=True, text=True, timeout=600,
                                  errors="replace", check=False)
        except subprocess.TimeoutExpired:
            return first, "hangs"
        found = re.search(r"^seed (\d+) \((.*)$", done.stdout, re.M)
        if found:
            return int(found.group(1)), found.group(2)
        if done.returncode:
            return first, f"exit status {done.returncode}"
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--histories", type=int, default=20000)
    parser.add_argument("--only", action="append", default=[])
    args = parser.parse_args()
    build = args.build.resolve()
    compiles, link = commands(build)
    missed = 0
    for mutation in MUTATIONS:
        if args.only and not any(name in mutation.rule for name in args.only):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            problem = build_mutant(build, mutation, folder, compiles, link)
            found = None if problem else first_failure(folder / "simulation", args.histories)
        missed += problem is not None or (found is None and not mutation.unnoticed)
        if problem is None and found is None and mutation.unnoticed:
            print(f"miss {mutation.rule:52} off: {mutation.unnoticed}", flush=True)
        elif found:
            print(f"ok   {mutation.rule:52} off: seed {found[0]} ({found[1][:110]}", flush=True)
        else:
            print(f"FAIL {mutation.rule:52} off: {problem or 'not noticed'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
