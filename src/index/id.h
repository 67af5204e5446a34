/* index/id.h: the id key of a row: its id as bytes that a segment stores and sorts.
 *
 *   key = 0x01, u64 big endian        an unsigned integer
 *       | 0x02, 1 to 128 UTF-8 bytes  a string
 *       | 0x03, 16 bytes              a UUID
 *
 * Keys sort as bytes (memcmp, then length): integers in numeric order, before all strings, before all UUIDs.
 */
#ifndef INDEX_ID_H
#define INDEX_ID_H

#include "filter/attribute.h"
#include "filter/uuid.h"
#include "index/index.h"

enum { ID_KEY_MIN = 2, ID_KEY_MAX = 1 + INDEX_ID_MAX };

struct id_key {
    uint8_t len;
    uint8_t bytes[ID_KEY_MAX];
};

static inline struct span id_key_span(const struct id_key *key)
{
    return span_of(key->bytes, key->len);
}

/* Encodes an id as an id key. Fails with DP_INVALID for a string that is empty, too long or not UTF-8, and for a
 * text that is no UUID where one is due. */
enum dp_status id_encode(struct index_id id, struct id_key *out, struct dp_error *error);
/* Decodes an id key. Returns false for bytes that id_encode never makes. A string's text points into `key`, a
 * UUID's into `uuid`. */
bool id_decode(struct span key, char uuid[UUID_TEXT_LEN], struct index_id *out);
/* Returns whether id_encode() makes this key. */
bool id_key_valid(struct span key);
/* Returns the kind of an id key that id_encode() made. */
enum id_kind id_key_kind(struct span key);
/* Notes in *kind that the ids of a request, or of a namespace, have the kind of `key`; ID_ANY: none was noted yet.
 * Fails with DP_INVALID if they differ. */
enum dp_status id_kind_join(enum id_kind *kind, struct span key, struct dp_error *error);

enum { ID_TEXT_MAX = INDEX_ID_MAX + 3 };
/* Returns the id as a user wrote it, for messages: 7 or "seven". */
const char *id_describe(struct span key, char out[ID_TEXT_MAX]);

#endif
