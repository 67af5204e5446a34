/* api_fuzz.c: calls handlers with the fuzzer's inputs. */
#include "api_fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "embed/model.h"
#include "service/ingest.h"
#include "tiny_model.h"

static const char ROWS[] = "{\"id\":1,\"text\":\"cat dog\",\"kind\":\"animal\",\"legs\":4}\n"
                           "{\"id\":\"two\",\"text\":\"wing wind sail\",\"kind\":\"air\"}\n";

static void must(enum dp_status status, const struct dp_error *error)
{
    if (status == DP_OK)
        return;
    fprintf(stderr, "the fuzz target cannot begin: %s\n", error->message);
    abort();
}

/* For nftw. */
static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

struct service *fuzz_service(void)
{
    static struct service *service;
    if (service)
        return service;
    char folder[] = "/tmp/dipper-fuzz-XXXXXX";
    static const struct span name = {(const uint8_t *)"tiny", 4}; /* the folder's name is random */
    struct service_options options = {
        .threads = 1, .model_aliases = &name, .model_alias_count = 1, .token_input = true};
    struct ingest_options ingest = {.namespace = span_str("things")};
    struct ingest_summary summary;
    struct line_reader reader;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    if (!mkdtemp(folder))
        abort();
    tiny_model_write(folder);
    must(model_open_dir(folder, MODEL_INT8, &options.model, &call.error), &call.error);
    if (nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
    must(store_open(&call, span_str("mem://fuzz"), true, &options.store), &call.error);
    must(service_new(&options, &service, &call.error), &call.error);
    FILE *in = fmemopen((void *)(uintptr_t)ROWS, sizeof ROWS - 1, "r");
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    must(service_ingest(&call, service, &reader, &ingest, &summary), &call.error);
    line_reader_deinit(&reader);
    fclose(in);
    arena_deinit(&arena);
    return service;
}

static struct span no_header(const void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return span_of(NULL, 0);
}

void fuzz_ask(api_handler handler, const char *argument, struct span query, struct span body)
{
    struct api_context api = {.service = fuzz_service()};
    struct http_request request = {.method = "POST", .query = query, .body = body, .header = no_header};
    struct http_response response;
    struct arena arena;
    struct call call;
    if (argument)
        request.args[0] = span_str(argument);
    arena_init(&arena, 1 << 28);
    call_init(&call, &arena);
    http_response_init(&response);
    handler(&call, &api, &request, &response);

    struct json_reader r;
    json_reader_init(&r, buffer_span(&response.body));
    if (!json_skip(&r) || !json_end(&r) || (response.status / 100 != 2) != (response.outcome != DP_OK) ||
        response.status == 500) {
        fprintf(stderr, "%u %.*s\n", response.status, SPAN_FMT(buffer_span(&response.body)));
        abort();
    }
    http_response_deinit(&response);
    arena_deinit(&arena);
}
