/* service/hit_json.h: writes a hit of a query for clients, as one flat JSON object. */
#ifndef SERVICE_HIT_JSON_H
#define SERVICE_HIT_JSON_H

#include "base/json.h"
#include "index/index.h"

/* Writes {"id": …, "$dist": …, …attributes}, without the attributes named in `excluded`. Fails with DP_NOMEM,
 * or with DP_CORRUPT when the attributes are not a JSON object. */
enum dp_status hit_write_json(struct json_writer *w, struct call *call, const struct index_hit *hit,
                              const struct span *excluded, size_t excluded_count);

#endif
