/* api/fields.h: reads the fields of a request's JSON object strictly. Private to the dialects. */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include "base/json.h"

/* Reads the next key of the open object; sets *field to the key's position in `names` (at most 64, none NULL).
 * Returns false at the object's end, and after a failure: the field is unknown or was given before. `seen` begins as
 * 0 and has a bit for each field given. */
bool fields_next(struct json_reader *r, struct arena *arena, const char *const *names, size_t count,
                 uint64_t *seen, int *field);
/* Enters the object that a request's body must be. */
bool fields_enter_request(struct json_reader *r);
/* Returns whether the next value is of this type; if not, the reader fails with `"text" must be a string, not …`. */
bool fields_expect(struct json_reader *r, enum json_type type, const char *name);

bool fields_string(struct json_reader *r, struct arena *arena, const char *name, struct span *out);
bool fields_bool(struct json_reader *r, const char *name, bool *out);
/* Reads an integer within [least, most]. */
bool fields_u32(struct json_reader *r, const char *name, uint32_t least, uint32_t most, uint32_t *out);
/* Reads an array of at most `max` numbers, all within a float's range. */
bool fields_floats(struct json_reader *r, struct arena *arena, const char *name, size_t max, const float **out,
                   size_t *count);
/* Consumes a null; false when the next value is another. */
bool fields_null(struct json_reader *r);

/* Counts the elements of the array that begins at the reader's position; the reader stays there. */
size_t fields_count_items(const struct json_reader *r);

#endif
