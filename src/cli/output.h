/* cli/output.h: standard output. A command whose output is lost prints an error and fails. When the reader has left
 * (`dipper … | head`), the command ends quietly by SIGPIPE, as other filters do. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* Writes all bytes at once. One thread at a time. */
enum dp_status output_write(struct span bytes, struct dp_error *error);

/* Whether a write failed because the reader left; an error message is pointless then. */
bool output_reader_left(void);

/* Writes out what is buffered, at the end of a command with this exit status. Returns the status, or prints an
 * error and returns CLI_FAILED when output was lost. Does not return when the reader has left. */
int output_end(int status);

#endif
