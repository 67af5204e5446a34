/* bench_embed.c: how fast the native engine is: tokens a second by threads, and the latency of a short query.
 *
 *     bench_embed MODEL GOLDEN [fp32]
 *
 * The texts are the 425 Cranfield ones of tests/data/embedding (225 queries of 23 tokens, 200 documents of
 * 176, on average). Prints medians of interleaved repeats.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "embed/batch.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/file.h"
#include "simd/simd.h"

enum { REPEATS = 7, QUERIES = 200, THREADS_MAX = 64 };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return values[n / 2];
}

static void die(const struct dp_error *error)
{
    fprintf(stderr, "bench_embed: %s\n", error->message);
    exit(1);
}

/* The token ids of the golden file; see tests/golden/make_embedding_golden.py. */
static size_t read_texts(const char *path, struct tokens **texts, size_t *total)
{
    struct buffer file;
    struct dp_error error;
    buffer_init(&file, (size_t)64 << 20);
    if (os_read_file(path, &file, &error) != DP_OK)
        die(&error);
    struct cursor c = cursor_over(buffer_span(&file));
    cursor_bytes(&c, 8);
    size_t n = cursor_u32(&c), dim = cursor_u32(&c);
    *texts = calloc(n, sizeof **texts);
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        struct tokens *t = &(*texts)[i];
        t->count = t->total = cursor_u16(&c);
        t->ids = calloc(t->count, sizeof *t->ids);
        for (size_t k = 0; k < t->count; k++)
            t->ids[k] = cursor_u16(&c);
        cursor_bytes(&c, dim * 2);
        *total += t->count;
    }
    buffer_deinit(&file);
    return c.failed ? 0 : n;
}

/* Processor time of all threads, which other programs on the machine disturb less than wall time. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds for one embedder_embed of texts[0..n). */
static double time_embed(struct embedder *e, const struct tokens *texts, size_t n, float *out)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    int64_t begin = os_now_ns();
    if (embedder_embed(&call, e, texts, n, true, out) != DP_OK)
        die(&call.error);
    double seconds = (double)(os_now_ns() - begin) * 1e-9;
    arena_deinit(&arena);
    return seconds;
}

int main(int argc, char **argv)
{
    struct dp_error error;
    struct model *model;
    struct tokens *texts;
    size_t total;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_embed MODEL GOLDEN [fp32]\n");
        return 2;
    }
    size_t n = read_texts(argv[2], &texts, &total);
    int64_t begin = os_now_ns();
    if (model_open_dir(argv[1], argc > 3 ? MODEL_FP32 : MODEL_INT8, &model, &error) != DP_OK)
        die(&error);
    printf("%s, %s, %s: opened in %.1f ms\n", model_info(model)->name, model_info(model)->engine, simd_ops()->name,
           (double)(os_now_ns() - begin) * 1e-6);

    float *out = calloc(n, model_info(model)->dim * sizeof *out);
    unsigned sizes[2] = {1, os_cpu_count()};
    struct team *teams[2];
    struct embedder *embedders[2];
    double runs[2][REPEATS], cpu[REPEATS];
    for (size_t i = 0; i < 2; i++)
        if (team_new(sizes[i], &teams[i], &error) != DP_OK ||
            embedder_new(model, teams[i], NULL, &embedders[i], &error) != DP_OK)
            die(&error);
    for (size_t r = 0; r < REPEATS; r++)
        for (size_t i = 0; i < 2; i++) {
            double before = cpu_seconds();
            runs[i][r] = time_embed(embedders[i], texts, n, out);
            if (i == 0)
                cpu[r] = cpu_seconds() - before;
        }
    for (size_t i = 0; i < 2; i++) {
        double seconds = median(runs[i], REPEATS);
        printf("%u threads: %.0f tokens/s (%zu texts, %zu tokens, %.1f ms)\n", sizes[i], (double)total / seconds,
               n, total, seconds * 1e3);
    }

    printf("1 thread: %.0f tokens per second of processor time\n", (double)total / median(cpu, REPEATS));

    /* The queries with 12 tokens, one after another. */
    double latency[2][QUERIES];
    size_t done = 0;
    for (size_t at = 0; done < QUERIES; at = (at + 1) % n)
        if (texts[at].count == 12) {
            for (size_t i = 0; i < 2; i++)
                latency[i][done] = time_embed(embedders[i], &texts[at], 1, out);
            done++;
        }
    for (size_t i = 0; i < 2; i++)
        printf("%u threads: 12-token query p50 %.3f ms\n", sizes[i], median(latency[i], QUERIES) * 1e3);

    for (size_t i = 0; i < 2; i++) {
        embedder_free(embedders[i]);
        team_free(teams[i]);
    }
    for (size_t i = 0; i < n; i++)
        free(texts[i].ids);
    free(texts);
    free(out);
    model_free(model);
    return 0;
}
