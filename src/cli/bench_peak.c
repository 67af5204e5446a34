/* bench_peak.c: measures the limits of the machine: arithmetic by instruction set, and reading memory by size.
 *
 * A measurement repeats a short run of all the team's threads, one or two milliseconds, and keeps the fastest.
 * Many things can slow a processor down, but nothing makes it faster than it is.
 */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "os/clock.h"
#include "simd/peak.h"

static const double RUN_SECONDS = 5e-4;
/* Bytes that the two caches of a core hold, the bytes of an int8 model's weights, and more bytes than the
 * caches of most processors hold. */
static const size_t READ_SIZES[] = {24 << 10, 512 << 10, 10 << 20, 256 << 20};
enum { RUNS_MIN = 8, READ_COUNT = sizeof READ_SIZES / sizeof *READ_SIZES };

/* One run: each thread of the team repeats `arithmetic` or, if that is NULL, `read`. */
struct peak_run {
    uint64_t (*arithmetic)(uint64_t rounds); /* returns its number of operations; NULL: call `read` */
    uint64_t (*read)(const uint8_t *bytes, size_t len);
    const uint8_t *bytes; /* [threads][len] */
    size_t len;
    uint64_t rounds;
    unsigned threads;
    _Atomic unsigned arrived; /* threads that have started */
    _Atomic int64_t began_ns; /* when the last thread started; 0 before that */
    _Atomic uint64_t done;    /* operations or bytes */
    _Atomic uint64_t unused;  /* keeps the compiler from dropping the reads */
};

static void run_share(void *ctx, size_t index, unsigned worker)
{
    struct peak_run *w = ctx;
    (void)worker;
    if (++w->arrived == w->threads)
        w->began_ns = os_now_ns();
    while (w->began_ns == 0)
        sched_yield(); /* there may be more threads than processors */
    if (w->arithmetic) {
        w->done += w->arithmetic(w->rounds);
        return;
    }
    uint64_t sum = 0;
    for (uint64_t i = 0; i < w->rounds; i++)
        sum ^= w->read(w->bytes + index * w->len, w->len);
    w->unused ^= sum;
    w->done += w->rounds * w->len;
}

/* Runs once. Returns operations or bytes per second of all threads together, and sets *seconds to the run's
 * time. */
static double run_once(struct peak_run *w, struct team *team, double *seconds)
{
    w->threads = !team ? 1 : team_size(team);
    w->done = 0;
    w->arrived = 0;
    w->began_ns = 0;
    team_run(team, w->threads, run_share, w);
    int64_t ns = os_now_ns() - w->began_ns;
    *seconds = (double)(ns > 0 ? ns : 1) * 1e-9;
    return (double)w->done / *seconds;
}

static enum dp_status best_rate(struct call *call, struct team *team, struct peak_run *w, double seconds,
                                double *out)
{
    double took = 0, best = 0, least = 0;
    for (w->rounds = 1; least < RUN_SECONDS; w->rounds *= 2) {
        least = INFINITY; /* the shortest of five, because an interrupt makes a run longer */
        for (int i = 0; i < 5; i++) {
            run_once(w, NULL, &took);
            least = took < least ? took : least;
        }
    }
    int64_t end = os_now_ns() + (int64_t)(seconds * 1e9);
    for (int i = 0; i < RUNS_MIN || os_now_ns() < end; i++) {
        if (call_check(call) != DP_OK)
            return call->error.status;
        double rate = run_once(w, team, &took);
        best = rate > best ? rate : best;
    }
    *out = best;
    return DP_OK;
}

enum dp_status bench_peak(struct call *call, struct team *team, const struct simd_ops *set, double seconds,
                          struct bench_peak *out)
{
    struct peak_run int8 = {.arithmetic = set->peak->int8}, fp32 = {.arithmetic = set->peak->fp32};
    enum dp_status status = best_rate(call, team, &int8, seconds / 2, &out->int8);
    return status == DP_OK ? best_rate(call, team, &fp32, seconds / 2, &out->fp32) : status;
}

/* ---- the command ---- */

static enum dp_status measure_sets(const struct bench *b, double seconds)
{
    if (b->json) {
        json_field_array(b->json, "sets");
    } else {
        printf("instruction set   int8 GOPS, 1 thread  %2u threads   fp32 GFLOPS, 1 thread  %2u threads\n",
               team_size(b->team), team_size(b->team));
    }
    for (int isa = 0; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *set = simd_ops_for((enum simd_isa)isa);
        struct bench_peak one = {0}, all = {0};
        if (!set)
            continue;
        if (bench_peak(b->call, NULL, set, seconds, &one) != DP_OK ||
            bench_peak(b->call, b->team, set, seconds, &all) != DP_OK)
            return b->call->error.status;
        if (!b->json) {
            printf("%-16s%c %20.1f %11.1f %23.1f %11.1f\n", set->name, set == simd_ops() ? '*' : ' ',
                   one.int8 * 1e-9, all.int8 * 1e-9, one.fp32 * 1e-9, all.fp32 * 1e-9);
            continue;
        }
        json_begin_object(b->json);
        json_field_str(b->json, "name", set->name);
        json_field_bool(b->json, "used", set == simd_ops());
        json_field_double(b->json, "int8_gops_1_thread", one.int8 * 1e-9);
        json_field_double(b->json, "int8_gops", all.int8 * 1e-9);
        json_field_double(b->json, "fp32_gflops_1_thread", one.fp32 * 1e-9);
        json_field_double(b->json, "fp32_gflops", all.fp32 * 1e-9);
        json_end_object(b->json);
    }
    if (b->json)
        json_end_array(b->json);
    return DP_OK;
}

static enum dp_status measure_reading(const struct bench *b, const uint8_t *bytes, size_t total, double seconds)
{
    const struct simd_ops *set = simd_ops();
    size_t share_max = total / team_size(b->team) / 512 * 512;
    if (b->json) {
        json_field_array(b->json, "reading");
    } else {
        printf("\nreading, KB a thread  GB/s, 1 thread  %2u threads\n", team_size(b->team));
    }
    for (size_t i = 0; i < READ_COUNT; i++) {
        double one = 0, all = 0;
        size_t len = READ_SIZES[i] < share_max ? READ_SIZES[i] : share_max;
        struct peak_run w = {.read = set->peak->read, .bytes = bytes, .len = len};
        if (best_rate(b->call, NULL, &w, seconds, &one) != DP_OK ||
            best_rate(b->call, b->team, &w, seconds, &all) != DP_OK)
            return b->call->error.status;
        if (!b->json) {
            printf("%20zu %15.1f %11.1f\n", len >> 10, one * 1e-9, all * 1e-9);
            continue;
        }
        json_begin_object(b->json);
        json_field_u64(b->json, "bytes", len);
        json_field_double(b->json, "gb_s_1_thread", one * 1e-9);
        json_field_double(b->json, "gb_s", all * 1e-9);
        json_end_object(b->json);
    }
    if (b->json)
        json_end_array(b->json);
    return DP_OK;
}

enum dp_status bench_machine(const struct bench *b)
{
    size_t sets = 0, total = READ_SIZES[READ_COUNT - 1];
    for (int isa = 0; isa < SIMD_ISA_COUNT; isa++)
        sets += simd_ops_for((enum simd_isa)isa) != NULL;
    /* Each set and each size takes half of its time with one thread, and half with all threads. */
    double share = b->seconds / (double)(sets + READ_COUNT) / 2;
    if (b->json)
        json_field_u64(b->json, "threads", team_size(b->team));
    if (measure_sets(b, share) != DP_OK)
        return b->call->error.status;
    uint8_t *bytes = mem_aligned_alloc(64, total);
    if (!bytes)
        return call_nomem(b->call, "the bytes to read");
    memset(bytes, 1, total);
    enum dp_status status = measure_reading(b, bytes, total, share);
    mem_free(bytes);
    return status;
}
