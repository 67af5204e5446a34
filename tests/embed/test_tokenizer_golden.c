/* test_tokenizer_golden.c: every id must equal the `tokenizers` package's.
 *
 * tests/golden/make_tokenizer_golden.py writes the golden files and describes them. Each tokenizer is opened from
 * its JSON and once more from its packed form at an odd address; both must agree.
 */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/checksum.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/utf8.h"
#include "embed/tokenizer.h"
#include "embed/tokenizer/tokenizer.h"
#include "embed/tokenizer/unicode.h"

enum { REAL = 3, DIGEST = 16, ARENA_MAX = 1 << 28 };

static const char *const real_names[REAL] = {"bert-base-uncased", "bert-base-chinese",
                                             "bert-base-multilingual-cased"};

/* A tokenizer from JSON and its twin from packed bytes, which lie at an odd address. */
struct pair {
    struct tokenizer *from_json, *from_packed;
    uint8_t *packed; /* malloc's */
};

static struct pair real[REAL];

static struct pair open_pair(struct span json)
{
    struct pair p;
    struct dp_error error;
    if (tokenizer_open(json, &p.from_json, &error))
        fail_msg("%s", error.message);
    struct buffer packed;
    buffer_init(&packed, 1 << 28);
    buffer_u8(&packed, 0);
    assert_int_equal(tokenizer_serialize(p.from_json, &packed, &error), DP_OK);
    p.packed = malloc(packed.len);
    assert_non_null(p.packed);
    memcpy(p.packed, packed.data, packed.len);
    if (tokenizer_open_packed(span_of(p.packed + 1, packed.len - 1), &p.from_packed, &error))
        fail_msg("%s", error.message);
    buffer_deinit(&packed);
    return p;
}

static void close_pair(struct pair *p)
{
    tokenizer_free(p->from_json);
    tokenizer_free(p->from_packed);
    free(p->packed);
}

static int open_real(void **state)
{
    (void)state;
    for (size_t i = 0; i < REAL; i++) {
        char name[128];
        snprintf(name, sizeof name, "tokenizers/%s/tokenizer.json", real_names[i]);
        real[i] = open_pair(test_data(name));
    }
    return 0;
}

static int close_real(void **state)
{
    (void)state;
    for (size_t i = 0; i < REAL; i++)
        close_pair(&real[i]);
    return 0;
}

static struct tokens encode(const struct pair *p, struct span text, size_t max_tokens, struct arena *arena)
{
    struct tokens a, b;
    struct dp_error error;
    if (tokenizer_encode(p->from_json, text, max_tokens, arena, &a, &error) ||
        tokenizer_encode(p->from_packed, text, max_tokens, arena, &b, &error))
        fail_msg("%s", error.message);
    assert_int_equal(a.count, b.count);
    assert_int_equal(a.total, b.total);
    assert_int_equal(a.truncated, b.truncated);
    assert_int_equal(a.truncated, a.total > a.count);
    if (a.count)
        assert_memory_equal(a.ids, b.ids, a.count * sizeof *a.ids);
    return a;
}

static void digest_of(struct span bytes, char out[DIGEST + 1])
{
    uint8_t sum[32];
    sha256(bytes, sum);
    hex_encode(span_of(sum, DIGEST / 2), out);
}

static bool digest_matches(struct span bytes, struct span wanted)
{
    char got[DIGEST + 1];
    digest_of(bytes, got);
    return span_equal_str(wanted, got);
}

static struct span ids_span(struct tokens t)
{
    return span_of(t.ids, t.count * sizeof *t.ids);
}

/* The next line of *rest, without its end. False at the end. */
static bool next_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    assert_non_null(end);
    *line = span_of(rest->data, (size_t)(end - rest->data));
    *rest = span_of(end + 1, rest->len - line->len - 1);
    return true;
}

static struct span next_column(struct span *line)
{
    const uint8_t *tab = line->len ? memchr(line->data, '\t', line->len) : NULL;
    struct span column = span_of(line->data, tab ? (size_t)(tab - line->data) : line->len);
    size_t used = column.len + (tab ? 1 : 0);
    *line = span_of(line->data + used, line->len - used);
    return column;
}

static uint64_t number_of(struct span digits, int base)
{
    char text[24];
    assert_in_range(digits.len, 1, sizeof text - 1);
    memcpy(text, digits.data, digits.len);
    text[digits.len] = '\0';
    return strtoull(text, NULL, base);
}

static void test_embed_tokenizer_golden_inputs_are_unchanged(void **state)
{
    (void)state;
    struct span rest = test_data("tokenizer/SHA256SUMS"), line;
    while (next_line(&rest, &line)) {
        char name[256], got[65];
        uint8_t sum[32];
        snprintf(name, sizeof name, "%.*s", (int)line.len - 66, (const char *)line.data + 66);
        sha256(test_data(name), sum);
        hex_encode(span_of(sum, sizeof sum), got);
        assert_memory_equal(got, line.data, 64);
    }
}

/* The text of the next Cranfield record in *rest: all but its first line. */
static struct span next_record(struct span *rest)
{
    struct span line = span_of("", 0), text;
    assert_true(next_line(rest, &line));
    assert_true(span_starts_with(line, span_str(".I ")));
    text = span_of(rest->data, 0);
    while (rest->len && !span_starts_with(*rest, span_str(".I "))) {
        assert_true(next_line(rest, &line));
        text.len += line.len + 1;
    }
    return text;
}

static void test_embed_tokenizer_equals_golden_on_cranfield(void **state)
{
    (void)state;
    struct span golden = test_data("tokenizer/cranfield.tsv"), line;
    struct span docs = test_data("cranfield/cran.all.1400"), queries = test_data("cranfield/cran.qry");
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    size_t texts = 0, wrong = 0;
    while (next_line(&golden, &line)) {
        bool is_doc = next_column(&line).data[0] == 'd';
        uint64_t number = number_of(next_column(&line), 10);
        struct span text = next_record(is_doc ? &docs : &queries);
        for (size_t i = 0; i < REAL; i++) {
            arena_reset(&arena);
            struct tokens t = encode(&real[i], text, 0, &arena);
            uint64_t count = number_of(next_column(&line), 10);
            if (t.count != count || !digest_matches(ids_span(t), next_column(&line))) {
                print_error("%s differs on Cranfield %s %llu\n", real_names[i], is_doc ? "document" : "query",
                            (unsigned long long)number);
                wrong++;
            }
        }
        texts++;
    }
    arena_deinit(&arena);
    assert_int_equal(docs.len + queries.len, 0);
    print_message("Cranfield: %zu texts x %d tokenizers, %zu mismatches\n", texts, REAL, wrong);
    assert_int_equal(texts, 1400 + 225);
    assert_int_equal(wrong, 0);
}

/* A list of ids from JSON. */
static struct span read_ids(struct json_reader *r, struct arena *arena)
{
    struct buffer ids;
    buffer_init(&ids, ARENA_MAX);
    json_enter_array(r);
    while (json_next_item(r)) {
        int64_t id = 0;
        json_read_i64(r, &id);
        buffer_u32(&ids, (uint32_t)id);
    }
    assert_false(json_failed(r));
    struct span copy = arena_copy(arena, buffer_span(&ids));
    buffer_deinit(&ids);
    return copy;
}

static void print_ids(const char *what, struct span ids)
{
    print_error("  %s:", what);
    for (size_t i = 0; i + 4 <= ids.len && i < 4 * 400; i += 4)
        print_error(" %u", load_u32(ids.data + i));
    print_error("\n");
}

static struct span unhex(struct span digits, struct arena *arena)
{
    uint8_t *bytes = arena_alloc(arena, digits.len / 2 + 1);
    for (size_t i = 0; i < digits.len / 2; i++)
        bytes[i] = (uint8_t)number_of(span_of(digits.data + 2 * i, 2), 16);
    return span_of(bytes, digits.len / 2);
}

static struct span repeated(struct span text, uint64_t times, struct arena *arena)
{
    uint8_t *bytes = arena_alloc(arena, text.len * times + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + i * text.len, text.data, text.len);
    return span_of(bytes, text.len * times);
}

/* One line of nasty.jsonl; returns how many tokenizers differ. */
static size_t check_nasty(struct span line, struct arena *arena)
{
    struct json_reader r;
    struct span key, name = span_str("?"), text = span_of("", 0);
    uint64_t repeat = 1;
    size_t wrong = 0, compared = 0;
    json_reader_init(&r, line);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        if (span_equal_str(key, "name")) {
            json_read_string(&r, arena, &name);
        } else if (span_equal_str(key, "text")) {
            json_read_string(&r, arena, &text);
        } else if (span_equal_str(key, "hex")) {
            json_read_string(&r, arena, &text);
            text = unhex(text, arena);
        } else if (span_equal_str(key, "repeat")) {
            json_read_u64(&r, &repeat);
        } else {
            bool whole = span_equal_str(key, "ids");
            text = repeated(text, repeat, arena);
            json_enter_object(&r);
            for (size_t i = 0; json_next_key(&r, arena, &key); i++, compared++) {
                assert_true(span_equal_str(key, real_names[i]));
                struct span got = ids_span(encode(&real[i], text, 0, arena)), wanted;
                if (whole)
                    wanted = read_ids(&r, arena);
                else
                    json_read_string(&r, arena, &wanted);
                if (whole ? span_equal(got, wanted) : digest_matches(got, wanted))
                    continue;
                wrong++;
                print_error("%s differs on \"%.*s\"\n", real_names[i], SPAN_FMT(name));
                if (whole)
                    print_ids("wanted", wanted);
                print_ids("got   ", got);
            }
        }
    }
    assert_false(json_failed(&r));
    assert_int_equal(compared, REAL);
    return wrong;
}

static void test_embed_tokenizer_equals_golden_on_nasty_texts(void **state)
{
    (void)state;
    struct span golden = test_data("tokenizer/nasty.jsonl"), line;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    size_t texts = 0, wrong = 0;
    for (; next_line(&golden, &line); texts++) {
        arena_reset(&arena);
        wrong += check_nasty(line, &arena);
    }
    arena_deinit(&arena);
    print_message("nasty corpus: %zu texts x %d tokenizers, %zu mismatches\n", texts, REAL, wrong);
    assert_true(texts > 400);
    assert_int_equal(wrong, 0);
}

/* The text that make_characters() describes, of the 4,096 code points from `first` on. */
static void characters_text(uint32_t first, struct buffer *text)
{
    buffer_clear(text);
    for (uint32_t c = first; c < first + 4096; c++) {
        uint8_t utf8[4];
        if (c >= 0xd800 && c < 0xe000)
            continue;
        struct span s = span_of(utf8, utf8_encode(c, utf8));
        buffer_append(text, s);
        buffer_append_str(text, " a");
        buffer_append(text, s);
        buffer_append_str(text, "\xcc\x81\xcc\xa3 b");
        buffer_append(text, s);
        buffer_append_str(text, "b ");
    }
}

static void test_embed_tokenizer_equals_golden_on_every_character(void **state)
{
    (void)state;
    static const uint32_t normalizers[] = {NORMALIZER_CLEAN_TEXT | NORMALIZER_CHINESE_CHARS |
                                               NORMALIZER_STRIP_ACCENTS | NORMALIZER_LOWERCASE,
                                           NORMALIZER_CLEAN_TEXT | NORMALIZER_CHINESE_CHARS,
                                           0,
                                           NORMALIZER_CHINESE_CHARS | NORMALIZER_STRIP_ACCENTS,
                                           NORMALIZER_CLEAN_TEXT | NORMALIZER_LOWERCASE,
                                           NORMALIZER_STRIP_ACCENTS | NORMALIZER_LOWERCASE};
    struct pair splitting =
        open_pair(span_str("{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\","
                           "\"unk_token\":\"[UNK]\","
                           "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
                           "\"vocab\":{\"[UNK]\":0,\"a\":1,\"##a\":2,\"b\":3,\"##b\":4}}}"));
    const struct pair *pairs[1 + REAL] = {&splitting, &real[0], &real[1], &real[2]};
    struct span golden = test_data("tokenizer/characters.tsv"), line;
    struct arena arena;
    struct buffer buffer;
    arena_init(&arena, ARENA_MAX);
    buffer_init(&buffer, 1 << 20);
    size_t blocks = 0, wrong = 0;
    for (; next_line(&golden, &line); blocks++) {
        uint32_t first = (uint32_t)number_of(next_column(&line), 16);
        characters_text(first, &buffer);
        struct span text = buffer_span(&buffer);
        for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++) {
            uint8_t ascii[128], *out;
            arena_reset(&arena);
            out = arena_array(&arena, text.len, UNICODE_EXPANSION_MAX);
            normalize_ascii(normalizers[i], ascii);
            if (!digest_matches(normalize(normalizers[i], ascii, text, out, &arena), next_column(&line))) {
                print_error("normalizer %u differs from U+%04X on\n", normalizers[i], first);
                wrong++;
            }
        }
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
            arena_reset(&arena);
            if (!digest_matches(ids_span(encode(pairs[i], text, 0, &arena)), next_column(&line))) {
                print_error("tokenizer %zu differs from U+%04X on\n", i, first);
                wrong++;
            }
        }
        assert_int_equal(line.len, 0);
    }
    buffer_deinit(&buffer);
    arena_deinit(&arena);
    close_pair(&splitting);
    print_message("every character: %zu runs of 4,096 x 10 settings, %zu mismatches\n", blocks, wrong);
    assert_int_equal(blocks, 0x110000 / 4096);
    assert_int_equal(wrong, 0);
}

struct custom_case {
    struct span text;
    uint64_t max, overlap;
};

/* Compares a case's windows with the golden ones at the reader's place. */
static bool windows_match(const struct pair *p, const struct custom_case *c, struct json_reader *r,
                          struct arena *arena)
{
    struct tokens *windows;
    size_t count, i = 0;
    struct dp_error error;
    bool same = true;
    if (tokenizer_windows(p->from_packed, c->text, c->max, c->overlap, arena, &windows, &count, &error))
        fail_msg("%s", error.message);
    size_t total = encode(p, c->text, 0, arena).count;
    json_enter_array(r);
    for (; json_next_item(r); i++) {
        struct span wanted = read_ids(r, arena);
        same = same && i < count && span_equal(ids_span(windows[i]), wanted) && windows[i].total == total &&
               windows[i].truncated == (count > 1);
    }
    return same && i == count;
}

static bool check_custom_case(const struct pair *p, struct json_reader *r, struct arena *arena)
{
    struct custom_case c = {.text = span_of("", 0)};
    struct span key;
    bool same = false;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "text"))
            json_read_string(r, arena, &c.text);
        else if (span_equal_str(key, "max"))
            json_read_u64(r, &c.max);
        else if (span_equal_str(key, "overlap"))
            json_read_u64(r, &c.overlap);
        else if (span_equal_str(key, "windows"))
            same = windows_match(p, &c, r, arena);
        else
            same = span_equal(ids_span(encode(p, c.text, c.max, arena)), read_ids(r, arena));
    }
    if (!same)
        print_error("differs on \"%.*s\", at most %llu, overlap %llu\n", SPAN_FMT(c.text),
                    (unsigned long long)c.max, (unsigned long long)c.overlap);
    return same;
}

static void test_embed_tokenizer_equals_golden_on_small_tokenizers(void **state)
{
    (void)state;
    struct span golden = test_data("tokenizer/custom.jsonl"), line, key, json;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    size_t tokenizers = 0, cases = 0, wrong = 0;
    for (; next_line(&golden, &line); tokenizers++) {
        struct json_reader r;
        json_reader_init(&r, line);
        json_enter_object(&r);
        assert_true(json_next_key(&r, NULL, &key) && json_read_raw(&r, &json) && json_next_key(&r, NULL, &key));
        struct pair p = open_pair(json);
        size_t wrong_before = wrong;
        json_enter_array(&r);
        for (; json_next_item(&r); cases++) {
            arena_reset(&arena);
            wrong += !check_custom_case(&p, &r, &arena);
        }
        assert_false(json_failed(&r));
        if (wrong > wrong_before)
            print_error("in %.*s\n", SPAN_FMT(json));
        close_pair(&p);
    }
    arena_deinit(&arena);
    print_message("small tokenizers: %zu, %zu cases, %zu mismatches\n", tokenizers, cases, wrong);
    assert_true(tokenizers > 30 && cases > 1000);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_tokenizer_golden_inputs_are_unchanged),
        cmocka_unit_test_setup_teardown(test_embed_tokenizer_equals_golden_on_cranfield, open_real, close_real),
        cmocka_unit_test_setup_teardown(test_embed_tokenizer_equals_golden_on_nasty_texts, open_real, close_real),
        cmocka_unit_test_setup_teardown(test_embed_tokenizer_equals_golden_on_every_character, open_real,
                                        close_real),
        cmocka_unit_test(test_embed_tokenizer_equals_golden_on_small_tokenizers),
    };
    return test_run(tests);
}
