/* tokenizer/json.c: reads a tokenizer.json of the BERT family.
 *
 * The parser first locates the file's parts, in any order, and then reads them one by one. So it knows the model's
 * type before it reads the vocabulary. Like the `tokenizers` package, it ignores unknown fields and `decoder`. It
 * refuses, by name, any unsupported part that would change the ids.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/array.h"
#include "base/map.h"
#include "embed/tokenizer/tokenizer.h"

struct spec_parser {
    struct span json;
    struct arena *arena;
    struct wordpiece_spec *spec;
    struct dp_error *error;
    bool has_normalizer; /* we have read a BertNormalizer */
    bool is_framed;      /* we have read a post-processor that puts special tokens around a text */
};

/* A field of an object: its name, and its raw value after find_fields(). */
struct spec_field {
    const char *name;
    struct span value; /* .data NULL: absent */
};

static enum dp_status fail_json(const struct spec_parser *p, const struct json_reader *r)
{
    enum dp_status status = json_error(r, p->error);
    dp_error_prefix(p->error, "tokenizer.json");
    return status;
}

/* Returns a JSON reader for one value. Its errors give byte offsets in the whole file. */
static struct json_reader reader_at(const struct spec_parser *p, struct span value)
{
    struct json_reader r;
    size_t offset = (size_t)(value.data - p->json.data);
    json_reader_init(&r, span_of(p->json.data, offset + value.len));
    r.at = offset;
    return r;
}

static bool is_absent(struct span value)
{
    return !value.data || span_equal_str(value, "null");
}

/* Reads the next object: sets the value of each field in `fields`, and skips all other fields. */
static enum dp_status find_fields(struct spec_parser *p, struct json_reader *r, struct spec_field *fields,
                                  size_t count)
{
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, p->arena, &key)) {
        struct spec_field *field = NULL;
        for (size_t i = 0; i < count; i++)
            if (span_equal_str(key, fields[i].name))
                field = &fields[i];
        if (!field) {
            json_skip(r);
            continue;
        }
        if (field->value.data)
            json_reject(r, DP_INVALID, "field \"%s\" is given twice", field->name);
        json_read_raw(r, &field->value);
    }
    return json_failed(r) ? fail_json(p, r) : DP_OK;
}

static enum dp_status fail_missing(struct spec_parser *p, const char *part, const char *name)
{
    return dp_fail(p->error, DP_INVALID, "tokenizer.json: %s has no field \"%s\"", part, name);
}

/* Reads each member of the Sequence `list` with `read`, at depth 1. */
static enum dp_status read_sequence(struct spec_parser *p, const struct spec_field *list, const char *part,
                                    enum dp_status (*read)(struct spec_parser *p, struct span value,
                                                           unsigned depth))
{
    if (!list->value.data)
        return fail_missing(p, part, list->name);
    enum dp_status status = DP_OK;
    struct span item;
    struct json_reader r = reader_at(p, list->value);
    json_enter_array(&r);
    while (!status && json_next_item(&r) && json_read_raw(&r, &item))
        status = read(p, item, 1);
    return !status && json_failed(&r) ? fail_json(p, &r) : status;
}

static enum dp_status read_component_string(struct spec_parser *p, struct span value, struct span *out)
{
    struct json_reader r = reader_at(p, value);
    return json_read_string(&r, p->arena, out) ? DP_OK : fail_json(p, &r);
}

static enum dp_status read_bool(struct spec_parser *p, struct span value, bool *out)
{
    struct json_reader r = reader_at(p, value);
    return json_read_bool(&r, out) ? DP_OK : fail_json(p, &r);
}

static bool read_token_id(struct json_reader *r, uint32_t *out)
{
    uint64_t id = 0;
    if (!json_read_u64(r, &id))
        return false;
    if (id > TRIE_VALUE_MAX)
        json_reject(r, DP_UNSUPPORTED, "token id %" PRIu64 " is not supported; the greatest is %d", id,
                    TRIE_VALUE_MAX);
    *out = (uint32_t)id;
    return !json_failed(r);
}

/* Locates the fields of a component and reads its "type", which must be fields[0]. *type is empty if it is absent.
 * */
static enum dp_status open_component(struct spec_parser *p, struct span value, struct spec_field *fields,
                                     size_t count, struct span *type)
{
    struct json_reader r = reader_at(p, value);
    enum dp_status status = find_fields(p, &r, fields, count);
    *type = span_of("", 0);
    if (!status && fields[0].value.data)
        status = read_component_string(p, fields[0].value, type);
    return status;
}

static enum dp_status fail_unsupported(struct spec_parser *p, const char *what, struct span type,
                                       const char *supported)
{
    return dp_fail(p->error, DP_UNSUPPORTED, "tokenizer.json: %s '%.*s' is not supported; supported: %s", what,
                   type.len > 100 ? 100 : (int)type.len, (const char *)type.data, supported);
}

static enum dp_status read_version(struct spec_parser *p, struct span value)
{
    struct span version;
    if (!value.data)
        return DP_OK;
    enum dp_status status = read_component_string(p, value, &version);
    if (!status && !span_equal_str(version, "1.0"))
        return fail_unsupported(p, "version", version, "1.0");
    return status;
}

static enum dp_status read_bert_normalizer(struct spec_parser *p, const struct spec_field *fields)
{
    static const uint32_t flags[] = {0, NORMALIZER_CLEAN_TEXT, NORMALIZER_CHINESE_CHARS, NORMALIZER_LOWERCASE,
                                     NORMALIZER_STRIP_ACCENTS};
    uint32_t made = 0;
    for (size_t i = 1; i < 5; i++) {
        bool on = false;
        enum dp_status status = DP_OK;
        if (i == 4 && is_absent(fields[i].value))
            on = made & NORMALIZER_LOWERCASE; /* the default: strip accents if lower-casing */
        else if (!fields[i].value.data)
            return fail_missing(p, "the normalizer", fields[i].name);
        else
            status = read_bool(p, fields[i].value, &on);
        if (status)
            return status;
        made |= on ? flags[i] : 0;
    }
    p->spec->normalizer |= made;
    return DP_OK;
}

/* Reads a normalizer (depth 0) or a member of a Sequence (depth 1). Supports one BertNormalizer, and Lowercase
 * before or after it. Their order does not matter: Lowercase and BertNormalizer's later steps work character by
 * character. */
static enum dp_status read_normalizer(struct spec_parser *p, struct span value, unsigned depth)
{
    static const char supported[] = "BertNormalizer, Lowercase, a Sequence of them";
    struct spec_field fields[] = {
        {.name = "type"},      {.name = "clean_text"},    {.name = "handle_chinese_chars"},
        {.name = "lowercase"}, {.name = "strip_accents"}, {.name = "normalizers"}};
    struct span type;
    if (is_absent(value))
        return DP_OK;
    enum dp_status status = open_component(p, value, fields, 6, &type);
    if (status)
        return status;
    if (span_equal_str(type, "BertNormalizer") && !p->has_normalizer) {
        p->has_normalizer = true;
        return read_bert_normalizer(p, fields);
    }
    if (span_equal_str(type, "Lowercase")) {
        p->spec->normalizer |= NORMALIZER_LOWERCASE;
        return DP_OK;
    }
    if (!span_equal_str(type, "Sequence") || depth > 0)
        return fail_unsupported(p, p->has_normalizer ? "a second normalizer" : "normalizer", type, supported);
    return read_sequence(p, &fields[5], "the normalizer", read_normalizer);
}

/* Applies the changes that the model's folder makes. */
static void change_normalizer(struct wordpiece_spec *spec, const struct tokenizer_changes *changes)
{
    if (changes->replace_normalizer)
        spec->normalizer = NORMALIZER_CLEAN_TEXT | (changes->chinese_chars ? NORMALIZER_CHINESE_CHARS : 0u) |
                           (changes->lowercase ? NORMALIZER_LOWERCASE : 0u) |
                           (changes->strip_accents ? NORMALIZER_STRIP_ACCENTS : 0u);
    if (changes->lowercase_first)
        spec->normalizer |= NORMALIZER_LOWERCASE;
}

static enum dp_status read_pre_tokenizer(struct spec_parser *p, struct span value)
{
    struct spec_field fields[] = {{.name = "type"}};
    struct span type = span_str("null");
    if (is_absent(value))
        return fail_unsupported(p, "pre_tokenizer", type, "BertPreTokenizer");
    enum dp_status status = open_component(p, value, fields, 1, &type);
    if (!status && !span_equal_str(type, "BertPreTokenizer"))
        return fail_unsupported(p, "pre_tokenizer", type, "BertPreTokenizer");
    return status;
}

/* Removes repeated keys: the last one counts, as in the `tokenizers` package. Refuses two keys with one id. */
static enum dp_status check_vocab(struct spec_parser *p, struct map *seen)
{
    struct wordpiece_spec *spec = p->spec;
    size_t kept = 0;
    for (size_t i = 0; i < spec->vocab_count; i++) {
        uint64_t *slot;
        bool existing;
        enum dp_status status = map_put(seen, spec->vocab[i].text, kept, &slot, &existing, p->error);
        if (status)
            return status;
        spec->vocab[existing ? *slot : kept++] = spec->vocab[i];
    }
    spec->vocab_count = kept;
    qsort(spec->vocab, kept, sizeof *spec->vocab, vocab_compare_ids);
    for (size_t i = 1; i < kept; i++)
        if (spec->vocab[i].id == spec->vocab[i - 1].id)
            return vocab_refuse_ids(&spec->vocab[i - 1], &spec->vocab[i], p->error);
    for (size_t i = 0; i < kept; i++) /* sorting moved the entries */
        *map_find(seen, spec->vocab[i].text) = i;
    return DP_OK;
}

static enum dp_status read_vocab(struct spec_parser *p, struct span value, struct map *seen)
{
    struct wordpiece_spec *spec = p->spec;
    struct json_reader r = reader_at(p, value);
    size_t capacity = 1024;
    spec->vocab = arena_array(p->arena, capacity, sizeof *spec->vocab);
    if (!spec->vocab)
        return dp_fail_nomem(p->error, "the vocabulary");
    struct vocab_entry entry;
    json_enter_object(&r);
    while (json_next_key(&r, p->arena, &entry.text) && read_token_id(&r, &entry.id)) {
        struct vocab_entry *vocab =
            arena_reserve(p->arena, spec->vocab, spec->vocab_count, &capacity, sizeof *vocab, capacity);
        if (!vocab)
            return dp_fail_nomem(p->error, "the vocabulary");
        spec->vocab = vocab;
        spec->vocab[spec->vocab_count++] = entry;
    }
    if (json_failed(&r))
        return fail_json(p, &r);
    return check_vocab(p, seen);
}

/* Guesses the model's type, for files older than the field "type". */
static const char *guess_model(const struct spec_field *fields)
{
    if (fields[5].value.data)
        return "BPE";
    if (fields[1].value.data && fields[1].value.data[0] == '[')
        return "Unigram";
    return fields[3].value.data ? "WordPiece" : "WordLevel";
}

static enum dp_status read_model(struct spec_parser *p, struct span value, struct map *seen)
{
    struct spec_field fields[] = {{.name = "type"},
                                  {.name = "vocab"},
                                  {.name = "unk_token"},
                                  {.name = "continuing_subword_prefix"},
                                  {.name = "max_input_chars_per_word"},
                                  {.name = "merges"}};
    struct span type, unknown;
    if (is_absent(value))
        return fail_missing(p, "the file", "model");
    enum dp_status status = open_component(p, value, fields, 6, &type);
    if (status)
        return status;
    if (!fields[0].value.data)
        type = span_str(guess_model(fields));
    if (!span_equal_str(type, "WordPiece"))
        return fail_unsupported(p, "model type", type, "WordPiece");
    for (size_t i = 1; i < 5; i++)
        if (!fields[i].value.data)
            return fail_missing(p, "the model", fields[i].name);

    uint64_t max = 0;
    struct json_reader r = reader_at(p, fields[4].value);
    if (!json_read_u64(&r, &max))
        return fail_json(p, &r);
    p->spec->max_word_chars = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
    status = read_component_string(p, fields[3].value, &p->spec->continuation);
    if (!status)
        status = read_component_string(p, fields[2].value, &unknown);
    if (!status)
        status = read_vocab(p, fields[1].value, seen);
    if (status)
        return status;
    const uint64_t *slot = map_find(seen, unknown);
    if (!slot)
        return dp_fail(p->error, DP_INVALID, "tokenizer.json: the unk_token '%.*s' is not in the vocabulary",
                       SPAN_FMT(unknown));
    p->spec->unknown_id = p->spec->vocab[*slot].id;
    return DP_OK;
}

/* Reads one added token. Ignores its "id", like the `tokenizers` package: the token gets the vocabulary's id, or
 * the next free id. */
static enum dp_status read_added_token(struct spec_parser *p, struct json_reader *r, struct added_token *token)
{
    struct spec_field fields[] = {{.name = "content"}, {.name = "single_word"}, {.name = "lstrip"},
                                  {.name = "rstrip"},  {.name = "normalized"},  {.name = "special"}};
    static const uint32_t flags[] = {
        0, ADDED_SINGLE_WORD, ADDED_LSTRIP, ADDED_RSTRIP, ADDED_NORMALIZED, ADDED_SPECIAL};
    enum dp_status status = find_fields(p, r, fields, 6);
    if (status)
        return status;
    *token = (struct added_token){.flags = 0};
    for (size_t i = 0; i < 6; i++) {
        bool on = false;
        if (!fields[i].value.data)
            return fail_missing(p, "an added token", fields[i].name);
        status =
            i == 0 ? read_component_string(p, fields[i].value, &token->text) : read_bool(p, fields[i].value, &on);
        if (status)
            return status;
        token->flags |= on ? flags[i] : 0;
    }
    return DP_OK;
}

static enum dp_status count_items(struct spec_parser *p, struct span value, size_t *count)
{
    struct json_reader r = reader_at(p, value);
    *count = 0;
    json_enter_array(&r);
    for (; json_next_item(&r); json_skip(&r))
        ++*count;
    return json_failed(&r) ? fail_json(p, &r) : DP_OK;
}

/* Reads the added tokens; `seen` maps the texts of the vocabulary to positions in spec->vocab. */
static enum dp_status read_added_tokens(struct spec_parser *p, struct span value, const struct map *seen)
{
    struct wordpiece_spec *spec = p->spec;
    size_t count;
    if (!value.data)
        return DP_OK;
    enum dp_status status = count_items(p, value, &count);
    if (status)
        return status;
    if (spec->vocab_count + count > TRIE_VALUE_MAX)
        return dp_fail(p->error, DP_UNSUPPORTED, "tokenizer.json: more than %d tokens are not supported",
                       TRIE_VALUE_MAX);
    spec->added = arena_array(p->arena, count, sizeof *spec->added);
    if (!spec->added)
        return dp_fail_nomem(p->error, "the added tokens");

    struct map added; /* text → position in spec->added */
    map_init(&added, count);
    uint32_t next_id = (uint32_t)spec->vocab_count;
    struct json_reader r = reader_at(p, value);
    json_enter_array(&r);
    while (!status && json_next_item(&r)) {
        struct added_token token;
        uint64_t *slot;
        bool existing;
        status = read_added_token(p, &r, &token);
        if (status || token.text.len == 0)
            continue;
        status = map_put(&added, token.text, spec->added_count, &slot, &existing, p->error);
        if (status)
            continue;
        if (existing) { /* the later token's flags count */
            token.id = spec->added[*slot].id;
            spec->added[*slot] = token;
            continue;
        }
        const uint64_t *known = map_find(seen, token.text);
        token.id = known ? spec->vocab[*known].id : next_id++;
        spec->added[spec->added_count++] = token;
    }
    map_deinit(&added);
    return !status && json_failed(&r) ? fail_json(p, &r) : status;
}

static enum dp_status grow_ids(struct spec_parser *p, uint32_t **ids, size_t count, size_t more)
{
    uint32_t *grown = arena_array(p->arena, count + more, sizeof *grown);
    if (!grown)
        return dp_fail_nomem(p->error, "the special tokens");
    if (count)
        memcpy(grown, *ids, count * sizeof *grown);
    *ids = grown;
    return DP_OK;
}

/* Adds the ids of a template's special token `name` before or after the text. */
static enum dp_status add_special(struct spec_parser *p, struct span specials, struct span name, bool after)
{
    struct wordpiece_spec *spec = p->spec;
    struct span key;
    struct spec_field fields[] = {{.name = "ids"}};
    struct json_reader r = reader_at(p, specials);
    json_enter_object(&r);
    while (json_next_key(&r, p->arena, &key)) {
        if (!span_equal(key, name)) {
            json_skip(&r);
            continue;
        }
        enum dp_status status = find_fields(p, &r, fields, 1);
        if (status)
            return status;
    }
    if (json_failed(&r))
        return fail_json(p, &r);
    if (!fields[0].value.data)
        return dp_fail(p->error, DP_INVALID,
                       "tokenizer.json: the post_processor's special token '%.*s' has no ids", SPAN_FMT(name));
    size_t count, *have = after ? &spec->after_count : &spec->before_count;
    uint32_t **ids = after ? &spec->after : &spec->before;
    enum dp_status status = count_items(p, fields[0].value, &count);
    if (!status)
        status = grow_ids(p, ids, *have, count);
    if (status)
        return status;
    r = reader_at(p, fields[0].value);
    json_enter_array(&r);
    while (json_next_item(&r) && read_token_id(&r, *ids + *have))
        ++*have;
    return json_failed(&r) ? fail_json(p, &r) : DP_OK;
}

/* Reads one piece of a template, {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id", "type_id"}}. */
static enum dp_status read_piece(struct spec_parser *p, struct json_reader *r, struct span specials,
                                 bool *text_seen)
{
    struct spec_field kinds[] = {{.name = "SpecialToken"}, {.name = "Sequence"}};
    struct spec_field fields[] = {{.name = "id"}, {.name = "type_id"}};
    enum dp_status status = find_fields(p, r, kinds, 2);
    if (status)
        return status;
    bool is_special = kinds[0].value.data, is_text = kinds[1].value.data;
    if (is_text == is_special)
        return dp_fail(
            p->error, DP_INVALID,
            "tokenizer.json: a piece of the post_processor's template is neither a SpecialToken nor a Sequence");
    struct json_reader piece = reader_at(p, kinds[is_text].value);
    status = find_fields(p, &piece, fields, 2);
    if (status)
        return status;
    struct span id;
    for (size_t i = 0; i < 2; i++)
        if (!fields[i].value.data)
            return fail_missing(p, "a piece of the post_processor's template", fields[i].name);
    if (!span_equal_str(fields[1].value, "0"))
        return fail_unsupported(p, "a template's type_id", fields[1].value, "0");
    status = read_component_string(p, fields[0].value, &id);
    if (status)
        return status;
    if (!is_text)
        return add_special(p, specials, id, *text_seen);
    if (!span_equal_str(id, "A") || *text_seen)
        return fail_unsupported(p, "a template of one text with the sequence", id, "A, once");
    *text_seen = true;
    return DP_OK;
}

static enum dp_status read_template(struct spec_parser *p, struct span single, struct span specials)
{
    bool text_seen = false;
    if (!single.data)
        return fail_missing(p, "the post_processor", "single");
    if (!specials.data)
        return fail_missing(p, "the post_processor", "special_tokens");
    struct json_reader r = reader_at(p, single);
    json_enter_array(&r);
    while (json_next_item(&r)) {
        enum dp_status status = read_piece(p, &r, specials, &text_seen);
        if (status)
            return status;
    }
    if (json_failed(&r))
        return fail_json(p, &r);
    if (!text_seen)
        return fail_unsupported(p, "a template of one text with the sequence", span_str("none"), "A, once");
    return DP_OK;
}

/* Reads a special token of BertProcessing, "cls" or "sep": [text, id]. */
static enum dp_status read_bert_special(struct spec_parser *p, struct spec_field field, uint32_t **ids,
                                        size_t *count)
{
    struct span text;
    if (!field.value.data)
        return fail_missing(p, "the post_processor", field.name);
    enum dp_status status = grow_ids(p, ids, 0, 1);
    if (status)
        return status;
    struct json_reader r = reader_at(p, field.value);
    json_enter_array(&r);
    bool pair = json_next_item(&r) && json_read_string(&r, p->arena, &text) && json_next_item(&r) &&
                read_token_id(&r, *ids);
    if (!pair || json_next_item(&r))
        json_reject(&r, DP_INVALID, "\"%s\" is not a text and an id", field.name);
    *count = 1;
    return json_failed(&r) ? fail_json(p, &r) : DP_OK;
}

/* Reads the special tokens around a text. BertProcessing and RobertaProcessing treat a single text in one way: the
 * other fields of RobertaProcessing change offsets, not tokens. */
static enum dp_status read_frame(struct spec_parser *p, const struct spec_field *fields, bool is_template)
{
    if (is_template)
        return read_template(p, fields[1].value, fields[2].value);
    enum dp_status status = read_bert_special(p, fields[3], &p->spec->before, &p->spec->before_count);
    return status ? status : read_bert_special(p, fields[4], &p->spec->after, &p->spec->after_count);
}

/* Reads a post-processor (depth 0) or a member of a Sequence (depth 1). At most one of them may add tokens. */
static enum dp_status read_post_processor(struct spec_parser *p, struct span value, unsigned depth)
{
    static const char supported[] =
        "TemplateProcessing, BertProcessing, RobertaProcessing, a Sequence of one of them "
        "and ByteLevel";
    struct spec_field fields[] = {{.name = "type"}, {.name = "single"}, {.name = "special_tokens"},
                                  {.name = "cls"},  {.name = "sep"},    {.name = "processors"}};
    struct span type;
    if (is_absent(value))
        return DP_OK;
    enum dp_status status = open_component(p, value, fields, 6, &type);
    if (status)
        return status;
    bool is_template = span_equal_str(type, "TemplateProcessing");
    bool frames =
        is_template || span_equal_str(type, "BertProcessing") || span_equal_str(type, "RobertaProcessing");
    if (frames && !p->is_framed) {
        p->is_framed = true;
        return read_frame(p, fields, is_template);
    }
    if (depth == 1 && span_equal_str(type, "ByteLevel")) /* it changes only offsets */
        return DP_OK;
    if (!span_equal_str(type, "Sequence") || depth > 0)
        return fail_unsupported(p, p->is_framed ? "a second post_processor" : "post_processor", type, supported);
    return read_sequence(p, &fields[5], "the post_processor", read_post_processor);
}

enum dp_status tokenizer_parse(struct span json, const struct tokenizer_changes *changes, struct arena *arena,
                               struct wordpiece_spec *spec, struct dp_error *error)
{
    struct spec_parser p = {.json = json, .arena = arena, .spec = spec, .error = error};
    struct spec_field fields[] = {{.name = "version"},       {.name = "model"},        {.name = "normalizer"},
                                  {.name = "pre_tokenizer"}, {.name = "added_tokens"}, {.name = "post_processor"}};
    *spec = (struct wordpiece_spec){.normalizer = 0};
    struct map seen; /* text of the vocabulary → position in spec->vocab */
    map_init(&seen, TRIE_VALUE_MAX);

    struct json_reader r;
    json_reader_init(&r, json);
    enum dp_status status = find_fields(&p, &r, fields, 6);
    if (!status && !json_end(&r))
        status = fail_json(&p, &r);
    if (!status)
        status = read_version(&p, fields[0].value);
    if (!status)
        status = read_normalizer(&p, fields[2].value, 0);
    if (!status)
        status = read_pre_tokenizer(&p, fields[3].value);
    if (!status)
        status = read_model(&p, fields[1].value, &seen);
    if (!status)
        status = read_added_tokens(&p, fields[4].value, &seen);
    change_normalizer(spec, changes);
    if (!status)
        status = read_post_processor(&p, fields[5].value, 0);
    map_deinit(&seen);
    return status;
}
