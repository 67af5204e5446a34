/* filter/column_key.h: keys of values in columns. */
#ifndef FILTER_COLUMN_KEY_H
#define FILTER_COLUMN_KEY_H

#include "base/buffer.h"
#include "filter/datetime.h"
#include "filter/scalar.h"

/* Memory of a scalar that column_scalar() makes. */
struct column_text {
    char bytes[DATETIME_TEXT_LEN];
};

/* Returns whether a column can hold values of this type, or arrays of them. */
bool column_can_hold(enum attribute_type type);
/* Returns whether the keys of these values are those of texts. */
static inline bool column_is_text(enum attribute_type item)
{
    return item == ATTRIBUTE_STRING || item == ATTRIBUTE_UUID;
}
/* Finds the key of a JSON value that is no text. Returns false if it is no value of the type. */
bool column_key_of(enum attribute_type item, struct span value, uint64_t *key);
/* Returns the value of a key. `shown`: the type by which filters see it; an int may be seen as a float. */
struct scalar column_scalar(enum attribute_type item, enum attribute_type shown, uint64_t key,
                            struct column_text *text);
/* Gives the least and the greatest key of a type that is no text. */
void column_key_range(enum attribute_type item, uint64_t *least, uint64_t *greatest);
/* Puts the characters of a text into `out`, in place of what it had. The caller checks the buffer. */
void column_unescape(const struct scalar *text, struct buffer *out);
/* Gives the characters of a JSON string, which may lie in `unescaped`. Returns false if the value is no string. The
 * caller checks the buffer. */
bool column_text_of(struct span value, struct buffer *unescaped, struct span *out);
/* Returns the 32 bits of a text's hash that keys have. */
uint32_t column_hash(struct span text);

#endif
