/* manifest/parser.c: reads texts, numbers, ULIDs and objects, of which the fields of a manifest consist. */
#include "index/manifest/parser.h"

int parser_field(struct manifest_parser *p, struct span key, const char *const *fields, int count, unsigned *seen)
{
    for (int i = 0; i < count; i++) {
        if (!span_equal_str(key, fields[i]))
            continue;
        if (*seen & 1u << i)
            json_reject(&p->r, DP_CORRUPT, "\"%s\" occurs twice", fields[i]);
        *seen |= 1u << i;
        return i;
    }
    json_reject(&p->r, DP_UNSUPPORTED, "unknown field \"%.*s\": written by a newer version?",
                (int)(key.len > 40 ? 40 : key.len), (const char *)key.data);
    return -1;
}

void parser_all_seen(struct manifest_parser *p, const char *const *fields, int count, unsigned seen,
                     unsigned optional)
{
    for (int i = 0; i < count; i++) {
        if (!(((seen | optional) >> i) & 1u))
            json_reject(&p->r, DP_CORRUPT, "\"%s\" is missing", fields[i]);
    }
}

uint64_t parser_number(struct manifest_parser *p)
{
    uint64_t v = 0;
    json_read_u64(&p->r, &v);
    return v;
}

struct span parser_short_text(struct manifest_parser *p, size_t max)
{
    struct span text = {0};
    if (!json_read_string(&p->r, p->arena, &text))
        return (struct span){0};
    if (text.len > max) {
        json_reject(&p->r, DP_CORRUPT, "a text of %zu bytes is longer than %zu", text.len, max);
        return (struct span){0};
    }
    struct span copy = arena_copy(p->arena, text);
    if (!copy.data)
        p->nomem = true;
    return copy;
}

void parser_ulid(struct manifest_parser *p, struct ulid *out)
{
    struct span text = {0};
    if (json_read_string(&p->r, p->arena, &text) && !ulid_parse(text, out))
        json_reject(&p->r, DP_CORRUPT, "\"%.*s\" is not a ULID", (int)(text.len > 40 ? 40 : text.len),
                    (const char *)text.data);
}
