/* filter/vector_value.h: vectors as JSON values: arrays of numbers, or base64 of little-endian float32. */
#ifndef FILTER_VECTOR_VALUE_H
#define FILTER_VECTOR_VALUE_H

#include "base/json.h"
#include "filter/attribute.h"

/* Consumes an array of numbers or a base64 string of little-endian float32 and gives its components as
 * `element` rounds them: f16 to the nearest (ties to even); i8 takes only whole numbers from -128 to 127. `dim`
 * 0: any number of components up to ATTRIBUTE_DIM_MAX; *count says how many. Fails with DP_INVALID, also for
 * NaN, infinities and components beyond the element's range, or with DP_NOMEM. The sentence begins with
 * `attribute "name"`. */
enum dp_status vector_read(struct json_reader *r, struct span name, uint32_t dim, enum vector_element element,
                           struct arena *arena, float **out, uint32_t *count, struct dp_error *error);
/* Consumes a vector of the attribute's type, and appends its normal form: a string of base64 over its elements. */
enum dp_status vector_put(const struct attribute *attribute, struct json_reader *r, struct arena *arena,
                          struct buffer *out, struct dp_error *error);
/* Decodes a normal form into out[attribute->dim]. Returns false if `normal` is not in normal form. */
bool vector_of_normal(const struct attribute *attribute, struct span normal, float *out);

/* Rounds to the nearest half, ties to even. Returns false for a number that would become infinite, and for NaN. */
bool half_of_float(float number, uint16_t *out);
float float_of_half_bits(uint16_t half);

#endif
