/* packed_model.c: opens a packed model in place.
 *
 * The bytes may come from anywhere. First the code checks the header's checksum and bounds. Then it checks for
 * each section that it lies exactly where the parameters put it, that its checksum matches, and that the bytes
 * before it are zero. So it finds a flip of any bit.
 */
#include "embed/native/packed_model.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"

struct packed_section packed_section(const struct bert_config *c, size_t index)
{
    size_t n, k;
    enum dense_kind kind;
    switch (index < PACKED_SECTIONS_FIRST ? index : PACKED_SECTIONS_FIRST + (index - PACKED_SECTIONS_FIRST) % 6) {
    case 0: return (struct packed_section){PACKED_TOKENIZER, 0, 0, 0};
    case 1: return (struct packed_section){PACKED_WORD_CODES, 0, 0, (uint64_t)c->vocab * c->hidden};
    case 2: return (struct packed_section){PACKED_WORD_SCALES, 0, 0, (uint64_t)c->vocab * 4};
    case 3: return (struct packed_section){PACKED_POSITIONS, 0, 0, (uint64_t)c->max_tokens * c->hidden * 4};
    case 4: return (struct packed_section){PACKED_NORM, 0, 0, (uint64_t)c->hidden * 8};
    case 5: return (struct packed_section){PACKED_PROMPTS, 0, 0, 0};
    case 8:
    case 11: return (struct packed_section){PACKED_NORM, 0, 0, (uint64_t)c->hidden * 12};
    case 6: kind = DENSE_QKV; break;
    case 7: kind = DENSE_ATTENTION_OUT; break;
    case 9: kind = DENSE_FFN_IN; break;
    default: kind = DENSE_FFN_OUT;
    }
    dense_shape(c, kind, &n, &k);
    n = encoder_stride(n);
    k = encoder_depth(k);
    return (struct packed_section){PACKED_DENSE, n, k, (uint64_t)n * k + (uint64_t)n * 12};
}

/* Reads the fixed part of the header into `out`, and leaves the cursor before the table of sections. */
static enum dp_status read_parameters(struct span bytes, struct cursor *c, struct packed_model *out,
                                      struct dp_error *error)
{
    *c = cursor_over(bytes);
    struct span magic = cursor_bytes(c, 8);
    uint32_t version = cursor_u32(c), header_bytes = cursor_u32(c);
    uint64_t file_bytes = cursor_u64(c);
    uint32_t sections = cursor_u32(c), reserved = cursor_u32(c);
    struct span fingerprint = cursor_bytes(c, 32);
    struct bert_config *config = &out->encoder.config;
    config->hidden = cursor_u32(c);
    config->layers = cursor_u32(c);
    config->heads = cursor_u32(c);
    config->intermediate = cursor_u32(c);
    config->vocab = cursor_u32(c);
    config->max_tokens = config->positions = cursor_u32(c);
    config->types = 1; /* the packer has added the embedding of type 0 to the positions */
    config->epsilon = cursor_f32(c);
    uint32_t pooling = cursor_u32(c), normalize = cursor_u32(c), name_len = cursor_u32(c);
    struct span name = cursor_bytes(c, MODEL_NAME_MAX);
    if (c->failed || !span_equal_str(magic, PACKED_MAGIC))
        return dp_fail(error, DP_CORRUPT, "not a packed model: it does not begin with " PACKED_MAGIC);
    if (version != PACKED_VERSION)
        return dp_fail(error, DP_UNSUPPORTED,
                       "a packed model of version %u; this program reads version %d: pack its folder again "
                       "(dipper model pack)",
                       version, PACKED_VERSION);
    if (file_bytes != bytes.len)
        return dp_fail(error, DP_CORRUPT, "the packed model should have %" PRIu64 " bytes, it has %zu", file_bytes,
                       bytes.len);
    if (header_bytes < PACKED_FIXED_BYTES || header_bytes > bytes.len || header_bytes % PACKED_ALIGN != 0)
        return dp_fail(error, DP_CORRUPT, "the packed model's header is damaged: its length is %u", header_bytes);
    struct cursor end = cursor_over(span_of(bytes.data + header_bytes - 8, 8));
    if (cursor_u64(&end) != checksum64(span_of(bytes.data, header_bytes - 8)))
        return dp_fail(error, DP_CORRUPT, "the packed model's header is damaged: its checksum does not match");

    enum dp_status status = bert_config_check(config, error);
    if (status != DP_OK)
        return status;
    if (header_bytes != packed_header_bytes(config) || sections != packed_section_count(config) || reserved != 0 ||
        pooling > POOLING_LAST || normalize > 1 || name_len == 0 || name_len > MODEL_NAME_MAX)
        return dp_fail(error, DP_CORRUPT, "the packed model's header contradicts itself");
    config->pooling = (enum model_pooling)pooling;
    config->normalize = normalize == 1;
    memcpy(out->fingerprint, fingerprint.data, 32);
    memcpy(out->name, name.data, name_len);
    out->name[name_len] = '\0';
    return DP_OK;
}

/* Reads the next entry of the table, checks its section, and sets *section to the section's bytes. *at is the end
 * of the previous section; the function moves it to the end of this one. */
static enum dp_status read_section(struct span bytes, struct cursor *table, size_t index, uint64_t wanted,
                                   uint64_t *at, struct span *section, struct dp_error *error)
{
    uint64_t begin = (*at + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
    uint64_t offset = cursor_u64(table), len = cursor_u64(table), checksum = cursor_u64(table);
    if (table->failed || offset != begin || (wanted != 0 && len != wanted) ||
        !span_sub(bytes, offset, len, section))
        return dp_fail(error, DP_CORRUPT, "section %zu of the packed model is not where it should be", index);
    for (uint64_t i = *at; i < begin; i++)
        if (bytes.data[i] != 0)
            return dp_fail(error, DP_CORRUPT, "the packed model is damaged before section %zu", index);
    if (checksum64(*section) != checksum)
        return dp_fail(error, DP_CORRUPT,
                       "section %zu of the packed model is damaged: its checksum does not match", index);
    *at = offset + len;
    return DP_OK;
}

static const float *as_floats(struct span section, uint64_t offset)
{
    return (const float *)(const void *)(section.data + offset);
}

static void place_dense(union dense_layer *layer, const struct packed_section *what, struct span section)
{
    uint64_t codes = (uint64_t)what->n * what->k, row = (uint64_t)what->n * 4;
    layer->int8 = (struct int8_linear){.n = what->n,
                                       .k = what->k,
                                       .q = (const int8_t *)section.data,
                                       .scale = as_floats(section, codes),
                                       .sum = as_floats(section, codes + row),
                                       .bias = as_floats(section, codes + 2 * row)};
}

/* Points the model at a section's bytes. */
static void place_section(struct packed_model *m, size_t index, const struct packed_section *what,
                          struct span section)
{
    struct encoder *e = &m->encoder;
    uint64_t row = (uint64_t)e->config.hidden * 4;
    struct norm_weights norm = {as_floats(section, 0), as_floats(section, row), NULL};
    if (section.len > 2 * row)
        norm.unscale = as_floats(section, 2 * row);
    switch (index) {
    case 0: m->tokenizer = section; return;
    case 1: e->words_int8 = (const int8_t *)section.data; return;
    case 2: e->words_scale = as_floats(section, 0); return;
    case 3: e->positions = as_floats(section, 0); return;
    case 4: e->embedding_norm = norm; return;
    default: break;
    }
    struct encoder_layer *layer = &e->layers[(index - PACKED_SECTIONS_FIRST) / PACKED_SECTIONS_LAYER];
    switch ((index - PACKED_SECTIONS_FIRST) % PACKED_SECTIONS_LAYER) {
    case 0: place_dense(&layer->qkv, what, section); break;
    case 1: place_dense(&layer->attention_out, what, section); break;
    case 2: layer->attention_norm = norm; break;
    case 3: place_dense(&layer->ffn_in, what, section); break;
    case 4: place_dense(&layer->ffn_out, what, section); break;
    default: layer->ffn_norm = norm;
    }
}

enum dp_status packed_model_open(struct span bytes, struct packed_model *out, struct dp_error *error)
{
    struct cursor table;
    memset(out, 0, sizeof *out);
    out->encoder.int8 = true;
    enum dp_status status = read_parameters(bytes, &table, out, error);
    if (status != DP_OK)
        return status;
    const struct bert_config *config = &out->encoder.config;
    out->encoder.layers = mem_calloc(config->layers, sizeof *out->encoder.layers);
    if (!out->encoder.layers)
        return dp_fail_nomem(error, "a model");

    uint64_t at = packed_header_bytes(config);
    for (size_t i = 0; i < packed_section_count(config); i++) {
        struct packed_section what = packed_section(config, i);
        struct span section;
        status = read_section(bytes, &table, i, what.bytes, &at, &section, error);
        if (status != DP_OK)
            goto out;
        if (what.kind == PACKED_PROMPTS)
            status = prompts_read(section, &out->prompts, error);
        else
            place_section(out, i, &what, section);
        if (status != DP_OK)
            goto out;
    }
    /* Up to a multiple of 64, zeros may follow the last section. The file must end there. */
    for (; at < bytes.len; at++)
        if (bytes.data[at] != 0 || at % PACKED_ALIGN == 0) {
            status = dp_fail(error, DP_CORRUPT, "the packed model has %" PRIu64 " bytes too many", bytes.len - at);
            goto out;
        }
out:
    if (status != DP_OK)
        packed_model_close(out);
    return status;
}

void packed_model_close(struct packed_model *m)
{
    mem_free(m->encoder.layers);
    memset(m, 0, sizeof *m);
}
