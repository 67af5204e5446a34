/* words.c: indexes the texts of a segment's rows. */
#include "index/load/words.h"

#include "base/alloc.h"
#include "index/row_text.h"
#include "text/index_build.h"

enum {
    VALUE_MAX = 64 << 20,  /* memory for the characters of one value */
    MEMORY_MAX = 32 << 20, /* of waiting postings */
    HOT_PART = 1 << 20,    /* maximum bytes of LENS and of TFRQ, if the hot part has room for them */
    /* LENS gets at most a third of the room in the hot part, TFRQ a quarter: the rest is for TIDX and later sections. */
    LENGTHS_SHARE = 3,
    FREQUENT_SHARE = 4,
    HOT_MAX = INT32_MAX
};

/* The texts of a column. */
struct word_source {
    const struct attribute *attribute;
    struct text_analyzer *analyzer;
};

/* Indexes the rows of one segment. */
struct word_feed {
    struct call *call;
    struct segment_writer *writer;
    struct text_builder *builder;
    struct text_column *columns; /* [count] */
    struct word_source *sources; /* [count]: of the same columns */
    uint32_t count, column;      /* column: of the value that is analysed */
    enum dp_status status;       /* of text_builder_token() */
    struct arena scratch;
};

/* ---- columns ------------------------------------------------------------------------------------------- */

static enum dp_status add_column(struct word_feed *f, const struct attribute *attribute)
{
    struct text_settings settings;
    bool found;
    enum dp_status status = row_text_settings(attribute, &settings, &found, &f->call->error);
    if (status != DP_OK || !found)
        return status;
    f->sources[f->count].attribute = attribute;
    f->columns[f->count] = (struct text_column){attribute->number, row_text_column(attribute, &settings)};
    return text_analyzer_new(&settings, &f->sources[f->count++].analyzer, &f->call->error);
}

static enum dp_status find_columns(struct word_feed *f, const struct schema *schema)
{
    enum dp_status status = DP_OK;
    f->columns = mem_calloc(schema->count + 1, sizeof *f->columns);
    f->sources = mem_calloc(schema->count + 1, sizeof *f->sources);
    if (!f->columns || !f->sources)
        return call_nomem(f->call, "a text index");
    for (size_t i = 0; i < schema->count && status == DP_OK; i++)
        status = add_column(f, &schema->attributes[i]);
    return status;
}

static void free_feed(struct word_feed *f)
{
    for (uint32_t c = 0; c < f->count; c++)
        text_analyzer_free(f->sources[c].analyzer);
    mem_free(f->columns);
    mem_free(f->sources);
    text_builder_free(f->builder);
    arena_deinit(&f->scratch);
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* For text_analyze: adds a token of the present row. */
static bool feed_token(void *ctx, const struct text_token *token)
{
    struct word_feed *f = ctx;
    f->status = text_builder_token(f->builder, f->column, token->text, &f->call->error);
    return f->status == DP_OK;
}

static enum dp_status feed_row(struct word_feed *f, uint32_t row, struct span document)
{
    enum dp_status status = text_builder_row(f->builder, row, &f->call->error);
    for (f->column = 0; f->column < f->count && status == DP_OK; f->column++) {
        const struct word_source *source = &f->sources[f->column];
        status = row_text_tokens(source->analyzer, source->attribute, document, &f->scratch, feed_token, f,
                                 &f->call->error);
        if (status == DP_OK)
            status = f->status;
    }
    return status;
}

static enum dp_status feed_rows(struct word_feed *f, const struct segment_build *b)
{
    const struct waiting_rows *waiting = &b->loader->waiting;
    enum dp_status status = DP_OK;
    for (size_t r = 0; r < waiting->count && status == DP_OK; r++) {
        const struct waiting_row *row = &waiting->rows[b->order[r]];
        status = feed_row(f, (uint32_t)r, span_of(b->documents.data + row->document, row->document_len));
        if (status == DP_OK && r % 1024 == 0)
            status = call_check(f->call);
    }
    return status;
}

/* ---- sections ------------------------------------------------------------------------------------------ */

static enum dp_status put_terms(void *context, struct span piece, struct dp_error *error)
{
    const struct word_feed *f = context;
    (void)error; /* segment_write_piece() fills the call's error, which is the same one */
    return segment_write_piece(f->call, f->writer, SECTION_TERMS, piece);
}

static enum dp_status put_postings(void *context, struct span piece, struct dp_error *error)
{
    const struct word_feed *f = context;
    (void)error;
    return segment_write_piece(f->call, f->writer, SECTION_POSTINGS, piece);
}

static enum dp_status write_index(struct word_feed *f, uint32_t nlist)
{
    const struct text_sink sink = {put_terms, put_postings, f};
    struct buffer tidx, tfrq, lens;
    buffer_init(&tidx, HOT_MAX);
    buffer_init(&tfrq, HOT_MAX);
    buffer_init(&lens, HOT_MAX);
    enum dp_status status = text_builder_finish(f->builder, &sink, &tidx, &tfrq, &lens, &f->call->error);
    if (status == DP_OK && tidx.len + tfrq.len + lens.len <= segment_hot_left(f->writer, nlist)) {
        status = segment_add_section(f->call, f->writer, SECTION_TERM_INDEX, buffer_span(&tidx));
        if (status == DP_OK)
            status = segment_add_section(f->call, f->writer, SECTION_FREQUENT_TERMS, buffer_span(&tfrq));
        if (status == DP_OK && lens.len)
            status = segment_add_section(f->call, f->writer, SECTION_LENGTHS, buffer_span(&lens));
    }
    buffer_deinit(&tidx);
    buffer_deinit(&tfrq);
    buffer_deinit(&lens);
    return status;
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum dp_status load_write_words(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    struct word_feed f = {.call = call, .writer = w};
    const uint32_t nlist = b->ivf ? (uint32_t)b->ivf->nlist : 1;
    const size_t left = segment_hot_left(w, nlist);
    const struct text_build_limits limits = {.memory = lesser(b->loader->waiting.documents.memory_max, MEMORY_MAX),
                                             .frequent_len = lesser(left / FREQUENT_SHARE, HOT_PART) + 1,
                                             .lengths_len = lesser(left / LENGTHS_SHARE, HOT_PART) + 1};
    arena_init(&f.scratch, VALUE_MAX);
    enum dp_status status = find_columns(&f, b->loader->indexed);
    if (status == DP_OK && f.count) {
        status = text_builder_new(f.columns, f.count, (uint32_t)b->loader->waiting.count, &limits, &f.builder,
                                  &call->error);
        if (status == DP_OK)
            status = feed_rows(&f, b);
        if (status == DP_OK)
            status = write_index(&f, nlist);
    }
    free_feed(&f);
    return status;
}
