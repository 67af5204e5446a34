/* credentials_process.c: takes keys from a program. Its output holds keys, so no message quotes it; of its standard
 * error, a message shows the first line. */
#include "store/s3/credentials_process.h"

#include <stdio.h>

#include "base/utf8.h"
#include "os/process.h"
#include "store/s3/shell_words.h"

enum { LIMIT_MS = 60 * 1000, OUTPUT_MAX_BYTES = 256 << 10, COMPLAINT_MAX_BYTES = 1024, SHOWN_MAX = 160 };

/* Splits the command and runs it. */
static enum dp_status run_command(struct call *call, const char *from, struct span command, struct buffer *output,
                                  struct buffer *complaint, struct process_end *end)
{
    struct shell_words split;
    enum dp_status status = shell_words_split(command, call->arena, &split, &call->error);
    if (status == DP_OK && split.count == 0)
        status = call_fail(call, DP_INVALID, "it is empty");
    if (status != DP_OK) {
        dp_error_prefix(&call->error, "credential_process of %s", from);
        return status;
    }
    const char **argv = arena_calloc(call->arena, split.count + 1, sizeof *argv);
    if (!argv)
        return call_nomem(call, "a command");
    for (size_t i = 0; i < split.count; i++)
        argv[i] = (const char *)split.words[i].data;
    status = process_run(call, argv, LIMIT_MS, output, complaint, end);
    if (status != DP_OK && status != DP_CANCELLED && status != DP_DEADLINE && status != DP_NOMEM) {
        /* A missing program is a wrong setting, not a missing object. */
        status = call_restatus(call, status == DP_UNAVAILABLE ? DP_UNAVAILABLE : DP_DENIED);
        dp_error_prefix(&call->error, "credential_process of %s", from);
    }
    return status;
}

enum dp_status credentials_from_process(struct call *call, const char *from, struct span command,
                                        struct aws_keys **out)
{
    struct buffer output, complaint;
    struct process_end end;
    buffer_init(&output, OUTPUT_MAX_BYTES);
    buffer_init(&complaint, COMPLAINT_MAX_BYTES);
    enum dp_status status = run_command(call, from, command, &output, &complaint, &end);
    if (status == DP_OK && !end.unknown && end.status != 0) {
        struct span says = utf8_shown(buffer_span(&complaint), SHOWN_MAX);
        char how[64] = "was ended by a signal";
        if (end.status > 0)
            snprintf(how, sizeof how, "ended with status %d", end.status);
        status = call_fail(call, DP_DENIED, "credential_process of %s %s%s%.*s", from, how, says.len ? ": " : "",
                           SPAN_FMT(says));
    }
    if (status == DP_OK) {
        const char *program = arena_printf(call->arena, "credential_process of %s", from);
        status = program ? aws_keys_from_process(program, buffer_span(&output), call->arena, out, &call->error)
                         : call_nomem(call, "keys");
    }
    buffer_deinit(&output);
    buffer_deinit(&complaint);
    return status;
}
