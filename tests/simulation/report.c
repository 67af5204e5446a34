/* report.c: sums up histories, which a process for each processor runs. */
#include "report.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/cpu.h"

/* Adds the counters of a struct that has only counters. */
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

/* Returns the seconds of processor time that ended workers have taken. */
static double worked_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_report(const struct report *r, double seconds, double worked, FILE *out)
{
    const struct sim_counts *s = &r->store;
    fprintf(out,
            "%" PRIu64 " histories (%.0f a second, %.0f a second of processor time), %" PRIu64
            " failed; at least %" PRIu64 " operations, %" PRIu64 " nodes, %" PRIu64 " faults each\n",
            r->histories, (double)r->histories / seconds, (double)r->histories / worked, r->failed,
            r->least_operations, r->least_nodes, r->least_faults);
    fprintf(out,
            "store: %" PRIu64 " requests; faults: %" PRIu64 " errors, %" PRIu64 " lost answers, %" PRIu64
            " late puts (%" PRIu64 " landed), %" PRIu64 " puts carried out twice, %" PRIu64 " stalls, %" PRIu64
            " crashes; %" PRIu64 " conditions failed\n",
            s->requests, s->errors, s->lost, s->late, s->late_landed, s->twice, s->stalls, s->crashes,
            s->put_refused);
    fprintf(out,
            "log: %" PRIu64 " entries (%" PRIu64 " of several writes, %" PRIu64 " attached loads, %" PRIu64
            " gave loads up), %" PRIu64 " zombies; manifest: %" PRIu64 " swaps, %" PRIu64 " loads, %" PRIu64
            " floors raised, %" PRIu64 " wal_gone raised, %" PRIu64 " lives, %" PRIu64 " deaths; removed: %" PRIu64
            " entries, %" PRIu64 " objects\n",
            r->truth.counts.entries, r->truth.counts.groups, r->truth.counts.attached, r->truth.counts.voids,
            r->truth.counts.zombies, r->truth.counts.swaps, r->truth.counts.loads, r->truth.counts.floors,
            r->truth.counts.gones, r->truth.counts.lives, r->truth.counts.deaths, r->truth.counts.entries_deleted,
            r->truth.counts.objects_deleted);
    fprintf(out,
            "operations: %" PRIu64 " acknowledged, %" PRIu64 " unknown, %" PRIu64 " refused, %" PRIu64
            " died with their namespace; reads: %" PRIu64 " strong, %" PRIu64 " eventual, %" PRIu64
            " found no namespace, %" PRIu64 " saw an entry of an ended life\n",
            r->truth.counts.acknowledged, r->truth.counts.unknown, r->truth.counts.refused, r->truth.counts.died,
            r->truth.counts.strong_reads, r->truth.counts.eventual_reads, r->truth.counts.absent_reads,
            r->truth.counts.ghosts_seen);
    fprintf(out,
            "branches: %" PRIu64 " of the namespace, %" PRIu64 " of branches, %" PRIu64 " not made; %" PRIu64
            " deleted, %" PRIu64 " rewritten, %" PRIu64 " undermined; reads: %" PRIu64 ", %" PRIu64
            " found none\n",
            r->branches.made, r->branches.of_branches, r->branches.failed, r->branches.deleted,
            r->branches.rewrites, r->branches.undermined, r->branches.reads, r->branches.absent);
}

/* ---- many histories ------------------------------------------------------------------------------------ */

enum { WORKERS_MAX = 64, WORKER_HISTORIES = 50 };

/* A process that runs every `workers`-th history. */
struct sim_worker {
    pid_t process;
    FILE *
        from; /* gives a struct history_result for each failed history, then one that did not fail; then the report */
};

/* Runs the histories of a worker, and writes what they did. */
static void work(uint64_t first, uint64_t end, uint64_t step, FILE *to)
{
    struct report sum = {0};
    struct history_result result = {0};
    for (uint64_t seed = first; seed < end; seed += step) {
        history_run(seed, false, &result);
        add_result(&sum, &result);
        if (result.failed)
            fwrite(&result, sizeof result, 1, to);
    }
    result.failed = false;
    fwrite(&result, sizeof result, 1, to);
    fwrite(&sum, sizeof sum, 1, to);
    fflush(to);
}

static void start_worker(struct sim_worker *worker, uint64_t first, uint64_t end, uint64_t step)
{
    int ends[2];
    fflush(NULL);
    bool made = pipe(ends) == 0;
    assert(made);
    worker->process = fork();
    assert(worker->process >= 0);
    if (worker->process == 0) {
        FILE *to = fdopen(ends[1], "w");
        close(ends[0]);
        work(first, end, step, to);
        _exit(0);
    }
    close(ends[1]);
    worker->from = fdopen(ends[0], "r");
}

static void add_report(struct report *to, const struct report *more)
{
    bool first = to->histories == 0;
    to->least_operations = first ? more->least_operations : smaller(to->least_operations, more->least_operations);
    to->least_nodes = first ? more->least_nodes : smaller(to->least_nodes, more->least_nodes);
    to->least_faults = first ? more->least_faults : smaller(to->least_faults, more->least_faults);
    to->histories += more->histories;
    to->failed += more->failed;
    to->operations += more->operations;
    to->steps += more->steps;
    to->faults += more->faults;
    add_counts(&to->store, &more->store, sizeof to->store);
    add_counts(&to->truth.counts, &more->truth.counts, sizeof to->truth.counts);
    add_counts(&to->branches, &more->branches, sizeof to->branches);
}

/* Reads what a worker has to tell. A worker that crashed counts as a failure. Returns the first seed that failed; 0:
 * none that is known. */
static uint64_t end_worker(struct sim_worker *worker, struct report *report, FILE *out)
{
    struct history_result result;
    struct report part;
    uint64_t seed = 0;
    int status;
    bool told;
    while ((told = fread(&result, sizeof result, 1, worker->from) == 1) && result.failed) {
        fprintf(out, "seed %" PRIu64 " (%s): %s\n", result.seed, history_kind_name(result.kind), result.failure);
        seed = seed ? seed : result.seed;
    }
    told = told && fread(&part, sizeof part, 1, worker->from) == 1;
    fclose(worker->from);
    waitpid(worker->process, &status, 0);
    if (told)
        add_report(report, &part);
    else
        fprintf(out, "a worker ended with status %d\n", status);
    report->failed += !told;
    return seed;
}

uint64_t report_run(struct report *report, uint64_t first, uint64_t count, FILE *out)
{
    int64_t begun = os_now_ns();
    double worked = worked_seconds();
    struct sim_worker workers[WORKERS_MAX];
    uint64_t wanted = smaller(os_cpu_count(), count / WORKER_HISTORIES), failed = 0;
    size_t n = wanted < 1 ? 1 : (size_t)smaller(wanted, WORKERS_MAX);
    for (size_t i = 0; i < n; i++)
        start_worker(&workers[i], first + i, first + count, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t seed = end_worker(&workers[i], report, out);
        failed = seed && (failed == 0 || seed < failed) ? seed : failed;
    }
    if (failed) {
        struct history_result result;
        history_run(failed, true, &result);
    }
    print_report(report, (double)(os_now_ns() - begun) / 1e9, worked_seconds() - worked, out);
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
