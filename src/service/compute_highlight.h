/* service/compute_highlight.h: the value ["Highlight", attribute, {options}]. Private to compute.c. */
#ifndef SERVICE_COMPUTE_HIGHLIGHT_H
#define SERVICE_COMPUTE_HIGHLIGHT_H

#include "base/json.h"
#include "filter/attribute.h"
#include "service/service.h"

struct compute_highlight;

/* Reads what follows the name of the attribute, into the call's arena. Fails with DP_INVALID or DP_NOMEM. */
enum dp_status compute_highlight_read(struct call *call, const struct query_request *request,
                                      const struct schema *schema, struct span name, struct json_reader *r,
                                      struct compute_highlight **out);
/* Writes the fragments of a row with these attributes. */
enum dp_status compute_highlight_write(struct call *call, const struct compute_highlight *highlight,
                                       struct span attributes, struct json_writer *w);

#endif
