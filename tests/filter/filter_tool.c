/* filter_tool.c: matches filters for tests/filter/test_filter_agree.py. Each line of stdin is one JSON object:
 *
 *   {"schema": {…}}                                          begins anew, with this declaration
 *   {"id": 7, "row": {…}, "incoming": {…} or null}           adds a row
 *   {"filter": […]}                                          prints a line: 0 or 1 for each row, or "error: …"
 *   {"order": "name"}                                        prints the numbers of the rows in this order
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "filter/filter.h"
#include "filter/scalar.h"
#include "index/id.h"
#include "index/schema_declare.h"
#include "index/schema_row.h"

enum { ROWS_MAX = 1000, LINE_MAX_BYTES = 1 << 20 };

static struct arena rows_arena, line_arena;
static struct schema schema;
static struct filter_row rows[ROWS_MAX], incoming[ROWS_MAX];
static bool has_incoming[ROWS_MAX];
static size_t row_count;

static void must(bool good, const char *what, const struct dp_error *error)
{
    if (!good) {
        fprintf(stderr, "filter_tool: %s: %s\n", what, error->message);
        exit(1);
    }
}

/* Begins anew. */
static void read_schema(struct span json)
{
    struct schema_changes changes;
    struct dp_error error = {0};
    arena_reset(&rows_arena);
    schema = (struct schema){0};
    row_count = 0;
    must(schema_declare(&schema, NULL, &rows_arena, json, &changes, &error) == DP_OK, "a schema", &error);
}

static struct span normal_document(struct span json)
{
    struct span document = {0};
    struct dp_error error = {0};
    must(schema_normalize(&schema, &rows_arena, json, false, &document, &error) == DP_OK, "a row", &error);
    return document;
}

static struct span id_of(struct span json)
{
    struct json_reader r;
    struct index_id id = {0};
    struct id_key key;
    struct dp_error error = {0};
    json_reader_init(&r, json);
    id.is_string = json_peek(&r) == JSON_STRING;
    id.is_uuid = schema.id_kind == ID_UUID;
    if (id.is_string)
        json_read_string(&r, &rows_arena, &id.text);
    else
        json_read_u64(&r, &id.number);
    must(!json_failed(&r) && id_encode(id, &key, &error) == DP_OK, "an id", &error);
    return arena_copy(&rows_arena, id_key_span(&key));
}

static void print_matches(struct span json)
{
    struct filter *filter;
    struct dp_error error = {0};
    if (filter_parse(&line_arena, json, &schema, true, &filter, &error) != DP_OK) {
        printf("error: %s\n", error.message);
        return;
    }
    struct filter_watch watch = {.call = NULL};
    for (size_t i = 0; i < row_count; i++)
        putchar(filter_match(filter, &rows[i], has_incoming[i] ? &incoming[i] : NULL, &watch) ? '1' : '0');
    putchar('\n');
}

static void print_order(struct span name)
{
    const struct attribute *a = schema_find(&schema, name);
    struct scalar scalars[ROWS_MAX];
    size_t order[ROWS_MAX];
    must(a != NULL, "no such attribute", &(struct dp_error){0});
    for (size_t i = 0; i < row_count; i++) { /* a stable sort by insertion */
        size_t at = i;
        scalars[i] = scalar_of_document(a, rows[i].document);
        for (; at > 0 && scalar_compare(&scalars[order[at - 1]], &scalars[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t i = 0; i < row_count; i++)
        printf("%s%zu", i ? " " : "", order[i]);
    putchar('\n');
}

static void do_line(struct span line)
{
    struct json_reader r;
    struct span key, value, id = {0}, row = {0}, new_row = {0}, name;
    json_reader_init(&r, line);
    json_enter_object(&r);
    while (json_next_key(&r, &line_arena, &key)) {
        if (span_equal_str(key, "order")) {
            if (json_read_string(&r, &line_arena, &name))
                print_order(name);
            continue;
        }
        if (!json_read_raw(&r, &value))
            break;
        if (span_equal_str(key, "schema"))
            read_schema(value);
        else if (span_equal_str(key, "filter"))
            print_matches(value);
        else if (span_equal_str(key, "id"))
            id = value;
        else if (span_equal_str(key, "row"))
            row = value;
        else
            new_row = value;
    }
    must(!json_failed(&r) && row_count < ROWS_MAX, r.why, &(struct dp_error){0});
    if (!row.len)
        return;
    rows[row_count] = (struct filter_row){id_of(id), normal_document(row)};
    has_incoming[row_count] = new_row.len && new_row.data[0] == '{';
    if (has_incoming[row_count])
        incoming[row_count] = (struct filter_row){rows[row_count].id, normal_document(new_row)};
    row_count++;
}

int main(void)
{
    static char line[LINE_MAX_BYTES];
    arena_init(&rows_arena, (size_t)256 << 20);
    arena_init(&line_arena, (size_t)256 << 20);
    while (fgets(line, sizeof line, stdin)) {
        do_line(span_of(line, strcspn(line, "\n")));
        arena_reset(&line_arena);
    }
    arena_deinit(&rows_arena);
    arena_deinit(&line_arena);
    return 0;
}
