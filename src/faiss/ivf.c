/* ivf.c: opens a file in few rounds, and gives facts about it. */
#include "faiss/ivf.h"

#include <string.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"
#include "faiss/parse/parse.h"
#include "vector/ivf_scan.h"

enum { FIRST_READ_BYTES = 128 * 1024 };

static const char DEFAULT_NAME[] = "FAISS file";

/* ---- opening -------------------------------------------------------------------------------------------- */

static enum dp_status parse_source(struct faiss_source *source, struct faiss_head_memory *memory,
                                   struct faiss_ivf **out)
{
    size_t name_len = strlen(source->name) + 1;
    struct faiss_ivf *ivf = mem_calloc(1, sizeof *ivf);
    *out = NULL;
    if (!ivf)
        return dp_fail_nomem(source->error, "a FAISS file");
    ivf->memory = memory;
    ivf->file_bytes = source->size;
    ivf->name = mem_alloc(name_len);
    enum dp_status status = ivf->name ? DP_OK : dp_fail_nomem(source->error, "a FAISS file");
    if (status == DP_OK) {
        memcpy(ivf->name, source->name, name_len);
        status = parse_file(source, ivf);
    }
    if (status == DP_OK)
        *out = ivf;
    else
        faiss_ivf_free(ivf);
    return status;
}

enum dp_status faiss_ivf_open(struct call *call, const struct faiss_reader *reader, size_t guess,
                              struct faiss_ivf **out)
{
    return faiss_ivf_open_within(call, reader, guess, NULL, out);
}

enum dp_status faiss_ivf_open_within(struct call *call, const struct faiss_reader *reader, size_t guess,
                                     struct faiss_head_memory *memory, struct faiss_ivf **out)
{
    const char *name = reader->name ? reader->name : DEFAULT_NAME;
    *out = NULL;
    if (reader->size == 0)
        return call_fail(call, DP_CORRUPT, "%s: it is empty; write or upload it again", name);
    struct faiss_source source = {.call = call,
                                  .reader = reader,
                                  .name = name,
                                  .error = &call->error,
                                  .size = reader->size,
                                  .first_bytes = guess > 0 ? guess : FIRST_READ_BYTES};
    return parse_source(&source, memory, out);
}

enum dp_status faiss_ivf_parse_head(struct span head, uint64_t file_size, struct faiss_ivf **out,
                                    struct dp_error *error)
{
    struct faiss_source source = {
        .name = DEFAULT_NAME, .error = error, .size = file_size, .window = {.len = head.len, .bytes = head}};
    return parse_source(&source, NULL, out);
}

void faiss_ivf_free(struct faiss_ivf *ivf)
{
    if (!ivf)
        return;
    for (size_t i = 0; i < ivf->transform_count; i++) {
        mem_free(ivf->transforms[i].matrix);
        mem_free(ivf->transforms[i].offset);
        mem_free(ivf->transforms[i].map);
    }
    for (size_t i = 0; ivf->constants && i < ivf->nlist; i++)
        mem_free(atomic_load_explicit(&ivf->constants[i], memory_order_relaxed));
    mem_free(ivf->constants);
    mem_free(ivf->name);
    mem_free(ivf->centroids);
    mem_free(ivf->trained);
    mem_free(ivf->list_offset);
    mem_free(ivf->list_size);
    mem_free(ivf->id_map);
    if (ivf->memory)
        faiss_head_memory_give(ivf->memory, ivf->memory_bytes);
    mem_free(ivf);
}

/* ---- facts about the file ------------------------------------------------------------------------------- */

static uint64_t ivf_data_bytes(const struct faiss_ivf *ivf)
{
    return ivf->flat ? ivf->ntotal * ivf->codec.code_size : ivf->list_offset[ivf->nlist] - ivf->head_bytes;
}

struct faiss_ivf_info faiss_ivf_info(const struct faiss_ivf *ivf)
{
    struct faiss_ivf_info info = {.codes = ivf->codes,
                                  .codec = &ivf->codec,
                                  .dim_in = ivf->dim_in,
                                  .transforms = ivf->transform_count,
                                  .id_map = ivf->id_map,
                                  .hnsw = ivf->hnsw,
                                  .flat = ivf->flat,
                                  .data_bytes = ivf_data_bytes(ivf),
                                  .refined = ivf->refine.present,
                                  .k_factor = ivf->refine.k_factor,
                                  .ntotal = ivf->ntotal,
                                  .listed = ivf->listed,
                                  .nlist = ivf->flat ? 1 : ivf->nlist,
                                  .nprobe = ivf->nprobe,
                                  .head_bytes = ivf->head_bytes,
                                  .file_bytes = ivf->file_bytes,
                                  .memory_bytes = ivf->memory_bytes,
                                  .open_rounds = ivf->open_rounds,
                                  .open_bytes = ivf->open_bytes};
    memcpy(info.fourcc, ivf->fourcc, sizeof info.fourcc);
    return info;
}

const float *faiss_ivf_centroids(const struct faiss_ivf *ivf)
{
    return ivf->centroids;
}

struct faiss_list_range faiss_ivf_list_range(const struct faiss_ivf *ivf, uint32_t list)
{
    if (ivf->flat) {
        uint64_t first = list * ivf->piece_rows, left = ivf->ntotal - first;
        uint64_t rows = left < ivf->piece_rows ? left : ivf->piece_rows;
        return (struct faiss_list_range){ivf->head_bytes + first * ivf->codec.code_size,
                                         rows * ivf->codec.code_size, rows};
    }
    uint64_t offset = ivf->list_offset[list];
    if (!ivf->list_size) {
        uint64_t len = ivf->list_offset[list + 1] - offset;
        return (struct faiss_list_range){offset, len, len / (ivf->codec.code_size + 8)};
    }
    uint64_t count = ivf->list_size[list];
    if (count == 0)
        return (struct faiss_list_range){offset, 0, 0};
    return (struct faiss_list_range){
        offset, 8 * count + FAISS_LENGTH_BYTES + ivf_codec_list_bytes(&ivf->codec, count), count};
}

bool faiss_ivf_any_order(const struct faiss_ivf *ivf)
{
    return !ivf_codec_estimates(&ivf->codec);
}
