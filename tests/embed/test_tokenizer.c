/* test_tokenizer.c: limits, refusals, damaged packed forms, invalid text and failed allocations.
 * test_tokenizer_golden.c checks the ids. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/checksum.h"
#include "embed/tokenizer.h"

#define MODEL                                                                                         \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
    "\"max_input_chars_per_word\":10,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##b\":4,\"c\":5}}"
#define NORMALIZER                                                                                   \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true," \
    "\"strip_accents\":null,\"lowercase\":true}"
#define PRE_TOKENIZER "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define POST_PROCESSOR                                                                                     \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\"," \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\","     \
    "\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[1],"            \
    "\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[2],\"tokens\":[\"[SEP]\"]}}}"
#define ADDED                                                                                   \
    "\"added_tokens\":[{\"id\":2,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false," \
    "\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":6,\"content\":\"Foo\","    \
    "\"single_word\":true,\"lstrip\":true,\"rstrip\":true,\"normalized\":true,\"special\":false}]"
#define WHOLE "{\"version\":\"1.0\"," ADDED "," NORMALIZER "," PRE_TOKENIZER "," POST_PROCESSOR "," MODEL "}"

enum { ARENA_MAX = 1 << 24 };

static struct tokenizer *open_text(const char *json)
{
    struct tokenizer *t;
    struct dp_error error;
    if (tokenizer_open(span_str(json), &t, &error))
        fail_msg("%s", error.message);
    return t;
}

static void assert_ids(struct tokens tokens, const int32_t *ids, size_t count)
{
    assert_int_equal(tokens.count, count);
    assert_memory_equal(tokens.ids, ids, count * sizeof *ids);
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

static void test_embed_tokenizer_cuts_at_the_limit_and_says_so(void **state)
{
    (void)state;
    struct tokenizer *t = open_text(WHOLE);
    struct arena arena;
    struct tokens k;
    struct dp_error error;
    arena_init(&arena, ARENA_MAX);
    struct span text = span_str("a ab, foo C");
    assert_int_equal(tokenizer_encode(t, text, 0, &arena, &k, &error), DP_OK);
    assert_ids(k, IDS(1, 3, 3, 4, 0, 6, 5, 2));
    assert_false(k.truncated);
    assert_int_equal(k.total, 8);
    assert_int_equal(tokenizer_encode(t, text, 8, &arena, &k, &error), DP_OK);
    assert_false(k.truncated);
    assert_int_equal(tokenizer_encode(t, text, 4, &arena, &k, &error), DP_OK);
    assert_ids(k, IDS(1, 3, 3, 2));
    assert_true(k.truncated);
    assert_int_equal(k.total, 8);
    assert_int_equal(tokenizer_encode(t, text, 2, &arena, &k, &error), DP_OK);
    assert_ids(k, IDS(1, 2));
    assert_int_equal(tokenizer_encode(t, text, 1, &arena, &k, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "2 special tokens"));
    assert_int_equal(tokenizer_encode(t, span_of(NULL, 0), 0, &arena, &k, &error), DP_OK);
    assert_ids(k, IDS(1, 2));
    arena_deinit(&arena);
    tokenizer_free(t);
}

static void test_embed_tokenizer_windows_overlap_and_carry_special_tokens(void **state)
{
    (void)state;
    struct tokenizer *t = open_text(WHOLE);
    struct arena arena;
    struct tokens *w;
    size_t n;
    struct dp_error error;
    arena_init(&arena, ARENA_MAX);
    struct span text = span_str("a c a c a c a");
    assert_int_equal(tokenizer_windows(t, text, 5, 1, &arena, &w, &n, &error), DP_OK);
    assert_int_equal(n, 3);
    assert_ids(w[0], IDS(1, 3, 5, 3, 2));
    assert_ids(w[1], IDS(1, 3, 5, 3, 2));
    assert_ids(w[2], IDS(1, 3, 5, 3, 2));
    assert_int_equal(w[1].total, 9);
    assert_true(w[1].truncated);
    assert_int_equal(tokenizer_windows(t, text, 9, 0, &arena, &w, &n, &error), DP_OK);
    assert_int_equal(n, 1);
    assert_false(w[0].truncated);
    assert_int_equal(tokenizer_windows(t, span_str(""), 9, 0, &arena, &w, &n, &error), DP_OK);
    assert_int_equal(n, 1);
    assert_ids(w[0], IDS(1, 2));
    assert_int_equal(tokenizer_windows(t, text, 5, 3, &arena, &w, &n, &error), DP_INVALID);
    assert_int_equal(tokenizer_windows(t, text, 2, 0, &arena, &w, &n, &error), DP_INVALID);
    assert_int_equal(tokenizer_windows(t, text, 0, 0, &arena, &w, &n, &error), DP_INVALID);
    arena_deinit(&arena);
    tokenizer_free(t);
}

static void test_embed_tokenizer_knows_its_tokens(void **state)
{
    (void)state;
    struct tokenizer *t = open_text(WHOLE);
    struct span text;
    assert_int_equal(tokenizer_id_limit(t), 7);
    assert_int_equal(tokenizer_special_count(t), 2);
    assert_true(tokenizer_token(t, 0, &text) && span_equal_str(text, "[UNK]"));
    assert_true(tokenizer_token(t, 4, &text) && span_equal_str(text, "##b"));
    assert_true(tokenizer_token(t, 6, &text) && span_equal_str(text, "Foo"));
    assert_false(tokenizer_token(t, 7, &text));
    assert_false(tokenizer_token(t, -1, &text));
    tokenizer_free(t);
    tokenizer_free(NULL);
}

struct refusal {
    const char *json;
    enum dp_status status;
    const char *says[3]; /* parts of the message, up to NULL */
};

#define WITH(normalizer, pre, post, model) "{" normalizer "," pre "," post "," model "}"

static const struct refusal refusals[] = {
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}"),
     DP_UNSUPPORTED,
     {"tokenizer.json: model type 'BPE' is not supported; supported: WordPiece"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"model\":{\"type\":\"Unigram\",\"vocab\":[]}"),
     DP_UNSUPPORTED,
     {"'Unigram'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"model\":{\"vocab\":{},\"merges\":[]}"),
     DP_UNSUPPORTED,
     {"'BPE'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"model\":{\"vocab\":[[\"a\",-1.5]]}"),
     DP_UNSUPPORTED,
     {"'Unigram'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"model\":{\"vocab\":{},\"unk_token\":\"a\"}"),
     DP_UNSUPPORTED,
     {"'WordLevel'"}},
    {WITH("\"normalizer\":{\"type\":\"NFKC\"}", PRE_TOKENIZER, POST_PROCESSOR, MODEL),
     DP_UNSUPPORTED,
     {"normalizer 'NFKC' is not supported; supported: BertNormalizer, Lowercase"}},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":[]}]}",
          PRE_TOKENIZER, POST_PROCESSOR, MODEL),
     DP_UNSUPPORTED,
     {"normalizer 'Sequence'"}},
    {WITH("\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true}", PRE_TOKENIZER, POST_PROCESSOR,
          MODEL),
     DP_INVALID,
     {"the normalizer has no field \"handle_chinese_chars\""}},
    {WITH(NORMALIZER, "\"pre_tokenizer\":{\"type\":\"Whitespace\"}", POST_PROCESSOR, MODEL),
     DP_UNSUPPORTED,
     {"pre_tokenizer 'Whitespace' is not supported; supported: BertPreTokenizer"}},
    {WITH(NORMALIZER, "\"pre_tokenizer\":null", POST_PROCESSOR, MODEL), DP_UNSUPPORTED, {"pre_tokenizer 'null'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, "\"post_processor\":{\"type\":\"ByteLevel\"}", MODEL),
     DP_UNSUPPORTED,
     {"post_processor 'ByteLevel'", "TemplateProcessing, BertProcessing, RobertaProcessing"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, "\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[\"x\",1]}",
          MODEL),
     DP_INVALID,
     {"the post_processor has no field \"sep\""}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\",\"cls\":[\"x\","
          "1],"
          "\"sep\":[\"y\",1]},{\"type\":\"RobertaProcessing\",\"cls\":[\"x\",1],\"sep\":[\"y\",1]}]}",
          MODEL),
     DP_UNSUPPORTED,
     {"a second post_processor 'RobertaProcessing'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"Sequence\",\"processors\":[]}]}",
          MODEL),
     DP_UNSUPPORTED,
     {"post_processor 'Sequence'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, "\"post_processor\":{\"type\":\"Sequence\"}", MODEL),
     DP_INVALID,
     {"the post_processor has no field \"processors\""}},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"}]}", PRE_TOKENIZER,
          POST_PROCESSOR, MODEL),
     DP_UNSUPPORTED,
     {"normalizer 'NFKC' is not supported; supported: BertNormalizer, Lowercase, a Sequence"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],\"special_tokens\":{}}", MODEL),
     DP_UNSUPPORTED,
     {"sequence 'none'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_"
          "id\":1}}],"
          "\"special_tokens\":{}}",
          MODEL),
     DP_UNSUPPORTED,
     {"type_id '1'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_"
          "id\":0}}],"
          "\"special_tokens\":{}}",
          MODEL),
     DP_UNSUPPORTED,
     {"sequence 'B'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_"
          "id\":0}}],"
          "\"special_tokens\":{}}",
          MODEL),
     DP_INVALID,
     {"special token 'x' has no ids"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"x\"],\"sep\":[\"y\",1]}", MODEL),
     DP_INVALID,
     {"\"cls\" is not a text and an id"}},
    {WITH(NORMALIZER, PRE_TOKENIZER,
          "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"x\",1],\"sep\":[\"y\",1,2]}", MODEL),
     DP_INVALID,
     {"\"sep\" is not a text and an id"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, "\"version\":\"2.0\"", MODEL), DP_UNSUPPORTED, {"version '2.0'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, NORMALIZER, MODEL), DP_INVALID, {"\"normalizer\" is given twice", "byte"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, "\"decoder\":null"), DP_INVALID, {"no field \"model\""}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR,
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":10,\"vocab\":{\"a\":0}}"),
     DP_INVALID,
     {"the unk_token '[UNK]' is not in the vocabulary"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR,
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":10,\"vocab\":{\"a\":0,\"b\":0}}"),
     DP_UNSUPPORTED,
     {"two tokens with the id 0", "'a'", "'b'"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR,
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":10,\"vocab\":{\"a\":8388607}}"),
     DP_UNSUPPORTED,
     {"token id 8388607 is not supported", "byte"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR,
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":10,\"vocab\":{\"a\":-1}}"),
     DP_INVALID,
     {"tokenizer.json", "byte"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR,
          "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":10,\"vocab\":{\"\":0}}"),
     DP_INVALID,
     {"the vocabulary is empty"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, MODEL,
          "\"added_tokens\":[{\"content\":\"\\u0001\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
          "\"normalized\":true,\"special\":false}]"),
     DP_UNSUPPORTED,
     {"added token 6 is not supported: the normalizer leaves nothing of it"}},
    {WITH(NORMALIZER, PRE_TOKENIZER, MODEL, "\"added_tokens\":[{\"content\":\"x\"}]"),
     DP_INVALID,
     {"an added token has no field \"single_word\""}},
    {"", DP_INVALID, {"tokenizer.json"}},
    {"[]", DP_INVALID, {"tokenizer.json: expected an object, found an array at byte 0"}},
    {"{}", DP_UNSUPPORTED, {"pre_tokenizer 'null'"}},
    {"{} x", DP_INVALID, {"tokenizer.json"}},
    {"{\"model\":{\"type\":\"WordPiece\"", DP_INVALID, {"tokenizer.json"}},
};

static void test_embed_tokenizer_refuses_by_name(void **state)
{
    (void)state;
    size_t count = sizeof refusals / sizeof *refusals;
    for (size_t i = 0; i < count; i++) {
        const struct refusal *r = &refusals[i];
        struct tokenizer *t = NULL;
        struct dp_error error;
        enum dp_status status = tokenizer_open(span_str(r->json), &t, &error);
        if (status != r->status)
            fail_msg("status %d, not %d, for %s", status, r->status, r->json);
        for (size_t k = 0; k < 3 && r->says[k]; k++)
            if (!strstr(error.message, r->says[k]))
                fail_msg("\"%s\" does not say \"%s\"", error.message, r->says[k]);
        assert_null(t);
    }
    print_message("%zu refusals\n", count);
}

/* Encodes bytes at the end of an allocation, so that a sanitizer sees any read past them. */
static struct tokens encode_exact(const struct tokenizer *t, struct span bytes, struct arena *arena)
{
    struct tokens k;
    struct dp_error error;
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    assert_int_equal(tokenizer_encode(t, span_of(copy, bytes.len), 0, arena, &k, &error), DP_OK);
    free(copy);
    return k;
}

static void test_embed_tokenizer_reads_nothing_past_cut_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\xed\xa0\x80",
                                             "\xff"};
    struct tokenizer *t = open_text(WHOLE);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++)
        for (size_t len = 1; len <= strlen(characters[i]); len++)
            for (size_t pad = 0; pad < 20; pad++) {
                char text[32];
                memset(text, 'a', sizeof text);
                memcpy(text + pad, characters[i], len);
                arena_reset(&arena);
                encode_exact(t, span_of(text, pad + len), &arena);
                encode_exact(t, span_of(text + pad, len), &arena);
            }
    arena_deinit(&arena);
    tokenizer_free(t);
}

static void test_embed_tokenizer_takes_invalid_utf8_for_replacement_characters(void **state)
{
    (void)state;
    struct tokenizer *t = open_text(WHOLE);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    /* clean_text removes them, so the parts that they separated join */
    assert_ids(encode_exact(t,
                            span_str("a\xff\xfe"
                                     "b c"),
                            &arena),
               IDS(1, 3, 4, 5, 2));
    assert_ids(encode_exact(t, span_str("\xe4\xb8"), &arena), IDS(1, 2));
    assert_ids(encode_exact(t, span_str("\xe4[SEP]\x80"), &arena), IDS(1, 2, 2));
    tokenizer_free(t);
    t = open_text("{" PRE_TOKENIZER ",\"model\":{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"\","
                  "\"max_input_chars_per_word\":9,\"vocab\":{\"u\":0,\"\xef\xbf\xbd\":1,\"a\":2}}}");
    assert_ids(encode_exact(t,
                            span_str("a\xf0\x9f\x98"
                                     "a\xe4\xe4\xb8"
                                     "a\xc0\xaf"),
                            &arena),
               IDS(2, 1, 2, 1, 1, 2, 1, 1));
    arena_deinit(&arena);
    tokenizer_free(t);
}

static void pack_text(const char *json, struct buffer *packed)
{
    struct dp_error error;
    struct tokenizer *t = open_text(json);
    buffer_init(packed, 1 << 24);
    assert_int_equal(tokenizer_serialize(t, packed, &error), DP_OK);
    tokenizer_free(t);
}

static void test_embed_tokenizer_packed_again_is_the_same(void **state)
{
    (void)state;
    struct buffer once, twice;
    struct tokenizer *t;
    struct dp_error error;
    pack_text(WHOLE, &once);
    assert_int_equal(tokenizer_open_packed(buffer_span(&once), &t, &error), DP_OK);
    buffer_init(&twice, 1 << 24);
    assert_int_equal(tokenizer_serialize(t, &twice, &error), DP_OK);
    assert_true(span_equal(buffer_span(&once), buffer_span(&twice)));
    tokenizer_free(t);
    buffer_deinit(&twice);
    pack_text(WHOLE, &twice);
    assert_true(span_equal(buffer_span(&once), buffer_span(&twice)));
    struct buffer small;
    buffer_init(&small, 16);
    t = open_text(WHOLE);
    assert_int_equal(tokenizer_serialize(t, &small, &error), DP_TOO_LARGE);
    tokenizer_free(t);
    buffer_deinit(&small);
    buffer_deinit(&once);
    buffer_deinit(&twice);
}

static void test_embed_tokenizer_packed_detects_every_flipped_byte(void **state)
{
    (void)state;
    struct buffer packed;
    pack_text(WHOLE, &packed);
    for (size_t i = 0; i < packed.len; i++) {
        struct tokenizer *t = NULL;
        struct dp_error error;
        packed.data[i] ^= (uint8_t)(1 + i % 255);
        assert_int_equal(tokenizer_open_packed(buffer_span(&packed), &t, &error), DP_CORRUPT);
        assert_null(t);
        packed.data[i] ^= (uint8_t)(1 + i % 255);
    }
    for (size_t len = 0; len < packed.len; len++) {
        struct tokenizer *t = NULL;
        struct dp_error error;
        assert_int_equal(tokenizer_open_packed(span_of(packed.data, len), &t, &error), DP_CORRUPT);
    }
    print_message("%zu bytes flipped, as many lengths cut\n", packed.len);
    buffer_deinit(&packed);
}

static void sign(struct buffer *packed)
{
    uint64_t sum = checksum64(span_of(packed->data + 16, packed->len - 16));
    memcpy(packed->data + 8, &sum, sizeof sum);
}

static void test_embed_tokenizer_damaged_packed_form_with_a_right_checksum_is_safe(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    struct buffer packed;
    struct arena arena;
    size_t opened = 0, refused = 0;
    arena_init(&arena, ARENA_MAX);
    pack_text(WHOLE, &packed);
    for (size_t i = 16; i < packed.len; i++)
        for (size_t f = 0; f < sizeof flips; f++) {
            struct tokenizer *t = NULL;
            struct dp_error error;
            packed.data[i] ^= flips[f];
            sign(&packed);
            if (tokenizer_open_packed(buffer_span(&packed), &t, &error) == DP_OK) {
                arena_reset(&arena);
                struct tokens k = encode_exact(t, span_str("a ab foo [SEP] \xe4\xb8\xad Cab"), &arena);
                for (size_t n = 0; n < k.count; n++)
                    assert_true((uint32_t)k.ids[n] < tokenizer_id_limit(t));
                struct span text;
                for (int32_t id = 0; id < 8; id++)
                    tokenizer_token(t, id, &text);
                tokenizer_free(t);
                opened++;
            } else {
                refused++;
            }
            packed.data[i] ^= flips[f];
        }
    print_message("%zu altered forms opened and encoded within bounds, %zu refused\n", opened, refused);
    assert_true(refused > 0);
    arena_deinit(&arena);
    buffer_deinit(&packed);
}

/* Opens, encodes, cuts into windows and serializes; frees all. */
static enum dp_status walk(void)
{
    struct tokenizer *t = NULL;
    struct dp_error error;
    struct arena arena;
    struct buffer packed;
    struct tokens k, *w;
    size_t n;
    /* Marks that NFD must order, more than fit without an allocation, and invalid bytes. */
    static const char text[] =
        "a ab foo [SEP] \xff a\xe3\x80\xae\xe3\x80\xaf\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae"
        "\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae"
        "\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae\xe3\x80\xae c";
    arena_init(&arena, ARENA_MAX);
    buffer_init(&packed, 1 << 24);
    enum dp_status status = tokenizer_open(span_str(WHOLE), &t, &error);
    if (!status)
        status = tokenizer_encode(t, span_str(text), 0, &arena, &k, &error);
    if (!status)
        status = tokenizer_windows(t, span_str(text), 5, 1, &arena, &w, &n, &error);
    if (!status)
        status = tokenizer_serialize(t, &packed, &error);
    tokenizer_free(t);
    t = NULL;
    if (!status)
        status = tokenizer_open_packed(buffer_span(&packed), &t, &error);
    tokenizer_free(t);
    buffer_deinit(&packed);
    arena_deinit(&arena);
    return status;
}

static void test_embed_tokenizer_survives_every_failed_allocation(void **state)
{
    (void)state;
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        test_alloc_fail_at(n);
        enum dp_status status = walk();
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            print_message("%zu allocations failed in turn\n", n - 1);
            return;
        }
        assert_int_equal(status, DP_NOMEM);
    }
}

static void test_embed_tokenizer_says_when_the_arena_is_full(void **state)
{
    (void)state;
    struct tokenizer *t = open_text(WHOLE);
    size_t full = 0;
    for (size_t max = 0; max < 40000; max += 512) {
        struct arena arena;
        struct tokens k;
        struct dp_error error;
        static const char marks[] = "\xe3\x80\xae\xe3\x80\xaf";
        char text[2000];
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = i < 1000       ? "a c "[i % 4]
                      : i == 1000    ? 'a'
                      : i < 1999 - 1 ? marks[(i - 1001) % 6]
                                     : (char)0xff;
        arena_init(&arena, max);
        enum dp_status status = tokenizer_encode(t, span_of(text, sizeof text), 0, &arena, &k, &error);
        assert_true(status == DP_OK || status == DP_NOMEM);
        full += status == DP_NOMEM;
        arena_deinit(&arena);
    }
    assert_in_range(full, 1, 78);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_tokenizer_cuts_at_the_limit_and_says_so),
        cmocka_unit_test(test_embed_tokenizer_windows_overlap_and_carry_special_tokens),
        cmocka_unit_test(test_embed_tokenizer_knows_its_tokens),
        cmocka_unit_test(test_embed_tokenizer_refuses_by_name),
        cmocka_unit_test(test_embed_tokenizer_reads_nothing_past_cut_characters),
        cmocka_unit_test(test_embed_tokenizer_takes_invalid_utf8_for_replacement_characters),
        cmocka_unit_test(test_embed_tokenizer_packed_again_is_the_same),
        cmocka_unit_test(test_embed_tokenizer_packed_detects_every_flipped_byte),
        cmocka_unit_test(test_embed_tokenizer_damaged_packed_form_with_a_right_checksum_is_safe),
        cmocka_unit_test(test_embed_tokenizer_survives_every_failed_allocation),
        cmocka_unit_test(test_embed_tokenizer_says_when_the_arena_is_full),
    };
    return test_run(tests);
}
