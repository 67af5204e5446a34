/* manifest/format.c: names of fields and metrics; writes and checks the tail with the checksum. */
#include "index/manifest/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/checksum.h"

const char *const manifest_top_fields[TOP_FIELDS] = {
    [TOP_FORMAT] = "format",       [TOP_VERSION] = "version",           [TOP_STATE] = "state",
    [TOP_FEATURES] = "features",   [TOP_SEQUENCE] = "sequence",         [TOP_INCARNATION] = "incarnation",
    [TOP_WRITERS] = "writers",     [TOP_WRITERS_GONE] = "writers_gone", [TOP_CREATED] = "created_ms",
    [TOP_UPDATED] = "updated_ms",  [TOP_WAL_FLOOR] = "wal_floor",       [TOP_WAL_GONE] = "wal_gone",
    [TOP_WAL_CHAIN] = "wal_chain", [TOP_HORIZON] = "horizon",           [TOP_CLAIMS] = "claims",
    [TOP_PINS] = "pins",           [TOP_READ_ONLY] = "read_only",       [TOP_NUM_SHARDS] = "num_shards",
    [TOP_VECTOR] = "vector",       [TOP_ID_TYPE] = "id_type",           [TOP_SCHEMA] = "schema",
    [TOP_SEGMENTS] = "segments",   [TOP_PENDING] = "pending",           [TOP_OWNERS] = "owners",
    [TOP_KEYS] = "keys",           [TOP_EXTERNAL] = "external",
};
const char *const manifest_external_fields[] = {
    [EXTERNAL_URL] = "url",         [EXTERNAL_VERSION] = "version", [EXTERNAL_SIZE] = "size",
    [EXTERNAL_VECTORS] = "vectors", [EXTERNAL_DIM] = "dim",         [EXTERNAL_METRIC] = "metric"};
const char *const manifest_keys_fields[] = {[KEYS_ID] = "id", [KEYS_SIZE] = "size", [KEYS_COUNT] = "count"};
const char *const manifest_state_names[] = {[NAMESPACE_LIVE] = "live", [NAMESPACE_DELETED] = "deleted"};
const char *const manifest_claim_kinds[] = {
    [CLAIM_FOLD] = "fold", [CLAIM_MERGE] = "merge", [CLAIM_COLLECT] = "gc"};
const char *const manifest_feature_names[] = {"log", "external"};
const char *const manifest_claim_fields[] = {
    [CLAIM_FIELD_KIND] = "kind", [CLAIM_FIELD_NODE] = "node", [CLAIM_FIELD_UNTIL] = "until_ms"};
const char *const manifest_pending_fields[] = {
    [PENDING_LOAD] = "load", [PENDING_AT] = "at_ms", [PENDING_SEGMENTS] = "segments"};
const char *const manifest_pin_fields[] = {[PIN_ID] = "id",
                                           [PIN_INCARNATION] = "incarnation",
                                           [PIN_SIZE] = "size",
                                           [PIN_BRANCH] = "branch",
                                           [PIN_BRANCH_INCARNATION] = "branch_incarnation"};
const char *const manifest_owner_fields[] = {[OWNER_NAME] = "name", [OWNER_INCARNATION] = "incarnation"};
const char *const manifest_writer_fields[] = {
    [WRITER_ID] = "id", [WRITER_SEQUENCE] = "sequence", [WRITER_AT] = "at_ms"};
const char *const manifest_vector_fields[] = {[VECTOR_NUMBER] = "attribute",        [VECTOR_DIM] = "dim",
                                              [VECTOR_METRIC] = "metric",           [VECTOR_MODEL] = "model",
                                              [VECTOR_FINGERPRINT] = "fingerprint", [VECTOR_ELEMENT] = "element"};
const char *const manifest_attribute_fields[] = {[ATTRIBUTE_NUMBER] = "number",
                                                 [ATTRIBUTE_NAME] = "name",
                                                 [ATTRIBUTE_TYPE] = "type",
                                                 [ATTRIBUTE_OPTIONS] = "options",
                                                 [ATTRIBUTE_FINGERPRINT] = "fingerprint",
                                                 [ATTRIBUTE_DROPPED] = "dropped"};
const char *const manifest_segment_fields[] = {[SEGMENT_ID] = "id",           [SEGMENT_ROWS] = "rows",
                                               [SEGMENT_VECTORS] = "vectors", [SEGMENT_IVF] = "ivf",
                                               [SEGMENT_DPR] = "dpr",         [SEGMENT_DELETED] = "deleted",
                                               [SEGMENT_OWNER] = "owner",     [SEGMENT_CENTROIDS] = "centroids",
                                               [SEGMENT_FULL] = "full"};
const char *const manifest_ivf_fields[] = {[IVF_SIZE] = "size", [IVF_HEAD] = "head"};
const char *const manifest_dpr_fields[] = {
    [DPR_SIZE] = "size", [DPR_HOT_OFFSET] = "hot_offset", [DPR_HOT_LENGTH] = "hot_length"};
const char *const manifest_deleted_fields[] = {
    [DELETED_ID] = "id", [DELETED_ROWS] = "rows", [DELETED_SIZE] = "size", [DELETED_OWNER] = "owner"};

const char *manifest_metric_name(enum index_metric metric)
{
    return metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared";
}

void manifest_put_checksum(struct buffer *out, size_t start)
{
    uint64_t sum = checksum64(span_of(out->data + start, out->len - start));
    buffer_printf(out, MANIFEST_TAIL_BEFORE "%016" PRIx64 MANIFEST_TAIL_AFTER, sum);
}

bool manifest_checksum_fits(struct span bytes)
{
    if (bytes.len < MANIFEST_TAIL_LEN)
        return false;
    size_t covered = bytes.len - MANIFEST_TAIL_LEN;
    char tail[MANIFEST_TAIL_LEN + 1];
    int len = snprintf(tail, sizeof tail, MANIFEST_TAIL_BEFORE "%016" PRIx64 MANIFEST_TAIL_AFTER,
                       checksum64(span_of(bytes.data, covered)));
    return len == MANIFEST_TAIL_LEN && memcmp(bytes.data + covered, tail, MANIFEST_TAIL_LEN) == 0;
}
