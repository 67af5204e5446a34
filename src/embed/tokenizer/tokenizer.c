/* tokenizer.c: encodes a text in these steps:
 *
 *   text → valid UTF-8 → cut at literal added tokens → each part: normalize → cut at normalized added tokens
 *        → each part: words → pieces → ids → special tokens around them
 *
 * Normalized text lies in scratch memory. If there are no normalized added tokens, which is usual, a long part is
 * first cut into chunks at white space. This does not change the tokens: no word contains white space, and no step
 * of NFD combines characters across it. So the scratch memory stays small for texts of any length.
 */
#include "embed/tokenizer.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "embed/tokenizer/tokenizer.h"
#include "embed/tokenizer/unicode.h"

enum {
    CHUNK_BYTES = 64 * 1024,
    SINK_FIRST = 64,
    /* Maximum memory for parsing: this many bytes for each byte of JSON (a vocabulary entry of 8 bytes needs about
     * 150), and PARSE_MEMORY_LEAST bytes more. */
    PARSE_MEMORY_FACTOR = 64,
    PARSE_MEMORY_LEAST = 1 << 20
};

enum dp_status tokenizer_open(struct span json, struct tokenizer **out, struct dp_error *error)
{
    static const struct tokenizer_changes none;
    return tokenizer_open_changed(json, &none, out, error);
}

enum dp_status tokenizer_open_changed(struct span json, const struct tokenizer_changes *changes,
                                      struct tokenizer **out, struct dp_error *error)
{
    struct arena arena;
    struct buffer packed;
    struct wordpiece_spec spec;
    size_t most;
    *out = NULL;
    if (!mem_mul_ok(json.len, PARSE_MEMORY_FACTOR, &most) || most > SIZE_MAX - PARSE_MEMORY_LEAST)
        return dp_fail(error, DP_TOO_LARGE, "tokenizer.json: %zu bytes are too many", json.len);
    arena_init(&arena, most + PARSE_MEMORY_LEAST);
    buffer_init(&packed, most + PARSE_MEMORY_LEAST);
    enum dp_status status = tokenizer_parse(json, changes, &arena, &spec, error);
    if (!status)
        status = tokenizer_pack(&spec, &arena, &packed, error);
    if (!status)
        status = tokenizer_open_packed(buffer_span(&packed), out, error);
    arena_deinit(&arena);
    if (status)
        buffer_deinit(&packed);
    else
        (*out)->owned = packed.data;
    return status;
}

enum dp_status tokenizer_serialize(const struct tokenizer *t, struct buffer *out, struct dp_error *error)
{
    buffer_append(out, t->packed);
    return buffer_check(out, "the packed tokenizer", error);
}

uint32_t tokenizer_id_limit(const struct tokenizer *t)
{
    return t->id_limit;
}

size_t tokenizer_special_count(const struct tokenizer *t)
{
    return t->before_count + t->after_count;
}

size_t tokenizer_special_after(const struct tokenizer *t)
{
    return t->after_count;
}

bool tokenizer_token(const struct tokenizer *t, int32_t id, struct span *text)
{
    size_t low = 0, high = t->token_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((int64_t)load_u32(t->token_index + 8 * middle) < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->token_count || (int64_t)load_u32(t->token_index + 8 * low) != id)
        return false;
    uint32_t from = low ? load_u32(t->token_index + 8 * low - 4) : 0;
    *text = span_of(t->token_texts + from, load_u32(t->token_index + 8 * low + 4) - from);
    return true;
}

/* ---- encoding ---- */

/* The state of encoding one text. */
struct text_encoding {
    const struct tokenizer *t;
    struct arena *arena;
    struct id_sink sink;
    uint8_t *scratch;
    size_t scratch_size;
};

void sink_grow(struct id_sink *sink)
{
    size_t capacity = sink->capacity ? sink->capacity : SINK_FIRST / 2;
    if (capacity > sink->limit / 2)
        capacity = sink->limit / 2 + 1;
    int32_t *grown = arena_array(sink->arena, capacity, 2 * sizeof *grown);
    if (!grown) {
        sink->failed = true;
        sink->limit = sink->kept;
        return;
    }
    if (sink->kept)
        memcpy(grown, sink->ids, sink->kept * sizeof *grown);
    sink->ids = grown;
    sink->capacity = 2 * capacity;
}

/* Returns the number of ASCII bytes from `at` on, as a multiple of eight; there may be more. */
static size_t ascii_words(struct span text, size_t at)
{
    size_t from = at;
    for (; text.len - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text.data + at, sizeof word);
        if (word & 0x8080808080808080u)
            break;
    }
    return at - from;
}

/* Returns the length of the valid UTF-8 at the beginning of `text`. */
static size_t valid_length(struct span text)
{
    size_t at = 0;
    while (at < text.len) {
        at += ascii_words(text, at);
        for (size_t i = 0; i < 8 && at < text.len; i++) {
            size_t len = utf8_length(text.data + at, text.data + text.len);
            if (len == 0)
                return at;
            at += len;
        }
    }
    return at;
}

/* Replaces each maximal subpart of an ill-formed sequence by U+FFFD. .data is NULL if memory runs out. */
static struct span make_valid(struct span text, struct arena *arena)
{
    size_t at = valid_length(text);
    if (at == text.len)
        return text.len ? text : span_of("", 0);
    uint8_t *copy = arena_array(arena, text.len, UNICODE_EXPANSION_MAX);
    if (!copy)
        return span_of(NULL, 0);
    const uint8_t *end = text.data + text.len;
    uint8_t *out = copy;
    for (const uint8_t *p = text.data; p < end;) {
        size_t len = utf8_length(p, end);
        if (len) {
            memcpy(out, p, len);
            out += len;
            p += len;
        } else {
            out += utf8_encode(0xfffd, out);
            p += utf8_bad_length(p, end);
        }
    }
    return span_of(copy, (size_t)(out - copy));
}

/* Returns the length of the next chunk of a part: the whole part, or the bytes up to a white space, inclusive. */
static size_t chunk_length(const struct tokenizer *t, struct span part)
{
    if (part.len <= CHUNK_BYTES || t->normalized.trie.count)
        return part.len;
    for (size_t at = CHUNK_BYTES; at < part.len; at++) {
        uint8_t c = part.data[at];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            return at + 1;
    }
    return part.len;
}

/* Encodes a part without literal added tokens. Returns false if memory runs out. */
static bool encode_part(struct text_encoding *e, struct span part)
{
    const struct tokenizer *t = e->t;
    while (part.len) {
        size_t len = chunk_length(t, part);
        if (len > e->scratch_size) {
            e->scratch = arena_array(e->arena, len, UNICODE_EXPANSION_MAX);
            e->scratch_size = e->scratch ? len : 0;
            if (!e->scratch)
                return false;
        }
        struct span text =
            normalize(t->normalizer, t->ascii_normal, span_of(part.data, len), e->scratch, e->arena);
        if (!text.data)
            return false;
        struct added_scan scan = added_begin(&t->normalized, text);
        struct text_part piece;
        while (added_next(&scan, &piece)) {
            if (piece.is_token)
                sink_put(&e->sink, piece.id);
            else
                words_encode(t, piece.text, &e->sink);
        }
        part = span_of(part.data + len, part.len - len);
    }
    return !e->sink.failed;
}

/* Encodes a text, without special tokens around it, into the sink. */
static enum dp_status encode_text(struct text_encoding *e, struct span text, struct dp_error *error)
{
    text = make_valid(text, e->arena);
    if (!text.data)
        return dp_fail_nomem(error, "a text");
    struct added_scan scan = added_begin(&e->t->literal, text);
    struct text_part part;
    while (added_next(&scan, &part)) {
        if (part.is_token)
            sink_put(&e->sink, part.id);
        else if (!encode_part(e, part.text))
            return dp_fail_nomem(error, "the tokens of a text");
    }
    return e->sink.failed ? dp_fail_nomem(error, "the tokens of a text") : DP_OK;
}

static void put_special_ids(struct id_sink *sink, const uint8_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sink_put(sink, load_u32(ids + 4 * i));
}

enum dp_status tokenizer_encode(const struct tokenizer *t, struct span text, size_t max_tokens,
                                struct arena *arena, struct tokens *out, struct dp_error *error)
{
    size_t specials = tokenizer_special_count(t), limit = max_tokens ? max_tokens : SIZE_MAX;
    if (limit < specials)
        return dp_fail(error, DP_INVALID, "a limit of %zu tokens has no room for the %zu special tokens", limit,
                       specials);
    struct text_encoding e = {.t = t, .arena = arena, .sink = {.arena = arena, .limit = limit - t->after_count}};
    put_special_ids(&e.sink, t->before, t->before_count);
    enum dp_status status = encode_text(&e, text, error);
    if (status)
        return status;
    e.sink.limit = limit;
    put_special_ids(&e.sink, t->after, t->after_count);
    if (e.sink.failed)
        return dp_fail_nomem(error, "the tokens of a text");
    *out = (struct tokens){
        .ids = e.sink.ids, .count = e.sink.kept, .total = e.sink.total, .truncated = e.sink.total > e.sink.kept};
    return DP_OK;
}

/* Makes one window: special tokens around content ids. */
static bool make_window(const struct tokenizer *t, const int32_t *content, size_t count, size_t total,
                        struct arena *arena, struct tokens *out)
{
    size_t specials = tokenizer_special_count(t);
    struct id_sink sink = {.arena = arena, .limit = count + specials};
    put_special_ids(&sink, t->before, t->before_count);
    for (size_t i = 0; i < count; i++)
        sink_put(&sink, (uint32_t)content[i]);
    put_special_ids(&sink, t->after, t->after_count);
    *out = (struct tokens){.ids = sink.ids, .count = sink.kept, .total = total, .truncated = total > sink.kept};
    return !sink.failed;
}

enum dp_status tokenizer_windows(const struct tokenizer *t, struct span text, size_t max_tokens, size_t overlap,
                                 struct arena *arena, struct tokens **windows, size_t *count,
                                 struct dp_error *error)
{
    size_t specials = tokenizer_special_count(t);
    if (max_tokens <= specials || overlap >= max_tokens - specials)
        return dp_fail(error, DP_INVALID,
                       "windows of %zu tokens have no room for an overlap of %zu and %zu special tokens",
                       max_tokens, overlap, specials);
    struct text_encoding e = {.t = t, .arena = arena, .sink = {.arena = arena, .limit = SIZE_MAX}};
    enum dp_status status = encode_text(&e, text, error);
    if (status)
        return status;
    size_t size = max_tokens - specials, step = size - overlap, kept = e.sink.kept;
    *count = kept <= size ? 1 : (kept - size + step - 1) / step + 1;
    *windows = arena_array(arena, *count, sizeof **windows);
    if (!*windows)
        return dp_fail_nomem(error, "the windows of a text");
    /* All windows get one length and are evenly spread. A short last window would have little content, and its
     * score would be chance. */
    size_t len = (kept + overlap * (*count - 1) + *count - 1) / *count;
    for (size_t i = 0; i < *count; i++) {
        size_t from = *count == 1 ? 0 : i * (kept - len) / (*count - 1);
        if (!make_window(t, len ? e.sink.ids + from : NULL, len, kept + specials, arena, *windows + i))
            return dp_fail_nomem(error, "the windows of a text");
    }
    return DP_OK;
}
