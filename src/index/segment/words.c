/* segment/words.c: opens the text index that the sections of a hot part describe. */
#include "index/segment/words.h"

static uint64_t section_len(const struct segment_hot *hot, enum section_kind kind)
{
    const struct segment_section *section = segment_section(hot, kind);
    return section ? section->len : 0;
}

enum dp_status segment_open_words(struct segment_hot *hot, struct text_index **out, struct dp_error *error)
{
    const struct segment_section *tidx = segment_section(hot, SECTION_TERM_INDEX);
    const struct segment_section *tfrq = segment_section(hot, SECTION_FREQUENT_TERMS);
    const struct segment_section *lens = segment_section(hot, SECTION_LENGTHS);
    *out = NULL;
    if (!tidx)
        return DP_OK;
    if (!tfrq)
        return dp_fail(error, DP_CORRUPT, "a part of its text index is missing");
    struct text_index *index = arena_alloc(&hot->arena, sizeof *index);
    if (!index)
        return dp_fail_nomem(error, "a text index");
    enum dp_status status = text_index_open(&hot->arena, (uint32_t)hot->rows, tidx->bytes, tfrq->bytes,
                                            lens ? lens->bytes : (struct span){0}, index, error);
    if (status == DP_OK && (index->terms_len != section_len(hot, SECTION_TERMS) ||
                            index->postings_len != section_len(hot, SECTION_POSTINGS)))
        status = dp_fail(error, DP_CORRUPT, "the lengths of sections TDIC and POST do not fit its text index");
    if (status == DP_OK)
        *out = index;
    return status;
}
