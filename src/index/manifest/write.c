/* manifest/write.c: prints a manifest. The grammar, in the order it is written:
 *
 * {
 *   "format": "dipper-namespace",
 *   "version": 2,
 *   "features": [],                      names of what a reader must know; an unknown one is refused
 *   "sequence": 3,                       swaps so far
 *   "incarnation": ULID,                 the folder of this life of the name
 *   "writers": [                         of the latest swaps, newest last, at most 640
 *     {"id": ULID, "at_ms": 1700000000000}, …
 *   ],
 *   "created_ms": 1700000000000,         Unix time
 *   "updated_ms": 1700000000000,
 *   "wal_floor": 0,
 *   "horizon": ULID,
 *   "num_shards": 1,
 *   "vector": {"attribute": 1, "dim": 384, "metric": "cosine_distance", "model": "…", "fingerprint": "…"},
 *   "schema": [
 *     {"number": 2, "name": "section", "type": "string"}, …
 *   ],
 *   "segments": [
 *     {"id": ULID, "rows": 10, "vectors": 12, "ivf": {"size": 1, "head": 1},
 *      "dpr": {"size": 1, "hot_offset": 1, "hot_length": 1},
 *      "deleted": {"id": ULID, "rows": 1, "size": 1}}, …          one line each; "deleted" only where rows are
 *   ],
 *   "checksum": "0123456789abcdef"
 * }
 *
 * The checksum is XXH3-64 of every byte before `,\n  "checksum"`, as 16 lower-case hexadecimal digits; the
 * bytes from there to the end have exactly this form, so that each byte of the file is covered by one check.
 */
#include "index/manifest/format.h"

#include <inttypes.h>

#include "base/checksum.h"
#include "base/json.h"

static void put_string(struct buffer *out, struct span text)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_string(&w, text);
}

static void put_writers(struct buffer *out, const struct manifest *m)
{
    buffer_append_str(out, "  \"writers\": [");
    for (size_t i = 0; i < m->writer_count; i++)
        buffer_printf(out, "%s\n    {\"id\": \"%s\", \"at_ms\": %" PRId64 "}", i ? "," : "", m->writers[i].id.text,
                      m->writers[i].at_ms);
    buffer_append_str(out, m->writer_count ? "\n  ],\n" : "],\n");
}

static void put_vector(struct buffer *out, const struct manifest *m)
{
    buffer_printf(out, "  \"vector\": {\"attribute\": %d, \"dim\": %" PRIu32 ", \"metric\": \"%s\", \"model\": ",
                  VECTOR_ATTRIBUTE, m->dim, manifest_metric_name(m->metric));
    put_string(out, m->model);
    buffer_append_str(out, ", \"fingerprint\": ");
    put_string(out, m->fingerprint);
    buffer_append_str(out, "},\n");
}

static void put_schema(struct buffer *out, const struct schema *schema)
{
    buffer_append_str(out, "  \"schema\": [");
    for (size_t i = 0; i < schema->count; i++) {
        const struct attribute *a = &schema->attributes[i];
        buffer_printf(out, "%s\n    {\"number\": %" PRIu32 ", \"name\": ", i ? "," : "", a->number);
        put_string(out, a->name);
        buffer_printf(out, ", \"type\": \"%s\"}", attribute_type_name(a->type));
    }
    buffer_append_str(out, schema->count ? "\n  ],\n" : "],\n");
}

static void put_segment(struct buffer *out, const struct manifest_segment *s)
{
    buffer_printf(out,
                  "    {\"id\": \"%s\", \"rows\": %" PRIu64 ", \"vectors\": %" PRIu64
                  ", \"ivf\": {\"size\": %" PRIu64 ", \"head\": %" PRIu64 "}, \"dpr\": {\"size\": %" PRIu64
                  ", \"hot_offset\": %" PRIu64 ", \"hot_length\": %" PRIu64 "}",
                  s->id.text, s->rows, s->vectors, s->ivf_size, s->ivf_head, s->dpr_size, s->hot_offset,
                  s->hot_len);
    if (s->has_deleted)
        buffer_printf(out, ", \"deleted\": {\"id\": \"%s\", \"rows\": %" PRIu64 ", \"size\": %" PRIu64 "}",
                      s->deletion.text, s->deleted_rows, s->deleted_size);
    buffer_append_str(out, "}");
}

enum dp_status manifest_write(const struct manifest *m, struct buffer *out, struct dp_error *error)
{
    size_t start = out->len;
    buffer_printf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n  \"features\": [],\n", MANIFEST_FORMAT,
                  MANIFEST_VERSION);
    buffer_printf(out, "  \"sequence\": %" PRIu64 ",\n  \"incarnation\": \"%s\",\n", m->sequence,
                  m->incarnation.text);
    put_writers(out, m);
    buffer_printf(out, "  \"created_ms\": %" PRId64 ",\n  \"updated_ms\": %" PRId64 ",\n", m->created_ms,
                  m->updated_ms);
    buffer_printf(out, "  \"wal_floor\": %" PRIu64 ",\n  \"horizon\": \"%s\",\n  \"num_shards\": %" PRIu32 ",\n",
                  m->wal_floor, m->horizon.text, m->num_shards);
    put_vector(out, m);
    put_schema(out, &m->schema);
    buffer_append_str(out, "  \"segments\": [");
    for (size_t i = 0; i < m->segment_count; i++) {
        buffer_append_str(out, i ? ",\n" : "\n");
        put_segment(out, &m->segments[i]);
    }
    buffer_append_str(out, m->segment_count ? "\n  ]" : "]");
    enum dp_status status = buffer_check(out, "a manifest", error);
    if (status)
        return status;
    manifest_put_checksum(out, start);
    status = buffer_check(out, "a manifest", error);
    if (status == DP_OK && out->len - start > MANIFEST_BYTES_MAX)
        status =
            dp_fail(error, DP_TOO_LARGE,
                    "the manifest would have %zu bytes, more than %d: the namespace has too many segments (%zu)",
                    out->len - start, MANIFEST_BYTES_MAX, m->segment_count);
    return status;
}

void manifest_put_checksum(struct buffer *out, size_t start)
{
    uint64_t sum = checksum64(span_of(out->data + start, out->len - start));
    buffer_printf(out, MANIFEST_TAIL_BEFORE "%016" PRIx64 MANIFEST_TAIL_AFTER, sum);
}
