/* service/clone.h: makes a branch of a namespace, which shares its objects, or a copy. */
#ifndef SERVICE_CLONE_H
#define SERVICE_CLONE_H

#include "service/service.h"

struct clone_request {
    struct span source, namespace;
    bool copies; /* false: makes a branch */
};

struct clone_response {
    uint64_t rows;    /* of the new namespace */
    int64_t total_ns; /* duration of service_clone() */
};

/* Makes a branch or a copy of a namespace in the service's store. The client must have the right to read the
 * source, and to write the new namespace.
 *
 *   DP_NOT_FOUND  the source does not exist
 *   DP_INVALID    the new namespace exists already or is the source, or the source has too many branches
 *   others        as index_branch() or index_copy() */
enum dp_status service_clone(struct call *call, struct service *service, const struct clone_request *request,
                             struct clone_response *response);

#endif
