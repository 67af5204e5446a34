/* store/azure/answers.h: parses the XML that Azure's blob service answers with. The functions do no I/O, so the fuzzer
 * can call them.
 */
#ifndef STORE_AZURE_ANSWERS_H
#define STORE_AZURE_ANSWERS_H

#include "base/arena.h"
#include "store/bucket_list.h"

/* Parses a page of List Blobs into the zeroed *out; leaves out->bytes alone. Leaves out the folders of accounts with a
 * hierarchical namespace, which such listings name as blobs. */
enum dp_status azure_parse_page(struct span body, struct arena *arena, struct bucket_page *out,
                                struct dp_error *error);

/* An error answer: <Error><Code>…</Code><Message>…</Message><AuthenticationErrorDetail>…. */
struct azure_error {
    struct span code, message, detail; /* printable; empty if missing */
};
/* Returns false if `body` is not such an answer. */
bool azure_error_parse(struct span body, struct arena *arena, struct azure_error *out);

#endif
