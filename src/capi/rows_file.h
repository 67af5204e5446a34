/* capi/rows_file.h: a file of rows as a stream whose reads end with the call.
 *
 * A pipe or a terminal may give its next bytes late, or never; meanwhile the reader looks at the call.
 */
#ifndef CAPI_ROWS_FILE_H
#define CAPI_ROWS_FILE_H

#include <stdatomic.h>
#include <stdio.h>

#include "os/call.h"

/* The thread that reads owns it, but for `ended`. */
struct rows_file {
    struct call *call;
    int fd;
    _Atomic bool ended; /* set by anyone: nobody wants the rest */
    FILE *stream;
};

/* Opens `path`; `file` and `call` must stay where they are until rows_file_close. */
enum dp_status rows_file_open(struct rows_file *file, struct call *call, const char *path);
void rows_file_close(struct rows_file *file);

/* Ends a read that waits. From any thread; `file` is a struct rows_file. */
void rows_file_wake(void *file);

#endif
