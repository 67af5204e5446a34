/* namespace_verify.c: `dipper namespace verify`, which finds faults. With --repair it removes damaged segments and
 * log entries. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/namespace.h"
#include "index/verify.h"
#include "service/hit_json.h"

/* What a repair has printed so far. */
struct repair_report {
    struct namespace_run *run;
    bool lists_lost; /* the list of faults is complete; the list of lost ids has begun */
    bool refused;    /* the user wants no change */
};

/* ---- verify ---------------------------------------------------------------------------------------------- */

static void print_fault(void *context, const char *object, const char *fault)
{
    struct namespace_run *run = context;
    bool named = strncmp(fault, object, strlen(object)) == 0;
    if (run->options->json) {
        json_begin_object(&run->json);
        json_field_str(&run->json, "object", object);
        json_field_str(&run->json, "fault", fault);
        json_end_object(&run->json);
    } else if (named)
        buffer_printf(&run->out, "%s\n", fault);
    else
        buffer_printf(&run->out, "%s: %s\n", object, fault);
}

static void print_found(struct namespace_run *run, const struct index_verify_result *r)
{
    if (run->options->json) {
        json_field_u64(&run->json, "segments", r->segments);
        json_field_u64(&run->json, "objects", r->objects);
        json_field_u64(&run->json, "rows", r->rows);
        json_field_u64(&run->json, "log_entries", r->entries);
        json_field_u64(&run->json, "unlisted", r->unlisted);
        return;
    }
    buffer_printf(&run->out,
                  "%.*s: %" PRIu64 " objects of %" PRIu64 " segments with %" PRIu64 " rows, %" PRIu64
                  " log entries: %" PRIu64 " faults; %" PRIu64 " objects are not listed\n",
                  SPAN_FMT(run->name), r->objects, r->segments, r->rows, r->entries, r->faults, r->unlisted);
}

/* Verifies the namespace, and prints its faults; in JSON they are the list `field`. */
static enum dp_status verify_all(struct namespace_run *run, const char *field)
{
    struct index_verify_result r;
    if (run->options->json)
        json_field_array(&run->json, field);
    enum dp_status status = index_verify(&run->call, run->store, run->name, print_fault, run, &r);
    if (status)
        return status;
    run->failed = r.faults != 0;
    if (run->options->json)
        json_end_array(&run->json);
    print_found(run, &r);
    return DP_OK;
}

/* ---- repair ---------------------------------------------------------------------------------------------- */

static void report_fault(void *context, const char *object, const char *fault)
{
    const struct repair_report *report = context;
    print_fault(report->run, object, fault);
}

/* Ends the list of faults, once. */
static void begin_lost(struct repair_report *report)
{
    struct namespace_run *run = report->run;
    if (run->options->json && !report->lists_lost) {
        json_end_array(&run->json);
        json_field_array(&run->json, "lost_ids");
    }
    report->lists_lost = true;
}

static void report_lost(void *context, const struct index_id *id)
{
    struct repair_report *report = context;
    struct namespace_run *run = report->run;
    begin_lost(report);
    if (run->options->json)
        hit_write_id(&run->json, id);
    else if (id->is_string)
        buffer_printf(&run->out, "lost: row \"%.*s\"\n", SPAN_FMT(id->text));
    else
        buffer_printf(&run->out, "lost: row %" PRIu64 "\n", id->number);
}

static void print_plan(struct namespace_run *run, const struct index_repair_result *plan)
{
    if (run->options->json) {
        json_field_u64(&run->json, "damaged_segments", plan->segments + plan->pending);
        json_field_u64(&run->json, "kept_rows", plan->kept);
        json_field_u64(&run->json, "lost_rows", plan->lost);
        json_field_u64(&run->json, "lost_rows_without_id", plan->unnamed);
        json_field_u64(&run->json, "lost_log_entries", plan->entries);
        json_field_u64(&run->json, "deletions_undone_at_most", plan->back);
        return;
    }
    buffer_printf(&run->out, "%.*s: lost are %" PRIu64 " rows of %" PRIu64 " damaged segments",
                  SPAN_FMT(run->name), plan->lost, plan->segments + plan->pending);
    if (plan->unnamed)
        buffer_printf(&run->out, " (the ids of %" PRIu64 " too)", plan->unnamed);
    buffer_printf(&run->out, " and %" PRIu64 " log entries with all that they wrote; %" PRIu64 " rows are kept\n",
                  plan->entries, plan->kept);
    if (plan->back)
        buffer_printf(&run->out, "%.*s: up to %" PRIu64 " rows that were deleted come back\n", SPAN_FMT(run->name),
                      plan->back);
}

/* Prints the buffered output before the question. */
static void show_output(struct namespace_run *run)
{
    printf("%.*s", (int)run->out.len, (const char *)run->out.data);
    fflush(stdout);
    buffer_clear(&run->out);
}

static bool ask_user(void)
{
    char answer[8] = "";
    if (!isatty(STDIN_FILENO))
        return false;
    fputs("Take out what is lost, and keep the rest? [y/N] ", stderr);
    if (!interrupt_wait_readable(STDIN_FILENO, -1) || !fgets(answer, sizeof answer, stdin))
        return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

static bool agree_to_repair(void *context, const struct index_repair_result *plan)
{
    struct repair_report *report = context;
    struct namespace_run *run = report->run;
    begin_lost(report);
    if (run->options->json)
        json_end_array(&run->json);
    print_plan(run, plan);
    if (run->options->yes)
        return true;
    show_output(run);
    report->refused = !ask_user();
    return !report->refused;
}

static enum dp_status repair_namespace(struct namespace_run *run)
{
    struct repair_report report = {.run = run};
    const struct index_repair_options options = {.fault = report_fault,
                                                 .lost = report_lost,
                                                 .agree = agree_to_repair,
                                                 .context = &report,
                                                 .team = service_team(run->service)};
    struct index_repair_result r;
    if (run->options->json)
        json_field_array(&run->json, "faults");
    enum dp_status status = index_repair(&run->call, run->store, run->name, &options, &r);
    if (status)
        return status;
    if (run->options->json && !report.lists_lost)
        json_end_array(&run->json);
    if (report.refused)
        return call_fail(&run->call, DP_CANCELLED, "nothing was changed: --yes repairs without a question");
    if (r.done)
        return verify_all(run, "faults_left");
    print_found(run, &r.found);
    run->failed = r.found.faults != 0;
    if (run->failed)
        buffer_printf(&run->out, "%.*s: these faults cannot be repaired\n", SPAN_FMT(run->name));
    return DP_OK;
}

enum dp_status namespace_verify(struct namespace_run *run)
{
    return run->options->repair ? repair_namespace(run) : verify_all(run, "faults");
}
