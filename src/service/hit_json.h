/* service/hit_json.h: writes a hit of a query for clients, as one flat JSON object. */
#ifndef SERVICE_HIT_JSON_H
#define SERVICE_HIT_JSON_H

#include "base/json.h"
#include "index/index.h"

struct hit_format {
    const struct span *excluded; /* names of attributes to leave out */
    size_t excluded_count;
    uint32_t dim;     /* of the hits' vectors; 0: leaves vectors out */
    bool base64;      /* writes vectors as base 64 of little-endian float32; false: as arrays of numbers */
    bool no_distance; /* leaves "$dist" out: the query has no vector */
    /* Each hit adds its size to this number, as turbopuffer counts sizes: 8 bytes for a number or a numeric id, 4
     * for a float32, 1 for a boolean, the length of a string. NULL: sizes are not counted. */
    uint64_t *logical_bytes;
};

/* Writes an id as its client wrote it: a number or a string. */
void hit_write_id(struct json_writer *w, const struct index_id *id);
/* Writes {"id": …, "$dist": …, "vector": …, …attributes}. Fails with DP_NOMEM, or with DP_CORRUPT when the attributes
 * are not a JSON object. */
enum dp_status hit_write_json(struct json_writer *w, struct call *call, const struct index_hit *hit,
                              const struct hit_format *format);

#endif
