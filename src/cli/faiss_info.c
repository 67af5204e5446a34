/* faiss_info.c: `dipper faiss info`: what a FAISS file is, for people and as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "os/clock.h"
#include "service/open.h"

enum { ARENA_MAX = 16 << 20, OUTPUT_MAX = 1 << 20, BUCKETS = 65 };

/* How many lists have how many vectors: bucket 0 none, bucket b from 2^(b-1) up to 2^b - 1. */
struct list_sizes {
    uint64_t lists[BUCKETS], least, largest;
    unsigned last; /* bucket that is not empty */
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

static void key_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

static void write_info_json(struct buffer *out, const struct faiss_ivf_info *info, const struct list_sizes *sizes,
                            const struct call_cost *cost, double ms)
{
    struct json_writer w;
    char codes[FAISS_CODES_NAME_MAX];
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "kind");
    json_string_str(&w, info->fourcc);
    json_key(&w, "codes");
    json_string_str(&w, faiss_codes_name(info->codec, codes));
    key_u64(&w, "d", info->dim_in);
    json_key(&w, "metric");
    json_string_str(&w, metric_name(info->codec->metric));
    key_u64(&w, "vectors", info->ntotal);
    key_u64(&w, "in_no_list", info->ntotal - info->listed);
    key_u64(&w, "nlist", info->nlist);
    key_u64(&w, "nprobe", info->nprobe);
    key_u64(&w, "code_size", info->codec->code_size);
    json_key(&w, "quantizer");
    json_string_str(&w, info->flat ? "none" : info->hnsw ? "hnsw" : "flat");
    key_u64(&w, "transforms", info->transforms);
    json_key(&w, "id_map");
    json_bool(&w, info->id_map);
    json_key(&w, "refined");
    json_bool(&w, info->refined);
    json_key(&w, "k_factor");
    json_float(&w, info->k_factor);
    key_u64(&w, "file_bytes", info->file_bytes);
    key_u64(&w, "cluster_data_offset", info->head_bytes);
    json_key(&w, "lists");
    json_begin_object(&w);
    key_u64(&w, "least", sizes->least);
    json_key(&w, "mean");
    json_double(&w, (double)info->listed / (double)info->nlist);
    key_u64(&w, "largest", sizes->largest);
    json_key(&w, "histogram");
    json_begin_array(&w);
    for (unsigned b = 0; b <= sizes->last; b++) {
        if (sizes->lists[b] == 0)
            continue;
        json_begin_object(&w);
        key_u64(&w, "from", bucket_from(b));
        key_u64(&w, "to", bucket_to(b));
        key_u64(&w, "lists", sizes->lists[b]);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    json_key(&w, "open");
    json_begin_object(&w);
    key_u64(&w, "rounds", cost->rounds);
    key_u64(&w, "requests", cost->requests);
    key_u64(&w, "bytes", cost->bytes);
    json_key(&w, "ms");
    json_double(&w, ms);
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

/* A flat file has no lists to tell of. */
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
    char codes[FAISS_CODES_NAME_MAX];
    buffer_printf(out, "kind        %s: ", info->fourcc);
    if (!info->flat)
        buffer_printf(out, "IVF%" PRIu64 "%s,", info->nlist, info->hnsw ? "_HNSW" : "");
    buffer_printf(out, "%s%s%s%s\n", faiss_codes_name(info->codec, codes), info->refined ? ",RFlat" : "",
                  info->transforms > 0 ? ", behind transforms" : "", info->id_map ? ", with an id map" : "");
    buffer_printf(out, "vectors     %" PRIu64 " of %zu dimensions, %s\n", info->ntotal, info->dim_in,
                  info->codec->metric == VECTOR_L2 ? "squared L2" : "inner product");
    if (info->listed < info->ntotal)
        buffer_printf(out,
                      "            %" PRIu64 " of them in no list: FAISS never finds them (a NaN in them, such as "
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
    if (given->queries || given->text)
        return cli_usage(args, "`faiss info` takes no queries");
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
