/* namespace_clone.c: `dipper namespace branch` and `cp`. */
#include <inttypes.h>

#include "cli/namespace.h"
#include "index/branch.h"
#include "index/copy.h"
#include "service/open.h"

static void print_clone(struct namespace_run *run, const char *done, uint64_t rows, uint64_t segments)
{
    const struct span made = span_str(run->args->positions[1]);
    if (run->options->json) {
        json_field_u64(&run->json, "rows", rows);
        json_field_u64(&run->json, "segments", segments);
        return;
    }
    buffer_printf(&run->out, "%.*s: %s of %.*s, %" PRIu64 " rows in %" PRIu64 " segments\n", SPAN_FMT(made), done,
                  SPAN_FMT(run->name), rows, segments);
}

enum dp_status namespace_branch(struct namespace_run *run)
{
    const struct index_branch_options options = {.team = service_team(run->service)};
    struct index_branch_result result;
    enum dp_status status =
        index_branch(&run->call, run->store, run->name, span_str(run->args->positions[1]), &options, &result);
    if (status == DP_OK)
        print_clone(run, "a branch", result.rows, result.segments);
    return status;
}

enum dp_status namespace_copy(struct namespace_run *run)
{
    const char *url = run->options->to;
    struct index_load_summary summary;
    struct store *other = NULL;
    enum dp_status status = url ? open_other_root(&run->call, &run->args->config, span_str(url), &other) : DP_OK;
    if (status == DP_OK)
        status = index_copy(&run->call, run->store, run->name, other ? other : run->store,
                            span_str(run->args->positions[1]), service_team(run->service), &summary);
    if (status == DP_OK)
        print_clone(run, "a copy", summary.total_rows, summary.segments);
    store_free(other);
    return status;
}
