/* index/manifest/format.h: the field names and constants of a manifest, for parser, printer, tests and fuzz
 * target.
 *
 * manifest/write.c has the grammar.
 */
#ifndef INDEX_MANIFEST_FORMAT_H
#define INDEX_MANIFEST_FORMAT_H

#include "index/manifest/manifest.h"

#define MANIFEST_FORMAT      "dipper-namespace"
#define MANIFEST_TAIL_BEFORE ",\n  \"checksum\": \""
#define MANIFEST_TAIL_AFTER  "\"\n}\n"

enum {
    MANIFEST_VERSION = 2,        /* the format version that manifest_write() writes */
    MANIFEST_VERSION_OLDEST = 1, /* the oldest version that the parser reads; its writers have no time */
    MANIFEST_TAIL_LEN = sizeof MANIFEST_TAIL_BEFORE - 1 + 16 + sizeof MANIFEST_TAIL_AFTER - 1
};

/* Fields of each kind of JSON object, in the order in which manifest_write() prints them. */
enum top_field {
    TOP_FORMAT,
    TOP_VERSION,
    TOP_STATE,
    TOP_FEATURES,
    TOP_SEQUENCE,
    TOP_INCARNATION,
    TOP_WRITERS,
    TOP_WRITERS_GONE,
    TOP_CREATED,
    TOP_UPDATED,
    TOP_WAL_FLOOR,
    TOP_WAL_GONE,
    TOP_WAL_CHAIN,
    TOP_HORIZON,
    TOP_CLAIMS,
    TOP_PINS,
    TOP_OWNERS,
    TOP_READ_ONLY,
    TOP_NUM_SHARDS,
    TOP_VECTOR,
    TOP_ID_TYPE,
    TOP_SCHEMA,
    TOP_SEGMENTS,
    TOP_PENDING,
    TOP_KEYS,
    TOP_EXTERNAL,
    TOP_FIELDS
};
enum writer_field { WRITER_ID, WRITER_SEQUENCE, WRITER_AT, WRITER_FIELDS };
enum claim_field { CLAIM_FIELD_KIND, CLAIM_FIELD_NODE, CLAIM_FIELD_UNTIL, CLAIM_FIELDS };
enum pin_field { PIN_ID, PIN_INCARNATION, PIN_SIZE, PIN_BRANCH, PIN_BRANCH_INCARNATION, PIN_FIELDS };
enum keys_field { KEYS_ID, KEYS_SIZE, KEYS_COUNT, KEYS_FIELDS };
enum external_field {
    EXTERNAL_URL,
    EXTERNAL_VERSION,
    EXTERNAL_SIZE,
    EXTERNAL_VECTORS,
    EXTERNAL_DIM,
    EXTERNAL_METRIC,
    EXTERNAL_FIELDS
};
enum owner_field { OWNER_NAME, OWNER_INCARNATION, OWNER_FIELDS };
enum pending_field { PENDING_LOAD, PENDING_AT, PENDING_SEGMENTS, PENDING_FIELDS };
enum vector_field {
    VECTOR_NUMBER,
    VECTOR_DIM,
    VECTOR_METRIC,
    VECTOR_MODEL,
    VECTOR_FINGERPRINT,
    VECTOR_ELEMENT,
    VECTOR_FIELDS
};
enum attribute_field {
    ATTRIBUTE_NUMBER,
    ATTRIBUTE_NAME,
    ATTRIBUTE_TYPE,
    ATTRIBUTE_OPTIONS,
    ATTRIBUTE_FINGERPRINT,
    ATTRIBUTE_DROPPED,
    ATTRIBUTE_FIELDS
};
enum segment_field {
    SEGMENT_ID,
    SEGMENT_ROWS,
    SEGMENT_VECTORS,
    SEGMENT_IVF,
    SEGMENT_DPR,
    SEGMENT_DELETED,
    SEGMENT_OWNER,
    SEGMENT_CENTROIDS,
    SEGMENT_FULL,
    SEGMENT_FIELDS
};
enum ivf_field { IVF_SIZE, IVF_HEAD, IVF_FIELDS };
enum dpr_field { DPR_SIZE, DPR_HOT_OFFSET, DPR_HOT_LENGTH, DPR_FIELDS };
enum deleted_field { DELETED_ID, DELETED_ROWS, DELETED_SIZE, DELETED_OWNER, DELETED_FIELDS };

extern const char *const manifest_top_fields[TOP_FIELDS];
extern const char *const manifest_writer_fields[WRITER_FIELDS];
extern const char *const manifest_claim_fields[CLAIM_FIELDS];
extern const char *const manifest_pending_fields[PENDING_FIELDS];
extern const char *const manifest_pin_fields[PIN_FIELDS];
extern const char *const manifest_owner_fields[OWNER_FIELDS];
extern const char *const manifest_vector_fields[VECTOR_FIELDS];
extern const char *const manifest_keys_fields[KEYS_FIELDS];
extern const char *const manifest_external_fields[EXTERNAL_FIELDS];
extern const char *const manifest_attribute_fields[ATTRIBUTE_FIELDS];
extern const char *const manifest_segment_fields[SEGMENT_FIELDS];
extern const char *const manifest_ivf_fields[IVF_FIELDS];
extern const char *const manifest_dpr_fields[DPR_FIELDS];
extern const char *const manifest_deleted_fields[DELETED_FIELDS];

/* Fields that version 1, and the first manifests of version 2, did not have, or that a manifest may leave out. */
#define TOP_OPTIONAL                                                                                           \
    (1u << TOP_STATE | 1u << TOP_WAL_GONE | 1u << TOP_WAL_CHAIN | 1u << TOP_CLAIMS | 1u << TOP_PINS |          \
     1u << TOP_READ_ONLY | 1u << TOP_ID_TYPE | 1u << TOP_PENDING | 1u << TOP_WRITERS_GONE | 1u << TOP_OWNERS | \
     1u << TOP_KEYS | 1u << TOP_EXTERNAL)
/* As TOP_OPTIONAL, for a segment. */
#define SEGMENT_OPTIONAL \
    (1u << SEGMENT_DELETED | 1u << SEGMENT_OWNER | 1u << SEGMENT_CENTROIDS | 1u << SEGMENT_FULL)

extern const char *const manifest_state_names[NAMESPACE_STATES];
extern const char *const manifest_claim_kinds[CLAIM_KINDS];
/* Names of features; bit i of manifest.features is number i. */
enum { MANIFEST_FEATURES = 2 };
extern const char *const manifest_feature_names[MANIFEST_FEATURES];

/* Returns "cosine_distance" or "euclidean_squared". */
const char *manifest_metric_name(enum index_metric metric);
/* Appends the tail, with the checksum of the bytes of `out` from `start` on. */
void manifest_put_checksum(struct buffer *out, size_t start);
/* Returns whether the bytes end with a tail and its checksum fits the bytes before it. */
bool manifest_checksum_fits(struct span bytes);

#endif
