/* tokenizer/pack.c: writes and opens the packed form of a tokenizer, which is also its form in memory.
 *
 * Opening verifies the checksum and all bounds once. Afterwards the tokenizer reads the bytes where they lie. All
 * numbers are little-endian. They have 32 bits unless noted:
 *
 *    0  magic "DPTOKEN1"
 *    8  XXH3-64 of everything from byte 16 on (64 bits)
 *   16  number of all bytes (64 bits)
 *   24  normalizer flags (enum normalizer_flag)
 *   28  max_input_chars_per_word
 *   32  id limit: every id is below it
 *   36  id of the unknown token
 *   40  node of the word trie where continuations ("##…") begin
 *   44  number of nodes of the word trie
 *   48  number of nodes of the trie of literal added tokens
 *   52  number of nodes of the trie of normalized added tokens
 *   56  number of added tokens
 *   60  number of special tokens before a text
 *   64  number of special tokens after a text
 *   68  number of tokens
 *   72  bytes of the tokens' texts
 *   76  zero
 *   80  word trie, literal trie, normalized trie (tokenizer/trie.h; 8 bytes for each node)
 *       added tokens: {id, flags (enum added_flag)}
 *       ids of the special tokens before a text; ids of those after a text
 *       tokens by ascending id: {id, end of its text}; then the texts, one after another
 *
 * The values of the word trie are ids. The values of the other two tries are positions in the added tokens.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/tokenizer/tokenizer.h"
#include "embed/tokenizer/unicode.h"

static const char magic[8] = "DPTOKEN1";

enum { CHECKSUM_AT = 8, CHECKED_FROM = 16, LENGTH_AT = 16, HEADER_BYTES = 80, PACKED_MAX = 1 << 30 };

struct tokenizer_header {
    uint32_t normalizer, max_word_chars, id_limit, unknown_id, continuation;
    uint32_t word_nodes, literal_nodes, normalized_nodes;
    uint32_t added_count, before_count, after_count;
    uint32_t token_count, token_bytes;
};

/* ---- writing ---- */

static void put_header(struct buffer *out, const struct tokenizer_header *h)
{
    buffer_append(out, span_of(magic, sizeof magic));
    buffer_u64(out, 0); /* tokenizer_pack fills checksum and length */
    buffer_u64(out, 0);
    buffer_u32(out, h->normalizer);
    buffer_u32(out, h->max_word_chars);
    buffer_u32(out, h->id_limit);
    buffer_u32(out, h->unknown_id);
    buffer_u32(out, h->continuation);
    buffer_u32(out, h->word_nodes);
    buffer_u32(out, h->literal_nodes);
    buffer_u32(out, h->normalized_nodes);
    buffer_u32(out, h->added_count);
    buffer_u32(out, h->before_count);
    buffer_u32(out, h->after_count);
    buffer_u32(out, h->token_count);
    buffer_u32(out, h->token_bytes);
    buffer_u32(out, 0);
}

/* Appends the trie of `keys` and sets *nodes to its number of nodes. */
static enum dp_status put_trie(struct trie_key *keys, size_t count, struct buffer *out, uint32_t *nodes,
                               struct dp_error *error)
{
    size_t before = out->len;
    enum dp_status status = trie_build(keys, &count, out, error);
    *nodes = (uint32_t)((out->len - before) / TRIE_NODE_BYTES);
    return status;
}

static enum dp_status put_words(const struct wordpiece_spec *spec, struct arena *arena, struct buffer *out,
                                struct tokenizer_header *h, struct dp_error *error)
{
    struct trie_key *keys = arena_array(arena, spec->vocab_count, sizeof *keys);
    size_t count = 0, start = out->len;
    if (!keys)
        return dp_fail_nomem(error, "the vocabulary");
    for (size_t i = 0; i < spec->vocab_count; i++)
        if (spec->vocab[i].text.len)
            keys[count++] = (struct trie_key){.bytes = spec->vocab[i].text, .value = spec->vocab[i].id};
    enum dp_status status = put_trie(keys, count, out, &h->word_nodes, error);
    if (!status)
        status = buffer_check(out, "the packed tokenizer", error);
    if (status)
        return status;
    if (h->word_nodes == 0)
        return dp_fail(error, DP_INVALID, "tokenizer.json: the vocabulary is empty");
    h->continuation = trie_descend((struct trie){out->data + start, h->word_nodes}, spec->continuation);
    return DP_OK;
}

/* Appends the trie of the added tokens that match raw text, or (`normalized`) of those that match normalized text.
 * If two tokens have one normal form, a special token wins, else the earlier one. */
static enum dp_status put_added_trie(const struct wordpiece_spec *spec, bool normalized, struct arena *arena,
                                     struct buffer *out, uint32_t *nodes, struct dp_error *error)
{
    uint8_t ascii[128];
    normalize_ascii(spec->normalizer, ascii);
    struct trie_key *keys = arena_array(arena, spec->added_count, sizeof *keys);
    size_t count = 0;
    if (!keys)
        return dp_fail_nomem(error, "the added tokens");
    for (uint32_t i = 0; i < spec->added_count; i++) {
        const struct added_token *token = &spec->added[i];
        struct span text = token->text;
        if (normalized != (bool)(token->flags & ADDED_NORMALIZED))
            continue;
        if (normalized) {
            uint8_t *scratch = arena_array(arena, text.len, UNICODE_EXPANSION_MAX);
            text = scratch ? normalize(spec->normalizer, ascii, text, scratch, arena) : span_of(NULL, 0);
            if (!text.data)
                return dp_fail_nomem(error, "the added tokens");
        }
        if (text.len == 0)
            return dp_fail(error, DP_UNSUPPORTED,
                           "tokenizer.json: added token %u is not supported: the normalizer leaves nothing of it",
                           token->id);
        uint32_t rank = (uint32_t)spec->added_count - i;
        if (token->flags & ADDED_SPECIAL)
            rank += (uint32_t)spec->added_count;
        keys[count++] = (struct trie_key){.bytes = text, .value = i, .order = rank};
    }
    return put_trie(keys, count, out, nodes, error);
}

/* Appends ids and texts of all tokens, added tokens included, by ascending id. */
static enum dp_status put_tokens(const struct wordpiece_spec *spec, struct arena *arena, struct buffer *out,
                                 struct tokenizer_header *h, struct dp_error *error)
{
    size_t count = spec->vocab_count, kept = 0;
    struct vocab_entry *tokens = arena_array(arena, count + spec->added_count, sizeof *tokens);
    if (!tokens)
        return dp_fail_nomem(error, "the tokens");
    if (count)
        memcpy(tokens, spec->vocab, count * sizeof *tokens);
    for (size_t i = 0; i < spec->added_count; i++)
        tokens[count++] = (struct vocab_entry){spec->added[i].text, spec->added[i].id};
    qsort(tokens, count, sizeof *tokens, vocab_compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || tokens[kept - 1].id != tokens[i].id)
            tokens[kept++] = tokens[i];
        else if (!span_equal(tokens[kept - 1].text, tokens[i].text))
            return vocab_refuse_ids(&tokens[kept - 1], &tokens[i], error);
    }
    uint64_t end = 0;
    for (size_t i = 0; i < kept; i++) {
        end += tokens[i].text.len;
        buffer_u32(out, tokens[i].id);
        buffer_u32(out, (uint32_t)end);
    }
    if (end > PACKED_MAX)
        return dp_fail(error, DP_TOO_LARGE, "tokenizer.json: more than %d bytes of tokens", PACKED_MAX);
    for (size_t i = 0; i < kept; i++)
        buffer_append(out, tokens[i].text);
    h->token_count = (uint32_t)kept;
    h->token_bytes = (uint32_t)end;
    if (kept && tokens[kept - 1].id >= h->id_limit)
        h->id_limit = tokens[kept - 1].id + 1;
    return DP_OK;
}

static void put_specials(const uint32_t *ids, size_t count, struct buffer *out, struct tokenizer_header *h)
{
    for (size_t i = 0; i < count; i++) {
        buffer_u32(out, ids[i]);
        if (ids[i] >= h->id_limit)
            h->id_limit = ids[i] + 1;
    }
}

enum dp_status tokenizer_pack(const struct wordpiece_spec *spec, struct arena *arena, struct buffer *out,
                              struct dp_error *error)
{
    struct tokenizer_header h = {.normalizer = spec->normalizer,
                                 .max_word_chars = spec->max_word_chars,
                                 .unknown_id = spec->unknown_id,
                                 .added_count = (uint32_t)spec->added_count,
                                 .before_count = (uint32_t)spec->before_count,
                                 .after_count = (uint32_t)spec->after_count};
    size_t start = out->len;
    put_header(out, &h);
    enum dp_status status = put_words(spec, arena, out, &h, error);
    if (!status)
        status = put_added_trie(spec, false, arena, out, &h.literal_nodes, error);
    if (!status)
        status = put_added_trie(spec, true, arena, out, &h.normalized_nodes, error);
    if (status)
        return status;
    for (size_t i = 0; i < spec->added_count; i++) {
        buffer_u32(out, spec->added[i].id);
        buffer_u32(out, spec->added[i].flags);
    }
    put_specials(spec->before, spec->before_count, out, &h);
    put_specials(spec->after, spec->after_count, out, &h);
    status = put_tokens(spec, arena, out, &h, error);
    if (!status)
        status = buffer_check(out, "the packed tokenizer", error);
    if (status)
        return status;

    size_t end = out->len;
    out->len = start; /* write the header again, now that it is complete */
    put_header(out, &h);
    out->len = end;
    uint64_t length = end - start;
    memcpy(out->data + start + LENGTH_AT, &length, sizeof length);
    uint64_t sum = checksum64(span_of(out->data + start + CHECKED_FROM, length - CHECKED_FROM));
    memcpy(out->data + start + CHECKSUM_AT, &sum, sizeof sum);
    return DP_OK;
}

/* ---- opening ---- */

static enum dp_status fail_damaged(struct dp_error *error, const char *what)
{
    return dp_fail(error, DP_CORRUPT, "the packed tokenizer is damaged: %s", what);
}

static enum dp_status read_header(struct span packed, struct cursor *c, struct tokenizer_header *h,
                                  struct dp_error *error)
{
    if (packed.len < HEADER_BYTES)
        return fail_damaged(error, "it is shorter than its header");
    if (!span_equal(cursor_bytes(c, sizeof magic), span_of(magic, sizeof magic)))
        return fail_damaged(error, "it does not begin with DPTOKEN1");
    uint64_t sum = cursor_u64(c);
    if (cursor_u64(c) != packed.len)
        return fail_damaged(error, "its length is not the recorded one");
    if (sum != checksum64(span_of(packed.data + CHECKED_FROM, packed.len - CHECKED_FROM)))
        return fail_damaged(error, "its checksum does not match");
    h->normalizer = cursor_u32(c);
    h->max_word_chars = cursor_u32(c);
    h->id_limit = cursor_u32(c);
    h->unknown_id = cursor_u32(c);
    h->continuation = cursor_u32(c);
    h->word_nodes = cursor_u32(c);
    h->literal_nodes = cursor_u32(c);
    h->normalized_nodes = cursor_u32(c);
    h->added_count = cursor_u32(c);
    h->before_count = cursor_u32(c);
    h->after_count = cursor_u32(c);
    h->token_count = cursor_u32(c);
    h->token_bytes = cursor_u32(c);
    if (cursor_u32(c) != 0)
        return fail_damaged(error, "its reserved field is not zero");
    return DP_OK;
}

static struct trie take_trie(struct cursor *c, uint32_t nodes)
{
    struct span bytes = cursor_bytes(c, (uint64_t)nodes * TRIE_NODE_BYTES);
    return (struct trie){bytes.data, c->failed ? 0 : nodes};
}

static bool ids_below(const uint8_t *ids, size_t count, size_t stride, uint32_t limit)
{
    for (size_t i = 0; i < count; i++)
        if (load_u32(ids + i * stride) >= limit)
            return false;
    return true;
}

static bool tokens_in_order(const struct tokenizer *t, uint32_t token_bytes)
{
    uint32_t end = 0;
    for (size_t i = 0; i < t->token_count; i++) {
        const uint8_t *at = t->token_index + 8 * i;
        if (i && load_u32(at) <= load_u32(at - 8))
            return false;
        if (load_u32(at + 4) < end)
            return false;
        end = load_u32(at + 4);
    }
    return end == token_bytes && ids_below(t->token_index, t->token_count, 8, t->id_limit);
}

/* Marks each byte that a member of the set begins with. */
static void note_beginnings(struct added_set *set)
{
    for (unsigned c = 0; c < 256 && set->trie.count; c++) {
        uint8_t byte = (uint8_t)c;
        set->begins[c] = trie_descend(set->trie, span_of(&byte, 1)) != TRIE_DEAD;
    }
}

static enum dp_status map_sections(struct tokenizer *t, struct cursor *c, const struct tokenizer_header *h,
                                   struct dp_error *error)
{
    t->words = take_trie(c, h->word_nodes);
    t->literal.trie = take_trie(c, h->literal_nodes);
    t->normalized.trie = take_trie(c, h->normalized_nodes);
    t->literal.tokens = t->normalized.tokens = cursor_bytes(c, 8 * (uint64_t)h->added_count).data;
    t->before = cursor_bytes(c, 4 * (uint64_t)h->before_count).data;
    t->after = cursor_bytes(c, 4 * (uint64_t)h->after_count).data;
    t->token_index = cursor_bytes(c, 8 * (uint64_t)h->token_count).data;
    t->token_texts = cursor_bytes(c, h->token_bytes).data;
    if (c->failed || c->rest.len)
        return fail_damaged(error, "its sections do not add up to its length");
    if (t->words.count == 0 || h->continuation >= t->words.count || !trie_check(t->words, h->id_limit) ||
        !trie_check(t->literal.trie, h->added_count) || !trie_check(t->normalized.trie, h->added_count))
        return fail_damaged(error, "a trie leaves its bounds");
    if (h->id_limit > TRIE_VALUE_MAX + 1 || h->unknown_id >= h->id_limit || h->normalizer > NORMALIZER_FLAGS_ALL ||
        !ids_below(t->literal.tokens, h->added_count, 8, h->id_limit) ||
        !ids_below(t->before, h->before_count, 4, h->id_limit) ||
        !ids_below(t->after, h->after_count, 4, h->id_limit))
        return fail_damaged(error, "an id or a flag is out of range");
    if (!tokens_in_order(t, h->token_bytes))
        return fail_damaged(error, "its tokens are out of order");
    return DP_OK;
}

enum dp_status tokenizer_open_packed(struct span packed, struct tokenizer **out, struct dp_error *error)
{
    struct tokenizer_header h = {.normalizer = 0};
    struct cursor c = cursor_over(packed);
    enum dp_status status = read_header(packed, &c, &h, error);
    if (status)
        return status;
    struct tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t)
        return dp_fail_nomem(error, "a tokenizer");
    t->packed = packed;
    t->normalizer = h.normalizer;
    t->max_word_chars = h.max_word_chars;
    t->id_limit = h.id_limit;
    t->unknown_id = h.unknown_id;
    t->continuation = h.continuation;
    t->before_count = h.before_count;
    t->after_count = h.after_count;
    t->token_count = h.token_count;
    status = map_sections(t, &c, &h, error);
    if (status) {
        mem_free(t);
        return status;
    }
    note_beginnings(&t->literal);
    note_beginnings(&t->normalized);
    normalize_ascii(t->normalizer, t->ascii_normal);
    for (uint32_t ch = 0; ch < 128; ch++) {
        uint16_t is = unicode_kind_of(ch).flags;
        t->ascii_class[ch] = is & UNICODE_SPACE ? CLASS_SPACE : is & UNICODE_PUNCT ? CLASS_PUNCT : CLASS_WORD;
    }
    *out = t;
    return DP_OK;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    mem_free(t->owned);
    mem_free(t);
}
