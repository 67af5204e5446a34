/* compute_highlight.c: reads the options of a highlight, and writes fragments as JSON. */
#include "service/compute_highlight.h"

#include "base/array.h"
#include "filter/document.h"
#include "index/rank.h"
#include "index/schema_options.h"
#include "text/highlight.h"

enum { FRAGMENTS_BY_DEFAULT = 3 };

#define FRAGMENT "$fragment"

struct compute_highlight {
    const struct attribute *attribute;
    struct text_settings settings;
    struct highlight_request request; /* its terms are in the call's arena */
    bool with_offsets;
};

/* ---- terms --------------------------------------------------------------------------------------------- */

/* Copies the tokens that a score looks for in an attribute. */
static enum dp_status take_terms(struct call *call, const struct rank *rank, struct span name,
                                 struct highlight_request *out)
{
    struct highlight_term *terms = NULL;
    struct span text;
    size_t room = 0;
    bool prefix;
    for (; rank_token(rank, name, out->count, &text, &prefix); out->count++) {
        struct highlight_term *grown = arena_reserve(call->arena, terms, out->count, &room, sizeof *terms, 16);
        const struct span copy = arena_copy(call->arena, text);
        if (!grown || !copy.data)
            return call_nomem(call, "a highlight");
        terms = grown;
        terms[out->count] = (struct highlight_term){copy, prefix};
    }
    out->terms = terms;
    return DP_OK;
}

/* Finds the terms of a score over an attribute of the schema. */
static enum dp_status read_terms(struct call *call, struct span score, const struct schema *schema,
                                 struct span name, struct highlight_request *out)
{
    struct rank *rank = NULL;
    enum dp_status status = rank_parse(call->arena, score, schema, &rank, &call->error);
    if (status == DP_OK)
        status = take_terms(call, rank, name, out);
    rank_free(rank);
    return status;
}

/* Finds the terms of a score over "$fragment". */
static enum dp_status read_fragment_terms(struct call *call, struct span score, struct compute_highlight *h)
{
    struct attribute fragment = *h->attribute;
    const struct schema schema = {.count = 1, .attributes = &fragment};
    fragment.name = span_str(FRAGMENT);
    return read_terms(call, score, &schema, fragment.name, &h->request);
}

/* ---- options ------------------------------------------------------------------------------------------- */

/* Reads one of `count` words. */
static enum dp_status read_word(struct call *call, struct json_reader *r, const char *option,
                                const char *const *words, size_t count, size_t *out)
{
    struct span word;
    if (!json_read_string(r, call->arena, &word))
        return json_error(r, &call->error);
    for (size_t i = 0; i < count; i++) {
        if (span_equal_str(word, words[i])) {
            *out = i;
            return DP_OK;
        }
    }
    return call_fail(call, DP_INVALID, "%s: there is no \"%.*s\"", option, word.len > 32 ? 32 : (int)word.len,
                     (const char *)word.data);
}

static enum dp_status read_limit(struct call *call, struct json_reader *r, uint32_t *out)
{
    uint64_t limit;
    if (!json_read_u64(r, &limit))
        return json_error(r, &call->error);
    if (limit < 1 || limit > HIGHLIGHT_FRAGMENTS_MAX)
        return call_fail(call, DP_INVALID, "fragment_limit must be 1 to %d", HIGHLIGHT_FRAGMENTS_MAX);
    *out = (uint32_t)limit;
    return DP_OK;
}

/* Reads an option. `score` gets the JSON of rank_fragments_by. */
static enum dp_status read_option(struct call *call, struct json_reader *r, struct span key,
                                  struct compute_highlight *h, struct span *score)
{
    static const char *const splits[] = {[HIGHLIGHT_SENTENCE] = "sentence",
                                         [HIGHLIGHT_PARAGRAPH] = "paragraph",
                                         [HIGHLIGHT_WORD] = "word",
                                         [HIGHLIGHT_NONE] = "none"};
    static const char *const units[] = {
        [HIGHLIGHT_UTF_8] = "utf-8", [HIGHLIGHT_UTF_16] = "utf-16", [HIGHLIGHT_CODEPOINTS] = "codepoints"};
    size_t word = 0;
    enum dp_status status;
    if (json_peek(r) == JSON_NULL)
        return json_read_null(r) ? DP_OK : json_error(r, &call->error);
    if (span_equal_str(key, "fragment_limit"))
        return read_limit(call, r, &h->request.limit);
    if (span_equal_str(key, "rank_fragments_by"))
        return json_read_raw(r, score) ? DP_OK : json_error(r, &call->error);
    if (span_equal_str(key, "fragment_by")) {
        status = read_word(call, r, "fragment_by", splits, sizeof splits / sizeof *splits, &word);
        h->request.split = (enum highlight_split)word;
        return status;
    }
    if (!span_equal_str(key, "include_offsets"))
        return call_fail(call, DP_INVALID, "there is no option \"%.*s\"", SPAN_FMT(key));
    status = read_word(call, r, "include_offsets", units, sizeof units / sizeof *units, &word);
    h->request.unit = (enum highlight_unit)word;
    h->with_offsets = true;
    return status;
}

/* Reads {options} and the end of the array. */
static enum dp_status read_options(struct call *call, struct json_reader *r, struct compute_highlight *h,
                                   struct span *score)
{
    struct span key;
    enum dp_status status = DP_OK;
    bool more = json_next_item(r);
    if (more) {
        json_enter_object(r);
        while (status == DP_OK && json_next_key(r, call->arena, &key))
            status = read_option(call, r, key, h, score);
        more = status == DP_OK && json_next_item(r);
    }
    if (status == DP_OK && json_failed(r))
        return json_error(r, &call->error);
    if (more)
        return call_fail(call, DP_INVALID, "a highlight is [\"Highlight\", attribute, {options}]");
    return status;
}

enum dp_status compute_highlight_read(struct call *call, const struct query_request *request,
                                      const struct schema *schema, struct span name, struct json_reader *r,
                                      struct compute_highlight **out)
{
    struct compute_highlight *h = arena_calloc(call->arena, 1, sizeof *h);
    struct span option, score = {0};
    *out = h;
    if (!h)
        return call_nomem(call, "a highlight");
    h->request.limit = FRAGMENTS_BY_DEFAULT;
    h->attribute = schema_find(schema, name);
    if (!h->attribute || h->attribute->dropped || h->attribute->type != ATTRIBUTE_STRING ||
        !schema_option(h->attribute, "full_text_search", &option))
        return call_fail(call, DP_INVALID, "Highlight needs full_text_search on attribute \"%.*s\" of type string",
                         SPAN_FMT(name));
    enum dp_status status = text_settings_parse(option, &h->settings, &call->error);
    h->request.settings = &h->settings;
    if (status == DP_OK)
        status = read_options(call, r, h, &score);
    if (status != DP_OK)
        return status;
    if (score.len)
        return read_fragment_terms(call, score, h);
    return request->rank == QUERY_SCORED ? read_terms(call, request->score, schema, name, &h->request) : DP_OK;
}

/* ---- fragments ----------------------------------------------------------------------------------------- */

static void write_range(struct json_writer *w, struct highlight_range range)
{
    json_begin_array(w);
    json_u64(w, range.begin);
    json_u64(w, range.end);
    json_end_array(w);
}

static void write_fragment(struct json_writer *w, const struct highlight_fragment *f, bool with_offsets)
{
    json_begin_object(w);
    json_field_span(w, "text", f->text);
    if (with_offsets) {
        json_key(w, "fragment_range");
        write_range(w, f->range);
        json_field_array(w, "match_ranges");
        for (size_t i = 0; i < f->match_count; i++)
            write_range(w, f->matches[i]);
        json_end_array(w);
    }
    json_end_object(w);
}

enum dp_status compute_highlight_write(struct call *call, const struct compute_highlight *h,
                                       struct span attributes, struct json_writer *w)
{
    struct highlight_fragment *fragments = NULL;
    struct span value, text = {0};
    struct json_reader r;
    size_t count = 0;
    enum dp_status status = DP_OK;
    if (document_find(attributes, h->attribute->name, &value) && !span_equal_str(value, "null")) {
        json_reader_init(&r, value);
        if (!json_read_string(&r, call->arena, &text))
            return json_error(&r, &call->error) == DP_NOMEM
                       ? DP_NOMEM
                       : call_fail(call, DP_CORRUPT, "the value of attribute \"%.*s\" in a row is no text",
                                   SPAN_FMT(h->attribute->name));
        status = highlight_text(call->arena, &h->request, text, &fragments, &count, &call->error);
    }
    json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        write_fragment(w, &fragments[i], h->with_offsets);
    json_end_array(w);
    return status;
}
