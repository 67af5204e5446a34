/* embedding_golden.c: reads the golden embeddings. */
#include "embedding_golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_support.h"

#include "base/alloc.h"

struct golden golden_load(void)
{
    struct golden g;
    struct cursor c = cursor_over(test_data("embedding/minilm-cranfield.golden"));
    assert_true(span_equal(cursor_bytes(&c, 8), span_of("DPGOLD1", 8)));
    g.count = cursor_u32(&c);
    g.dim = cursor_u32(&c);
    assert_int_equal(g.count, 425);
    assert_int_equal(g.dim, 384);
    g.texts = mem_calloc(g.count, sizeof *g.texts);
    g.vectors = mem_calloc(g.count * g.dim, sizeof *g.vectors);
    for (size_t i = 0; i < g.count; i++) {
        struct tokens *t = &g.texts[i];
        t->count = t->total = cursor_u16(&c);
        t->ids = mem_calloc(t->count, sizeof *t->ids);
        for (size_t k = 0; k < t->count; k++)
            t->ids[k] = cursor_u16(&c);
        for (size_t d = 0; d < g.dim; d++)
            g.vectors[i * g.dim + d] = (float)(int16_t)cursor_u16(&c) / 32768.0f;
    }
    assert_false(c.failed);
    assert_int_equal(c.rest.len, 0);
    return g;
}

void golden_free(struct golden *g)
{
    for (size_t i = 0; i < g->count; i++)
        mem_free(g->texts[i].ids);
    mem_free(g->texts);
    mem_free(g->vectors);
}

const char *golden_model(void)
{
    static char path[4096];
    const char *dir = getenv("DIPPER_MODEL_DIR"), *source = getenv("DIPPER_SOURCE");
    if (dir != NULL && *dir != '\0')
        snprintf(path, sizeof path, "%s", dir);
    else
        snprintf(path, sizeof path, "%s/models/all-MiniLM-L6-v2", source == NULL ? "." : source);
    if (access(path, R_OK) != 0)
        fail_msg("%s is missing: run scripts/fetch-model", path);
    return path;
}
