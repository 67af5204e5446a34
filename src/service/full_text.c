/* full_text.c: the index options of the attribute "text", and adds them to the manifest of an older namespace. */
#include "service/full_text.h"

#include <stdio.h>
#include <string.h>

#include "index/schema_options.h"
#include "text/settings.h"

enum dp_status full_text_options(const char *language, char out[FULL_TEXT_OPTIONS_ROOM], struct dp_error *error)
{
    enum text_language known;
    if (strcmp(language, FULL_TEXT_NONE) == 0) {
        snprintf(out, FULL_TEXT_OPTIONS_ROOM, "{\"full_text_search\":true}");
        return DP_OK;
    }
    if (!text_language_parse(span_str(language), &known))
        return dp_fail(error, DP_INVALID,
                       "there is no language \"%.40s\"; choose arabic, danish, dutch, english, finnish, french, "
                       "german, greek, hungarian, italian, norwegian, portuguese, romanian, russian, spanish, "
                       "swedish, tamil, turkish or none",
                       language);
    snprintf(out, FULL_TEXT_OPTIONS_ROOM,
             "{\"full_text_search\":{\"language\":\"%s\",\"stemming\":true,\"remove_stopwords\":true}}",
             text_language_name(known));
    return DP_OK;
}

/* Writes the language of the attribute's full-text search as users name it. Returns false if it has none. */
static bool language_of(const struct attribute *a, const char **name)
{
    struct text_settings settings;
    struct dp_error ignored;
    struct span option;
    if (!a || a->dropped || !schema_option(a, "full_text_search", &option) ||
        text_settings_parse(option, &settings, &ignored) != DP_OK)
        return false;
    *name =
        settings.stemming || settings.remove_stopwords ? text_language_name(settings.language) : FULL_TEXT_NONE;
    return true;
}

/* Refuses a language that is not the one that the namespace has. */
static enum dp_status check_language(struct call *call, struct store *store, struct span name, const char *wanted)
{
    struct index_reader *reader;
    struct schema schema;
    const char *known;
    enum dp_status status = index_open(call, store, name, &reader);
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        return DP_OK;
    }
    if (status != DP_OK)
        return status;
    status = index_schema(call, reader, &schema);
    index_close(reader);
    if (status == DP_OK && language_of(schema_find(&schema, span_str(FULL_TEXT_ATTRIBUTE)), &known) &&
        strcmp(known, wanted) != 0)
        return call_fail(
            call, DP_INVALID,
            "namespace \"%.*s\": its \"text\" has the language %s, and keeps it: load the texts into a new "
            "namespace for the language %s",
            SPAN_FMT(name), known, wanted);
    return status;
}

enum dp_status service_full_text_options(struct call *call, struct store *store, struct span name,
                                         const char *wanted, char out[FULL_TEXT_OPTIONS_ROOM])
{
    enum dp_status status = full_text_options(wanted ? wanted : FULL_TEXT_LANGUAGE, out, &call->error);
    return status == DP_OK && wanted ? check_language(call, store, name, wanted) : status;
}

/* Returns the attribute if it lacks all options, else NULL. */
static struct attribute *find_plain_text(const struct schema *schema)
{
    struct attribute *a = schema_find(schema, span_str(FULL_TEXT_ATTRIBUTE));
    return a && a->type == ATTRIBUTE_STRING && !a->dropped && a->options.len == 0 ? a : NULL;
}

/* Sets the option. For index_alter. */
static enum dp_status set_full_text(void *context, struct schema *schema, struct arena *arena,
                                    struct dp_error *error)
{
    char options[FULL_TEXT_OPTIONS_ROOM];
    bool *declared = context;
    struct attribute *a = find_plain_text(schema);
    *declared = a != NULL;
    enum dp_status status = full_text_options(FULL_TEXT_LANGUAGE, options, error);
    return a && status == DP_OK ? schema_set_options(a, span_str(options), true, arena, error) : status;
}

enum dp_status service_declare_full_text(struct call *call, struct store *store, struct span name,
                                         struct index_reader *reader, bool *declared)
{
    const struct index_alteration change = {.edit_schema = set_full_text, .context = declared};
    struct index_vectors vectors;
    struct schema schema;
    *declared = false;
    enum dp_status status = index_vectors_of(call, reader, &vectors);
    if (status == DP_OK)
        status = index_schema(call, reader, &schema);
    if (status != DP_OK || vectors.model.len == 0 || !find_plain_text(&schema))
        return status;
    status = index_alter(call, store, name, &change);
    if (status == DP_OK)
        return DP_OK;
    *declared = false;
    if (status == DP_DENIED) { /* the namespace is read-only */
        dp_error_clear(&call->error);
        return DP_OK;
    }
    return status;
}
