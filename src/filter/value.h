/* filter/value.h: values of attributes as JSON text, and their normal forms.
 *
 * A document keeps each value in the normal form of its attribute's type, so that readers compare values without
 * knowing how a client wrote them:
 *
 *   string    its characters with the fewest escapes
 *   int, uint decimal digits, the 64 bits whole
 *   float     the fewest digits that read back as the same double
 *   bool      true, false
 *   uuid      a string of lower-case hexadecimal digits, 8-4-4-4-12
 *   datetime  a string "2024-03-01T00:00:00.000000000Z": UTC, to the millisecond
 *   bytes     a string of padded base64
 *   []T       an array of normal forms, without null
 *   [N]T      a string of padded base64 over the elements as they are stored, little endian
 *
 * null fits every type, and a document leaves it out.
 */
#ifndef FILTER_VALUE_H
#define FILTER_VALUE_H

#include "base/json.h"
#include "filter/attribute.h"

enum {
    VALUE_BYTES_MAX = 8 * 1024 * 1024, /* of one value in normal form */
    VALUE_CHECKED_MAX = 4096           /* of one value, or one element, of an attribute that is `checked` */
};

/* Consumes one value and appends its normal form; null stays null. Strings with escapes need memory of `arena`.
 * Fails with DP_INVALID for a value of another type or out of its range, DP_TOO_LARGE or DP_NOMEM; the sentence
 * names the attribute. */
enum dp_status value_put(const struct attribute *attribute, struct json_reader *r, struct arena *arena,
                         struct buffer *out, struct dp_error *error);
/* Gives the normal form of the JSON text `raw`, in `arena`, or `raw` itself. Fails as value_put() does. */
enum dp_status value_normalize(const struct attribute *attribute, struct span raw, struct arena *arena,
                               struct span *out, struct dp_error *error);
/* Returns whether a document may hold `raw` as a value of the attribute: it is null or in normal form, and has no
 * white space around it. */
bool value_is_normal(const struct attribute *attribute, struct span raw, struct arena *arena);

/* Consumes one value and finds the type that it gives a new attribute: string, int, float, bool, or an array of
 * them. *known is false for null and [], which fit several types. A number is an int if it is written as an
 * integer that fits an int64, else a float; integers and floats in one array make []float. Returns false for a
 * value that no type fits (an object, nested arrays, an array with null or of several types), and for text that is
 * not JSON. json_failed(r) tells these two apart. */
bool value_infer(struct json_reader *r, enum attribute_type *out, bool *known);

#endif
