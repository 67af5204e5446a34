/* index/object_name.h: the names of a namespace's objects.
 *
 *   <namespace>/manifest.json
 *   <namespace>/<incarnation>/wal/<number, 20 digits>
 *   <namespace>/<incarnation>/seg/<segment>.<attribute>.ivf
 *   <namespace>/<incarnation>/seg/<segment>.dpr
 *   <namespace>/<incarnation>/seg/<segment>.<deletion>.del
 *   <namespace>/<incarnation>/pin/<pin>.pin
 *
 * Incarnations, segments, deletions and pins are ULIDs; an attribute is its number in the schema.
 */
#ifndef INDEX_OBJECT_NAME_H
#define INDEX_OBJECT_NAME_H

#include "index/clock.h"
#include "index/index.h"
#include "os/random.h"

/* A ULID as text, with a NUL. */
struct ulid {
    char text[ULID_LEN + 1];
};

static inline struct span ulid_span(const struct ulid *u)
{
    return span_of(u->text, ULID_LEN);
}

static inline bool ulid_equal(const struct ulid *a, const struct ulid *b)
{
    return memcmp(a->text, b->text, ULID_LEN) == 0;
}

/* Parses a ULID. Returns false unless `text` is 26 upper-case characters of Crockford base 32 that fit 128
 * bits. */
bool ulid_parse(struct span text, struct ulid *out);

/* Returns the milliseconds of a ULID. */
int64_t ulid_ms(const struct ulid *u);

/* Makes a new ULID of now_ms (0: of the clock's time), with fresh random bits. If `after` is not older than that,
 * the new ULID's time is the millisecond after `after`. Else the new ULID sorts after all earlier ULIDs of the
 * clock's process. Fails with DP_CONFLICT when no ULID comes after `after`. */
enum dp_status ulid_new(const struct index_clock *clock, const struct ulid *after, int64_t now_ms,
                        struct ulid *out, struct dp_error *error);

/* An object name with a NUL; `len` does not count the NUL. */
struct object_key {
    size_t len;
    char text[INDEX_NAME_MAX + 4 * ULID_LEN + 32];
};

static inline struct span object_key_span(const struct object_key *key)
{
    return span_of(key->text, key->len);
}

/* The number of the vector attribute in every schema. */
enum { VECTOR_ATTRIBUTE = 1 };

void key_of_manifest(struct object_key *out, struct span name);
void key_of_wal(struct object_key *out, struct span name, const struct ulid *incarnation, uint64_t number);
void key_of_ivf(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment);
void key_of_dpr(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment);
void key_of_del(struct object_key *out, struct span name, const struct ulid *incarnation,
                const struct ulid *segment, const struct ulid *deletion);

void key_of_pin(struct object_key *out, struct span name, const struct ulid *incarnation, const struct ulid *pin);

void key_of_keys(struct object_key *out, struct span name, const struct ulid *incarnation,
                 const struct ulid *keys);

/* What the name of an object says. */
struct parsed_name {
    enum object_kind { OBJECT_WAL, OBJECT_IVF, OBJECT_DPR, OBJECT_DEL, OBJECT_PIN, OBJECT_KEYS } kind;
    struct object_key key; /* the name itself */
    struct span name;      /* of the namespace: the span that was given */
    struct ulid incarnation;
    uint64_t number;     /* OBJECT_WAL */
    struct ulid segment; /* OBJECT_IVF, OBJECT_DPR, OBJECT_DEL */
    struct ulid born;    /* of all but OBJECT_WAL: the ULID of the object, which tells when it was made */
};
/* Parses a name that one of the functions above makes for the namespace `name`. Returns false for all others, and for
 * the manifest's. */
bool object_name_parse(struct span key, struct span name, struct parsed_name *out);

#endif
