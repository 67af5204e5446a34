/* unicode.c: finds decompositions and lower case by binary search in the generated tables.
 *
 * Callers call these functions only if a character's flags say that it has a mapping. Most characters have none.
 * Hangul syllables decompose by arithmetic (Unicode 15, §3.12).
 */
#include "embed/tokenizer/unicode.h"

enum {
    HANGUL_FIRST = 0xAC00,
    HANGUL_COUNT = 11172,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11A7,
    HANGUL_T_COUNT = 28,
    HANGUL_N_COUNT = 588 /* syllables of one leading consonant */
};

static size_t look_up_mapping(const struct unicode_mapping *mappings, size_t count, const uint32_t *pool,
                              uint32_t c, uint32_t out[UNICODE_MAPPED_MAX])
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (mappings[middle].from < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == count || mappings[low].from != c) {
        out[0] = c;
        return 1;
    }
    for (size_t i = 0; i < mappings[low].count; i++)
        out[i] = pool[mappings[low].at + i];
    return mappings[low].count;
}

size_t unicode_decompose(uint32_t c, uint32_t out[UNICODE_MAPPED_MAX])
{
    uint32_t i = c - HANGUL_FIRST;
    if (i >= HANGUL_COUNT)
        return look_up_mapping(unicode_decompositions, unicode_decompositions_count, unicode_decompositions_pool,
                               c, out);
    out[0] = HANGUL_L + i / HANGUL_N_COUNT;
    out[1] = HANGUL_V + i % HANGUL_N_COUNT / HANGUL_T_COUNT;
    if (i % HANGUL_T_COUNT == 0)
        return 2;
    out[2] = HANGUL_T + i % HANGUL_T_COUNT;
    return 3;
}

size_t unicode_lowercase(uint32_t c, uint32_t out[UNICODE_MAPPED_MAX])
{
    return look_up_mapping(unicode_lowercases, unicode_lowercases_count, unicode_lowercases_pool, c, out);
}
