/* model_check.c: `dipper model check`: compares an engine with the native one in fp32.
 *
 * Each side embeds every text with its own tokenizer and token limit, and scales vectors to length 1. The
 * command reads and embeds texts in batches. It keeps one cosine for each text, and the beginning of the worst
 * text.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/model.h"
#include "embed/embedder.h"
#include "os/file.h"

enum {
    BATCH_TEXTS = 256,
    BATCH_BYTES = 1 << 20,
    LINE_MAX_BYTES = 4 << 20,
    TEXTS_MAX = 10 << 20,
    ARENA_MAX = 512 << 20,
    SHOWN_BYTES = 100,
    OUTPUT_MAX = 1 << 20
};

/* A model and its embedder. */
struct compared_model {
    struct model *model;
    struct embedder *embedder;
};

struct model_comparison {
    struct team *team;
    struct compared_model checked, reference;
    struct arena arena; /* memory of one batch */
    struct call call;
    struct buffer texts; /* texts of the batch, one behind the other */
    size_t ends[BATCH_TEXTS];
    uint64_t lines[BATCH_TEXTS]; /* line number of each text */
    size_t count;
    struct buffer cosines; /* double[]: one cosine for each text so far */
    uint64_t tokens, truncated;
    double worst;
    uint64_t worst_line;
    struct buffer worst_text; /* beginning of the worst text so far */
};

static enum dp_status open_side(struct model_comparison *c, struct compared_model *side, struct dp_error *error)
{
    return embedder_new(side->model, c->team, NULL, &side->embedder, error);
}

static enum dp_status open_sides(struct model_comparison *c, const struct config *config, const char *against,
                                 struct dp_error *error)
{
    const char *folder = against ? against : config->model_path;
    if (*folder == '\0')
        return dp_fail(error, DP_INVALID,
                       "the model inside the program has no fp32 weights to compare with; name its folder with "
                       "--against DIR");
    enum dp_status status = team_new(config->threads, &c->team, error);
    if (status == DP_OK)
        status = open_model(program_inputs(config), MODEL_INT8, &c->checked.model, error);
    if (status != DP_OK)
        return status;
    status = model_open_dir(folder, MODEL_FP32, &c->reference.model, error);
    if (status != DP_OK && !against && status != DP_NOMEM)
        dp_error_prefix(error, "no fp32 weights to compare with; name their folder with --against DIR");
    if (status != DP_OK)
        return status;
    size_t dim = model_info(c->checked.model)->dim, other = model_info(c->reference.model)->dim;
    if (dim != other)
        return dp_fail(error, DP_INVALID, "vectors of %zu and of %zu dimensions (%s) cannot be compared", dim,
                       other, folder);
    status = open_side(c, &c->checked, error);
    return status == DP_OK ? open_side(c, &c->reference, error) : status;
}

/* ---- a batch ---- */

static struct span text_at(const struct model_comparison *c, size_t i)
{
    size_t begin = i == 0 ? 0 : c->ends[i - 1];
    return span_of(c->texts.data + begin, c->ends[i] - begin);
}

static enum dp_status embed_side(struct model_comparison *c, const struct compared_model *side,
                                 const struct config *config, struct tokens **out_tokens, float **out)
{
    const struct model_info *info = model_info(side->model);
    size_t most =
        config->max_tokens > 0 && config->max_tokens < info->max_tokens ? config->max_tokens : info->max_tokens;
    struct tokens *tokens = arena_calloc(&c->arena, c->count, sizeof *tokens);
    float *vectors = arena_calloc(&c->arena, c->count * info->dim, sizeof *vectors);
    if (!tokens || !vectors)
        return call_nomem(&c->call, "a batch of texts");
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < c->count && status == DP_OK; i++)
        status = tokenizer_encode(model_tokenizer(side->model), text_at(c, i), most, &c->arena, &tokens[i],
                                  &c->call.error);
    if (status == DP_OK)
        status = embedder_embed(&c->call, side->embedder, tokens, c->count, true, vectors);
    *out_tokens = tokens;
    *out = vectors;
    return status;
}

/* Returns the cosine of two vectors, or 0 if one of them is zero. */
static double cosine_of(const float *a, const float *b, size_t dim)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < dim; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

/* Keeps the cosine, the line number and the beginning of the worst text so far. Cuts the text between two
 * characters. */
static void keep_worst(struct model_comparison *c, size_t i, double value)
{
    struct span text = text_at(c, i);
    size_t len = text.len;
    if (len > SHOWN_BYTES)
        for (len = SHOWN_BYTES; len > 0 && (text.data[len] & 0xc0) == 0x80; len--) {}
    c->worst = value;
    c->worst_line = c->lines[i];
    buffer_clear(&c->worst_text);
    buffer_append(&c->worst_text, span_of(text.data, len));
    if (len < text.len)
        buffer_append_str(&c->worst_text, "…");
}

static enum dp_status compare_batch(struct model_comparison *c, const struct config *config)
{
    struct tokens *tokens, *others;
    float *vectors, *wanted;
    size_t dim = model_info(c->checked.model)->dim;
    enum dp_status status = embed_side(c, &c->checked, config, &tokens, &vectors);
    if (status == DP_OK)
        status = embed_side(c, &c->reference, config, &others, &wanted);
    for (size_t i = 0; i < c->count && status == DP_OK; i++) {
        double value = cosine_of(vectors + i * dim, wanted + i * dim, dim);
        buffer_append(&c->cosines, span_of(&value, sizeof value));
        c->tokens += tokens[i].count;
        c->truncated += tokens[i].truncated;
        if (c->worst_line == 0 || value < c->worst)
            keep_worst(c, i, value);
    }
    if (status == DP_OK)
        status = buffer_check(&c->cosines, "the cosines of the texts", &c->call.error);
    if (status == DP_OK)
        status = buffer_check(&c->worst_text, "a text", &c->call.error);
    c->count = 0;
    buffer_clear(&c->texts);
    arena_reset(&c->arena);
    return status;
}

static enum dp_status compare_texts(struct model_comparison *c, const char *file, const struct config *config)
{
    struct input in;
    struct line_reader reader;
    struct span line;
    enum dp_status status = input_open(&in, file, &c->call.error);
    if (status != DP_OK)
        return status;
    line_reader_init(&reader, in.stream, LINE_MAX_BYTES);
    while (status == DP_OK && line_reader_next(&reader, &line, &c->call.error)) {
        if (line.len == 0)
            continue;
        buffer_append(&c->texts, line);
        status = buffer_check(&c->texts, "a batch of texts", &c->call.error);
        c->lines[c->count] = reader.number;
        c->ends[c->count++] = c->texts.len;
        if (status == DP_OK && (c->count == BATCH_TEXTS || c->texts.len >= BATCH_BYTES))
            status = compare_batch(c, config);
    }
    if (status == DP_OK)
        status = c->call.error.status;
    if (status == DP_OK && c->count > 0)
        status = compare_batch(c, config);
    if (status == DP_OK && c->cosines.len == 0)
        status = call_fail(&c->call, DP_INVALID, "%s has no text", file);
    line_reader_deinit(&reader);
    input_close(&in);
    return status;
}

/* ---- results ---- */

struct distribution {
    size_t count;
    double min, p1, p5, p50, max, mean;
};

static int compare_cosines(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the cosines, and takes quantiles by nearest rank. */
static struct distribution distribution_of(struct model_comparison *c)
{
    double *sorted = (double *)(void *)c->cosines.data;
    size_t n = c->cosines.len / sizeof *sorted;
    double sum = 0;
    qsort(sorted, n, sizeof *sorted, compare_cosines);
    for (size_t i = 0; i < n; i++)
        sum += sorted[i];
    return (struct distribution){
        n, sorted[0], sorted[n / 100], sorted[n / 20], sorted[n / 2], sorted[n - 1], sum / (double)n};
}

static void write_comparison_text(const struct model_comparison *c, const struct distribution *d,
                                  struct buffer *out)
{
    const struct model_info *checked = model_info(c->checked.model), *reference = model_info(c->reference.model);
    struct json_writer w;
    buffer_printf(out, "%s, %s, against %s, %s\n", checked->name, checked->engine, reference->name,
                  reference->engine);
    buffer_printf(out, "%zu text%s, %" PRIu64 " tokens", d->count, d->count == 1 ? "" : "s", c->tokens);
    if (c->truncated > 0)
        buffer_printf(out, ", %" PRIu64 " of the texts cut at %zu", c->truncated, checked->max_tokens);
    buffer_printf(
        out,
        "\n\ncosine  %9s %9s %9s %9s %9s %9s\n        %9.7f %9.7f %9.7f %9.7f %9.7f %9.7f\n\nworst: line %" PRIu64
        ", ",
        "min", "p1", "p5", "p50", "mean", "max", d->min, d->p1, d->p5, d->p50, d->mean, d->max, c->worst_line);
    json_writer_init(&w, out); /* as JSON, because control characters in a text would steer the terminal */
    json_string(&w, buffer_span(&c->worst_text));
    buffer_append_str(out, "\n");
}

static void write_side(struct json_writer *w, const char *key, const struct compared_model *side)
{
    const struct model_info *info = model_info(side->model);
    json_field_object(w, key);
    json_field_str(w, "name", info->name);
    json_field_str(w, "engine", info->engine);
    json_field_str(w, "fingerprint", info->fingerprint);
    json_end_object(w);
}

static void write_comparison_json(const struct model_comparison *c, const struct distribution *d,
                                  struct buffer *out)
{
    const struct {
        const char *key;
        double value;
    } values[] = {{"min", d->min}, {"p1", d->p1},     {"p5", d->p5},
                  {"p50", d->p50}, {"mean", d->mean}, {"max", d->max}};
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    write_side(&w, "checked", &c->checked);
    write_side(&w, "reference", &c->reference);
    json_field_u64(&w, "texts", d->count);
    json_field_u64(&w, "tokens", c->tokens);
    json_field_u64(&w, "truncated", c->truncated);
    json_field_object(&w, "cosine");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        json_field_double(&w, values[i].key, values[i].value);
    json_end_object(&w);
    json_field_object(&w, "worst");
    json_field_u64(&w, "line", c->worst_line);
    json_field_double(&w, "cosine", c->worst);
    json_field_span(&w, "text", buffer_span(&c->worst_text));
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static enum dp_status print_comparison(struct model_comparison *c, const struct model_check_options *options,
                                       bool *passed)
{
    struct buffer out;
    const struct distribution d = distribution_of(c);
    buffer_init(&out, OUTPUT_MAX);
    if (options->json)
        write_comparison_json(c, &d, &out);
    else
        write_comparison_text(c, &d, &out);
    *passed = d.min >= options->least;
    enum dp_status status = buffer_check(&out, "the output", &c->call.error);
    if (status == DP_OK)
        printf("%.*s", (int)out.len, (const char *)out.data);
    buffer_deinit(&out);
    return status;
}

static void close_side(struct compared_model *side)
{
    embedder_free(side->embedder);
    model_free(side->model);
}

enum dp_status model_check(const struct config *config, const struct model_check_options *options, bool *passed,
                           struct dp_error *error)
{
    struct model_comparison *c = mem_calloc(1, sizeof *c);
    if (!c)
        return dp_fail_nomem(error, "the command's buffers");
    arena_init(&c->arena, ARENA_MAX);
    call_init(&c->call, &c->arena);
    buffer_init(&c->texts, BATCH_BYTES + LINE_MAX_BYTES);
    buffer_init(&c->cosines, TEXTS_MAX * sizeof(double));
    buffer_init(&c->worst_text, SHOWN_BYTES + 8);
    enum dp_status status = open_sides(c, config, options->against, error);
    if (status == DP_OK) {
        c->call.cancelled = interrupt_watch();
        status = compare_texts(c, options->file, config);
        if (status == DP_OK)
            status = print_comparison(c, options, passed);
        *error = c->call.error;
    }
    close_side(&c->checked);
    close_side(&c->reference);
    team_free(c->team);
    buffer_deinit(&c->texts);
    buffer_deinit(&c->cosines);
    buffer_deinit(&c->worst_text);
    arena_deinit(&c->arena);
    mem_free(c);
    return status;
}
