/* faiss_info.c: `dipper faiss info`: describes a FAISS file, for people and as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "os/clock.h"
#include "service/open.h"

enum { ARENA_MAX = 16 << 20, OUTPUT_MAX = 1 << 20, BUCKETS = 65 };

/* A histogram of list sizes: bucket 0 counts empty lists, bucket b counts lists of 2^(b-1) to 2^b - 1 vectors. */
struct list_sizes {
    uint64_t lists[BUCKETS], least, largest;
    unsigned last; /* the last bucket that is not empty */
};

static struct list_sizes count_list_sizes(const struct faiss_index *index, uint64_t nlist)
{
    struct list_sizes sizes = {.least = UINT64_MAX};
    for (uint64_t l = 0; l < nlist; l++) {
        uint64_t size = faiss_index_list_size(index, (uint32_t)l);
        unsigned bucket = size > 0 ? 64 - (unsigned)__builtin_clzll(size) : 0;
        sizes.lists[bucket]++;
        sizes.last = bucket > sizes.last ? bucket : sizes.last;
        sizes.least = size < sizes.least ? size : sizes.least;
        sizes.largest = size > sizes.largest ? size : sizes.largest;
    }
    return sizes;
}

static uint64_t bucket_from(unsigned bucket)
{
    return bucket == 0 ? 0 : (uint64_t)1 << (bucket - 1);
}
static uint64_t bucket_to(unsigned bucket)
{
    return bucket == 0 ? 0 : bucket_from(bucket) * 2 - 1;
}

static const char *metric_name(enum vector_metric metric)
{
    return metric == VECTOR_L2 ? "l2" : "inner_product";
}

static void write_info_json(struct buffer *out, const struct faiss_ivf_info *info, const struct list_sizes *sizes,
                            const struct call_cost *cost, double ms)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_str(&w, "kind", info->fourcc);
    json_field_str(&w, "codes", info->codes);
    json_field_u64(&w, "d", info->dim_in);
    json_field_str(&w, "metric", metric_name(info->codec->metric));
    json_field_u64(&w, "vectors", info->ntotal);
    json_field_u64(&w, "in_no_list", info->ntotal - info->listed);
    json_field_u64(&w, "nlist", info->nlist);
    json_field_u64(&w, "nprobe", info->nprobe);
    json_field_u64(&w, "code_size", info->codec->code_size);
    json_field_str(&w, "quantizer", info->flat ? "none" : info->hnsw ? "hnsw" : "flat");
    json_field_u64(&w, "transforms", info->transforms);
    json_field_bool(&w, "id_map", info->id_map);
    json_field_bool(&w, "refined", info->refined);
    json_field_float(&w, "k_factor", info->k_factor);
    json_field_u64(&w, "file_bytes", info->file_bytes);
    json_field_u64(&w, "cluster_data_offset", info->head_bytes);
    json_field_object(&w, "lists");
    json_field_u64(&w, "least", sizes->least);
    json_field_double(&w, "mean", (double)info->listed / (double)info->nlist);
    json_field_u64(&w, "largest", sizes->largest);
    json_field_array(&w, "histogram");
    for (unsigned b = 0; b <= sizes->last; b++) {
        if (sizes->lists[b] == 0)
            continue;
        json_begin_object(&w);
        json_field_u64(&w, "from", bucket_from(b));
        json_field_u64(&w, "to", bucket_to(b));
        json_field_u64(&w, "lists", sizes->lists[b]);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    json_field_object(&w, "open");
    json_field_u64(&w, "rounds", cost->rounds);
    json_field_u64(&w, "requests", cost->requests);
    json_field_u64(&w, "bytes", cost->bytes);
    json_field_double(&w, "ms", ms);
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static void write_sizes_text(struct buffer *out, const struct faiss_ivf_info *info, const struct list_sizes *sizes)
{
    if (info->flat) {
        buffer_printf(out, "lists       none: each search reads all %" PRIu64 " bytes of vectors%s\n",
                      info->data_bytes, info->data_bytes > FLAT_BYTES_MAX ? ", which takes --scan-all" : "");
        return;
    }
    buffer_printf(out, "lists       %" PRIu64 " to %" PRIu64 " vectors, %.1f on average\n", sizes->least,
                  sizes->largest, (double)info->listed / (double)info->nlist);
    for (unsigned b = 0; b <= sizes->last; b++)
        if (sizes->lists[b] > 0)
            buffer_printf(out, "  %10" PRIu64 " … %-10" PRIu64 " %" PRIu64 " lists\n", bucket_from(b),
                          bucket_to(b), sizes->lists[b]);
}

static void write_info_text(struct buffer *out, const struct faiss_ivf_info *info, const struct list_sizes *sizes,
                            const struct call_cost *cost, double ms)
{
    buffer_printf(out, "kind        %s: ", info->fourcc);
    if (!info->flat)
        buffer_printf(out, "IVF%" PRIu64 "%s,", info->nlist, info->hnsw ? "_HNSW" : "");
    buffer_printf(out, "%s%s%s%s\n", info->codes, info->refined ? ",RFlat" : "",
                  info->transforms > 0 ? ", behind transforms" : "", info->id_map ? ", with an id map" : "");
    buffer_printf(out, "vectors     %" PRIu64 " of %zu dimensions, %s\n", info->ntotal, info->dim_in,
                  info->codec->metric == VECTOR_L2 ? "squared L2" : "inner product");
    if (info->listed < info->ntotal)
        buffer_printf(out,
                      "            %" PRIu64
                      " of them in no list: FAISS never finds them (they hold a NaN, as does "
                      "a zero vector divided by its length)\n",
                      info->ntotal - info->listed);
    buffer_printf(out, "file        %" PRIu64 " bytes, %s data from %" PRIu64 " on", info->file_bytes,
                  info->flat ? "vector" : "list", info->head_bytes);
    if (!info->flat)
        buffer_printf(out, "; default nprobe %" PRIu64, info->nprobe);
    if (info->refined)
        buffer_printf(out, "; default k_factor %g", (double)info->k_factor);
    buffer_printf(out, "\nopening     %" PRIu64 " rounds, %" PRIu64 " bytes, %.1f ms\n", cost->rounds, cost->bytes,
                  ms);
    write_sizes_text(out, info, sizes);
}

int cli_faiss_info(const struct cli_args *args)
{
    const struct faiss_options *given = args->options;
    struct arena arena;
    struct call call;
    struct buffer out;
    struct faiss_index *index = NULL;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    buffer_init(&out, OUTPUT_MAX);
    int64_t begun = os_now_ns();
    enum dp_status status = open_faiss(&call, &args->config, span_str(args->positions[0]), &index);
    if (status == DP_OK) {
        int64_t us = (os_now_ns() - begun) / 1000;
        double ms = (double)us / 1000;
        struct faiss_ivf_info info = faiss_index_info(index);
        struct list_sizes sizes = count_list_sizes(index, info.nlist);
        if (given->json)
            write_info_json(&out, &info, &sizes, &call.cost, ms);
        else
            write_info_text(&out, &info, &sizes, &call.cost, ms);
        status = buffer_check(&out, "the answer", &call.error);
    }
    if (status == DP_OK)
        output_write(buffer_span(&out), &call.error);
    struct dp_error error = call.error;
    faiss_index_free(index);
    buffer_deinit(&out);
    arena_deinit(&arena);
    return cli_end(args, &error);
}
