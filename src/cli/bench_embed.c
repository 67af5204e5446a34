/* bench_embed.c: `dipper bench embed` measures latency and throughput of embedding, by length and batch.
 *
 * Made-up texts are random token ids of an exact length, which the benchmark embeds without tokenizing. It
 * tokenizes the texts of a file in each run, as for a user. The cases run one after another, TURNS times, so that
 * other work of the machine disturbs all cases alike. For a case of single texts, each repetition begins with a
 * run that does not count, because the other cases pushed the weights out of the caches.
 *
 * The floor of a case is the time that its multiplications would take at the machine's peak (bench_peak.c). The
 * linear layers run at the peak of the model's precision. Attention runs at the peak of fp32; in an int8 model it
 * runs at the peak of 16-bit integers, half of int8's, if that is faster.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/input.h"
#include "embed/embedder.h"
#include "os/clock.h"
#include "os/file.h"

enum {
    TURNS = 5,
    SAMPLES_MAX = 4000, /* maximum runs of a case in one repetition */
    CASES_MAX = 32,
    TEXTS_MAX = 65536,
    LINE_MAX_BYTES = 1 << 20
};

static const size_t LENGTHS[] = {12, 23, 64, 128, 176, 256}, BATCHES[] = {1, 8, 32};
/* Share of the time for measuring the peak before the cases, and again after them. */
static const double PEAK_SHARE = 0.05;

/* A case of the benchmark: made-up texts of one length, or the texts of a file, in batches of one size. */
struct bench_case {
    size_t tokens, batch;     /* tokens of each text, 0: texts of a file; texts in a run */
    struct tokens *seqs;      /* [batch] made-up texts; NULL: texts of a file */
    const struct span *texts; /* [text_count] texts of a file */
    size_t text_count, next;
    double *seconds; /* [TURNS * SAMPLES_MAX] seconds of each run */
    size_t samples;
    uint64_t texts_done, tokens_done, bytes_done;
    double attention_done;    /* sum of the squared lengths in tokens */
    double total, tokenizing; /* seconds */
    double processor;         /* processor seconds of all threads */
};

struct embed_bench {
    const struct bench *b;
    const struct model *model;
    struct embedder *embedder;
    struct bench_peak peak;
    struct arena arena;   /* holds texts and cases */
    struct arena scratch; /* holds the tokens of one run */
    struct bench_case cases[CASES_MAX];
    size_t case_count;
    float *out;
};

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Returns the p-quantile of n sorted values, by nearest rank. */
static double percentile(const double *sorted, size_t n, double p)
{
    size_t rank = (size_t)ceil(p * (double)n);
    return sorted[rank > 0 ? rank - 1 : 0];
}

/* ---- texts ---- */

/* Makes a text of `count` tokens: the special tokens of an empty text, with random ids after the first one. */
static enum dp_status make_text(struct embed_bench *e, size_t count, uint64_t *seed, struct tokens *out)
{
    const struct tokenizer *t = model_tokenizer(e->model);
    struct tokens empty;
    enum dp_status status = tokenizer_encode(t, span_str(""), 0, &e->arena, &empty, &e->b->call->error);
    if (status != DP_OK)
        return status;
    size_t before = empty.count > 0, at = before;
    int32_t *ids = arena_array(&e->arena, count, sizeof *ids);
    if (!ids)
        return call_nomem(e->b->call, "the texts to embed");
    memcpy(ids, empty.ids, before * sizeof *ids);
    for (; at < count - (empty.count - before); at++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        ids[at] = (int32_t)((*seed >> 33) % tokenizer_id_limit(t));
    }
    for (size_t i = before; i < empty.count; i++)
        ids[at++] = empty.ids[i];
    *out = (struct tokens){.ids = ids, .count = count, .total = count};
    return DP_OK;
}

static enum dp_status add_case(struct embed_bench *e, struct bench_case added)
{
    added.seconds = arena_array(&e->arena, (size_t)TURNS * SAMPLES_MAX, sizeof *added.seconds);
    if (!added.seconds)
        return call_nomem(e->b->call, "the times");
    e->cases[e->case_count++] = added;
    return DP_OK;
}

static enum dp_status add_made_up(struct embed_bench *e, size_t tokens, size_t batch)
{
    uint64_t seed = tokens;
    struct bench_case added = {.tokens = tokens, .batch = batch};
    added.seqs = arena_calloc(&e->arena, batch, sizeof *added.seqs);
    if (!added.seqs)
        return call_nomem(e->b->call, "the texts to embed");
    for (size_t i = 0; i < batch; i++)
        if (make_text(e, tokens, &seed, &added.seqs[i]) != DP_OK)
            return e->b->call->error.status;
    return add_case(e, added);
}

/* Reads the non-empty lines of a file, at most TEXTS_MAX. */
static enum dp_status read_bench_texts(struct embed_bench *e, const char *path, struct span **texts, size_t *count)
{
    struct call *call = e->b->call;
    struct input in;
    struct line_reader reader;
    struct span line;
    *count = 0;
    *texts = arena_array(&e->arena, TEXTS_MAX, sizeof **texts);
    if (!*texts)
        return call_nomem(call, "the texts to embed");
    if (input_open(&in, path, &call->error) != DP_OK)
        return call->error.status;
    line_reader_init(&reader, in.stream, LINE_MAX_BYTES);
    while (*count < TEXTS_MAX && line_reader_next(&reader, &line, &call->error)) {
        struct span copy = arena_copy(&e->arena, line);
        if (!copy.data && line.len > 0)
            call_nomem(call, "the texts to embed");
        else if (line.len > 0)
            (*texts)[(*count)++] = copy;
    }
    line_reader_deinit(&reader);
    input_close(&in);
    if (call->error.status == DP_OK && *count == 0)
        call_fail(call, DP_INVALID, "%s holds no text; write one text on each line", path);
    return call->error.status;
}

static enum dp_status make_cases(struct embed_bench *e, const struct bench_embed_options *options)
{
    const struct model_info *info = model_info(e->model);
    struct span *texts = NULL;
    size_t count = 0, special = tokenizer_special_count(model_tokenizer(e->model));
    enum dp_status status = DP_OK;
    if (options->file)
        status = read_bench_texts(e, options->file, &texts, &count);
    if (options->tokens > 0 && (options->tokens > info->max_tokens || options->tokens <= special))
        status = call_fail(e->b->call, DP_INVALID, "--tokens must be %zu to %zu with this model", special + 1,
                           info->max_tokens);
    for (size_t b = 0; b < sizeof BATCHES / sizeof *BATCHES && status == DP_OK; b++) {
        size_t batch = options->batch > 0 ? options->batch : BATCHES[b];
        if (options->batch > 0 && b > 0)
            break;
        if (texts) {
            status = add_case(e, (struct bench_case){.batch = batch, .texts = texts, .text_count = count});
        } else if (options->tokens > 0) {
            status = add_made_up(e, options->tokens, batch);
        } else {
            for (size_t l = 0; l < sizeof LENGTHS / sizeof *LENGTHS && status == DP_OK; l++)
                if (LENGTHS[l] <= info->max_tokens && LENGTHS[l] > special)
                    status = add_made_up(e, LENGTHS[l], batch);
        }
    }
    return status;
}

/* ---- measuring ---- */

/* Embeds a case's next texts. If `counts` is true, adds the run to the case's figures. */
static enum dp_status run_case(struct embed_bench *e, struct bench_case *c, bool counts)
{
    struct call *call = e->b->call;
    const struct tokenizer *tokenizer = model_tokenizer(e->model);
    struct tokens *seqs = c->seqs;
    uint64_t bytes = 0;
    arena_reset(&e->scratch);
    int64_t begin = os_now_ns();
    if (!seqs) {
        seqs = arena_array(&e->scratch, c->batch, sizeof *seqs);
        if (!seqs)
            return call_nomem(call, "a batch of texts");
        for (size_t i = 0; i < c->batch; i++) {
            struct span text = c->texts[(c->next + i) % c->text_count];
            bytes += text.len;
            if (tokenizer_encode(tokenizer, text, model_info(e->model)->max_tokens, &e->scratch, &seqs[i],
                                 &call->error) != DP_OK)
                return call->error.status;
        }
    }
    int64_t tokenized = os_now_ns();
    if (embedder_embed(call, e->embedder, seqs, c->batch, true, e->out) != DP_OK)
        return call->error.status;
    double seconds = (double)(os_now_ns() - begin) * 1e-9;
    if (!counts)
        return DP_OK;
    c->next = c->texts ? (c->next + c->batch) % c->text_count : 0;
    c->seconds[c->samples++] = seconds;
    c->total += seconds;
    c->tokenizing += (double)(tokenized - begin) * 1e-9;
    c->texts_done += c->batch;
    c->bytes_done += bytes;
    for (size_t i = 0; i < c->batch; i++) {
        c->tokens_done += seqs[i].count;
        c->attention_done += (double)seqs[i].count * (double)seqs[i].count;
    }
    return DP_OK;
}

/* Runs the cases one after another, TURNS times. A case that has used more than its share of the time pauses until
 * the share has grown; each case runs at least once. */
static enum dp_status measure_cases(struct embed_bench *e, double seconds)
{
    double turn = seconds / TURNS / (double)e->case_count;
    for (size_t step = 1; step <= TURNS; step++)
        for (size_t i = 0; i < e->case_count; i++) {
            struct bench_case *c = &e->cases[i];
            if (c->batch == 1 && run_case(e, c, false) != DP_OK)
                return e->b->call->error.status;
            int64_t processor = os_cpu_ns();
            while (c->samples == 0 || (c->total < turn * (double)step && c->samples < step * SAMPLES_MAX))
                if (call_check(e->b->call) != DP_OK || run_case(e, c, true) != DP_OK)
                    return e->b->call->error.status;
            c->processor += (double)(os_cpu_ns() - processor) * 1e-9;
        }
    return DP_OK;
}

/* Measures the peak again, and keeps the better value. */
static enum dp_status measure_peak(struct embed_bench *e, double seconds)
{
    struct bench_peak now = {0};
    enum dp_status status = bench_peak(e->b->call, e->b->team, simd_ops(), seconds, &now);
    if (status == DP_OK) {
        e->peak.int8 = now.int8 > e->peak.int8 ? now.int8 : e->peak.int8;
        e->peak.fp32 = now.fp32 > e->peak.fp32 ? now.fp32 : e->peak.fp32;
    }
    return status;
}

/* ---- printing ---- */

static void print_head(const struct embed_bench *e)
{
    const struct model_info *info = model_info(e->model);
    unsigned threads = team_size(e->b->team);
    struct json_writer *w = e->b->json;
    if (!w) {
        printf("%s, %s, %s, %u thread%s; peak %.0f GOPS int8, %.0f GFLOPS fp32\n\n", info->name, info->engine,
               simd_ops()->name, threads, threads == 1 ? "" : "s", e->peak.int8 * 1e-9, e->peak.fp32 * 1e-9);
        printf(
            "tokens  batch   p50 ms   p90 ms   p99 ms   texts/s  tokens/s  tokens/CPU s   of peak  of floor%s\n",
            e->cases[0].texts ? "  tokenizing MB/s  share" : "");
        return;
    }
    json_field_str(w, "model", info->name);
    json_field_str(w, "engine", info->engine);
    json_field_str(w, "simd", simd_ops()->name);
    json_field_u64(w, "threads", threads);
    json_field_double(w, "peak_int8_gops", e->peak.int8 * 1e-9);
    json_field_double(w, "peak_fp32_gflops", e->peak.fp32 * 1e-9);
    json_field_array(w, "cases");
}

static void print_case(const struct embed_bench *e, struct bench_case *c)
{
    const struct model_info *info = model_info(e->model);
    struct json_writer *w = e->b->json;
    double peak = info->precision == MODEL_INT8 ? e->peak.int8 : e->peak.fp32;
    double linear = (double)c->tokens_done * info->linear_ops / peak;
    double words = info->precision == MODEL_INT8 ? fmax(e->peak.int8 / 2, e->peak.fp32) : e->peak.fp32;
    double floor = linear + c->attention_done * info->attention_ops / words;
    double length = (double)c->tokens_done / (double)c->texts_done;
    qsort(c->seconds, c->samples, sizeof *c->seconds, compare_seconds);
    double least = c->seconds[0] * 1e3, p50 = percentile(c->seconds, c->samples, 0.5) * 1e3,
           p90 = percentile(c->seconds, c->samples, 0.9) * 1e3,
           p99 = percentile(c->seconds, c->samples, 0.99) * 1e3;
    if (!w) {
        printf("%6.*f %6zu %9.3f %8.3f %8.3f %8.3f %9.1f %9.0f %13.0f", c->texts ? 1 : 0, length, c->batch, least,
               p50, p90, p99, (double)c->texts_done / c->total, (double)c->tokens_done / c->total,
               (double)c->tokens_done / c->processor);
        if (info->linear_ops > 0)
            printf(" %7.1f %% %7.1f %%", linear / c->total * 100, floor / c->total * 100);
        else
            printf("         -         -");
        if (c->texts)
            printf(" %16.1f %4.1f %%", (double)c->bytes_done / c->tokenizing * 1e-6,
                   c->tokenizing / c->total * 100);
        printf("\n");
        return;
    }
    json_begin_object(w);
    json_field_double(w, "tokens", length);
    json_field_u64(w, "batch", c->batch);
    json_field_u64(w, "runs", c->samples);
    json_field_double(w, "least_ms", least);
    json_field_double(w, "p50_ms", p50);
    json_field_double(w, "p90_ms", p90);
    json_field_double(w, "p99_ms", p99);
    json_field_double(w, "texts_s", (double)c->texts_done / c->total);
    json_field_double(w, "tokens_s", (double)c->tokens_done / c->total);
    json_field_double(w, "tokens_cpu_s", (double)c->tokens_done / c->processor);
    if (info->linear_ops > 0) {
        json_field_double(w, "of_peak", linear / c->total);
        json_field_double(w, "of_floor", floor / c->total);
    }
    if (c->texts) {
        json_field_double(w, "tokenizing_mb_s", (double)c->bytes_done / c->tokenizing * 1e-6);
        json_field_double(w, "tokenizing_share", c->tokenizing / c->total);
    }
    json_end_object(w);
}

static enum dp_status run_embed_bench(struct embed_bench *e, const struct bench_embed_options *options)
{
    struct call *call = e->b->call;
    size_t batch_max = 0;
    if (embedder_new(e->model, e->b->team, NULL, &e->embedder, &call->error) != DP_OK)
        return call->error.status;
    if (make_cases(e, options) != DP_OK)
        return call->error.status;
    for (size_t i = 0; i < e->case_count; i++)
        batch_max = e->cases[i].batch > batch_max ? e->cases[i].batch : batch_max;
    e->out = arena_array(&e->arena, batch_max, model_info(e->model)->dim * sizeof *e->out);
    if (!e->out)
        return call_nomem(call, "the vectors");
    double peak_seconds = e->b->seconds * PEAK_SHARE;
    if (measure_peak(e, peak_seconds) != DP_OK || measure_cases(e, e->b->seconds - 2 * peak_seconds) != DP_OK ||
        measure_peak(e, peak_seconds) != DP_OK)
        return call->error.status;
    print_head(e);
    for (size_t i = 0; i < e->case_count; i++)
        print_case(e, &e->cases[i]);
    if (e->b->json)
        json_end_array(e->b->json);
    return DP_OK;
}

enum dp_status bench_embed(const struct bench *b, const struct model *model,
                           const struct bench_embed_options *options)
{
    struct embed_bench e = {.b = b, .model = model};
    arena_init(&e.arena, (size_t)1 << 30);
    arena_init(&e.scratch, (size_t)1 << 30);
    enum dp_status status = run_embed_bench(&e, options);
    embedder_free(e.embedder);
    arena_deinit(&e.scratch);
    arena_deinit(&e.arena);
    return status;
}
