/* index/manifest/format.h: what the manifest's parser and printer share; see manifest/write.c. */
#ifndef INDEX_MANIFEST_FORMAT_H
#define INDEX_MANIFEST_FORMAT_H

#include "index/manifest/manifest.h"

#define MANIFEST_FORMAT      "dipper-namespace"
#define MANIFEST_TAIL_BEFORE ",\n  \"checksum\": \""
#define MANIFEST_TAIL_AFTER  "\"\n}\n"

enum {
    MANIFEST_VERSION = 2,        /* written */
    MANIFEST_VERSION_OLDEST = 1, /* read; its writers have no time */
    MANIFEST_TAIL_LEN = sizeof MANIFEST_TAIL_BEFORE - 1 + 16 + sizeof MANIFEST_TAIL_AFTER - 1
};

const char *manifest_metric_name(enum index_metric metric); /* "cosine_distance", "euclidean_squared" */
/* Appends the tail over the bytes from `start` on. */
void manifest_put_checksum(struct buffer *out, size_t start);

#endif
