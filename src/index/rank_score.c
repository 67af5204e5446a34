/* rank_score.c: counts the tokens of rows, and computes scores. */
#include <math.h>

#include "base/alloc.h"
#include "filter/datetime.h"
#include "filter/scalar.h"
#include "index/rank_node.h"
#include "index/row_text.h"
#include "text/bm25.h"

void rank_free(struct rank *rank)
{
    if (!rank)
        return;
    for (size_t i = 0; i < rank->text_count; i++) {
        text_analyzer_free(rank->texts[i].analyzer);
        map_deinit(&rank->texts[i].exact);
        mem_free(rank->texts[i].tokens);
        mem_free(rank->texts[i].prefixes);
    }
    mem_free(rank->texts);
    arena_deinit(&rank->scratch);
}

void rank_set_call(struct rank *rank, struct call *call)
{
    rank->call = call;
}

bool rank_token(const struct rank *rank, struct span attribute, size_t number, struct span *text, bool *prefix)
{
    for (size_t i = 0; i < rank->text_count; i++) {
        const struct rank_text *of = &rank->texts[i];
        if (!span_equal(of->attribute->name, attribute) || number >= of->count)
            continue;
        *text = of->tokens[number].text;
        *prefix = of->tokens[number].prefix;
        return true;
    }
    return false;
}

bool rank_counts(const struct rank *rank)
{
    return rank->text_count > 0;
}

void rank_reset(struct rank *rank)
{
    for (size_t i = 0; i < rank->text_count; i++) {
        struct rank_text *text = &rank->texts[i];
        text->rows = text->lengths = 0;
        for (size_t t = 0; t < text->count; t++)
            text->tokens[t].rows = 0;
    }
}

/* ---- the tokens of a row ------------------------------------------------------------------------------- */

/* For text_analyze: counts a token of the present row. */
static bool count_token(void *ctx, const struct text_token *token)
{
    struct rank_text *text = ctx;
    const uint64_t *known = text->exact.count ? map_find(&text->exact, token->text) : NULL;
    text->length++;
    if (known)
        text->tokens[*known].in_row++;
    for (size_t i = 0; i < text->prefix_count; i++) {
        struct rank_token *prefix = &text->tokens[text->prefixes[i]];
        prefix->in_row += span_starts_with(token->text, prefix->text);
    }
    return true;
}

/* Finds the tokens of the row: sets in_row of all tokens, and length. */
static enum dp_status analyze_row(struct rank *rank, struct rank_text *text, struct span document,
                                  struct dp_error *error)
{
    text->length = 0;
    for (size_t i = 0; i < text->count; i++)
        text->tokens[i].in_row = 0;
    return row_text_tokens(text->analyzer, text->attribute, document, &rank->scratch, count_token, text, error);
}

static uint32_t coded_length(const struct rank_text *text)
{
    return bm25_length_of(bm25_code_of(text->length));
}

enum dp_status rank_count(struct rank *rank, struct span document, struct dp_error *error)
{
    for (size_t i = 0; i < rank->text_count; i++) {
        struct rank_text *text = &rank->texts[i];
        enum dp_status status = analyze_row(rank, text, document, error);
        if (status)
            return status;
        text->rows += text->length > 0;
        text->lengths += coded_length(text);
        for (size_t t = 0; t < text->count; t++)
            text->tokens[t].rows += text->tokens[t].in_row > 0;
    }
    return DP_OK;
}

void rank_begin(struct rank *rank)
{
    for (size_t i = 0; i < rank->text_count; i++) {
        struct rank_text *text = &rank->texts[i];
        text->average = text->rows ? (double)text->lengths / (double)text->rows : 1;
        for (size_t t = 0; t < text->count; t++)
            text->tokens[t].idf = bm25_idf(text->rows, text->tokens[t].rows);
    }
}

/* ---- scores -------------------------------------------------------------------------------------------- */

/* A row that is scored. */
struct rank_row {
    const struct rank *rank;
    struct filter_row row;
    struct filter_watch *watch;
};

static double score_node(const struct rank_row *row, const struct rank_node *node);

static double score_bm25(const struct rank_text *text, const struct rank_node *node)
{
    const struct text_settings *s = &text->settings;
    const uint32_t length = coded_length(text);
    double sum = 0;
    for (size_t i = 0; i < node->term_count; i++) {
        const struct rank_token *token = &text->tokens[node->terms[i].token];
        if (token->in_row == 0)
            continue;
        const double weight = bm25_repeat(node->terms[i].times, s->k3) * token->idf;
        sum += token->prefix ? 1 : bm25_term(weight, token->in_row, length, text->average, s->k1, s->b);
    }
    return sum;
}

/* Returns the value of a number or a datetime; NaN: there is none. */
static double attribute_number(const struct attribute *attribute, struct span document)
{
    const struct scalar value = scalar_of_document(attribute, document);
    int64_t ms;
    if (value.kind == SCALAR_TEXT && attribute->type == ATTRIBUTE_DATETIME && datetime_parse(value.text, &ms))
        return (double)ms;
    if (value.kind != SCALAR_NUMBER)
        return NAN;
    if (!value.whole)
        return value.real;
    return value.negative ? -(double)value.magnitude : (double)value.magnitude;
}

/* Returns x^e / (x^e + m^e), which is never NaN, and 0 for x <= 0. */
static double saturate(double x, double midpoint, double exponent)
{
    return x > 0 ? 1 / (1 + pow(midpoint / x, exponent)) : 0;
}

/* Adds up the children, or finds the largest. A child without a value counts as none. */
static double fold_children(const struct rank_row *row, const struct rank_node *node)
{
    double result = NAN;
    for (size_t i = 0; i < node->count; i++) {
        const double score = score_node(row, node->children[i]);
        if (isnan(score))
            continue;
        if (node->kind == RANK_SUM && !isnan(result))
            result += score;
        else if (isnan(result) || score > result)
            result = score;
    }
    return result;
}

/* Returns the score of a node; NaN: an attribute has no value. */
static double score_node(const struct rank_row *row, const struct rank_node *node)
{
    double x;
    switch (node->kind) {
    case RANK_NUMBER: return node->number;
    case RANK_BM25: return score_bm25(&row->rank->texts[node->text], node);
    case RANK_SUM:
    case RANK_MAX: return fold_children(row, node);
    case RANK_PRODUCT: return node->number * score_node(row, node->children[0]);
    case RANK_FILTER: return filter_match(node->filter, &row->row, NULL, row->watch) ? 1 : 0;
    case RANK_ATTRIBUTE: return attribute_number(node->attribute, row->row.document);
    case RANK_SATURATE: return saturate(score_node(row, node->children[0]), node->midpoint, node->exponent);
    case RANK_DECAY:
        x = score_node(row, node->children[0]);
        return isnan(x) ? NAN : 1 - saturate(x, node->midpoint, node->exponent);
    case RANK_DIST:
    default: return fabs(score_node(row, node->children[0]) - node->number);
    }
}

enum dp_status rank_score_part(struct rank *rank, const struct rank_node *part, struct span key,
                               struct span document, double *out, struct dp_error *error)
{
    struct filter_watch watch = {.call = rank->call};
    const struct rank_row row = {rank, {.id = key, .document = document}, &watch};
    for (size_t i = 0; i < rank->text_count; i++) {
        enum dp_status status = analyze_row(rank, &rank->texts[i], document, error);
        if (status)
            return status;
    }
    const double score = score_node(&row, part);
    *out = score > 0 ? fmin(score, DBL_MAX) : 0; /* also for NaN */
    return watch.status == DP_NOMEM ? dp_fail_nomem(error, "a filter") : watch.status;
}

enum dp_status rank_score(struct rank *rank, struct span key, struct span document, double *out,
                          struct dp_error *error)
{
    return rank_score_part(rank, rank->root, key, document, out, error);
}
