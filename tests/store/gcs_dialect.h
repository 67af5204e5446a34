/* gcs_dialect.h: the scripted server (http_server.h) as Google Cloud Storage: the JSON API with generations and their
 * preconditions, listings with startOffset, resumable uploads. An object's name is "/bucket/name". Every token is
 * good. */
#ifndef GCS_DIALECT_H
#define GCS_DIALECT_H

#include "http_objects.h"

extern const struct http_dialect GCS_DIALECT;

/* Accepts the preconditions of puts and ignores them. */
extern const struct http_dialect GCS_DIALECT_WITHOUT_CONDITIONS;

/* Keeps at most 256 KiB of each chunk of an upload, as the real store may. */
extern const struct http_dialect GCS_DIALECT_WITH_SHORT_CHUNKS;

/* The generation of a version of an object (struct http_object). */
enum { GCS_DIALECT_ERA = 1000000 };

#endif
