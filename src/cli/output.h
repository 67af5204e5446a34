/* cli/output.h: standard output: what is written there arrives, or the command says so and fails; and when whoever read it
 * has left (`dipper … | head`), it ends quietly, by SIGPIPE, as other filters do. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* Writes all of it at once. Any one thread. */
enum dp_status output_write(struct span bytes, struct dp_error *error);

/* Whether a write failed because nobody reads any more: then there is nobody to complain to either. */
bool output_reader_left(void);

/* The end of a command of this exit status: what is still buffered goes out. Answers the status, or CLI_FAILED, with a
 * complaint, when some of the output is lost. Does not return when the reader has left. */
int output_end(int status);

#endif
