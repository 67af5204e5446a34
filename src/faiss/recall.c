/* recall.c: writes and parses a recall table, finds its object beside the FAISS file, and looks up the nprobe for
 * a recall. */
#include "faiss/recall.h"

#include "base/hex.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/masked_url.h"

enum { VERSION = 1, FINGERPRINT_DIGITS = 16 };
static const char FORMAT[] = "dipper-recall", SUFFIX[] = ".recall.json";

/* ---- writing ------------------------------------------------------------------------------------------- */

void recall_write(const struct recall_table *table, struct buffer *out)
{
    struct json_writer w;
    char fingerprint[FINGERPRINT_DIGITS + 1];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, table->fingerprint);
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_str(&w, "format", FORMAT);
    json_field_u64(&w, "version", VERSION);
    json_field_u64(&w, "file_bytes", table->file_bytes);
    json_field_str(&w, "fingerprint", fingerprint);
    json_field_u64(&w, "k", table->k);
    json_field_u64(&w, "queries", table->queries);
    json_field_array(&w, "points");
    for (size_t i = 0; i < table->count; i++) {
        json_begin_object(&w);
        json_field_u64(&w, "nprobe", table->points[i].nprobe);
        json_field_double(&w, "recall", table->points[i].recall);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void read_point(struct json_reader *r, struct recall_table *out)
{
    struct recall_point point = {0};
    bool nprobe = false, recall = false;
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, NULL, &key)) {
        if (span_equal_str(key, "nprobe"))
            nprobe = json_read_u64(r, &point.nprobe);
        else if (span_equal_str(key, "recall"))
            recall = json_read_double(r, &point.recall);
        else
            json_skip(r);
    }
    if (json_failed(r))
        return;
    uint64_t before = out->count > 0 ? out->points[out->count - 1].nprobe : 0;
    if (!nprobe || !recall || point.nprobe <= before || !(point.recall >= 0 && point.recall <= 1))
        json_reject(r, DP_CORRUPT, "a point needs a rising \"nprobe\" and a \"recall\" from 0 to 1");
    else if (out->count == RECALL_POINTS_MAX)
        json_reject(r, DP_CORRUPT, "more than %d points", RECALL_POINTS_MAX);
    else
        out->points[out->count++] = point;
}

static void read_fingerprint(struct json_reader *r, uint64_t *out)
{
    struct span text;
    *out = 0;
    if (!json_read_string(r, NULL, &text))
        return;
    if (text.len != FINGERPRINT_DIGITS || !hex_read_u64(text, out))
        json_reject(r, DP_CORRUPT, "\"fingerprint\" is not %d hexadecimal digits", FINGERPRINT_DIGITS);
}

enum dp_status recall_parse(struct span json, struct recall_table *out, struct dp_error *error)
{
    struct json_reader r;
    struct span key, format = {0};
    uint64_t version = 0;
    *out = (struct recall_table){0};
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key)) {
        if (span_equal_str(key, "format"))
            json_read_string(&r, NULL, &format);
        else if (span_equal_str(key, "version"))
            json_read_u64(&r, &version);
        else if (span_equal_str(key, "file_bytes"))
            json_read_u64(&r, &out->file_bytes);
        else if (span_equal_str(key, "fingerprint"))
            read_fingerprint(&r, &out->fingerprint);
        else if (span_equal_str(key, "k"))
            json_read_u64(&r, &out->k);
        else if (span_equal_str(key, "queries"))
            json_read_u64(&r, &out->queries);
        else if (span_equal_str(key, "points")) {
            for (json_enter_array(&r); json_next_item(&r);)
                read_point(&r, out);
        } else
            json_skip(&r);
    }
    json_end(&r);
    if (json_failed(&r)) {
        struct dp_error why;
        json_error(&r, &why);
        return dp_fail(error, DP_CORRUPT, "%s", why.message);
    }
    if (!span_equal_str(format, FORMAT))
        return dp_fail(error, DP_CORRUPT, "\"format\" is not \"%s\"", FORMAT);
    if (version != VERSION)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the table has version %" PRIu64 ", which this program does not know", version);
    if (out->count == 0 || out->k == 0 || out->queries == 0)
        return dp_fail(error, DP_CORRUPT, "the table is empty");
    return DP_OK;
}

/* ---- its object ---------------------------------------------------------------------------------------- */

static bool is_web_url(struct span url)
{
    return span_starts_with(url, span_str("http://")) || span_starts_with(url, span_str("https://"));
}

enum dp_status recall_url(struct call *call, struct span url, struct span *out)
{
    if (is_web_url(url) && (memchr(url.data, '?', url.len) || memchr(url.data, '#', url.len)))
        return call_fail(
            call, DP_INVALID,
            "recall is looked up in an object beside the file, but a URL with a query gives access to the "
            "file alone: give the URL of its recall table too, or nprobe");
    size_t len = sizeof SUFFIX - 1;
    uint8_t *text = arena_alloc(call->arena, url.len + len);
    if (!text)
        return call_nomem(call, "a URL");
    memcpy(text, url.data, url.len);
    memcpy(text + url.len, SUFFIX, len);
    *out = span_of(text, url.len + len);
    return DP_OK;
}

/* Returns the URL for messages, without its query, which may hold a secret. */
static const char *table_url_shown(struct span url, char out[URL_SHOWN_MAX])
{
    if (is_web_url(url))
        return url_shown(url, out);
    snprintf(out, URL_SHOWN_MAX, "%.*s", SPAN_FMT(url));
    return out;
}

static enum dp_status parse_for_index(struct call *call, struct span json, struct span url,
                                      const struct faiss_index *index, struct recall_table *out)
{
    struct faiss_ivf_info info = faiss_index_info(index);
    char name[URL_SHOWN_MAX];
    enum dp_status status = recall_parse(json, out, &call->error);
    if (status != DP_OK) {
        dp_error_prefix(&call->error, "%s", table_url_shown(url, name));
        return status;
    }
    if (out->file_bytes != info.file_bytes || out->fingerprint != faiss_index_fingerprint(index))
        return call_fail(call, DP_STALE,
                         "%s is the table of another file than this one of %" PRIu64
                         " bytes: build the file again, or run `dipper faiss calibrate`",
                         table_url_shown(url, name), info.file_bytes);
    return DP_OK;
}

enum dp_status recall_load(struct call *call, struct span url, const struct store_options *store,
                           const struct faiss_index *index, struct recall_table *out)
{
    char name[URL_SHOWN_MAX];
    struct store *opened;
    struct span key;
    enum dp_status status = store_open_object(call, url, store, &opened, &key);
    if (status != DP_OK)
        return status;
    struct store_read_req req = {.key = key, .len = RECALL_BYTES_MAX};
    status = store_read(call, opened, &req, 1);
    if (status == DP_INVALID && req.size < RECALL_BYTES_MAX) { /* the usual case: the object is shorter */
        dp_error_clear(&call->error);
        store_read_release(&req, 1);
        req = (struct store_read_req){.key = key, .len = STORE_TO_END};
        status = store_read(call, opened, &req, 1);
    } else if (status == DP_OK && req.size > RECALL_BYTES_MAX) {
        status = call_fail(call, DP_CORRUPT, "%s is too large for a table of recall", table_url_shown(url, name));
    }
    if (status == DP_NOT_FOUND)
        status =
            call_fail(call, DP_NOT_FOUND,
                      "there is no recall table %s: build the file with `dipper faiss build`, measure it with "
                      "`dipper faiss calibrate`, or give nprobe",
                      table_url_shown(url, name));
    if (status == DP_OK)
        status = parse_for_index(call, req.bytes.span, url, index, out);
    store_read_release(&req, 1);
    store_free(opened);
    return status;
}

enum dp_status recall_nprobe(const struct recall_table *table, double wanted, size_t *nprobe,
                             struct dp_error *error)
{
    double best = 0;
    for (size_t i = 0; i < table->count; i++) {
        *nprobe = (size_t)table->points[i].nprobe;
        if (table->points[i].recall >= wanted)
            return DP_OK;
        best = fmax(best, table->points[i].recall);
    }
    return dp_fail(error, DP_INVALID, "a recall of %g was not reached; the highest that was measured is %.4f",
                   wanted, best);
}
