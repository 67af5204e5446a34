/* service/attach.h: attaches a namespace to a FAISS file where it lies: the file has the vectors, the namespace the
 * texts and attributes of the rows with their ids. */
#ifndef SERVICE_ATTACH_H
#define SERVICE_ATTACH_H

#include "faiss/faiss_index.h"
#include "os/file.h"
#include "service/service.h"

struct attach_request {
    struct span namespace;
    struct span url;                 /* of the file; stored in the namespace, so without credentials */
    const struct faiss_index *index; /* the open file */
    /* Lines {"id": 7, "text": "…", …attributes}; an id is a whole number, and no line has a vector. NULL: the namespace has
     * its rows already. */
    struct line_reader *rows;
    const char *language; /* as in ingest_options */
};

struct attach_summary {
    uint64_t loaded;              /* lines of `rows` */
    uint64_t rows;                /* of the namespace */
    uint64_t vectors;             /* vectors of the file that searches can find */
    uint64_t joined;              /* rows that have a vector */
    uint64_t vectors_without_row; /* vectors that are no answers */
};

/* Checks that everybody may see the URL of a file, and that it means the same to every program that opens the
 * namespace. Fails with DP_INVALID. */
enum dp_status attach_check_url(struct call *call, struct span url);
/* Makes a namespace if there is none, loads the rows, and writes the file's URL and version into the namespace. Then
 * counts which ids fit. Fails with DP_INVALID for a URL with credentials or a relative one, for a wrong line ("line
 * 7: …"), or for a namespace that has vectors; else as index_load_commit(). After a failure the rows may be there;
 * the same attachment can be made again. */
enum dp_status service_attach(struct call *call, struct service *service, const struct attach_request *request,
                              struct attach_summary *out);

#endif
