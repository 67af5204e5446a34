/* cli/output.h: standard output. A command whose output is lost prints an error and fails. When the reader has
 * left (`dipper … | head`), the command ends quietly by SIGPIPE, as other filters do. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* Writes all bytes without buffering them. One thread at a time may call it. */
enum dp_status output_write(struct span bytes, struct dp_error *error);

/* Returns true if a write failed because the reader left. An error message is pointless then. */
bool output_reader_left(void);

/* Writes out buffered output, at the end of a command whose exit status is `status`. Returns `status`. When
 * output was lost, prints an error and returns CLI_FAILED in place of CLI_OK. Does not return when the reader
 * has left. */
int output_end(int status);

#endif
