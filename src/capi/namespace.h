/* capi/namespace.h: the open namespace behind the handle, for the other files of the C API. */
#ifndef CAPI_NAMESPACE_H
#define CAPI_NAMESPACE_H

#include <dipper/dipper.h>
#include <stdatomic.h>

#include "index/upkeep.h"
#include "service/service.h"

/* Namespaces that the service of a handle keeps open: the handle's, and those that its writes read. */
enum { CAPI_READERS_MAX = 4 };

struct dp_namespace {
    /* Not changed after dp_namespace_open. The service owns the store, and has locks inside. */
    struct service *service;
    struct span name; /* in name_bytes */
    char name_bytes[INDEX_NAME_MAX];
    /* Remembers the garbage between two collections. A thread that collects takes the collector out of the handle.
     * NULL: no thread has collected yet, or one collects now. */
    _Atomic(struct index_collector *) collector;
    _Atomic bool folding; /* a thread folds the log after its write; other threads do not */
};

#endif
