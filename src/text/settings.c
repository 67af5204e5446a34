/* settings.c: parses the option `full_text_search`, and hashes it. */
#include "text/settings.h"

#include <libstemmer.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "text/stop_words.h"

enum { OPTION_ARENA_MAX = 64 * 1024 };

static const char *const tokenizers[] = {"word_v0", "word_v1", "word_v2",
                                         "word_v3", "word_v4", "pre_tokenized_array"};
static const char *const languages[TEXT_LANGUAGES] = {
    "english", "arabic",    "danish",     "dutch",    "finnish", "french",  "german",  "greek", "hungarian",
    "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish"};

const char *text_language_name(enum text_language language)
{
    return languages[language];
}

bool text_language_parse(struct span name, enum text_language *out)
{
    for (size_t i = 0; i < TEXT_LANGUAGES; i++) {
        if (span_equal_str(name, languages[i])) {
            *out = (enum text_language)i;
            return true;
        }
    }
    return false;
}

bool text_tokenizer_parse(struct span name, enum text_tokenizer *out)
{
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
        if (span_equal_str(name, tokenizers[i])) {
            *out = (enum text_tokenizer)i;
            return true;
        }
    }
    return false;
}

/* Reads the value of a field. Returns false if it is not what the field takes. */
static bool read_field(struct text_settings *s, struct json_reader *r, struct arena *arena, struct span key)
{
    struct span name;
    if (span_equal_str(key, "tokenizer"))
        return json_read_string(r, arena, &name) && text_tokenizer_parse(name, &s->tokenizer);
    if (span_equal_str(key, "language"))
        return json_read_string(r, arena, &name) && text_language_parse(name, &s->language);
    if (span_equal_str(key, "stemming"))
        return json_read_bool(r, &s->stemming);
    if (span_equal_str(key, "remove_stopwords"))
        return json_read_bool(r, &s->remove_stopwords);
    if (span_equal_str(key, "case_sensitive"))
        return json_read_bool(r, &s->case_sensitive);
    if (span_equal_str(key, "ascii_folding"))
        return json_read_bool(r, &s->ascii_folding);
    if (span_equal_str(key, "max_token_length")) {
        int64_t length;
        bool read = json_read_i64(r, &length) && length >= 1 && length <= TEXT_TOKEN_MAX;
        s->max_token_length = read ? (uint32_t)length : s->max_token_length;
        return read;
    }
    if (span_equal_str(key, "k1"))
        return json_read_double(r, &s->k1) && s->k1 > 0;
    if (span_equal_str(key, "b"))
        return json_read_double(r, &s->b) && s->b >= 0 && s->b <= 1;
    if (span_equal_str(key, "k3"))
        return json_read_double(r, &s->k3) && s->k3 > 0;
    return false;
}

enum dp_status text_settings_parse(struct span option, struct text_settings *out, struct dp_error *error)
{
    struct json_reader r;
    struct arena arena;
    struct span key = {0};
    bool on, fits = true;
    *out =
        (struct text_settings){.tokenizer = TEXT_WORD_V4, .max_token_length = 39, .k1 = 1.2, .b = 0.75, .k3 = 8};
    arena_init(&arena, OPTION_ARENA_MAX);
    json_reader_init(&r, option);
    if (json_peek(&r) == JSON_BOOL)
        fits = json_read_bool(&r, &on) && on;
    else if (json_enter_object(&r)) {
        while (fits && json_next_key(&r, &arena, &key))
            fits = read_field(out, &r, &arena, key);
    }
    enum dp_status status = DP_OK;
    if (json_failed(&r))
        status = json_error(&r, error);
    else if (!fits && key.len)
        status = dp_fail(error, DP_INVALID, "full_text_search: \"%.*s\" has a value that it does not take",
                         SPAN_FMT(key));
    else if (!fits || !json_end(&r))
        status = dp_fail(error, DP_INVALID, "full_text_search is neither true nor an object");
    if (out->tokenizer == TEXT_PRE_TOKENIZED)
        out->case_sensitive = true;
    arena_deinit(&arena);
    return status;
}

/* Adds a byte to a hash by FNV-1a, which needs no memory: a failed allocation must not look like other settings. */
static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

/* Adds the stop words of the language: another list gives other tokens. */
static uint64_t hash_stop_words(uint64_t hash, enum text_language language)
{
    for (size_t i = 0; i < stop_words[language].count; i++) {
        for (const char *c = stop_words[language].words[i]; *c; c++)
            hash = hash_byte(hash, (uint8_t)*c);
        hash = hash_byte(hash, 0);
    }
    return hash;
}

/* Adds the stems of the language's stop words: they show which stemmer is linked. */
static uint64_t hash_stems(uint64_t hash, enum text_language language)
{
    struct sb_stemmer *stemmer = sb_stemmer_new(languages[language], NULL);
    const struct stop_words *probes =
        stop_words[language].count ? &stop_words[language] : &stop_words[TEXT_ENGLISH];
    for (size_t i = 0; i < probes->count && stemmer; i++) {
        const char *word = probes->words[i];
        const sb_symbol *stem = sb_stemmer_stem(stemmer, (const sb_symbol *)word, (int)strlen(word));
        for (int c = 0; stem && c < sb_stemmer_length(stemmer); c++)
            hash = hash_byte(hash, stem[c]);
        hash = hash_byte(hash, 0);
    }
    sb_stemmer_delete(stemmer);
    return hash;
}

uint64_t text_settings_hash(const struct text_settings *s)
{
    /* the version of the analysis itself: it changes when analyzer.c cuts texts differently */
    uint64_t hash = hash_byte(UINT64_C(0xcbf29ce484222325), 1);
    hash = hash_byte(hash, (uint8_t)s->tokenizer);
    hash = hash_byte(hash, (uint8_t)(s->stemming || s->remove_stopwords ? s->language : 0));
    hash = hash_byte(
        hash, (uint8_t)(s->stemming | s->remove_stopwords << 1 | s->case_sensitive << 2 | s->ascii_folding << 3));
    hash = hash_byte(hash, (uint8_t)s->max_token_length);
    if (s->remove_stopwords)
        hash = hash_stop_words(hash, s->language);
    return s->stemming ? hash_stems(hash, s->language) : hash;
}
