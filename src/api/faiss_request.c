/* faiss_request.c: reads the bodies of requests to indexes.
 *
 * Vectors are an array of arrays of numbers; a single query may be one array. Each array of numbers may be base
 * 64 of little-endian float32 instead.
 */
#include "api/faiss_request.h"

#include "api/fields.h"
#include "base/base64.h"

enum { DEFAULT_K = 10, DIM_MAX = 1 << 16 };

static void read_u64(struct json_reader *r, const char *name, uint64_t *out)
{
    if (!fields_expect(r, JSON_NUMBER, name))
        return;
    struct json_reader before = *r;
    if (json_read_u64(r, out))
        return;
    *r = before;
    json_reject(r, DP_INVALID, "%s must be a whole number, at least 0", name);
}

enum dp_status faiss_parse_open(struct call *call, struct span body, struct index_source *out)
{
    enum { NAME, URL, OFFSET, CLUSTERS, TABLE, FIELDS };
    static const char *const names[FIELDS] = {"name", "url", "cluster_data_offset", "n_clusters", "recall_table"};
    struct json_reader reader, *r = &reader;
    uint64_t seen = 0;
    *out = (struct index_source){.cluster_data_offset = 0};
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        switch (field) {
        case NAME: fields_string(r, call->arena, "name", &out->name); break;
        case URL: fields_string(r, call->arena, "url", &out->url); break;
        case OFFSET: read_u64(r, "cluster_data_offset", &out->cluster_data_offset); break;
        case CLUSTERS: read_u64(r, "n_clusters", &out->n_clusters); break;
        default: fields_string(r, call->arena, "recall_table", &out->recall_table); break;
        }
    }
    json_end(r);
    if (json_failed(r))
        return json_error(r, &call->error);
    if (!(seen & 1U << NAME) || !(seen & 1U << URL))
        return call_fail(call, DP_INVALID, "%s is missing", seen & 1U << NAME ? "url" : "name");
    return DP_OK;
}

/* ---- searches -------------------------------------------------------------------------------------------- */

/* Reads one vector: an array of numbers, or base 64 of little-endian float32. */
static bool read_query_vector(struct json_reader *r, struct call *call, const float **out, size_t *dim)
{
    struct span text;
    size_t len = 0;
    if (json_peek(r) != JSON_STRING) {
        if (!fields_floats(r, call->arena, "a vector of vectors", DIM_MAX, out, dim))
            return false;
    } else {
        if (!json_read_string(r, call->arena, &text))
            return false;
        uint8_t *bytes = arena_alloc(call->arena, text.len / 4 * 3 + 3);
        if (!bytes) {
            json_reject(r, DP_NOMEM, "a vector");
            return false;
        }
        if (!base64_decode(text, bytes, &len) || len % 4 != 0 || len / 4 > DIM_MAX) {
            json_reject(r, DP_INVALID, "vectors: the string is not base 64 of at most %d float32 numbers",
                        DIM_MAX);
            return false;
        }
        *out = (const float *)bytes; /* arenas align to 16 bytes */
        *dim = len / 4;
    }
    if (*dim == 0)
        json_reject(r, DP_INVALID, "vectors: a vector is empty");
    return *dim > 0;
}

/* Copies vector `i` into row `i` of out->vectors, which vector 0 allocates. Returns false and fails the reader
 * if the dimensions differ or no memory is left. */
static bool take_row(struct json_reader *r, struct call *call, size_t i, const float *vector, size_t dim,
                     struct index_search *out)
{
    if (i == 0) {
        out->dim = dim;
        float *rows = arena_array(call->arena, out->count * dim, sizeof *rows);
        if (!rows) {
            json_reject(r, DP_NOMEM, "vectors");
            return false;
        }
        out->vectors = rows;
    }
    if (dim != out->dim) {
        json_reject(r, DP_INVALID, "vectors: one has %zu numbers, the first %zu", dim, out->dim);
        return false;
    }
    memcpy((float *)(uintptr_t)out->vectors + i * dim, vector, dim * sizeof *vector);
    return true;
}

/* Counts the elements of the next array. Returns 0 and fails the reader if there are too few or too many. */
static size_t count_queries(struct json_reader *r, const char *name)
{
    size_t count = fields_count_items(r);
    if (count >= 1 && count <= INDEX_SEARCH_QUERIES_MAX)
        return count;
    json_reject(r, DP_INVALID, "%s must be 1 to %d, not %zu", name, INDEX_SEARCH_QUERIES_MAX, count);
    return 0;
}

static void read_query_vectors(struct json_reader *r, struct call *call, struct index_search *out)
{
    const float *vector;
    size_t dim;
    struct json_reader ahead = *r;
    bool one = json_peek(r) == JSON_STRING;
    if (!one && !fields_expect(r, JSON_ARRAY, "vectors"))
        return;
    if (!one && json_enter_array(&ahead) && json_next_item(&ahead))
        one = json_peek(&ahead) == JSON_NUMBER;
    if (one) {
        if (read_query_vector(r, call, &out->vectors, &out->dim))
            out->count = 1;
        return;
    }
    out->count = count_queries(r, "vectors");
    if (out->count == 0)
        return;
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r); i++)
        if (!read_query_vector(r, call, &vector, &dim) || !take_row(r, call, i, vector, dim, out))
            return;
}

static void read_query_texts(struct json_reader *r, struct call *call, struct index_search *out)
{
    const bool one = json_peek(r) == JSON_STRING;
    if (!one && !fields_expect(r, JSON_ARRAY, "texts"))
        return;
    out->count = one ? 1 : count_queries(r, "texts");
    if (out->count == 0)
        return;
    struct embed_input *texts = arena_array(call->arena, out->count, sizeof *texts);
    if (!texts) {
        json_reject(r, DP_NOMEM, "texts");
        return;
    }
    out->texts = texts;
    texts[0] = (struct embed_input){.ids = NULL};
    if (one) {
        fields_string(r, call->arena, "texts", &texts[0].text);
        return;
    }
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r); i++) {
        texts[i] = (struct embed_input){.ids = NULL};
        if (!fields_string(r, call->arena, "a text of texts", &texts[i].text))
            return;
    }
}

static void read_ids(struct json_reader *r, struct call *call, const char *name, const int64_t **out,
                     size_t *count)
{
    if (!fields_expect(r, JSON_ARRAY, name))
        return;
    size_t n = fields_count_items(r);
    if (n > INDEX_SEARCH_IDS_MAX) {
        json_reject(r, DP_INVALID, "%s has %zu ids, more than %d", name, n, INDEX_SEARCH_IDS_MAX);
        return;
    }
    int64_t *ids = arena_array(call->arena, n ? n : 1, sizeof *ids);
    if (!ids) {
        json_reject(r, DP_NOMEM, "ids");
        return;
    }
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r); i++)
        if (!fields_expect(r, JSON_NUMBER, "an id") || !json_read_i64(r, &ids[i]))
            return;
    *out = ids;
    *count = n;
}

static void read_recall(struct json_reader *r, struct index_search *out)
{
    if (fields_expect(r, JSON_NUMBER, "recall") && json_read_double(r, &out->recall) &&
        !(out->recall > 0 && out->recall <= 1))
        json_reject(r, DP_INVALID, "recall is %g, but must be above 0 and at most 1", out->recall);
}

static void read_factor(struct json_reader *r, struct index_search *out)
{
    double factor;
    if (!fields_expect(r, JSON_NUMBER, "k_factor") || !json_read_double(r, &factor))
        return;
    if (factor >= 1 && factor <= INDEX_SEARCH_HITS_MAX)
        out->k_factor = (float)factor;
    else
        json_reject(r, DP_INVALID, "k_factor is %g, but must be 1 to %d", factor, INDEX_SEARCH_HITS_MAX);
}

enum dp_status faiss_parse_search(struct call *call, struct span body, struct index_search *out)
{
    enum { VECTORS, TEXTS, MODEL, K, NPROBE, RECALL, FACTOR, KEEP, SKIP, FIELDS };
    static const char *const names[FIELDS] = {"vectors", "texts",    "model", "k",   "nprobe",
                                              "recall",  "k_factor", "keep",  "skip"};
    struct json_reader reader, *r = &reader;
    uint32_t k = DEFAULT_K, nprobe = 0;
    uint64_t seen = 0, given = 0; /* `given` leaves out nulls, which mean "not given" */
    *out = (struct index_search){.count = 0};
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        if (fields_null(r))
            continue;
        given |= UINT64_C(1) << field;
        switch (field) {
        case VECTORS: read_query_vectors(r, call, out); break;
        case TEXTS: read_query_texts(r, call, out); break;
        case MODEL: fields_string(r, call->arena, "model", &out->model); break;
        case K: fields_u32(r, "k", 1, INDEX_SEARCH_HITS_MAX, &k); break;
        case NPROBE: fields_u32(r, "nprobe", 0, UINT32_MAX, &nprobe); break;
        case RECALL: read_recall(r, out); break;
        case FACTOR: read_factor(r, out); break;
        case KEEP: read_ids(r, call, "keep", &out->keep, &out->keep_count); break;
        default: read_ids(r, call, "skip", &out->skip, &out->skip_count); break;
        }
    }
    json_end(r);
    if (json_failed(r))
        return json_error(r, &call->error);
    if (((given >> VECTORS) & 1) == ((given >> TEXTS) & 1))
        return call_fail(call, DP_INVALID, "give either vectors or texts");
    if (out->model.len && !((given >> TEXTS) & 1))
        return call_fail(call, DP_INVALID, "model is for texts, but the search has vectors: leave it out");
    if (((given >> NPROBE) & 1) && ((given >> RECALL) & 1))
        return call_fail(call, DP_INVALID, "give either nprobe or recall");
    out->k = k;
    out->nprobe = nprobe;
    return DP_OK;
}
