/* filter/fuzzy.c: finds texts by P. Sellers' table of distances, one column for each character of the text. */
#include "filter/fuzzy.h"

#include "filter/pattern.h"

struct fuzzy {
    uint32_t *chars; /* [count]; count 0: matches nothing */
    size_t count;
    uint8_t distance;
    bool ignore_case;
};

/* Reads {"min_query_chars": n, "distance": d}. */
static enum dp_status read_step(struct json_reader *r, struct arena *arena, int64_t *chars, int64_t *distance,
                                struct dp_error *error)
{
    struct span key;
    *chars = *distance = -1;
    if (!json_enter_object(r))
        return json_error(r, error);
    while (json_next_key(r, arena, &key)) {
        bool is_chars = span_equal_str(key, "min_query_chars");
        if (!is_chars && !span_equal_str(key, "distance"))
            return dp_fail(error, DP_INVALID, "max_edit_distance has no field \"%.*s\"", SPAN_FMT(key));
        if (!json_read_i64(r, is_chars ? chars : distance))
            return json_error(r, error);
    }
    if (json_failed(r))
        return json_error(r, error);
    if (*distance < 0 || *distance > FUZZY_DISTANCE_MAX)
        return dp_fail(error, DP_INVALID, "a distance must be 0 to %d", FUZZY_DISTANCE_MAX);
    if (*chars < 3 * (*distance + 1))
        return dp_fail(error, DP_INVALID, "min_query_chars must be at least 3 * (distance + 1)");
    return DP_OK;
}

/* Reads the steps of max_edit_distance. Sets the distance for `count` characters, or -1. */
static enum dp_status read_steps(struct json_reader *r, struct arena *arena, size_t count, int64_t *distance,
                                 struct dp_error *error)
{
    int64_t best = -1, chars, step_distance;
    *distance = -1;
    if (!json_enter_array(r))
        return json_error(r, error);
    while (json_next_item(r)) {
        enum dp_status status = read_step(r, arena, &chars, &step_distance, error);
        if (status)
            return status;
        if (chars <= (int64_t)count && chars > best) {
            best = chars;
            *distance = step_distance;
        }
    }
    return json_failed(r) ? json_error(r, error) : DP_OK;
}

static enum dp_status read_options(struct fuzzy *f, struct json_reader *r, struct arena *arena,
                                   struct dp_error *error)
{
    struct span key;
    int64_t distance = -1;
    bool any = false, case_sensitive = true;
    if (!json_enter_object(r))
        return json_error(r, error);
    while (json_next_key(r, arena, &key)) {
        if (span_equal_str(key, "case_sensitive")) {
            if (!json_read_bool(r, &case_sensitive))
                return json_error(r, error);
        } else if (span_equal_str(key, "max_edit_distance")) {
            enum dp_status status = read_steps(r, arena, f->count, &distance, error);
            if (status)
                return status;
            any = true;
        } else {
            return dp_fail(error, DP_INVALID, "there is no option \"%.*s\"", SPAN_FMT(key));
        }
    }
    if (json_failed(r))
        return json_error(r, error);
    if (!any)
        return dp_fail(error, DP_INVALID, "max_edit_distance is missing");
    f->ignore_case = !case_sensitive;
    if (distance < 0)
        f->count = 0;
    else
        f->distance = (uint8_t)distance;
    return DP_OK;
}

enum dp_status fuzzy_parse(struct arena *arena, struct span text, struct json_reader *options, struct fuzzy **out,
                           struct dp_error *error)
{
    struct fuzzy *f = arena_calloc(arena, 1, sizeof *f);
    struct text_bytes bytes = text_bytes_of(text, false);
    *out = f;
    if (!f)
        return dp_fail_nomem(error, "a filter");
    f->chars = arena_array(arena, FUZZY_CHARS_MAX, sizeof *f->chars);
    if (!f->chars)
        return dp_fail_nomem(error, "a filter");
    for (int32_t c = text_next_scalar(&bytes); c >= 0; c = text_next_scalar(&bytes)) {
        if (f->count == FUZZY_CHARS_MAX)
            return dp_fail(error, DP_INVALID, "more than %d characters", FUZZY_CHARS_MAX);
        f->chars[f->count++] = (uint32_t)c;
    }
    return read_options(f, options, arena, error);
}

bool fuzzy_match(const struct fuzzy *f, struct text_bytes text, struct filter_watch *watch)
{
    /* column[i]: the least distance between the first i characters and a part of the text that ends here */
    uint8_t column[FUZZY_CHARS_MAX + 1];
    uint8_t beyond = (uint8_t)(f->distance + 1);
    if (f->count == 0)
        return false;
    for (size_t i = 0; i <= f->count; i++)
        column[i] = i < beyond ? (uint8_t)i : beyond;
    for (int32_t next = text_next_scalar(&text); next >= 0; next = text_next_scalar(&text)) {
        uint32_t c = (uint32_t)next, other = f->ignore_case ? pattern_other_case(c) : c;
        uint8_t diagonal = column[0];
        for (size_t i = 1; i <= f->count; i++) {
            uint8_t before = column[i];
            uint8_t least = (uint8_t)(diagonal + (f->chars[i - 1] != c && f->chars[i - 1] != other));
            uint8_t step = (uint8_t)((before < column[i - 1] ? before : column[i - 1]) + 1);
            least = step < least ? step : least;
            column[i] = least < beyond ? least : beyond;
            diagonal = before;
        }
        if (column[f->count] <= f->distance)
            return true;
        if (!filter_watch_steps(watch, f->count))
            return false;
    }
    return false;
}
