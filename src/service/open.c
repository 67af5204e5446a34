/* open.c: opens the model, the root and the service as the settings say. */
#include "service/open.h"

#include <string.h>

#include "base/alloc.h"
#include "config/named_list.h"
#include "embed/model_describe.h"
#include "faiss/recall.h"
#include "os/call.h"
#include "service/indexes.h"
#include "service/store_settings.h"
#include "store/store_cache.h"
#include "store/transport.h"

enum { OPEN_ARENA_MAX = 1 << 20, ALIASES_MAX = 64, MODELS_MAX = 16, WORKER_READERS_MAX = 1024 };

static enum dp_status open_onnx_model(const struct config *config, const char *path, struct model **out,
                                      struct dp_error *error)
{
    const struct onnx_options options = {.library = config->onnxruntime_library,
                                         .file = config->onnx_file,
                                         .threads = config->threads,
                                         .threads_a_text = config->onnx_threads,
                                         .batch = config->onnx_batch};
    *out = NULL;
    if (!*path)
        return dp_fail(
            error, DP_INVALID,
            "the model inside the program is for the native engine; name one that has an ONNX file with "
            "--model DIR");
    return model_open_onnx(path, &options, out, error);
}

/* Opens a model folder with the native engine. If the native engine cannot use the model, but the folder has an
 * ONNX file, the error suggests --engine onnx. */
static enum dp_status open_native_model(const char *path, enum model_precision precision, struct model **out,
                                        struct dp_error *error)
{
    enum dp_status status = model_open_dir(path, precision, out, error);
    struct model_description described;
    struct arena arena;

    if (status != DP_NOT_FOUND && status != DP_UNSUPPORTED)
        return status;
    arena_init(&arena, OPEN_ARENA_MAX);
    if (model_describe(path, &arena, &described, NULL) == DP_OK && described.onnx_file_count > 0)
        dp_error_prefix(error, "the native engine does not have this model, try --engine onnx");
    arena_deinit(&arena);
    return status;
}

/* Prefixes the error with the file or variable that set the model's path, because the variable may be meant for
 * another program. */
static void name_model_variable(const struct config *config, struct dp_error *error)
{
    const char *origin = config_origin(config, "model.path");
    if (*origin && *origin != '-')
        dp_error_prefix(error, "model of %s", origin);
}

/* Returns the prompt that a setting asks for. "" keeps the model's prompt (data NULL); "none" means an empty
 * prompt. */
static struct span prompt_of(const char *setting)
{
    return *setting == '\0' ? span_of(NULL, 0) : span_str(strcmp(setting, "none") == 0 ? "" : setting);
}

/* Replaces the model's prompts by those of the settings. Frees the model on failure. */
static enum dp_status apply_prompts(const struct config *config, struct model **model, struct dp_error *error)
{
    const struct span of[TEXT_KINDS] = {[TEXT_PLAIN] = prompt_of(config->default_prompt),
                                        [TEXT_QUERY] = prompt_of(config->query_prompt),
                                        [TEXT_DOCUMENT] = prompt_of(config->document_prompt)};
    enum dp_status status = model_set_prompts(*model, of, error);
    if (status != DP_OK) {
        model_free(*model);
        *model = NULL;
    }
    return status;
}

static enum dp_status check_linked_model(struct span packed, struct dp_error *error)
{
    if (packed.len > 0)
        return DP_OK;
    return dp_fail(error, DP_NOT_FOUND,
                   "this build carries no model: run scripts/fetch-model, then make; or pass --model DIR");
}

static enum dp_status open_linked_model(struct span packed, enum model_precision precision, struct model **out,
                                        struct dp_error *error)
{
    *out = NULL;
    enum dp_status status = check_linked_model(packed, error);
    if (status != DP_OK)
        return status;
    if (precision != MODEL_INT8)
        return dp_fail(error, DP_UNSUPPORTED,
                       "the model inside the program has int8 weights only: pass its folder, --model DIR");
    return model_open_memory(packed, out, error);
}

/* Opens the model at `path`, or the linked one if the path is empty. The settings' prompts are for the default model. */
static enum dp_status open_path(struct open_inputs in, const char *path, bool is_default,
                                enum model_precision precision, struct model **out, struct dp_error *error)
{
    const struct config *config = in.config;
    enum dp_status status;
    if (strcmp(config->engine, "onnx") == 0)
        status = open_onnx_model(config, path, out, error);
    else if (*path)
        status = open_native_model(path, precision, out, error);
    else
        status = open_linked_model(in.linked_model, precision, out, error);
    if (status == DP_OK)
        return is_default ? apply_prompts(config, out, error) : DP_OK;
    if (*path && is_default)
        name_model_variable(config, error);
    return status;
}

/* The models that the settings name, as struct model_sources needs them. */
struct model_files {
    struct open_inputs in;
    size_t count;
    struct model_file {
        struct span name;
        const char *path; /* "": the linked model */
    } items[MODELS_MAX];
    struct arena arena; /* has the names and paths */
};

/* Reads the list of models. Without one, the linked model is the only one. */
static enum dp_status read_model_files(struct open_inputs in, struct model_files *files, struct dp_error *error)
{
    struct span rest = span_str(in.config->model_path);
    struct named_value value;
    files->in = in;
    arena_init(&files->arena, OPEN_ARENA_MAX);
    if (rest.len == 0)
        files->items[files->count++] = (struct model_file){.path = ""};
    while (named_list_next(&rest, &value)) {
        if (files->count == MODELS_MAX)
            return dp_fail(error, DP_INVALID, "setting model.path: at most %d models are allowed", MODELS_MAX);
        struct model_file *file = &files->items[files->count++];
        file->name = arena_copy(&files->arena, value.name);
        file->path = (const char *)arena_copy(&files->arena, value.value).data;
        if (!file->path || !file->name.data)
            return dp_fail_nomem(error, "the list of models");
        for (size_t i = 0; i + 1 < files->count; i++)
            if (span_equal(files->items[i].name, file->name))
                return dp_fail(error, DP_INVALID, "setting model.path: two models are named \"%.*s\"",
                               SPAN_FMT(file->name));
    }
    return DP_OK;
}

enum dp_status open_model(struct open_inputs in, enum model_precision precision, struct model **out,
                          struct dp_error *error)
{
    struct model_files files = {.count = 0};
    *out = NULL;
    enum dp_status status = read_model_files(in, &files, error);
    if (status == DP_OK)
        status = open_path(in, files.items[0].path, true, precision, out, error);
    arena_deinit(&files.arena);
    return status;
}

static enum dp_status open_source(void *context, size_t place, struct model **out, struct dp_error *error)
{
    const struct model_files *files = context;
    return open_path(files->in, files->items[place].path, place == 0, MODEL_INT8, out, error);
}

static void free_sources(void *context)
{
    struct model_files *files = context;
    arena_deinit(&files->arena);
    mem_free(files);
}

/* Fills the options with the settings' models. `names` has room for MODELS_MAX, and must outlive the options. Opens none,
 * but fails if the model inside the program is wanted and there is none, before anything else is opened. */
static enum dp_status list_models(struct open_inputs in, struct span *names, struct model_sources *out,
                                  struct dp_error *error)
{
    struct model_files *files = mem_calloc(1, sizeof *files);
    if (!files)
        return dp_fail_nomem(error, "the list of models");
    enum dp_status status = read_model_files(in, files, error);
    const bool native = strcmp(in.config->engine, "onnx") != 0;
    for (size_t i = 0; i < files->count; i++) {
        names[i] = files->items[i].name;
        if (status == DP_OK && native && !*files->items[i].path)
            status = check_linked_model(in.linked_model, error);
    }
    *out = (struct model_sources){.count = files->count,
                                  .names = names,
                                  .open = open_source,
                                  .free = free_sources,
                                  .context = files,
                                  .memory_max = in.config->model_memory};
    return status;
}

/* Translates the setting of a merge gap or of a split size: a number above INT64_MAX, such as "none", becomes
 * STORE_NEVER. */
static int64_t range_limit_of(uint64_t setting)
{
    return setting > INT64_MAX ? STORE_NEVER : (int64_t)setting;
}

/* Returns the options of the root's store. `schemes` is scheme_settings_of(config), and must outlive the
 * options. */
static struct store_options store_options_of(const struct config *config, const struct scheme_settings *schemes)
{
    struct store_options options = {.trust = trust_settings_of(config),
                                    .merge_gap = range_limit_of(config->merge_gap),
                                    .split_at = range_limit_of(config->split_at),
                                    .cache_bytes = config->cache_bytes == UINT64_MAX ? 0 : config->cache_bytes};
    scheme_settings_use(schemes, &options);
    return options;
}

/* If clients may open indexes, makes the cache and the transport that the root shares with these indexes. */
static enum dp_status share_stores(const struct config *config, struct store_options *store,
                                   struct dp_error *error)
{
    const struct store_cache_options cache = {.bytes = store->cache_bytes};
    enum dp_status status = DP_OK;
    if (!*config->allow_index_url)
        return DP_OK;
    if (store->cache_bytes)
        status = store_cache_make(&cache, &store->cache, error);
    const struct transport_options transport = {.trust = store->trust};
    return status == DP_OK ? transport_new(&transport, &store->transport, error) : status;
}

/* Appends the names in `list`, which has commas between them, and perhaps blanks around them. */
static enum dp_status split_aliases(const char *list, struct span names[ALIASES_MAX], size_t *count,
                                    struct dp_error *error)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        const struct span name = span_trim(span_of(list, len), " ");
        list += len + (list[len] == ',');
        if (name.len == 0)
            continue;
        if (*count == ALIASES_MAX)
            return dp_fail(error, DP_INVALID, "setting model.aliases: at most %d names are allowed", ALIASES_MAX);
        names[(*count)++] = name;
    }
    return DP_OK;
}

static enum dp_status open_root_store(const struct config *config, const struct store_options *how,
                                      struct store **out, struct dp_error *error)
{
    struct arena arena;
    struct call call;
    *out = NULL;
    if (!*config->root)
        return dp_fail(error, DP_INVALID,
                       "say where the bucket lies: --root DIR, --root s3://bucket, gs://bucket or az://container");
    arena_init(&arena, OPEN_ARENA_MAX);
    call_init(&call, &arena);
    enum dp_status status = store_open_with(&call, span_str(config->root), how, out);
    if (status == DP_NOT_FOUND)
        dp_fail(error, status, "%s; name the folder or bucket that `dipper index --root` wrote",
                call.error.message);
    else if (status != DP_OK)
        *error = call.error;
    arena_deinit(&arena);
    return status;
}

/* Fills in the options that only a server's clients need. */
static void serve_clients(const struct config *config, struct service_options *options)
{
    options->batch_max = config->max_batch_size;
    options->upkeep = UPKEEP_OPEN;
    options->token_input = config->allow_token_input;
    options->cache = (struct embed_cache_options){
        .enabled = true,
        .vectors = config->l1_cache_size,
        .bytes = config->l1_cache_bytes,
        .redis = {.urls = span_str(config->redis_url),
                  .ttl_s = (uint32_t)(config->l2_cache_ttl_ms / 1000),
                  .timeouts = {.connect_ms = (int)config->redis_connect_timeout_ms,
                               .command_ms = (int)config->redis_timeout_ms}},
    };
}

enum dp_status open_service(struct open_inputs in, unsigned what, struct service **out, struct dp_error *error)
{
    const struct config *config = in.config;
    struct service_options options = {.threads = config->threads, .max_tokens = config->max_tokens};
    struct span aliases[ALIASES_MAX], names[MODELS_MAX];
    const struct scheme_settings schemes = scheme_settings_of(config);
    struct store_options store = store_options_of(config, &schemes);
    struct indexes_options indexes = {.allow_urls = span_str(config->allow_index_url),
                                      .max = config->max_indexes,
                                      .memory_max = config->index_memory};

    *out = NULL;
    options.model_aliases = aliases;
    if (*config->model_name)
        aliases[options.model_alias_count++] = span_str(config->model_name);
    enum dp_status status = split_aliases(config->model_aliases, aliases, &options.model_alias_count, error);
    if (status == DP_OK && (what & OPEN_MODEL))
        status = list_models(in, names, &options.sources, error);
    if (status == DP_OK && (what & OPEN_SERVER)) {
        serve_clients(config, &options);
        status = share_stores(config, &store, error);
    }
    if (status == DP_OK && ((what & OPEN_SERVER) || *config->allow_index_url)) {
        indexes.store = store;
        indexes.schemes = &schemes;
        options.indexes = &indexes;
    }
    if (what & OPEN_UPKEEP) {
        options.upkeep = UPKEEP_ROOT;
        options.readers_max = WORKER_READERS_MAX;
    }
    if (status == DP_OK && (what & OPEN_STORE)) {
        store.create = what & OPEN_CREATE;
        status = open_root_store(config, &store, &options.store, error);
    }
    if (status == DP_OK) {
        status = service_new(&options, out, error);
    } else {
        if (options.sources.free)
            options.sources.free(options.sources.context);
        store_free(options.store);
    }
    store_cache_release(store.cache);
    transport_free(store.transport);
    return status;
}

enum dp_status open_other_root(struct call *call, const struct config *config, struct span url, struct store **out)
{
    const struct scheme_settings schemes = scheme_settings_of(config);
    struct store_options store = store_options_of(config, &schemes);
    store.create = true;
    return store_open_with(call, url, &store, out);
}

enum dp_status open_faiss(struct call *call, const struct config *config, struct span url,
                          struct faiss_index **out)
{
    const struct scheme_settings schemes = scheme_settings_of(config);
    const struct store_options store = store_options_of(config, &schemes);
    return faiss_index_open_url(call, url, &store, NULL, out);
}

enum dp_status open_nprobe(struct call *call, const struct config *config, const char *url, const char *table_url,
                           const struct faiss_index *index, double recall, size_t *nprobe)
{
    const struct scheme_settings schemes = scheme_settings_of(config);
    const struct store_options store = store_options_of(config, &schemes);
    struct recall_table table;
    struct span where = span_str(table_url ? table_url : url);
    if (recall_is_whole(index))
        return DP_OK;
    enum dp_status status = table_url ? DP_OK : recall_url(call, where, &where);
    if (status == DP_OK)
        status = recall_load(call, where, &store, index, &table);
    return status == DP_OK ? recall_nprobe(&table, recall, nprobe, &call->error) : status;
}
