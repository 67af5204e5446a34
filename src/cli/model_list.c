/* model_list.c: `dipper model list` prints the models on this machine, and the engines that can run each. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "cli/model.h"
#include "embed/embedded_model.h"
#include "embed/model.h"
#include "embed/model_describe.h"
#include "embed/model_dir.h"
#include "embed/onnx_engine.h"

enum { ARENA_MAX = 64 << 20, OUTPUT_MAX = 16 << 20 };

static const char HUB[] = "hub cache";

struct model_listing {
    struct arena *arena;
    struct buffer out;
    struct json_writer json;
    bool is_json;
    size_t count;
};

static void write_engine(struct json_writer *w, const char *name, const struct model_description *m, bool is_onnx)
{
    json_begin_object(w);
    json_field_str(w, "name", name);
    if (is_onnx) {
        json_field_array(w, "files");
        for (size_t i = 0; i < m->onnx_file_count; i++)
            json_string_str(w, m->onnx_files[i]);
        json_end_array(w);
    }
    json_end_object(w);
}

static void write_engine_problem(struct json_writer *w, const char *key, const struct dp_error *problem)
{
    if (problem->status == DP_OK)
        return;
    json_field_str(w, key, problem->message);
}

static void write_number(struct json_writer *w, const char *key, size_t number)
{
    if (number > 0)
        json_field_u64(w, key, number);
    else
        json_field_null(w, key);
}

static void add_model_json(struct model_listing *l, const char *source, const struct model_description *m)
{
    struct json_writer *w = &l->json;
    json_begin_object(w);
    json_field_str(w, "name", m->name);
    json_field_str(w, "source", source);
    json_field_str(w, "path", m->folder);
    write_number(w, "dimensions", m->dim);
    write_number(w, "max_tokens", m->max_tokens);
    json_field_array(w, "engines");
    if (m->native.status == DP_OK)
        write_engine(w, "native", m, false);
    if (m->onnx.status == DP_OK)
        write_engine(w, "onnx", m, true);
    json_end_array(w);
    write_engine_problem(w, "native_problem", &m->native);
    write_engine_problem(w, "onnx_problem", &m->onnx);
    json_end_object(w);
}

static void add_model_text(struct model_listing *l, const char *source, const struct model_description *m)
{
    bool native = m->native.status == DP_OK, onnx = m->onnx.status == DP_OK;
    buffer_printf(&l->out, "%s%s, %s%s%s\n", l->count > 0 ? "\n" : "", m->name, source, m->folder ? ": " : "",
                  m->folder ? m->folder : "");
    if (m->dim > 0)
        buffer_printf(&l->out, "  dimensions  %zu\n", m->dim);
    if (m->max_tokens > 0)
        buffer_printf(&l->out, "  max tokens  %zu\n", m->max_tokens);
    buffer_printf(&l->out, "  engines     %s%s%s", native ? "native" : "", native && onnx ? ", " : "",
                  onnx ? "onnx" : "");
    for (size_t i = 0; onnx && i < m->onnx_file_count; i++)
        buffer_printf(&l->out, "%s%s", i == 0 ? " (" : ", ", m->onnx_files[i]);
    buffer_append_str(&l->out, onnx ? ")\n" : native ? "\n" : "none\n");
    if (!native && !onnx)
        buffer_printf(&l->out, "  native      %s\n  onnx        %s\n", m->native.message, m->onnx.message);
}

static void add_model(struct model_listing *l, const char *source, const struct model_description *m)
{
    if (l->is_json)
        add_model_json(l, source, m);
    else
        add_model_text(l, source, m);
    l->count++;
}

static enum dp_status add_linked(struct model_listing *l, struct dp_error *error)
{
    struct span linked = embedded_model_bytes();
    struct model *model = NULL;
    if (linked.len == 0)
        return DP_OK;
    enum dp_status status = model_open_memory(linked, &model, error);
    if (status != DP_OK)
        return status;
    const struct model_info *info = model_info(model);
    struct model_description m = {.name = info->name, .dim = info->dim, .max_tokens = info->max_tokens};
    dp_fail(&m.onnx, DP_UNSUPPORTED, "the model inside the program is for the native engine only");
    add_model(l, "in the program", &m);
    model_free(model);
    return DP_OK;
}

/* Adds the file of a packed model. */
static enum dp_status add_packed(struct model_listing *l, const char *path, const char *source,
                                 struct dp_error *error)
{
    struct model *model = NULL;
    enum dp_status status = model_open_dir(path, MODEL_INT8, &model, error);
    if (status != DP_OK)
        return status;
    const struct model_info *info = model_info(model);
    struct model_description m = {
        .name = info->name, .folder = path, .dim = info->dim, .max_tokens = info->max_tokens};
    dp_fail(&m.onnx, DP_UNSUPPORTED, "a packed model is for the native engine only");
    add_model(l, source, &m);
    model_free(model);
    return DP_OK;
}

static enum dp_status add_path(struct model_listing *l, const char *path, const char *source,
                               struct dp_error *error)
{
    struct stat info;
    struct model_description m;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
        return add_packed(l, path, source, error);
    enum dp_status status = model_describe(path, l->arena, &m, error);
    if (status != DP_OK)
        return status;
    if (strcmp(source, HUB) == 0)
        m.name = path; /* --model needs the name with the organisation */
    add_model(l, source, &m);
    return DP_OK;
}

static enum dp_status add_paths(struct model_listing *l, const char *const *paths, size_t count,
                                const char *source, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = add_path(l, paths[i], source, error);
    return status;
}

/* Adds the models in `folder`. NULL: ./models, if it exists. */
static enum dp_status add_folder(struct model_listing *l, const char *folder, struct dp_error *error)
{
    struct stat info;
    const char **paths = NULL, *usual = "models";
    size_t count = 0;
    if (!folder && stat(usual, &info) != 0)
        return DP_OK;
    enum dp_status status = model_dir_list(folder ? folder : usual, l->arena, &paths, &count, error);
    return status == DP_OK ? add_paths(l, paths, count, "folder", error) : status;
}

static enum dp_status add_everything(struct model_listing *l, const struct config *config, const char *folder,
                                     struct dp_error *error)
{
    const char **names = NULL;
    size_t count = 0;
    enum dp_status status = add_linked(l, error);
    if (status == DP_OK && *config->model_path != '\0')
        status = add_path(l, config->model_path, "of the settings", error);
    if (status == DP_OK)
        status = add_folder(l, folder, error);
    if (status == DP_OK)
        status = model_dir_list_hub(l->arena, &names, &count, error);
    return status == DP_OK ? add_paths(l, names, count, HUB, error) : status;
}

enum dp_status model_list(const struct config *config, const char *folder, bool json, struct dp_error *error)
{
    struct arena arena;
    struct model_listing l = {.arena = &arena, .is_json = json};
    arena_init(&arena, ARENA_MAX);
    buffer_init(&l.out, OUTPUT_MAX);
    json_writer_init(&l.json, &l.out);
    if (json) {
        json_begin_object(&l.json);
        json_field_array(&l.json, "models");
    }
    enum dp_status status = add_everything(&l, config, folder, error);
    if (json) {
        json_end_array(&l.json);
        json_field_bool(&l.json, "onnx_built", onnx_engine_built());
        json_end_object(&l.json);
        buffer_append_str(&l.out, "\n");
    } else if (l.count > 0 && !onnx_engine_built()) {
        buffer_append_str(
            &l.out, "\nThis build has no onnx engine: `scripts/setup --with-onnxruntime`, then build again.\n");
    }
    if (status == DP_OK)
        status = buffer_check(&l.out, "the output", error);
    if (status == DP_OK && l.count == 0)
        fprintf(stderr, "dipper model: there is no model in the program, in ./models or in %s\n",
                model_dir_hub(&arena));
    if (status == DP_OK)
        printf("%.*s", (int)l.out.len, (const char *)l.out.data);
    buffer_deinit(&l.out);
    arena_deinit(&arena);
    return status;
}
