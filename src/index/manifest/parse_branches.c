/* manifest/parse_branches.c: parses "pins" and "owners". */
#include "index/manifest/parse_branches.h"

#include <inttypes.h>

#include "base/array.h"

/* Reads the name of another namespace. */
static struct span read_namespace(struct manifest_parser *p)
{
    struct dp_error error = {0};
    struct span name = parser_short_text(p, INDEX_NAME_MAX);
    if (!json_failed(&p->r) && index_check_name(name, &error) != DP_OK)
        json_reject(&p->r, DP_CORRUPT, "\"%.*s\" is not the name of a namespace", SPAN_FMT(name));
    return name;
}

static void read_pin(struct manifest_parser *p, struct manifest_pin *pin)
{
    struct span key;
    unsigned seen = 0;
    *pin = (struct manifest_pin){0};
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_pin_fields, PIN_FIELDS, &seen)) {
        case PIN_ID: parser_ulid(p, &pin->id); break;
        case PIN_INCARNATION: parser_ulid(p, &pin->incarnation); break;
        case PIN_SIZE: pin->size = parser_number(p); break;
        case PIN_BRANCH: pin->branch = read_namespace(p); break;
        case PIN_BRANCH_INCARNATION: parser_ulid(p, &pin->branch_incarnation); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_pin_fields, PIN_FIELDS, seen, 0);
}

void parser_pins(struct manifest_parser *p)
{
    struct manifest *m = p->m;
    size_t room = 0;
    json_enter_array(&p->r);
    while (!p->nomem && json_next_item(&p->r)) {
        struct manifest_pin *pins = arena_reserve(p->arena, m->pins, m->pin_count, &room, sizeof *pins, 4);
        if (!pins) {
            p->nomem = true;
            return;
        }
        m->pins = pins;
        if (m->pin_count == MANIFEST_PINS_MAX) {
            json_reject(&p->r, DP_CORRUPT, "more than %d pins", MANIFEST_PINS_MAX);
            return;
        }
        read_pin(p, &m->pins[m->pin_count]);
        if (json_failed(&p->r))
            return;
        m->pin_count++;
    }
}

static void read_owner(struct manifest_parser *p, struct manifest_owner *owner)
{
    struct span key;
    unsigned seen = 0;
    *owner = (struct manifest_owner){0};
    json_enter_object(&p->r);
    while (json_next_key(&p->r, p->arena, &key)) {
        switch (parser_field(p, key, manifest_owner_fields, OWNER_FIELDS, &seen)) {
        case OWNER_NAME: owner->name = read_namespace(p); break;
        case OWNER_INCARNATION: parser_ulid(p, &owner->incarnation); break;
        default: return;
        }
    }
    parser_all_seen(p, manifest_owner_fields, OWNER_FIELDS, seen, 0);
}

void parser_owners(struct manifest_parser *p)
{
    struct manifest *m = p->m;
    size_t room = 0;
    json_enter_array(&p->r);
    while (!p->nomem && json_next_item(&p->r)) {
        struct manifest_owner *owners =
            arena_reserve(p->arena, m->owners, m->owner_count, &room, sizeof *owners, 4);
        if (!owners) {
            p->nomem = true;
            return;
        }
        m->owners = owners;
        if (m->owner_count == MANIFEST_OWNERS_MAX) {
            json_reject(&p->r, DP_CORRUPT, "more than %d owners", MANIFEST_OWNERS_MAX);
            return;
        }
        read_owner(p, &m->owners[m->owner_count]);
        if (json_failed(&p->r))
            return;
        m->owner_count++;
    }
}

uint32_t parser_owner_place(struct manifest_parser *p)
{
    uint64_t place = parser_number(p);
    if (!json_failed(&p->r) && (place == 0 || place > MANIFEST_OWNERS_MAX))
        json_reject(&p->r, DP_CORRUPT, "an object's owner %" PRIu64 " is outside 1..%d", place,
                    MANIFEST_OWNERS_MAX);
    return place <= MANIFEST_OWNERS_MAX ? (uint32_t)place : 0;
}
