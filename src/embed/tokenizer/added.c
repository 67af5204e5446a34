/* tokenizer/added.c: finds added tokens inside text, as the `tokenizers` package does.
 *
 * Matches are leftmost-longest and do not overlap. A single_word token does not match beside a word character.
 * lstrip and rstrip widen a match over the white space before and after it. If another added token begins inside
 * that white space, the package gives this token too, out of the text's order. So this file copies the package's
 * arithmetic exactly.
 */
#include "embed/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "embed/tokenizer/unicode.h"

struct added_scan added_begin(const struct added_set *set, struct span text)
{
    return (struct added_scan){.set = set, .text = text};
}

static bool is_at_word_end(struct span text, size_t at)
{
    if (at == 0)
        return false;
    do {
        at--;
    } while ((text.data[at] & 0xc0) == 0x80);
    uint32_t c;
    utf8_decode(text.data + at, &c);
    return unicode_kind_of(c).flags & UNICODE_WORD;
}

static bool is_at_word_start(struct span text, size_t at)
{
    if (at == text.len)
        return false;
    uint32_t c;
    utf8_decode(text.data + at, &c);
    return unicode_kind_of(c).flags & UNICODE_WORD;
}

/* Returns the start of the white space that ends at `at`, but no position before `floor`. */
static size_t skip_space_back(struct span text, size_t at, size_t floor)
{
    while (at > floor) {
        size_t before = at;
        do {
            before--;
        } while ((text.data[before] & 0xc0) == 0x80);
        uint32_t c;
        utf8_decode(text.data + before, &c);
        if (!(unicode_kind_of(c).flags & UNICODE_SPACE))
            break;
        at = before;
    }
    return at < floor ? floor : at;
}

static size_t skip_space_ahead(struct span text, size_t at)
{
    while (at < text.len) {
        uint32_t c;
        size_t len = utf8_decode(text.data + at, &c);
        if (!(unicode_kind_of(c).flags & UNICODE_SPACE))
            break;
        at += len;
    }
    return at;
}

/* Finds the next valid match. [*start, *stop) is the match with the white space that it strips. False if there is
 * no further match. */
static bool find_added(struct added_scan *scan, size_t *start, size_t *stop, uint32_t *id)
{
    const struct added_set *set = scan->set;
    struct span text = scan->text;
    for (size_t at = scan->searched; at < text.len; at++) {
        if (!set->begins[text.data[at]])
            continue;
        uint32_t index = 0;
        size_t len = trie_longest(set->trie, TRIE_ROOT, text.data + at, text.data + text.len, &index);
        if (len == 0)
            continue;
        size_t behind = at + len;
        uint32_t flags = load_u32(set->tokens + 8 * (size_t)index + 4);
        if (flags & ADDED_SINGLE_WORD && (is_at_word_end(text, at) || is_at_word_start(text, behind))) {
            at = behind - 1;
            continue;
        }
        scan->searched = behind;
        *id = load_u32(set->tokens + 8 * (size_t)index);
        *start = flags & ADDED_LSTRIP ? skip_space_back(text, at, scan->covered) : at;
        *stop = flags & ADDED_RSTRIP ? skip_space_ahead(text, behind) : behind;
        return true;
    }
    scan->searched = text.len;
    return false;
}

bool added_next(struct added_scan *scan, struct text_part *part)
{
    if (scan->has_token) {
        scan->has_token = false;
        *part = (struct text_part){.is_token = true, .id = scan->token};
        return true;
    }
    if (scan->ended)
        return false;
    size_t from = scan->covered, start = scan->text.len, stop = 0;
    bool found = scan->set->trie.count && find_added(scan, &start, &stop, &scan->token);
    if (found) {
        scan->covered = stop;
        if (start <= from) {
            *part = (struct text_part){.is_token = true, .id = scan->token};
            return true;
        }
        scan->has_token = true;
    } else {
        scan->ended = true;
        if (from >= scan->text.len)
            return false;
    }
    *part = (struct text_part){.text = span_of(scan->text.data + from, start - from)};
    return true;
}
