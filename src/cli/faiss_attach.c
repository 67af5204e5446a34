/* faiss_attach.c: `dipper faiss attach`: gives texts and attributes to the vectors of a FAISS file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/url.h"
#include "cli/faiss.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "service/attach.h"
#include "service/ingest.h"

enum { ATTACH_ARENA_MAX = 1 << 30 };

/* Makes a URL of a path, which the namespace can keep: a path means another file in another folder. */
static enum dp_status whole_url(struct call *call, const char *given, struct span *out)
{
    if (url_scheme_len(span_str(given))) {
        *out = span_str(given);
        return DP_OK;
    }
    char *path = realpath(given, NULL);
    if (!path)
        return call_fail(call, DP_NOT_FOUND, "there is no file %s", given);
    struct buffer text;
    buffer_init(&text, INDEX_URL_MAX * 4);
    buffer_append_str(&text, "file://");
    percent_append(&text, span_str(path), true);
    free(path);
    enum dp_status status = buffer_check(&text, "a URL", &call->error);
    if (status == DP_OK) {
        *out = arena_copy(call->arena, buffer_span(&text));
        status = out->data ? DP_OK : call_nomem(call, "a URL");
    }
    buffer_deinit(&text);
    return status;
}

static void print_attached(const struct faiss_options *given, const char *name, const struct attach_summary *s)
{
    const uint64_t without = s->rows - s->joined;
    if (given->json) {
        printf("{\"rows\":%" PRIu64 ",\"loaded\":%" PRIu64 ",\"vectors\":%" PRIu64 ",\"joined\":%" PRIu64
               ",\"rows_without_vector\":%" PRIu64 ",\"vectors_without_row\":%" PRIu64 "}\n",
               s->rows, s->loaded, s->vectors, s->joined, without, s->vectors_without_row);
        return;
    }
    printf("%s: %" PRIu64 " rows, of which %" PRIu64 " have a vector in the file\n", name, s->rows, s->joined);
    if (without)
        printf("%" PRIu64 " rows have no vector there: words and filters find them, meaning does not\n", without);
    if (s->vectors_without_row)
        printf("%" PRIu64 " of the file's %" PRIu64 " vectors have no row: nothing finds them\n",
               s->vectors_without_row, s->vectors);
}

static enum dp_status attach_file(struct call *call, const struct cli_args *args, struct line_reader *rows)
{
    const char *name = args->positions[0];
    const struct faiss_options *given = args->options;
    struct attach_request request = {.namespace = span_str(name), .rows = rows, .language = given->language};
    struct attach_summary summary;
    struct service *service = NULL;
    struct faiss_index *index = NULL;
    enum dp_status status = whole_url(call, args->positions[1], &request.url);
    if (status == DP_OK)
        status = attach_check_url(call, request.url);
    if (status == DP_OK)
        status = open_service(program_inputs(&args->config), OPEN_STORE | OPEN_CREATE, &service, &call->error);
    if (status == DP_OK)
        status = open_faiss(call, &args->config, request.url, &index);
    request.index = index;
    if (status == DP_OK)
        status = service_attach(call, service, &request, &summary);
    if (status == DP_OK)
        print_attached(args->options, name, &summary);
    faiss_index_free(index);
    service_free(service);
    return status;
}

static enum dp_status attach_with_rows(struct call *call, const struct cli_args *args)
{
    const struct faiss_options *given = args->options;
    struct line_reader lines;
    struct input in;
    if (!given->rows)
        return attach_file(call, args, NULL);
    enum dp_status status = input_open(&in, given->rows, &call->error);
    if (status != DP_OK)
        return status;
    line_reader_init(&lines, in.stream, INGEST_LINE_MAX);
    status = attach_file(call, args, &lines);
    line_reader_deinit(&lines);
    input_close(&in);
    return status;
}

int cli_faiss_attach(const struct cli_args *args)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, ATTACH_ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    attach_with_rows(&call, args);
    struct dp_error error = call.error;
    arena_deinit(&arena);
    return cli_end(args, &error);
}
