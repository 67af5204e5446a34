/* schema_options.c: checks the index options of attributes, and prints them in one form. */
#include "index/schema_options.h"

#include "base/json.h"
#include "text/settings.h"

enum { OPTIONS_BYTES_MAX = 64 * 1024 };

enum option { FILTERABLE, FULL_TEXT_SEARCH, REGEX, GLOB, FUZZY, ANN, EMBED, SPARSE_KNN, OPTION_COUNT };

static const char *const option_names[OPTION_COUNT] = {
    [FILTERABLE] = "filterable", [FULL_TEXT_SEARCH] = "full_text_search",
    [REGEX] = "regex",           [GLOB] = "glob",
    [FUZZY] = "fuzzy",           [ANN] = "ann",
    [EMBED] = "embed",           [SPARSE_KNN] = "sparse_knn",
};

static const char *const metrics[] = {"cosine_distance", "euclidean_squared"};

/* The options of one attribute while they are read. */
struct option_reading {
    const struct attribute *attribute;
    struct arena *arena;
    struct dp_error *error;
    struct span values[OPTION_COUNT]; /* JSON; empty: not set */
};

#define FAIL(o, status, format, ...) \
    dp_fail((o)->error, status, "attribute \"%.*s\": " format, SPAN_FMT((o)->attribute->name), __VA_ARGS__)

/* Returns whether raw JSON, without white space around it, is true. */
static bool is_true(struct span raw)
{
    return span_equal_str(raw, "true");
}

static bool is_off(struct span raw)
{
    return span_equal_str(raw, "false") || span_equal_str(raw, "null");
}

static bool is_bool(struct span raw)
{
    return is_true(raw) || span_equal_str(raw, "false");
}

static bool read_number(struct span raw, double *out)
{
    struct json_reader r;
    json_reader_init(&r, raw);
    return json_read_double(&r, out);
}

static bool read_name(struct option_reading *o, struct span raw, struct span *out)
{
    struct json_reader r;
    json_reader_init(&r, raw);
    return json_read_string(&r, o->arena, out) && out->len > 0;
}

static bool is_name_of(struct option_reading *o, struct span raw, const char *const *names, size_t count)
{
    struct span name;
    return read_name(o, raw, &name) && span_one_of(name, names, count);
}

static bool is_between(struct span raw, double low, double high)
{
    double number;
    return read_number(raw, &number) && number >= low && number <= high;
}

static bool is_positive(struct span raw)
{
    double number;
    return read_number(raw, &number) && number > 0;
}

static bool is_whole_between(struct span raw, int64_t low, int64_t high)
{
    struct json_reader r;
    int64_t number;
    json_reader_init(&r, raw);
    return json_read_i64(&r, &number) && number >= low && number <= high;
}

/* Checks one field of "full_text_search". Returns what its value must be, or NULL if the value is right. */
static const char *check_text_field(struct option_reading *o, struct span key, struct span value)
{
    static const char *const flags[] = {"stemming", "remove_stopwords", "case_sensitive", "ascii_folding"};
    struct span name;
    enum text_tokenizer tokenizer;
    enum text_language language;
    if (span_equal_str(key, "tokenizer"))
        return read_name(o, value, &name) && text_tokenizer_parse(name, &tokenizer)
                   ? NULL
                   : "word_v0 to word_v4 or pre_tokenized_array";
    if (span_equal_str(key, "language"))
        return read_name(o, value, &name) && text_language_parse(name, &language)
                   ? NULL
                   : "one of turbopuffer's languages, such as \"english\"";
    if (span_one_of(key, flags, sizeof flags / sizeof *flags))
        return is_bool(value) ? NULL : "true or false";
    if (span_equal_str(key, "max_token_length"))
        return is_whole_between(value, 1, TEXT_TOKEN_MAX) ? NULL : "a whole number from 1 to 254";
    if (span_equal_str(key, "b"))
        return is_between(value, 0, 1) ? NULL : "a number from 0 to 1";
    if (span_equal_str(key, "k1") || span_equal_str(key, "k3"))
        return is_positive(value) ? NULL : "a positive number";
    return "";
}

/* Fails at "pre_tokenized_array" beside an option or a type that makes no sense with it. */
static enum dp_status check_pre_tokenized(struct option_reading *o, struct span fields)
{
    struct json_reader r;
    struct span key, value;
    bool pre_tokenized = false, wrong = false;
    json_reader_init(&r, fields);
    json_enter_object(&r);
    while (json_next_key(&r, o->arena, &key) && json_read_raw(&r, &value)) {
        pre_tokenized |= span_equal_str(key, "tokenizer") && span_equal_str(value, "\"pre_tokenized_array\"");
        wrong |= span_equal_str(key, "language") || (span_equal_str(key, "stemming") && is_true(value)) ||
                 (span_equal_str(key, "remove_stopwords") && is_true(value)) ||
                 (span_equal_str(key, "case_sensitive") && !is_true(value));
    }
    if (pre_tokenized && (wrong || o->attribute->type != ATTRIBUTE_STRINGS))
        return FAIL(o, DP_INVALID,
                    "the tokenizer %s takes []string, and neither a language, stemming, stop words nor case",
                    "pre_tokenized_array");
    return DP_OK;
}

/* Checks each field of an object by `check`, and that no field occurs twice. */
static enum dp_status check_fields(struct option_reading *o, enum option option, struct span object,
                                   const char *(*check)(struct option_reading *, struct span, struct span))
{
    struct json_reader r;
    struct span key, value, seen[16];
    size_t count = 0;
    json_reader_init(&r, object);
    json_enter_object(&r);
    while (json_next_key(&r, o->arena, &key) && json_read_raw(&r, &value)) {
        const char *wanted = check(o, key, value);
        if (wanted && !*wanted)
            return FAIL(o, DP_INVALID, "\"%s\" has no field \"%.*s\"", option_names[option], SPAN_FMT(key));
        if (wanted)
            return FAIL(o, DP_INVALID, "\"%.*s\" of \"%s\" must be %s", SPAN_FMT(key), option_names[option],
                        wanted);
        for (size_t i = 0; i < count; i++) {
            if (span_equal(seen[i], key))
                return FAIL(o, DP_INVALID, "\"%.*s\" occurs twice", SPAN_FMT(key));
        }
        seen[count++] = key; /* fewer names are known than `seen` has places */
    }
    return json_failed(&r) ? json_error(&r, o->error) : DP_OK;
}

static const char *check_ann_field(struct option_reading *o, struct span key, struct span value)
{
    if (span_equal_str(key, "distance_metric"))
        return is_name_of(o, value, metrics, sizeof metrics / sizeof *metrics)
                   ? NULL
                   : "\"cosine_distance\" or \"euclidean_squared\"";
    if (span_equal_str(key, "late_interaction"))
        return span_equal_str(value, "false") ? NULL : "false: an attribute has one vector";
    return "";
}

static const char *check_embed_field(struct option_reading *o, struct span key, struct span value)
{
    static const char *const types[] = {"f32", "f16", "i8"};
    struct span name;
    if (span_equal_str(key, "model") || span_equal_str(key, "attribute"))
        return read_name(o, value, &name) ? NULL : "a name";
    if (span_equal_str(key, "dims"))
        return is_whole_between(value, 1, ATTRIBUTE_DIM_MAX) ? NULL : "a whole number of dimensions";
    if (span_equal_str(key, "dtype"))
        return is_name_of(o, value, types, sizeof types / sizeof *types) ? NULL : "\"f32\", \"f16\" or \"i8\"";
    return "";
}

static enum dp_status check_embed(struct option_reading *o, struct span value)
{
    struct json_reader r;
    struct span key, raw, name;
    bool has_model = false;
    if (read_name(o, value, &name))
        return DP_OK;
    if (value.data[0] != '{')
        return FAIL(o, DP_INVALID, "\"%s\" must be the name of a model, an object or null", option_names[EMBED]);
    enum dp_status status = check_fields(o, EMBED, value, check_embed_field);
    if (status)
        return status;
    json_reader_init(&r, value);
    json_enter_object(&r);
    while (json_next_key(&r, o->arena, &key) && json_read_raw(&r, &raw))
        has_model |= span_equal_str(key, "model");
    return has_model ? DP_OK : FAIL(o, DP_INVALID, "\"%s\" needs a \"model\"", option_names[EMBED]);
}

/* Whether the option belongs to the attribute's type. */
static bool fits_type(enum option option, enum attribute_type type)
{
    switch (option) {
    case FULL_TEXT_SEARCH:
    case REGEX:
    case GLOB:
    case FUZZY: return type == ATTRIBUTE_STRING || type == ATTRIBUTE_STRINGS;
    case EMBED: return type == ATTRIBUTE_STRING;
    case ANN: return type == ATTRIBUTE_VECTOR;
    case FILTERABLE:
    case SPARSE_KNN:
    case OPTION_COUNT:
    default: return true;
    }
}

static enum dp_status check_value(struct option_reading *o, enum option option, struct span value)
{
    const char *name = option_names[option];
    char type[ATTRIBUTE_TYPE_ROOM];
    if (option == SPARSE_KNN && !is_off(value))
        return FAIL(o, DP_UNSUPPORTED, "\"%s\": sparse vectors are not supported", name);
    if (is_off(value) && option != ANN)
        return option == FILTERABLE && !is_bool(value) ? FAIL(o, DP_INVALID, "\"%s\" must be true or false", name)
                                                       : DP_OK;
    if (!fits_type(option, o->attribute->type))
        return FAIL(o, DP_INVALID, "\"%s\" does not go with its type, %s", name,
                    attribute_type_print(o->attribute, type));
    switch (option) {
    case FULL_TEXT_SEARCH:
    case ANN:
        if (is_true(value))
            return DP_OK;
        if (value.data[0] != '{')
            return FAIL(o, DP_INVALID, "\"%s\" must be true or an object", name);
        enum dp_status status = check_fields(o, option, value, option == ANN ? check_ann_field : check_text_field);
        return status == DP_OK && option != ANN ? check_pre_tokenized(o, value) : status;
    case EMBED: return check_embed(o, value);
    case FILTERABLE:
        if (is_true(value) && (o->attribute->type == ATTRIBUTE_VECTOR || o->attribute->type == ATTRIBUTE_BYTES))
            return FAIL(o, DP_INVALID, "values of type %s cannot be filtered",
                        attribute_type_print(o->attribute, type));
        return is_bool(value) ? DP_OK : FAIL(o, DP_INVALID, "\"%s\" must be true or false", name);
    case REGEX:
    case GLOB:
    case FUZZY:
    case SPARSE_KNN:
    case OPTION_COUNT:
    default: return is_bool(value) ? DP_OK : FAIL(o, DP_INVALID, "\"%s\" must be true or false", name);
    }
}

/* Fails if the new value of an option may not replace the one before. */
static enum dp_status check_change(struct option_reading *o, enum option option, struct span before,
                                   struct span value)
{
    if (option == ANN && before.len && !is_true(value) && !span_equal(before, value))
        return FAIL(o, DP_INVALID, "\"%s\" cannot change", option_names[option]);
    if (option == EMBED && before.len && !is_off(value) && !span_equal(before, value))
        return FAIL(o, DP_INVALID, "\"%s\" cannot change: remove it with null first", option_names[option]);
    return DP_OK;
}

/* Prints a value of an option without white space and needless escapes. */
static void print_value(struct option_reading *o, struct json_reader *r, struct json_writer *w)
{
    struct span text;
    switch (json_peek(r)) {
    case JSON_OBJECT:
        json_enter_object(r);
        json_begin_object(w);
        while (json_next_key(r, o->arena, &text) && w->depth < JSON_DEPTH_MAX - 1) {
            json_key_span(w, text);
            print_value(o, r, w);
        }
        json_end_object(w);
        break;
    case JSON_STRING:
        if (json_read_string(r, o->arena, &text))
            json_string(w, text);
        break;
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_NUMBER:
    case JSON_ARRAY:
    case JSON_NOTHING:
    default:
        if (json_read_raw(r, &text))
            json_raw(w, text);
        break;
    }
}

/* Reads the fields of `config` over o->values. */
static enum dp_status read_options(struct option_reading *o, struct span config, bool in_place)
{
    struct json_reader r;
    struct span key, value;
    bool seen[OPTION_COUNT] = {false};
    json_reader_init(&r, config);
    json_enter_object(&r);
    while (json_next_key(&r, o->arena, &key) && json_read_raw(&r, &value)) {
        int option = 0;
        if (span_equal_str(key, "type"))
            continue;
        while (option < OPTION_COUNT && !span_equal_str(key, option_names[option]))
            option++;
        if (option == OPTION_COUNT)
            return FAIL(o, DP_INVALID, "there is no option \"%.*s\"", SPAN_FMT(key));
        if (seen[option])
            return FAIL(o, DP_INVALID, "\"%.*s\" occurs twice", SPAN_FMT(key));
        seen[option] = true;
        enum dp_status status = check_value(o, (enum option)option, value);
        if (status == DP_OK && in_place)
            status = check_change(o, (enum option)option, o->values[option], value);
        if (status)
            return status;
        if (option == ANN && is_true(value) && o->values[option].len)
            continue; /* the present value of "ann" has details, which a plain true would drop */
        o->values[option] = is_off(value) && option != FILTERABLE ? (struct span){0} : value;
    }
    json_end(&r);
    return json_failed(&r) ? json_error(&r, o->error) : DP_OK;
}

/* Prints the options that are set. */
static enum dp_status print_options(struct option_reading *o, struct span *out)
{
    struct buffer text;
    struct json_writer w;
    struct json_reader r;
    bool any = false;
    buffer_init(&text, OPTIONS_BYTES_MAX);
    json_writer_init(&w, &text);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (!o->values[i].len)
            continue;
        if (!any)
            json_begin_object(&w);
        any = true;
        json_key(&w, option_names[i]);
        json_reader_init(&r, o->values[i]);
        print_value(o, &r, &w);
    }
    if (any)
        json_end_object(&w);
    enum dp_status status = buffer_check(&text, "the options of an attribute", o->error);
    *out = (struct span){0};
    if (status == DP_OK && any) {
        *out = arena_copy(o->arena, buffer_span(&text));
        if (!out->data)
            status = dp_fail_nomem(o->error, "the options of an attribute");
    }
    buffer_deinit(&text);
    return status;
}

/* Sets what follows from the options and the type. */
static void derive_flags(const struct option_reading *o, struct attribute *attribute)
{
    bool indexed =
        o->values[FULL_TEXT_SEARCH].len || o->values[REGEX].len || o->values[GLOB].len || o->values[FUZZY].len;
    bool filterable = o->values[FILTERABLE].len ? is_true(o->values[FILTERABLE]) : !indexed;
    attribute->checked = is_true(o->values[FILTERABLE]);
    attribute->unfiltered =
        attribute->type == ATTRIBUTE_VECTOR || attribute->type == ATTRIBUTE_BYTES || !filterable;
}

enum dp_status schema_set_options(struct attribute *attribute, struct span config, bool in_place,
                                  struct arena *arena, struct dp_error *error)
{
    struct option_reading o = {.attribute = attribute, .arena = arena, .error = error};
    enum dp_status status = DP_OK;
    if (attribute->options.len)
        status = read_options(&o, attribute->options, false);
    if (status == DP_OK)
        status = read_options(&o, config, in_place);
    if (status == DP_OK)
        status = print_options(&o, &attribute->options);
    if (status == DP_OK)
        derive_flags(&o, attribute);
    return status;
}

bool schema_option(const struct attribute *attribute, const char *name, struct span *value)
{
    struct json_reader r;
    struct span key;
    if (attribute->options.len == 0)
        return false;
    json_reader_init(&r, attribute->options);
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key) && json_read_raw(&r, value)) {
        if (span_equal_str(key, name))
            return true;
    }
    return false;
}

bool schema_ann_metric(const struct attribute *attribute, enum index_metric *metric)
{
    struct json_reader r;
    struct span ann, key, value;
    bool found = false;
    if (!schema_option(attribute, "ann", &ann) || ann.data[0] != '{')
        return false;
    json_reader_init(&r, ann);
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key) && json_read_raw(&r, &value)) {
        if (span_equal_str(key, "distance_metric")) {
            found = true;
            *metric = span_equal_str(value, "\"cosine_distance\"") ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
        }
    }
    return found;
}
