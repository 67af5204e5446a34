/* tokenizer/wordpiece.c: the BERT pre-tokenizer and the WordPiece model.
 *
 * White space separates words; each punctuation character is a word. A word becomes the longest vocabulary entry
 * that it begins with, then the longest continuation ("##…") of the rest, and so on. If a step finds nothing, or
 * the word has more than max_word_chars characters, the whole word becomes the unknown token.
 *
 * Source: Y. Wu et al., "Google's Neural Machine Translation System", 2016, §4.1; greedy matching as in BERT.
 */
#include "embed/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "embed/tokenizer/unicode.h"

static void put_word(const struct tokenizer *t, const uint8_t *p, const uint8_t *end, size_t chars,
                     struct id_sink *sink)
{
    if (chars > t->max_word_chars) {
        sink_put(sink, t->unknown_id);
        return;
    }
    size_t kept = sink->kept, total = sink->total;
    uint32_t from = TRIE_ROOT;
    while (p < end) {
        uint32_t id = 0;
        size_t len = trie_longest(t->words, from, p, end, &id);
        if (len == 0) {
            sink->kept = kept;
            sink->total = total;
            sink_put(sink, t->unknown_id);
            return;
        }
        sink_put(sink, id);
        p += len;
        from = t->continuation;
    }
}

static enum word_class class_of(const struct tokenizer *t, const uint8_t *p, size_t *len)
{
    if (*p < 0x80) {
        *len = 1;
        return t->ascii_class[*p];
    }
    uint32_t c;
    *len = utf8_decode(p, &c);
    uint16_t is = unicode_kind_of(c).flags;
    return is & UNICODE_SPACE ? CLASS_SPACE : is & UNICODE_PUNCT ? CLASS_PUNCT : CLASS_WORD;
}

void words_encode(const struct tokenizer *t, struct span text, struct id_sink *sink)
{
    const uint8_t *p = text.data, *end = p + text.len;
    while (p < end) {
        size_t len;
        enum word_class class = class_of(t, p, &len);
        const uint8_t *start = p;
        p += len;
        if (class == CLASS_SPACE)
            continue;
        size_t chars = 1;
        if (class == CLASS_WORD)
            for (; p < end && class_of(t, p, &len) == CLASS_WORD; p += len)
                chars++;
        put_word(t, start, p, chars, sink);
    }
}
