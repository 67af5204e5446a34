/* cli/namespace.h: one run of `dipper namespace`, for the files of its verbs. */
#ifndef CLI_NAMESPACE_H
#define CLI_NAMESPACE_H

#include "base/json.h"
#include "cli/args.h"
#include "service/service.h"

struct namespace_options {
    bool json, wait, yes, repair;
    const char *to; /* NULL: the same root */
};

/* One run of the command: its settings, the open root, and its output. */
struct namespace_run {
    const struct cli_args *args;
    const struct namespace_options *options;
    struct call call;
    struct service *service;
    struct store *store;
    struct span name; /* of the namespace; empty for `list` */
    struct buffer out;
    struct json_writer json;
    bool failed; /* the verb has done its work and found faults */
};

/* A verb writes its output into run->out, or the fields of an object into run->json, and its error into the call. */
typedef enum dp_status namespace_verb(struct namespace_run *run);

namespace_verb namespace_verify;                   /* namespace_verify.c */
namespace_verb namespace_export, namespace_import; /* namespace_transfer.c */
namespace_verb namespace_branch, namespace_copy;   /* namespace_clone.c */

#endif
