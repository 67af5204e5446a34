/* capi/rows_file.h: a file of rows as a stream; a read ends when the call ends.
 *
 * A pipe or a terminal may deliver its next bytes late or never. While the reader waits it checks the call.
 */
#ifndef CAPI_ROWS_FILE_H
#define CAPI_ROWS_FILE_H

#include <stdatomic.h>
#include <stdio.h>

#include "os/call.h"

/* Owned by the thread that reads, except `ended`. */
struct rows_file {
    struct call *call;
    int fd;
    _Atomic bool ended; /* any thread may set it: the rest of the file is not wanted */
    FILE *stream;
};

/* Opens `path`; `file` and `call` must stay where they are until rows_file_close. */
enum dp_status rows_file_open(struct rows_file *file, struct call *call, const char *path);
void rows_file_close(struct rows_file *file);

/* Ends a read that is waiting. Any thread may call it. `file` is a struct rows_file. */
void rows_file_wake(void *file);

#endif
