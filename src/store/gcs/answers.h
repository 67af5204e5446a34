/* store/gcs/answers.h: parses the JSON that Google Cloud Storage answers. Pure: no I/O.
 *
 * Sources: "Objects", "Objects: list" and "HTTP status and error codes for JSON", Cloud Storage reference.
 */
#ifndef STORE_GCS_ANSWERS_H
#define STORE_GCS_ANSWERS_H

#include "store/bucket_list.h"

/* Parses a page of a listing: {"items":[{"name":…,"size":"1"}],"prefixes":[…],"nextPageToken":…}. DP_IO for other
 * texts. Texts live in `body` or in the arena. */
enum dp_status gcs_parse_page(struct span body, struct arena *arena, struct bucket_page *page,
                              struct dp_error *error);
/* Parses an object resource for its generation and size. DP_IO for other texts. */
enum dp_status gcs_parse_object(struct span body, struct arena *arena, struct store_version *version,
                                uint64_t *size, struct dp_error *error);

/* An error answer: {"error":{"message":…,"errors":[{"reason":"notFound"}]}}, or, to a request for the bytes of an object,
 * one line of text. */
struct gcs_error {
    struct span reason, message; /* printable; empty if missing */
};
void gcs_error_parse(struct span body, struct arena *arena, struct gcs_error *out);

#endif
