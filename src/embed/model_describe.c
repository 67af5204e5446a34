/* model_describe.c: reads a model folder's small files, and checks whether the large ones exist. */
#include "embed/model_describe.h"

#include <string.h>

#include "embed/model_dir.h"
#include "embed/folder/model_source.h"
#include "embed/onnx/onnx_file.h"
#include "embed/tokenizer.h"

/* Checks that our tokenizer can read the folder's tokenizer.json. */
static enum dp_status check_tokenizer(const struct model_source *s, struct dp_error *error)
{
    struct tokenizer *tokenizer = NULL;
    enum dp_status status = model_source_tokenizer(s, &tokenizer, error);
    tokenizer_free(tokenizer);
    return status;
}

static enum dp_status check_native(const char *folder, struct model_description *out)
{
    struct model_source source;
    enum dp_status status = model_source_open_settings(folder, &source, &out->native);
    if (status == DP_OK) {
        out->dim = source.config.hidden;
        out->max_tokens = source.config.max_tokens;
        status = check_tokenizer(&source, &out->native);
    }
    if (status == DP_OK)
        status = model_source_check_weights(&source, &out->native);
    model_source_close(&source);
    return status;
}

static enum dp_status check_onnx(const char *folder, struct arena *arena, struct model_description *out)
{
    struct model_source source;
    const char **files = NULL, *path, *name;
    enum dp_status status = onnx_file_list(folder, arena, &files, &out->onnx_file_count, &out->onnx);
    out->onnx_files = files;
    if (status == DP_OK && out->onnx_file_count == 0)
        status = onnx_file_find(folder, "", arena, &path, &name, &out->onnx); /* fails, and says where it looked */
    if (status != DP_OK)
        return status;
    status = model_source_open_outline(folder, &source, &out->onnx);
    if (status == DP_OK) {
        if (out->max_tokens == 0 && source.config.max_tokens <= MODEL_TOKENS_MAX)
            out->max_tokens = source.config.max_tokens;
        status = check_tokenizer(&source, &out->onnx);
    }
    model_source_close(&source);
    return status;
}

enum dp_status model_describe(const char *path, struct arena *arena, struct model_description *out,
                              struct dp_error *error)
{
    memset(out, 0, sizeof *out);
    enum dp_status status = model_dir_find(path, arena, &out->folder, &out->name, error);
    if (status != DP_OK)
        return status;
    if (check_native(out->folder, out) == DP_NOMEM || check_onnx(out->folder, arena, out) == DP_NOMEM)
        return dp_fail_nomem(error, "a model's description");
    return DP_OK;
}
