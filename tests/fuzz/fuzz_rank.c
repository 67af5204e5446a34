/* fuzz_rank.c: a score expression in one line, and a document. Checked beyond memory safety: a refusal has a
 * sentence; no score is negative or NaN; scoring a row twice gives the same score.
 */
#include <assert.h>
#include <string.h>

#include "index/rank.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const options = "{\"full_text_search\":{\"stemming\":true},\"filterable\":true}";

static void score_row(struct rank *rank, struct span key, struct span document)
{
    struct dp_error error = {0};
    double score = 0, again = 0;
    if (rank_counts(rank) && rank_count(rank, document, &error) != DP_OK) {
        assert(error.message[0]);
        return;
    }
    rank_begin(rank);
    if (rank_score(rank, key, document, &score, &error) != DP_OK) {
        assert(error.message[0]);
        return;
    }
    assert(score >= 0);
    assert(rank_score(rank, key, document, &again, &error) == DP_OK && again == score);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        enum attribute_type type;
    } kinds[] = {{"text", ATTRIBUTE_STRING}, {"tags", ATTRIBUTE_STRINGS}, {"n", ATTRIBUTE_INT},
                 {"u", ATTRIBUTE_UINT},      {"at", ATTRIBUTE_DATETIME},  {"f", ATTRIBUTE_FLOAT}};
    enum { COUNT = sizeof kinds / sizeof *kinds };
    static const uint8_t id[] = {1, 0, 0, 0, 0, 0, 0, 0, 7};
    struct attribute attributes[COUNT];
    struct schema schema = {.attributes = attributes, .count = COUNT, .id_kind = ID_UINT};
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t len = line ? (size_t)(line - data) : size;
    struct dp_error error = {0};
    struct arena arena;
    struct rank *rank;
    for (uint32_t i = 0; i < COUNT; i++)
        attributes[i] = (struct attribute){.number = i + 2,
                                           .type = kinds[i].type,
                                           .name = span_str(kinds[i].name),
                                           .options = i < 2 ? span_str(options) : (struct span){0}};
    arena_init(&arena, 1 << 26);
    if (rank_parse(&arena, span_of(data, len), &schema, &rank, &error) == DP_OK) {
        score_row(rank, span_of(id, sizeof id), line ? span_of(line + 1, size - len - 1) : span_str("{}"));
        rank_free(rank);
    } else {
        assert(error.message[0]);
    }
    arena_deinit(&arena);
    return 0;
}
