/* fuzz_tokenizer_text.c: any bytes as text, through tokenizers that use every part of the code.
 *
 * The first byte chooses the tokenizer, the second a limit. Checked beyond memory safety: ids are below the
 * limit; a limited encoding is the beginning of the unlimited one; the windows together contain the unlimited one;
 * invalid UTF-8 counts as U+FFFD.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "embed/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENIZERS = 32, SPECIALS = 2 };

static struct tokenizer *tokenizers[TOKENIZERS];

/* Tokenizer n: bits 0 to 3 are the normalizer's switches, bit 4 adds tokens matched in normalized text. */
static struct tokenizer *open_tokenizer(unsigned n)
{
    static const char *const no_yes[] = {"false", "true"};
    char json[4096];
    snprintf(
        json, sizeof json,
        "{\"added_tokens\":["
        "{\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
        "\"special\":true},"
        "{\"content\":\"[M]\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":false,"
        "\"special\":true},"
        "{\"content\":\"w\",\"single_word\":true,\"lstrip\":false,\"rstrip\":true,\"normalized\":false,"
        "\"special\":false},"
        "{\"content\":\"\\u00c9a\",\"single_word\":true,\"lstrip\":true,\"rstrip\":false,\"normalized\":%s,"
        "\"special\":false},"
        "{\"content\":\"\\u4e2d\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":%s,"
        "\"special\":false}],"
        "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":%s,\"handle_chinese_chars\":%s,\"strip_"
        "accents\":%s,"
        "\"lowercase\":%s},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",1],\"sep\":[\"[SEP]\",2]},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
        "\"max_input_chars_per_word\":12,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##a\":4,\"b\":5,"
        "\"##b\":6,\"ab\":7,\"##abc\":8,\"e\":9,\"##e\":10,\"\\u00e9\":11,\"\\u4e2d\":12,\"##\\ufffd\":13,"
        "\"\\ufffd\":14}}}",
        no_yes[n >> 4 & 1], no_yes[n >> 4 & 1], no_yes[n & 1], no_yes[n >> 1 & 1], no_yes[n >> 2 & 1],
        no_yes[n >> 3 & 1]);
    struct tokenizer *t = NULL;
    struct dp_error error;
    enum dp_status status = tokenizer_open(span_str(json), &t, &error);
    assert(status == DP_OK);
    return t;
}

static void check_windows(const struct tokenizer *t, struct span text, size_t most, struct tokens whole,
                          struct arena *arena)
{
    struct tokens *w;
    struct dp_error error;
    size_t count, overlap = most / 3, content = whole.count - SPECIALS, before = 0;
    assert(tokenizer_windows(t, text, most + SPECIALS, overlap, arena, &w, &count, &error) == DP_OK);
    /* fewer windows would not hold the text */
    assert(count == 1 || content > (count - 1) * most - (count - 2) * overlap);
    for (size_t i = 0; i < count; i++) {
        size_t len = w[i].count - SPECIALS, at = count == 1 ? 0 : i * (content - len) / (count - 1);
        assert(len <= most && w[i].count == w[0].count && w[i].ids[0] == 1 && w[i].ids[len + 1] == 2);
        assert(len == 0 || memcmp(w[i].ids + 1, whole.ids + 1 + at, len * sizeof *whole.ids) == 0);
        assert(i == 0 || at + overlap <= before + len);
        assert(i + 1 < count || at + len == content);
        before = at;
    }
}

/* Returns the text with U+FFFD in place of invalid UTF-8. */
static struct span replace_invalid(struct span text, struct buffer *out)
{
    const uint8_t *end = text.data + text.len;
    for (const uint8_t *p = text.data; p < end;) {
        size_t len = utf8_length(p, end);
        if (len) {
            buffer_append(out, span_of(p, len));
            p += len;
        } else {
            buffer_append_str(out, "\xef\xbf\xbd");
            p += utf8_bad_length(p, end);
        }
    }
    return buffer_span(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct tokenizer **slot = &tokenizers[data[0] % TOKENIZERS];
    if (!*slot)
        *slot = open_tokenizer(data[0] % TOKENIZERS);
    const struct tokenizer *t = *slot;
    size_t most = 1 + data[1] % 16;
    struct span text = span_of(data + 2, size - 2);
    struct arena arena;
    struct buffer valid;
    struct tokens whole, part, again;
    struct dp_error error;
    arena_init(&arena, 1 << 28);
    buffer_init(&valid, 1 << 28);
    assert(tokenizer_encode(t, text, 0, &arena, &whole, &error) == DP_OK);
    assert(whole.count == whole.total && !whole.truncated && whole.count >= SPECIALS);
    for (size_t i = 0; i < whole.count; i++)
        assert((uint32_t)whole.ids[i] < tokenizer_id_limit(t));
    assert(tokenizer_encode(t, text, most + SPECIALS, &arena, &part, &error) == DP_OK);
    assert(part.total == whole.total && part.truncated == (part.count < whole.count));
    assert(part.count <= most + SPECIALS && memcmp(part.ids, whole.ids, (part.count - 1) * sizeof *part.ids) == 0);
    assert(part.ids[part.count - 1] == 2);
    check_windows(t, text, most, whole, &arena);
    assert(tokenizer_encode(t, replace_invalid(text, &valid), 0, &arena, &again, &error) == DP_OK);
    assert(again.count == whole.count && memcmp(again.ids, whole.ids, whole.count * sizeof *whole.ids) == 0);
    buffer_deinit(&valid);
    arena_deinit(&arena);
    return 0;
}
