/* service_fixture.c: a service over the tiny model and a fresh folder. */
#include "service_fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "embed/model.h"

const char FIXTURE_ROWS[] =
    "{\"id\":1,\"text\":\"cat dog\",\"kind\":\"animal\",\"legs\":4}\n"
    "{\"id\":\"two\",\"text\":\"wing wind sail\",\"kind\":\"air\"}\n"
    "\n"
    "{\"id\":3,\"text\":\"salt pepper\",\"kind\":\"spice\",\"tags\":[\"white\",\"black\"]}\n";

unsigned fixture_threads = 2;
bool fixture_token_input;
const struct indexes_options *fixture_indexes;

static struct arena arena;
static struct call the_call;
static bool has_arena;

const char *fixture_model(void)
{
    static char folder[512];
    if (folder[0])
        return folder;
    snprintf(folder, sizeof folder, "%s/tiny", test_tmpdir());
    assert_int_equal(mkdir(folder, 0700), 0);
    tiny_model_write(folder);
    return folder;
}

struct call *fixture_call(void)
{
    fixture_call_end();
    arena_init(&arena, 1 << 28);
    has_arena = true;
    call_init(&the_call, &arena);
    return &the_call;
}

void fixture_call_end(void)
{
    if (has_arena)
        arena_deinit(&arena);
    has_arena = false;
}

static struct service *open_service(const char *root, bool model, struct service_options options);

struct service *fixture_service(const char *root, bool model)
{
    return open_service(root, model,
                        (struct service_options){.threads = fixture_threads, .indexes = fixture_indexes});
}

struct service *fixture_cached_service(size_t vectors)
{
    return open_service(
        NULL, true,
        (struct service_options){.threads = fixture_threads,
                                 .cache = {.enabled = true, .vectors = vectors, .bytes = 1 << 24}});
}

static struct service *open_service(const char *root, bool model, struct service_options options)
{
    struct service *service = NULL;
    struct call *call = fixture_call();
    options.token_input = fixture_token_input;
    if (store_open(call, span_str(root ? root : test_tmpdir()), true, &options.store) != DP_OK)
        fail_msg("%s", call->error.message);
    if (model && model_open_dir(fixture_model(), MODEL_INT8, &options.model, &call->error) != DP_OK)
        fail_msg("%s", call->error.message);
    if (service_new(&options, &service, &call->error) != DP_OK)
        fail_msg("%s", call->error.message);
    fixture_call_end();
    return service;
}

enum dp_status fixture_ingest(struct call *call, struct service *service, const char *namespace, const char *lines,
                              struct ingest_summary *summary)
{
    struct ingest_options options = {.namespace = span_str(namespace)};
    struct line_reader reader;
    /* fmemopen refuses an empty buffer */
    FILE *in = lines[0] ? fmemopen((void *)(uintptr_t)lines, strlen(lines), "r") : fopen("/dev/null", "re");
    assert_non_null(in);
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    enum dp_status status = service_ingest(call, service, &reader, &options, summary);
    line_reader_deinit(&reader);
    fclose(in);
    return status;
}

void fixture_index(struct service *service, const char *namespace, const char *lines)
{
    struct ingest_summary summary;
    struct call *call = fixture_call();
    if (fixture_ingest(call, service, namespace, lines, &summary) != DP_OK)
        fail_msg("%s", call->error.message);
    fixture_call_end();
}
