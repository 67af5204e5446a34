/* capi/rows_file.h: opens a file of rows as a stream whose reads end when the call ends.
 *
 * A pipe or a terminal may deliver its next bytes late or never. So a waiting read checks the call again and
 * again.
 */
#ifndef CAPI_ROWS_FILE_H
#define CAPI_ROWS_FILE_H

#include <stdatomic.h>
#include <stdio.h>

#include "os/call.h"

/* The thread that reads owns all fields except `ended`. */
struct rows_file {
    struct call *call;
    int fd;
    _Atomic bool ended; /* the rest of the file is not wanted; any thread may set it */
    FILE *stream;
};

/* Opens `path`; `file` and `call` must stay where they are until rows_file_close. */
enum dp_status rows_file_open(struct rows_file *file, struct call *call, const char *path);
void rows_file_close(struct rows_file *file);

/* Makes the current and every later read fail with ECANCELED. Any thread may call it. `file` is a struct
 * rows_file. */
void rows_file_wake(void *file);

#endif
