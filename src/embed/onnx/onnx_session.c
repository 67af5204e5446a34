/* onnx_session.c: opens an ONNX file, finds its inputs and its output by name and type, and runs it.
 *
 * ONNX Runtime reads and checks the file. We check its size before: an ONNX file has less than 2 GiB, so a larger
 * file need not be read.
 */
#include "embed/onnx/onnx_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "embed/folder/bert_config.h"
#include "os/log.h"

enum { RANK_MAX = 3, PORTS_MAX = 64 };
static const int64_t FILE_MAX = ((int64_t)2 << 30) - 1;

static const char *const input_names[ONNX_INPUTS] = {"input_ids", "attention_mask", "token_type_ids"};

/* An input or output of the graph. */
struct graph_port {
    char name[ONNX_NAME_MAX + 1];
    ONNXTensorElementDataType type; /* UNDEFINED: not a tensor */
    size_t rank;
    int64_t dims[RANK_MAX]; /* the first RANK_MAX; -1: any size */
};

static const char *type_name(ONNXTensorElementDataType type)
{
    switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return "float";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return "uint8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: return "int8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return "int32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return "int64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING: return "string";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: return "bool";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: return "double";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16: return "bfloat16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED: return "no tensor";
    default: return "of another type";
    }
}

/* ---- inputs and outputs of the graph ---- */

static enum dp_status read_port_shape(const OrtApi *api, const OrtTypeInfo *info, struct graph_port *out,
                                      struct dp_error *error)
{
    const OrtTensorTypeAndShapeInfo *tensor = NULL; /* a view of `info` */
    int64_t dims[16] = {0};
    enum dp_status status = onnx_check(api, api->CastTypeInfoToTensorInfo(info, &tensor), out->name, error);
    out->type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    out->rank = 0;
    if (status != DP_OK || !tensor)
        return status;
    status = onnx_check(api, api->GetTensorElementType(tensor, &out->type), out->name, error);
    if (status == DP_OK)
        status = onnx_check(api, api->GetDimensionsCount(tensor, &out->rank), out->name, error);
    if (status == DP_OK && out->rank <= sizeof dims / sizeof *dims)
        status = onnx_check(api, api->GetDimensions(tensor, dims, out->rank), out->name, error);
    for (size_t i = 0; i < RANK_MAX; i++)
        out->dims[i] = dims[i] > 0 ? dims[i] : -1;
    return status;
}

/* Reads input or output number i. */
static enum dp_status read_port(const struct onnx_session *s, bool is_output, size_t i, struct graph_port *out,
                                struct dp_error *error)
{
    const OrtApi *api = s->api;
    OrtAllocator *allocator = NULL;
    OrtTypeInfo *info = NULL;
    char *name = NULL;
    static const char doing[] = "the graph's inputs and outputs";
    enum dp_status status = onnx_check(api, api->GetAllocatorWithDefaultOptions(&allocator), doing, error);
    if (status == DP_OK)
        status = onnx_check(api,
                            is_output ? api->SessionGetOutputName(s->session, i, allocator, &name)
                                      : api->SessionGetInputName(s->session, i, allocator, &name),
                            doing, error);
    if (status != DP_OK)
        return status;
    if (strlen(name) > ONNX_NAME_MAX)
        status = dp_fail(error, DP_UNSUPPORTED, "the graph has a name of %zu bytes", strlen(name));
    snprintf(out->name, sizeof out->name, "%s", name);
    onnx_make_readable(out->name);
    OrtStatus *freed = api->AllocatorFree(allocator, name);
    if (freed)
        api->ReleaseStatus(freed);
    if (status == DP_OK)
        status = onnx_check(api,
                            is_output ? api->SessionGetOutputTypeInfo(s->session, i, &info)
                                      : api->SessionGetInputTypeInfo(s->session, i, &info),
                            out->name, error);
    if (status == DP_OK)
        status = read_port_shape(api, info, out, error);
    if (info)
        api->ReleaseTypeInfo(info);
    return status;
}

static enum dp_status take_input(struct onnx_session *s, const struct graph_port *port, struct dp_error *error)
{
    enum onnx_input kind = ONNX_IDS;
    while (kind < ONNX_INPUTS && strcmp(port->name, input_names[kind]) != 0)
        kind++;
    if (kind == ONNX_INPUTS)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the graph has the input %s; supported are input_ids, attention_mask and token_type_ids",
                       port->name);
    bool is_int32 = port->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    if ((!is_int32 && port->type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64) || port->rank != 2)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the graph takes %s as %s of %zu dimensions; int64 or int32 of 2 is needed", port->name,
                       type_name(port->type), port->rank);
    if (port->dims[1] > 0)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the graph takes %s of exactly %lld tokens; export it with a dynamic axis of tokens",
                       port->name, (long long)port->dims[1]);
    s->takes[kind] = true;
    s->is_int32[kind] = is_int32;
    if (port->dims[0] > 0)
        s->fixed_texts = (size_t)port->dims[0];
    return DP_OK;
}

static enum dp_status find_inputs(struct onnx_session *s, struct dp_error *error)
{
    size_t count = 0;
    struct graph_port port;
    enum dp_status status =
        onnx_check(s->api, s->api->SessionGetInputCount(s->session, &count), "the inputs", error);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        status = read_port(s, false, i, &port, error);
        if (status == DP_OK)
            status = take_input(s, &port, error);
    }
    if (status == DP_OK && !s->takes[ONNX_IDS])
        status = dp_fail(error, DP_UNSUPPORTED, "the graph takes no input_ids");
    return status;
}

/* Returns how well an output fits: 1 is best, 4 is worst, 0 is not usable. */
static unsigned output_rank(const struct graph_port *port, size_t count, bool pools)
{
    static const char *const names[] = {"last_hidden_state", "token_embeddings", "sentence_embedding"};
    bool is_per_token = port->rank == 3, fits = port->rank == 2 || (is_per_token && pools);
    if (port->type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || !fits)
        return 0;
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(port->name, names[i]) == 0 && is_per_token == (i < 2))
            return i + 1;
    return count == 1 ? 4 : 0;
}

static enum dp_status find_output(struct onnx_session *s, bool pools, struct dp_error *error)
{
    size_t count = 0, said = 0;
    unsigned best = 0;
    char list[200] = "";
    struct graph_port port;
    enum dp_status status =
        onnx_check(s->api, s->api->SessionGetOutputCount(s->session, &count), "the outputs", error);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        status = read_port(s, true, i, &port, error);
        if (status != DP_OK)
            break;
        if (said < sizeof list)
            said += (size_t)snprintf(list + said, sizeof list - said, "%s%s, %s of %zu dimensions",
                                     i > 0 ? "; " : "", port.name, type_name(port.type), port.rank);
        unsigned rank = output_rank(&port, count, pools);
        if (rank > 0 && (best == 0 || rank < best)) {
            best = rank;
            memcpy(s->output, port.name, sizeof s->output);
            s->is_per_token = port.rank == 3;
        }
    }
    if (status == DP_OK && best == 0)
        status = dp_fail(error, DP_UNSUPPORTED, "the graph has no usable output: expected %s%s of float, found %s",
                         pools ? "last_hidden_state or token_embeddings, or " : "", "sentence_embedding", list);
    return status;
}

/* ---- opening ---- */

/* Logs ONNX Runtime's messages at the level "debug", because it also returns its failures as statuses. */
static void log_message(void *ctx, OrtLoggingLevel severity, const char *category, const char *id, const char *at,
                        const char *message)
{
    (void)ctx, (void)severity, (void)category, (void)id;
    log_write(LOG_DEBUG, "ONNX Runtime: %s (%s)", message, at);
}

static enum dp_status check_size(const char *file, struct dp_error *error)
{
    struct stat info;
    if (stat(file, &info) != 0)
        return dp_fail_errno(error, errno, "open", file);
    if (!S_ISREG(info.st_mode))
        return dp_fail(error, DP_INVALID, "%s is not a file", file);
    if (info.st_size > FILE_MAX)
        return dp_fail(
            error, DP_TOO_LARGE,
            "%s has %lld bytes; an ONNX file has less than 2 GiB, and keeps larger weights in files beside it",
            file, (long long)info.st_size);
    return DP_OK;
}

static enum dp_status set_options(const OrtApi *api, OrtSessionOptions *options, unsigned threads,
                                  struct dp_error *error)
{
    static const char doing[] = "ONNX Runtime's options";
    enum dp_status status = onnx_check(api, api->SetIntraOpNumThreads(options, (int)threads), doing,
                                       error); /* `threads` includes the caller's thread */
    if (status == DP_OK)
        status = onnx_check(api, api->SetInterOpNumThreads(options, 1), doing, error);
    /* ONNX Runtime would keep a memory plan for each shape, and texts have many lengths. */
    if (status == DP_OK)
        status = onnx_check(api, api->DisableMemPattern(options), doing, error);
    /* ONNX Runtime's threads may spin during a run, but not after it, when our threads may need the processors. */
    if (status == DP_OK)
        status =
            onnx_check(api, api->AddSessionConfigEntry(options, "session.force_spinning_stop", "1"), doing, error);
    return status;
}

enum dp_status onnx_session_open(const struct onnx_library *library, const char *file, unsigned threads,
                                 bool pools, struct onnx_session *s, struct dp_error *error)
{
    const OrtApi *api = library->api;
    OrtSessionOptions *options = NULL;
    memset(s, 0, sizeof *s);
    s->api = api;
    enum dp_status status = check_size(file, error);
    if (status == DP_OK)
        status = onnx_check(
            api, api->CreateEnvWithCustomLogger(log_message, NULL, ORT_LOGGING_LEVEL_WARNING, "dipper", &s->env),
            "starting ONNX Runtime", error);
    if (status == DP_OK)
        status = onnx_check(api, api->DisableTelemetryEvents(s->env), "ONNX Runtime's telemetry", error);
    if (status == DP_OK)
        status = onnx_check(api, api->CreateSessionOptions(&options), "ONNX Runtime's options", error);
    if (status == DP_OK)
        status = set_options(api, options, threads, error);
    if (status == DP_OK)
        status = onnx_check(api, api->CreateSession(s->env, file, options, &s->session),
                            "ONNX Runtime cannot load it", error);
    if (options)
        api->ReleaseSessionOptions(options);
    if (status == DP_OK)
        status = onnx_check(api, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &s->memory),
                            "ONNX Runtime's memory", error);
    if (status == DP_OK)
        status = find_inputs(s, error);
    if (status == DP_OK)
        status = find_output(s, pools, error);
    return status;
}

void onnx_session_close(struct onnx_session *s)
{
    if (s->memory)
        s->api->ReleaseMemoryInfo(s->memory);
    if (s->session)
        s->api->ReleaseSession(s->session);
    if (s->env)
        s->api->ReleaseEnv(s->env);
    memset(s, 0, sizeof *s);
}

/* ---- running ---- */

/* Checks that the result is float [texts][tokens][dim] or [texts][dim], as the graph declared. */
static enum dp_status check_result(const struct onnx_session *s, size_t texts, size_t tokens,
                                   struct onnx_result *result, struct dp_error *error)
{
    const OrtApi *api = s->api;
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    const size_t rank = s->is_per_token ? 3 : 2;
    int64_t dims[RANK_MAX] = {0};
    size_t found = 0;
    void *data = NULL;
    enum dp_status status = onnx_check(api, api->GetTensorTypeAndShape(result->value, &info), s->output, error);
    if (status == DP_OK)
        status = onnx_check(api, api->GetTensorElementType(info, &type), s->output, error);
    if (status == DP_OK)
        status = onnx_check(api, api->GetDimensionsCount(info, &found), s->output, error);
    if (status == DP_OK && found == rank)
        status = onnx_check(api, api->GetDimensions(info, dims, rank), s->output, error);
    if (info)
        api->ReleaseTensorTypeAndShapeInfo(info);
    if (status != DP_OK)
        return status;
    bool fits = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT && found == rank && dims[0] == (int64_t)texts &&
                (!s->is_per_token || dims[1] == (int64_t)tokens) && dims[rank - 1] >= 1 &&
                dims[rank - 1] <= MODEL_HIDDEN_MAX;
    if (!fits)
        return dp_fail(
            error, DP_UNSUPPORTED,
            "the graph's %s for %zu texts of %zu tokens is %s of %zu dimensions (%lld, %lld, %lld); float "
            "[texts]%s[up to %d] is needed",
            s->output, texts, tokens, type_name(type), found, (long long)dims[0], (long long)dims[1],
            (long long)dims[2], s->is_per_token ? "[tokens]" : "", MODEL_HIDDEN_MAX);
    status = onnx_check(api, api->GetTensorMutableData(result->value, &data), s->output, error);
    result->vectors = data;
    result->dim = (size_t)dims[rank - 1];
    return status;
}

enum dp_status onnx_session_run(const struct onnx_session *s, void *const inputs[ONNX_INPUTS], size_t texts,
                                size_t tokens, struct onnx_result *out, struct dp_error *error)
{
    const OrtApi *api = s->api;
    const int64_t shape[2] = {(int64_t)texts, (int64_t)tokens};
    const char *names[ONNX_INPUTS], *output = s->output;
    OrtValue *values[ONNX_INPUTS] = {NULL};
    size_t count = 0;
    enum dp_status status = DP_OK;
    *out = (struct onnx_result){0};
    for (enum onnx_input kind = ONNX_IDS; kind < ONNX_INPUTS && status == DP_OK; kind++) {
        if (!s->takes[kind])
            continue;
        size_t item = s->is_int32[kind] ? sizeof(int32_t) : sizeof(int64_t);
        names[count] = input_names[kind];
        status = onnx_check(
            api,
            api->CreateTensorWithDataAsOrtValue(s->memory, inputs[kind], texts * tokens * item, shape, 2,
                                                s->is_int32[kind] ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32
                                                                  : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
                                                &values[count]),
            input_names[kind], error);
        count += status == DP_OK;
    }
    if (status == DP_OK)
        status = onnx_check(
            api,
            api->Run(s->session, NULL, names, (const OrtValue *const *)values, count, &output, 1, &out->value),
            "ONNX Runtime cannot run it", error);
    if (status == DP_OK)
        status = check_result(s, texts, tokens, out, error);
    for (size_t i = 0; i < count; i++)
        api->ReleaseValue(values[i]);
    if (status != DP_OK)
        onnx_session_release(s, out);
    return status;
}

void onnx_session_release(const struct onnx_session *s, struct onnx_result *result)
{
    if (result->value)
        s->api->ReleaseValue(result->value);
    *result = (struct onnx_result){0};
}
