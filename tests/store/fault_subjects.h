/* fault_subjects.h: the stores of the fault matrix (test_fault_matrix.c). */
#ifndef FAULT_SUBJECTS_H
#define FAULT_SUBJECTS_H

#include "http_objects.h"
#include "store/transport.h"

#define FAULT_KEY    "the-object"
#define FAULT_SECRET "hush"

enum fault_operation {
    FAULT_READ,
    FAULT_HEAD,
    FAULT_LIST,
    FAULT_PUT,
    FAULT_PUT_IF,
    FAULT_UPLOAD,
    FAULT_REMOVE,
    FAULT_OPERATIONS
};

struct fault_subject {
    const char *name;
    const struct http_dialect *dialect;
    /* Opens the store at `endpoint`, with FAULT_SECRET as its secret. */
    enum dp_status (*open)(struct call *call, const char *endpoint, struct transport *transport,
                           struct store **out);
    const char *object; /* the name that the dialect gives to FAULT_KEY */
    /* Text in the head of the request that carries an operation, and of its further tries. NULL: the store lacks
     * the operation. */
    const char *matches[FAULT_OPERATIONS];
    size_t upload_bytes; /* an upload with one byte more has two parts, or whatever the store calls them */
    /* The store may take minutes to end an upload, so only its caller breaks that off. */
    bool ends_slowly;
    /* Answers to a key that has expired, and to a request with a wrong time; code 0: the store has no such answer. */
    struct http_act expired, skewed;
};

enum { FAULT_SUBJECT_COUNT = 4 };
extern const struct fault_subject FAULT_SUBJECTS[FAULT_SUBJECT_COUNT];

#endif
