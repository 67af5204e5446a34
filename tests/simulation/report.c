/* report.c: sums up histories. */
#include "report.h"

#include <inttypes.h>

#include "os/clock.h"

/* Adds the counters of a struct that has nothing else. */
static void add_counts(void *sum, const void *more, size_t bytes)
{
    uint64_t *to = sum;
    const uint64_t *from = more;
    for (size_t i = 0; i < bytes / sizeof *to; i++)
        to[i] += from[i];
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void add_result(struct report *r, const struct history_result *result)
{
    bool first = r->histories == 0;
    r->least_operations = first ? result->operations : smaller(r->least_operations, result->operations);
    r->least_nodes = first ? result->nodes : smaller(r->least_nodes, result->nodes);
    r->least_faults = first ? result->faults : smaller(r->least_faults, result->faults);
    r->histories++;
    r->failed += result->failed;
    r->operations += result->operations;
    r->steps += result->steps;
    r->faults += result->faults;
    add_counts(&r->store, &result->store, sizeof r->store);
    add_counts(&r->truth.counts, &result->truth.counts, sizeof r->truth.counts);
    add_counts(&r->branches, &result->branches, sizeof r->branches);
}

static void print_report(const struct report *r, double seconds, FILE *out)
{
    const struct sim_counts *s = &r->store;
    fprintf(out,
            "%" PRIu64 " histories (%.0f a second), %" PRIu64 " failed; at least %" PRIu64 " operations, %" PRIu64
            " nodes, %" PRIu64 " faults each\n",
            r->histories, (double)r->histories / seconds, r->failed, r->least_operations, r->least_nodes,
            r->least_faults);
    fprintf(out,
            "store: %" PRIu64 " requests; faults: %" PRIu64 " errors, %" PRIu64 " lost answers, %" PRIu64
            " late puts (%" PRIu64 " landed), %" PRIu64 " puts carried out twice, %" PRIu64 " stalls, %" PRIu64
            " crashes; %" PRIu64 " conditions failed\n",
            s->requests, s->errors, s->lost, s->late, s->late_landed, s->twice, s->stalls, s->crashes,
            s->put_refused);
    fprintf(out,
            "log: %" PRIu64 " entries (%" PRIu64 " of several writes), %" PRIu64 " zombies; manifest: %" PRIu64
            " swaps, %" PRIu64 " loads, %" PRIu64 " floors raised, %" PRIu64 " wal_gone raised, %" PRIu64
            " lives, %" PRIu64 " deaths; removed: %" PRIu64 " entries, %" PRIu64 " objects\n",
            r->truth.counts.entries, r->truth.counts.groups, r->truth.counts.zombies, r->truth.counts.swaps,
            r->truth.counts.loads, r->truth.counts.floors, r->truth.counts.gones, r->truth.counts.lives,
            r->truth.counts.deaths, r->truth.counts.entries_deleted, r->truth.counts.objects_deleted);
    fprintf(out,
            "operations: %" PRIu64 " acknowledged, %" PRIu64 " unknown, %" PRIu64 " refused, %" PRIu64
            " died with their namespace; reads: %" PRIu64 " strong, %" PRIu64 " eventual, %" PRIu64
            " found no namespace, %" PRIu64 " saw an entry of an ended life\n",
            r->truth.counts.acknowledged, r->truth.counts.unknown, r->truth.counts.refused, r->truth.counts.died,
            r->truth.counts.strong_reads, r->truth.counts.eventual_reads, r->truth.counts.absent_reads,
            r->truth.counts.ghosts_seen);
    fprintf(out,
            "branches: %" PRIu64 " of the namespace, %" PRIu64 " of branches, %" PRIu64 " not made; %" PRIu64
            " deleted, %" PRIu64 " rewritten; reads: %" PRIu64 ", %" PRIu64 " found none\n",
            r->branches.made, r->branches.of_branches, r->branches.failed, r->branches.deleted,
            r->branches.rewrites, r->branches.reads, r->branches.absent);
}

uint64_t report_run(struct report *report, uint64_t first, uint64_t count, FILE *out)
{
    int64_t begun = os_now_ns();
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct history_result result;
        history_run(seed, false, &result);
        add_result(report, &result);
        if (!result.failed)
            continue;
        fprintf(out, "seed %" PRIu64 " (%s): %s\n", seed, history_kind_name(result.kind), result.failure);
        if (report->failed == 1)
            history_run(seed, true, &result);
    }
    print_report(report, (double)(os_now_ns() - begun) / 1e9, out);
    return report->failed;
}

bool report_find(uint64_t first, uint64_t count, FILE *out)
{
    struct history_result result = {0};
    for (uint64_t seed = first; seed < first + count && !result.failed; seed++) {
        history_run(seed, false, &result);
        if (result.failed)
            fprintf(out, "seed %" PRIu64 " (%s): %s\n", seed, history_kind_name(result.kind), result.failure);
    }
    return result.failed;
}
