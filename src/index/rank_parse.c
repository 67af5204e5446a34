/* rank_parse.c: reads score expressions. */
#include "index/rank_node.h"

#include <math.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/json.h"
#include "filter/datetime.h"
#include "index/schema_options.h"

#define SCRATCH_MAX ((size_t)64 << 20)

/* What the functions share. */
struct rank_parse {
    struct rank *rank;
    struct json_reader r;
    const struct schema *schema;
    struct dp_error *error;
    enum dp_status status; /* DP_OK, or what `error` says; failures of the reader are its own */
};

static struct rank_node *parse_score(struct rank_parse *p, bool may_be_signed);

static bool has_failed(const struct rank_parse *p)
{
    return p->status != DP_OK || json_failed(&p->r);
}

/* Gives up, unless there was a failure before. */
#define REFUSE(p, ...)                                                  \
    do {                                                                \
        if (!has_failed(p))                                             \
            (p)->status = dp_fail((p)->error, DP_INVALID, __VA_ARGS__); \
    } while (0)

static void no_memory(struct rank_parse *p)
{
    if (!has_failed(p))
        p->status = dp_fail_nomem(p->error, "a score expression");
}

static struct rank_node *new_node(struct rank_parse *p, enum rank_kind kind)
{
    if (p->rank->node_count++ == RANK_NODES_MAX) {
        REFUSE(p, "a score expression has at most %d parts", RANK_NODES_MAX);
        return NULL;
    }
    struct rank_node *node = arena_calloc(p->rank->arena, 1, sizeof *node);
    if (!node)
        no_memory(p);
    else
        node->kind = kind;
    return node;
}

/* Finds an attribute that an expression names, or fails. */
static const struct attribute *find_attribute(struct rank_parse *p, struct span name)
{
    const struct attribute *a = schema_find(p->schema, name);
    if (a && !a->dropped)
        return a;
    REFUSE(p, "the namespace has no attribute \"%.*s\"", SPAN_FMT(name));
    return NULL;
}

/* Reads the end of the open array. */
static void expect_end(struct rank_parse *p, const char *what)
{
    if (!has_failed(p) && json_next_item(&p->r))
        REFUSE(p, "\"%s\" has an element too many", what);
}

/* Moves to the next element of the open array, or fails. */
static bool expect_item(struct rank_parse *p, const char *what)
{
    if (has_failed(p))
        return false;
    if (json_next_item(&p->r))
        return true;
    REFUSE(p, "\"%s\" lacks an element", what);
    return false;
}

/* ---- BM25 ---------------------------------------------------------------------------------------------- */

/* Finds or adds the attribute's text. Returns its number. */
static size_t find_text(struct rank_parse *p, const struct attribute *a)
{
    struct rank *rank = p->rank;
    struct span option;
    for (size_t i = 0; i < rank->text_count; i++)
        if (rank->texts[i].attribute == a)
            return i;
    if (!schema_option(a, "full_text_search", &option)) {
        REFUSE(p, "BM25 needs full_text_search on attribute \"%.*s\"; the schema has it off", SPAN_FMT(a->name));
        return 0;
    }
    struct rank_text *texts = array_reserve(rank->texts, rank->text_count, &rank->text_room, sizeof *texts, 4);
    if (!texts) {
        no_memory(p);
        return 0;
    }
    rank->texts = texts;
    struct rank_text *text = &texts[rank->text_count];
    *text = (struct rank_text){.attribute = a};
    map_init(&text->exact, RANK_TEXT_MAX * (size_t)RANK_NODES_MAX);
    p->status = text_settings_parse(option, &text->settings, p->error);
    if (p->status == DP_OK)
        p->status = text_analyzer_new(&text->settings, &text->analyzer, p->error);
    return rank->text_count++;
}

/* The tokens of one BM25 while they are read. */
struct term_list {
    struct rank_parse *p;
    struct rank_node *node;
    struct rank_text *text;
    size_t room;      /* of the node's terms, which the arena holds */
    struct span last; /* the last token; its bytes are in the arena */
    bool prefix;      /* the last token is a prefix */
};

/* Adds a token to those of the text. Returns its number. */
static size_t add_token(struct term_list *l, struct span token, bool prefix)
{
    struct rank_text *text = l->text;
    const uint64_t *known = prefix ? NULL : map_find(&text->exact, token);
    if (known)
        return (size_t)*known;
    struct rank_token *tokens = array_reserve(text->tokens, text->count, &text->room, sizeof *tokens, 16);
    if (!tokens) {
        no_memory(l->p);
        return 0;
    }
    text->tokens = tokens;
    tokens[text->count] = (struct rank_token){.text = token, .prefix = prefix};
    if (prefix) {
        size_t *prefixes =
            array_reserve(text->prefixes, text->prefix_count, &text->prefix_room, sizeof *prefixes, 4);
        if (!prefixes) {
            no_memory(l->p);
            return 0;
        }
        text->prefixes = prefixes;
        prefixes[text->prefix_count++] = text->count;
    } else if (map_put(&text->exact, token, text->count, NULL, NULL, l->p->error) != DP_OK) {
        no_memory(l->p);
    }
    return text->count++;
}

/* Adds a token to the BM25, or counts it once more. */
static void add_term(struct term_list *l, struct span token, bool prefix)
{
    struct rank_node *node = l->node;
    const size_t number = add_token(l, token, prefix);
    if (has_failed(l->p))
        return;
    for (size_t i = 0; i < node->term_count; i++) {
        if (node->terms[i].token == number) {
            node->terms[i].times++;
            return;
        }
    }
    struct rank_term *terms =
        arena_reserve(l->p->rank->arena, node->terms, node->term_count, &l->room, sizeof *terms, 8);
    if (!terms) {
        no_memory(l->p);
        return;
    }
    node->terms = terms;
    node->terms[node->term_count++] = (struct rank_term){number, 1};
}

/* For text_analyze: keeps the token, and adds the one before, which is not the last. */
static bool take_token(void *ctx, const struct text_token *token)
{
    struct term_list *l = ctx;
    struct span copy = arena_copy(l->p->rank->arena, token->text);
    if (!copy.data)
        no_memory(l->p);
    if (l->last.len)
        add_term(l, l->last, false);
    l->last = copy;
    return !has_failed(l->p);
}

static void read_query_text(struct term_list *l, size_t *bytes)
{
    struct rank_parse *p = l->p;
    struct span text;
    uint32_t position = 0;
    if (!json_read_string(&p->r, p->rank->arena, &text))
        return;
    *bytes += text.len;
    if (*bytes > RANK_TEXT_MAX) {
        REFUSE(p, "the text of a BM25 has at most %d bytes", RANK_TEXT_MAX);
        return;
    }
    enum dp_status status = text_analyze(l->text->analyzer, text, &position, take_token, l, p->error);
    if (status != DP_OK && !has_failed(p))
        p->status = status;
}

/* Reads the text, or the array of tokens. */
static void read_query(struct term_list *l)
{
    struct rank_parse *p = l->p;
    size_t bytes = 0;
    if (json_peek(&p->r) == JSON_STRING) {
        if (l->text->settings.tokenizer == TEXT_PRE_TOKENIZED)
            REFUSE(p, "invalid input of type string for rank_by field \"%.*s\", expecting []string",
                   SPAN_FMT(l->text->attribute->name));
        else
            read_query_text(l, &bytes);
    } else if (json_enter_array(&p->r)) {
        while (!has_failed(p) && json_next_item(&p->r))
            read_query_text(l, &bytes);
    }
}

/* Reads {"last_as_prefix": bool}. */
static bool read_prefix_option(struct rank_parse *p)
{
    bool prefix = false;
    struct span key;
    json_enter_object(&p->r);
    while (!has_failed(p) && json_next_key(&p->r, p->rank->arena, &key)) {
        if (span_equal_str(key, "last_as_prefix"))
            json_read_bool(&p->r, &prefix);
        else
            REFUSE(p, "BM25 has no option \"%.*s\"", SPAN_FMT(key));
    }
    return prefix;
}

/* Reads the rest of [attribute, "BM25", …] behind these two. */
static struct rank_node *parse_bm25(struct rank_parse *p, struct span name)
{
    const struct attribute *a = find_attribute(p, name);
    size_t text = a ? find_text(p, a) : 0;
    struct rank_node *node = new_node(p, RANK_BM25);
    if (!expect_item(p, "BM25"))
        return NULL;
    struct term_list list = {.p = p, .node = node, .text = &p->rank->texts[text]};
    node->text = text;
    read_query(&list);
    if (!has_failed(p) && json_next_item(&p->r)) {
        list.prefix = read_prefix_option(p);
        expect_end(p, "BM25");
    }
    if (!has_failed(p) && list.last.len)
        add_term(&list, list.last, list.prefix);
    return node;
}

/* ---- operators ----------------------------------------------------------------------------------------- */

static void add_child(struct rank_parse *p, struct rank_node *node, struct rank_node *child, size_t *room)
{
    if (!node || !child || has_failed(p))
        return;
    struct rank_node **children =
        arena_reserve(p->rank->arena, node->children, node->count, room, sizeof(struct rank_node *), 4);
    if (!children) {
        no_memory(p);
        return;
    }
    node->children = children;
    children[node->count++] = child;
}

/* Returns whether the next value is an array that is empty, or begins with an array or a number: a list of scores. */
static bool is_list(const struct rank_parse *p)
{
    struct json_reader ahead = p->r;
    if (json_peek(&ahead) != JSON_ARRAY || !json_enter_array(&ahead))
        return false;
    if (!json_next_item(&ahead))
        return true; /* the array is empty */
    return json_peek(&ahead) == JSON_ARRAY || json_peek(&ahead) == JSON_NUMBER;
}

/* Reads the scores behind "Sum", "Max" or "Product": in an array, or one after the other. */
static struct rank_node *parse_list(struct rank_parse *p, enum rank_kind kind, const char *what,
                                    bool may_be_signed)
{
    struct rank_node *node = new_node(p, kind);
    size_t room = 0;
    if (!expect_item(p, what))
        return NULL;
    const bool list = is_list(p);
    if (list && (!json_enter_array(&p->r) || !expect_item(p, what)))
        return NULL;
    do
        add_child(p, node, parse_score(p, may_be_signed), &room);
    while (!has_failed(p) && json_next_item(&p->r));
    if (list)
        expect_end(p, what);
    return node;
}

/* Turns the two children of a product, one of them a number, into a weight and a child. */
static struct rank_node *settle_product(struct rank_parse *p, struct rank_node *node)
{
    if (has_failed(p))
        return NULL;
    const size_t number = node->count == 2 && node->children[0]->kind != RANK_NUMBER;
    if (node->count != 2 || node->children[number]->kind != RANK_NUMBER) {
        REFUSE(p, "\"Product\" needs a number and a score");
        return NULL;
    }
    node->number = node->children[number]->number;
    node->children[0] = node->children[!number];
    node->count = 1;
    return node;
}

static struct rank_node *parse_attribute(struct rank_parse *p, bool may_be_signed)
{
    struct span name;
    if (!expect_item(p, "Attribute") || !json_read_string(&p->r, p->rank->arena, &name))
        return NULL;
    const struct attribute *a = find_attribute(p, name);
    struct rank_node *node = new_node(p, RANK_ATTRIBUTE);
    char type[ATTRIBUTE_TYPE_ROOM];
    if (has_failed(p))
        return NULL;
    const bool with_sign = a->type == ATTRIBUTE_INT || a->type == ATTRIBUTE_FLOAT || a->type == ATTRIBUTE_DATETIME;
    if (!with_sign && a->type != ATTRIBUTE_UINT)
        REFUSE(p, "attribute \"%.*s\" of type %s is no score", SPAN_FMT(name), attribute_type_print(a, type));
    else if (with_sign && !may_be_signed)
        REFUSE(p, "attribute \"%.*s\" of type %s may be negative: put it inside \"Max\", as [\"Max\", [0, …]]",
               SPAN_FMT(name), attribute_type_print(a, type));
    node->attribute = a;
    expect_end(p, "Attribute");
    return node;
}

/* Reads a number, or a duration as milliseconds: "6h". */
static double read_midpoint(struct rank_parse *p)
{
    static const struct {
        char unit;
        double ms;
    } units[] = {{'s', 1e3}, {'m', 60e3}, {'h', 3600e3}, {'d', 86400e3}, {'w', 7 * 86400e3}};
    double number = 0;
    struct span text;
    struct json_reader digits;
    if (json_peek(&p->r) == JSON_NUMBER) {
        json_read_double(&p->r, &number);
        return number;
    }
    if (!json_read_string(&p->r, p->rank->arena, &text) || text.len < 2)
        return 0;
    json_reader_init(&digits, span_of(text.data, text.len - 1));
    if (!json_read_double(&digits, &number) || !json_end(&digits))
        return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (text.data[text.len - 1] == (uint8_t)units[i].unit)
            return number * units[i].ms;
    return 0;
}

/* Reads the rest of ["Saturate" or "Decay", score, {"midpoint": …, "exponent": …}]. */
static struct rank_node *parse_curve(struct rank_parse *p, enum rank_kind kind, const char *what)
{
    struct rank_node *node = new_node(p, kind);
    struct span key;
    size_t room = 0;
    if (!expect_item(p, what))
        return NULL;
    add_child(p, node, parse_score(p, true), &room);
    if (!expect_item(p, what) || !json_enter_object(&p->r))
        return NULL;
    node->exponent = 1;
    while (!has_failed(p) && json_next_key(&p->r, p->rank->arena, &key)) {
        if (span_equal_str(key, "midpoint"))
            node->midpoint = read_midpoint(p);
        else if (span_equal_str(key, "exponent"))
            json_read_double(&p->r, &node->exponent);
        else
            REFUSE(p, "\"%s\" has no option \"%.*s\"", what, SPAN_FMT(key));
    }
    if (!(node->midpoint > 0 && isfinite(node->midpoint)))
        REFUSE(p, "\"%s\" needs a midpoint above 0: a number, or a time such as \"6h\"", what);
    if (!(node->exponent > 0 && isfinite(node->exponent)))
        REFUSE(p, "\"%s\": the exponent must be above 0", what);
    expect_end(p, what);
    return node;
}

/* Reads the rest of ["Dist", score, origin]. */
static struct rank_node *parse_dist(struct rank_parse *p)
{
    struct rank_node *node = new_node(p, RANK_DIST);
    size_t room = 0;
    struct span text;
    int64_t ms;
    if (!expect_item(p, "Dist"))
        return NULL;
    add_child(p, node, parse_score(p, true), &room);
    if (!expect_item(p, "Dist"))
        return NULL;
    if (json_peek(&p->r) != JSON_STRING)
        json_read_double(&p->r, &node->number);
    else if (json_read_string(&p->r, p->rank->arena, &text) && datetime_parse(text, &ms))
        node->number = (double)ms;
    else
        REFUSE(p, "\"Dist\": the origin must be a number or a time");
    expect_end(p, "Dist");
    return node;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

/* Reads the array as a filter. */
static struct rank_node *parse_filter(struct rank_parse *p)
{
    struct rank_node *node = new_node(p, RANK_FILTER);
    struct span raw;
    if (has_failed(p) || !json_read_raw(&p->r, &raw))
        return NULL;
    p->status = filter_parse(p->rank->arena, raw, p->schema, false, &node->filter, p->error);
    return node;
}

static struct rank_node *parse_number(struct rank_parse *p)
{
    struct rank_node *node = new_node(p, RANK_NUMBER);
    if (has_failed(p) || !json_read_double(&p->r, &node->number))
        return NULL;
    if (node->number < 0)
        REFUSE(p, "a number in a score expression is 0 or more");
    return node;
}

/* The kinds of arrays in a score expression, told by their first words. */
enum rank_form {
    FORM_FILTER,
    FORM_BM25,
    FORM_SUM,
    FORM_MAX,
    FORM_PRODUCT,
    FORM_SATURATE,
    FORM_DECAY,
    FORM_DIST,
    FORM_ATTRIBUTE,
    FORM_VECTOR
};

static const char *const OPERATORS[] = {
    [FORM_SUM] = "Sum",     [FORM_MAX] = "Max",   [FORM_PRODUCT] = "Product",    [FORM_SATURATE] = "Saturate",
    [FORM_DECAY] = "Decay", [FORM_DIST] = "Dist", [FORM_ATTRIBUTE] = "Attribute"};

/* Tells the form of the array that comes next, without moving. *name is its first word. */
static enum rank_form find_form(struct rank_parse *p, struct span *name)
{
    struct json_reader ahead = p->r;
    struct span second = {0};
    *name = (struct span){0};
    if (!json_enter_array(&ahead) || !json_next_item(&ahead) || json_peek(&ahead) != JSON_STRING ||
        !json_read_string(&ahead, p->rank->arena, name) || !json_next_item(&ahead))
        return FORM_FILTER;
    if (json_peek(&ahead) != JSON_STRING) {
        for (int form = FORM_SUM; form <= FORM_DIST; form++)
            if (span_equal_str(*name, OPERATORS[form]))
                return (enum rank_form)form;
        return FORM_FILTER;
    }
    if (!json_read_string(&ahead, p->rank->arena, &second))
        return FORM_FILTER;
    if (span_equal_str(second, "BM25"))
        return FORM_BM25;
    if (span_equal_str(second, "ANN") || span_equal_str(second, "kNN") || span_equal_str(second, "SparseKNN"))
        return FORM_VECTOR;
    return span_equal_str(*name, "Attribute") && !json_next_item(&ahead) ? FORM_ATTRIBUTE : FORM_FILTER;
}

/* Moves into the array and behind its first words. */
static void skip_words(struct rank_parse *p, int words)
{
    json_enter_array(&p->r);
    for (int i = 0; i < words && json_next_item(&p->r); i++)
        json_skip(&p->r);
}

static struct rank_node *parse_form(struct rank_parse *p, enum rank_form form, struct span name,
                                    bool may_be_signed)
{
    skip_words(p, form == FORM_BM25 ? 2 : 1);
    switch (form) {
    case FORM_BM25: return parse_bm25(p, name);
    case FORM_SUM: return parse_list(p, RANK_SUM, "Sum", may_be_signed);
    case FORM_MAX: return parse_list(p, RANK_MAX, "Max", true);
    case FORM_PRODUCT: return settle_product(p, parse_list(p, RANK_PRODUCT, "Product", may_be_signed));
    case FORM_SATURATE: return parse_curve(p, RANK_SATURATE, "Saturate");
    case FORM_DECAY: return parse_curve(p, RANK_DECAY, "Decay");
    case FORM_DIST: return parse_dist(p);
    case FORM_ATTRIBUTE: return parse_attribute(p, may_be_signed);
    case FORM_VECTOR:
    case FORM_FILTER:
    default: return NULL;
    }
}

/* Reads a score. `may_be_signed`: an expression around it makes negative numbers harmless. */
static struct rank_node *parse_score(struct rank_parse *p, bool may_be_signed)
{
    struct span name;
    if (has_failed(p))
        return NULL;
    if (json_peek(&p->r) == JSON_NUMBER)
        return parse_number(p);
    if (json_peek(&p->r) != JSON_ARRAY) {
        REFUSE(p, "a score must be an array or a number, not %s", json_type_name(json_peek(&p->r)));
        return NULL;
    }
    const enum rank_form form = find_form(p, &name);
    if (form == FORM_VECTOR) {
        p->status = dp_fail(p->error, DP_UNSUPPORTED, "a distance to a vector is no part of a score expression");
        return NULL;
    }
    return form == FORM_FILTER ? parse_filter(p) : parse_form(p, form, name, may_be_signed);
}

enum dp_status rank_parse(struct arena *arena, struct span json, const struct schema *schema, struct rank **out,
                          struct dp_error *error)
{
    struct rank_parse p = {.schema = schema, .error = error};
    p.rank = *out = arena_calloc(arena, 1, sizeof *p.rank);
    if (!p.rank)
        return dp_fail_nomem(error, "a score expression");
    p.rank->arena = arena;
    arena_init(&p.rank->scratch, SCRATCH_MAX);
    json_reader_init(&p.r, json);
    p.rank->root = parse_score(&p, false);
    if (p.status == DP_OK && json_end(&p.r))
        return DP_OK;
    rank_free(p.rank);
    *out = NULL;
    return p.status ? p.status : json_error(&p.r, error);
}
