/* store/s3/credentials_process.h: takes keys from the program that a profile's credential_process names. */
#ifndef STORE_S3_CREDENTIALS_PROCESS_H
#define STORE_S3_CREDENTIALS_PROCESS_H

#include "os/call.h"
#include "store/s3/keys.h"

/* Runs `command`, split into words as a shell would do, but without a shell, and parses the JSON that it prints. `from`
 * names the profile in messages. Blocks for at most a minute. */
enum dp_status credentials_from_process(struct call *call, const char *from, struct span command,
                                        struct aws_keys **out);

#endif
