/* namespace_transfer.c: `dipper namespace export` and `import`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/masked_url.h"
#include "cli/input.h"
#include "cli/namespace.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "service/transfer.h"

/* The progress report of a transfer. */
struct transfer_report {
    struct progress line;
    uint64_t size; /* bytes of the input; 0: unknown */
};

static void report_rows(void *context, uint64_t rows, uint64_t bytes)
{
    struct transfer_report *report = context;
    progress_update(&report->line, rows, bytes, report->size);
}

static void print_transfer(struct namespace_run *run, const char *done, const struct transfer_summary *s,
                           bool on_stderr)
{
    if (run->options->json) {
        json_field_u64(&run->json, "rows", s->rows);
        json_field_u64(&run->json, "bytes", s->bytes);
        if (s->faiss_file.len)
            json_field_span(&run->json, "faiss_file", s->faiss_file);
        return;
    }
    char shown[URL_SHOWN_MAX];
    const char *where = s->faiss_file.len ? "; the vectors stay in the FAISS file " : "";
    const char *file = s->faiss_file.len ? url_shown(s->faiss_file, shown) : "";
    if (on_stderr)
        fprintf(stderr, "%.*s: %s %" PRIu64 " rows, %" PRIu64 " bytes%s%s\n", SPAN_FMT(run->name), done, s->rows,
                s->bytes, where, file);
    else
        buffer_printf(&run->out, "%.*s: %s %" PRIu64 " rows, %" PRIu64 " bytes%s%s\n", SPAN_FMT(run->name), done,
                      s->rows, s->bytes, where, file);
}

/* ---- export ---------------------------------------------------------------------------------------------- */

static enum dp_status write_to_output(void *context, struct span bytes, struct dp_error *error)
{
    (void)context;
    return output_write(bytes, error);
}

static enum dp_status write_to_file(void *context, struct span bytes, struct dp_error *error)
{
    return os_new_file_write(context, bytes, error);
}

/* Writes the namespace to a file, which appears only when it is whole. */
static enum dp_status export_to_file(struct namespace_run *run, const char *path,
                                     const struct transfer_progress *progress, struct transfer_summary *summary)
{
    struct os_new_file *file = NULL;
    enum dp_status status = os_new_file_begin(path, &file, &run->call.error);
    if (status)
        return status;
    const struct transfer_sink sink = {write_to_file, file};
    status = service_export(&run->call, run->service, run->name, &sink, progress, summary);
    if (status == DP_OK)
        return os_new_file_finish(file, &run->call.error);
    os_new_file_abort(file);
    return status;
}

enum dp_status namespace_export(struct namespace_run *run)
{
    static const struct transfer_sink output = {write_to_output, NULL};
    const char *path = run->args->positions[1];
    bool to_output = strcmp(path, "-") == 0;
    struct transfer_report report = {.size = 0};
    const struct transfer_progress progress = {report_rows, &report};
    struct transfer_summary summary;
    progress_begin(&report.line, "rows");
    enum dp_status status = to_output
                                ? service_export(&run->call, run->service, run->name, &output, &progress, &summary)
                                : export_to_file(run, path, &progress, &summary);
    progress_end(&report.line);
    if (status == DP_OK)
        print_transfer(run, "exported", &summary, to_output);
    return status;
}

/* ---- import ---------------------------------------------------------------------------------------------- */

enum dp_status namespace_import(struct namespace_run *run)
{
    const char *path = run->args->positions[1];
    struct transfer_report report = {.size = 0};
    const struct transfer_progress progress = {report_rows, &report};
    struct transfer_summary summary;
    struct line_reader reader;
    struct input in;
    struct stat st;
    enum dp_status status = input_open(&in, path, &run->call.error);
    if (status)
        return status;
    if (fstat(in.fd, &st) == 0 && S_ISREG(st.st_mode))
        report.size = (uint64_t)st.st_size;
    line_reader_init(&reader, in.stream, TRANSFER_LINE_MAX);
    progress_begin(&report.line, "rows");
    status = service_import(&run->call, run->service, run->name, &reader, &progress, &summary);
    progress_end(&report.line);
    line_reader_deinit(&reader);
    input_close(&in);
    if (status == DP_OK)
        print_transfer(run, "imported", &summary, false);
    if (status == DP_CANCELLED)
        call_fail(&run->call, status, "no namespace was made");
    return status;
}
