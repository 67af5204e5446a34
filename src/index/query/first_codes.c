/* first_codes.c: derives the places of lists in section RBQ1 from the counts in the .ivf head and in LIST. */
#include "index/query/first_codes.h"

#include <inttypes.h>

#include "base/alloc.h"

/* Returns how many rows have no vector. They are in the range of the last list. */
static uint64_t rows_without_vector(const struct segment_hot *hot)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < hot->window_count; i++)
        rows += hot->windows[i].vectors == 0;
    return rows;
}

uint64_t list_own_rows(const struct segment_hot *hot, uint32_t list)
{
    uint64_t own = hot->list_rows[list], without = list == hot->nlist - 1 ? rows_without_vector(hot) : 0;
    return own >= without ? own - without : own;
}

/* Sets the lists and offsets. Returns false if they do not fit the section. */
static bool place_lists(struct first_codes *codes, const struct segment_hot *hot, const struct faiss_ivf *ivf,
                        const struct segment_section *section)
{
    uint64_t at = section->offset, row = 0;
    for (uint32_t i = 0; i < hot->nlist; i++) {
        uint64_t count = faiss_ivf_list_range(ivf, i).count, own = list_own_rows(hot, i);
        if (own > count || row + own > hot->rows || count > hot->vectors)
            return false;
        codes->lists[i] = (struct first_list){(size_t)count, (size_t)own, (uint32_t)row};
        codes->offsets[i] = at;
        if (count > 0)
            at += first_stage_len(&codes->stage, &codes->lists[i]) + FORMAT_CHECKSUM_LEN;
        row += hot->list_rows[i];
    }
    codes->offsets[hot->nlist] = at;
    return at == section->offset + section->len;
}

enum dp_status first_codes_open(const struct segment_hot *hot, const struct faiss_ivf *ivf,
                                struct first_codes **out, struct dp_error *error)
{
    const struct segment_section *section = segment_section(hot, SECTION_FIRST_CODES);
    *out = NULL;
    if (!section)
        return DP_OK;
    struct first_codes *codes = mem_calloc(1, sizeof *codes);
    if (codes) {
        codes->stage = first_stage_of(faiss_ivf_info(ivf).codec->metric, hot->dim);
        codes->lists = mem_calloc(hot->nlist, sizeof *codes->lists);
        codes->offsets = mem_calloc((size_t)hot->nlist + 1, sizeof *codes->offsets);
    }
    bool made = codes && codes->lists && codes->offsets;
    if (made && place_lists(codes, hot, ivf, section)) {
        *out = codes;
        return DP_OK;
    }
    first_codes_free(codes);
    return made ? dp_fail(error, DP_CORRUPT, "its first-stage codes do not fit its lists")
                : dp_fail_nomem(error, "first-stage codes");
}

void first_codes_free(struct first_codes *codes)
{
    if (!codes)
        return;
    mem_free(codes->lists);
    mem_free(codes->offsets);
    mem_free(codes);
}

enum dp_status first_codes_check(uint32_t list, struct span read, struct dp_error *error)
{
    struct cursor at = cursor_over(read);
    struct span codes = cursor_bytes(&at, read.len > FORMAT_CHECKSUM_LEN ? read.len - FORMAT_CHECKSUM_LEN : 0);
    if (cursor_u64(&at) != segment_piece_checksum(codes, list) || at.failed)
        return dp_fail(error, DP_CORRUPT, "the checksum of the first-stage codes of list %" PRIu32 " does not fit",
                       list);
    return DP_OK;
}
