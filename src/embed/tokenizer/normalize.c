/* tokenizer/normalize.c: the BERT normalizer, one character at a time.
 *
 * The normalizer has four optional steps in this order, as in the `tokenizers` package:
 *
 *   clean_text            removes control characters, and turns each white space character into a space
 *   handle_chinese_chars  puts spaces around CJK ideographs
 *   strip_accents         decomposes (NFD) and removes nonspacing marks
 *   lowercase             lower-cases each character
 *
 * One pass does all steps. The only state between characters is NFD's canonical ordering: combining characters
 * wait for the next starter. Few characters wait, because the pass removes nonspacing marks before they would.
 * This removal does not change the order of the other characters.
 *
 * A table maps ASCII characters. Text must be valid UTF-8. The output has at most UNICODE_EXPANSION_MAX times the
 * text's bytes; the generator of the tables has checked this for every character.
 */
#include "base/utf8.h"
#include "base/array.h"
#include "embed/tokenizer/tokenizer.h"
#include "embed/tokenizer/unicode.h"

struct waiting_char {
    uint32_t c;
    uint8_t combining_class;
};

enum { WAITING_LOCAL = 16 };

struct bert_normalizer {
    uint32_t flags;
    uint8_t *out;
    struct waiting_char *waiting; /* `local`, or an array in the arena once `local` was full */
    size_t waiting_count, waiting_capacity;
    struct waiting_char local[WAITING_LOCAL];
    struct arena *arena;
    bool failed;
};

void normalize_ascii(uint32_t flags, uint8_t table[128])
{
    for (uint32_t c = 0; c < 128; c++) {
        uint16_t is = unicode_kind_of(c).flags;
        uint32_t mapped[UNICODE_MAPPED_MAX] = {c};
        if (flags & NORMALIZER_LOWERCASE && is & UNICODE_LOWERS)
            unicode_lowercase(c, mapped);
        table[c] = (uint8_t)mapped[0];
        if (flags & NORMALIZER_CLEAN_TEXT && is & UNICODE_BLANK)
            table[c] = ' ';
        if (flags & NORMALIZER_CLEAN_TEXT && is & UNICODE_DROP)
            table[c] = ASCII_DROP;
    }
}

static void put_lowered(struct bert_normalizer *n, uint32_t c, uint16_t is)
{
    if (!(n->flags & NORMALIZER_LOWERCASE && is & UNICODE_LOWERS)) {
        n->out += utf8_encode(c, n->out);
        return;
    }
    uint32_t lower[UNICODE_MAPPED_MAX];
    size_t count = unicode_lowercase(c, lower);
    for (size_t i = 0; i < count; i++)
        n->out += utf8_encode(lower[i], n->out);
}

/* Puts the waiting characters in ascending order of class. Characters of one class keep their order. */
static void put_waiting(struct bert_normalizer *n)
{
    unsigned class = 0;
    for (size_t left = n->waiting_count; left > 0;) {
        unsigned next = 256;
        for (size_t i = 0; i < n->waiting_count; i++)
            if (n->waiting[i].combining_class > class && n->waiting[i].combining_class < next)
                next = n->waiting[i].combining_class;
        class = next;
        for (size_t i = 0; i < n->waiting_count; i++) {
            if (n->waiting[i].combining_class != class)
                continue;
            put_lowered(n, n->waiting[i].c, unicode_kind_of(n->waiting[i].c).flags);
            left--;
        }
    }
    n->waiting_count = 0;
}

static void add_waiting(struct bert_normalizer *n, uint32_t c, uint8_t combining_class)
{
    struct waiting_char *waiting = arena_reserve(n->arena, n->waiting, n->waiting_count, &n->waiting_capacity,
                                                 sizeof *waiting, WAITING_LOCAL);
    if (!waiting) {
        n->failed = true;
        return;
    }
    n->waiting = waiting;
    n->waiting[n->waiting_count++] = (struct waiting_char){c, combining_class};
}

/* Puts one decomposed character in its canonical place, or drops it if it is a nonspacing mark. */
static void put_decomposed(struct bert_normalizer *n, uint32_t c)
{
    struct unicode_kind kind = unicode_kind_of(c);
    if (kind.combining_class == 0 && n->waiting_count)
        put_waiting(n);
    if (kind.flags & UNICODE_MARK)
        return;
    if (kind.combining_class == 0)
        put_lowered(n, c, kind.flags);
    else
        add_waiting(n, c, kind.combining_class);
}

static void put_character(struct bert_normalizer *n, uint32_t c, uint16_t is)
{
    if (!(n->flags & NORMALIZER_STRIP_ACCENTS)) {
        put_lowered(n, c, is);
    } else if (is & UNICODE_DECOMPOSES) {
        uint32_t parts[UNICODE_MAPPED_MAX];
        size_t count = unicode_decompose(c, parts);
        for (size_t i = 0; i < count; i++)
            put_decomposed(n, parts[i]);
    } else {
        put_decomposed(n, c);
    }
}

static void put_space(struct bert_normalizer *n)
{
    if (n->waiting_count)
        put_waiting(n);
    *n->out++ = ' ';
}

/* Normalizes one character that is not ASCII. */
static void put_wide(struct bert_normalizer *n, uint32_t c)
{
    uint16_t is = unicode_kind_of(c).flags;
    if (n->flags & NORMALIZER_CLEAN_TEXT) {
        if (is & UNICODE_DROP)
            return;
        if (is & UNICODE_BLANK) {
            put_space(n);
            return;
        }
    }
    bool apart = n->flags & NORMALIZER_CHINESE_CHARS && is & UNICODE_CHINESE;
    if (apart)
        put_space(n);
    put_character(n, c, is);
    if (apart)
        put_space(n);
}

struct span normalize(uint32_t flags, const uint8_t ascii[128], struct span text, uint8_t *out,
                      struct arena *arena)
{
    struct bert_normalizer n = {.flags = flags, .out = out, .waiting_capacity = WAITING_LOCAL, .arena = arena};
    n.waiting = n.local;
    const uint8_t *p = text.data, *end = p + text.len;
    while (p < end && !n.failed) {
        if (*p >= 0x80) {
            uint32_t c;
            p += utf8_decode(p, &c);
            put_wide(&n, c);
            continue;
        }
        if (n.waiting_count && ascii[*p] != ASCII_DROP)
            put_waiting(&n);
        if (n.waiting_count) { /* clean_text removes this character before NFD, so the others keep waiting */
            p++;
            continue;
        }
        uint8_t *to = n.out;
        for (; p < end && *p < 0x80; p++) {
            *to = ascii[*p];
            to += *to != ASCII_DROP;
        }
        n.out = to;
    }
    put_waiting(&n);
    return n.failed ? span_of(NULL, 0) : span_of(out, (size_t)(n.out - out));
}
