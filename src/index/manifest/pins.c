/* manifest/pins.c: writes, reads and searches .pin objects; pins.h has their grammar. */
#include "index/manifest/pins.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checksum.h"

/* ---- one object ---------------------------------------------------------------------------------------- */

static int compare_pinned(const void *a, const void *b)
{
    const struct pinned_object *left = a, *right = b;
    int order = memcmp(left->segment.text, right->segment.text, ULID_LEN);
    return order ? order : memcmp(left->born.text, right->born.text, ULID_LEN);
}

size_t pin_sort(struct pinned_object *objects, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(objects, count, sizeof *objects, compare_pinned);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || compare_pinned(&objects[kept - 1], &objects[i]) != 0)
            objects[kept++] = objects[i];
    }
    return kept;
}

void pin_write(const struct manifest_pin *pin, const struct pinned_object *objects, size_t count,
               struct buffer *out)
{
    size_t start = out->len;
    buffer_append_str(out, PIN_MAGIC);
    buffer_u32(out, PIN_VERSION);
    buffer_u32(out, (uint32_t)count);
    buffer_append(out, ulid_span(&pin->id));
    buffer_append(out, ulid_span(&pin->incarnation));
    for (size_t i = 0; i < count; i++) {
        buffer_append(out, ulid_span(&objects[i].segment));
        buffer_append(out, ulid_span(&objects[i].born));
    }
    if (out->status == DP_OK)
        buffer_u64(out, checksum64(span_of(out->data + start, out->len - start)));
}

static enum dp_status parse_pinned(struct cursor *c, struct pinned_object *objects, size_t count,
                                   struct dp_error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool valid = ulid_parse(cursor_bytes(c, ULID_LEN), &objects[i].segment) &&
                     ulid_parse(cursor_bytes(c, ULID_LEN), &objects[i].born);
        if (!valid || (i && compare_pinned(&objects[i - 1], &objects[i]) >= 0))
            return dp_fail(error, DP_CORRUPT, "pinned object number %zu is malformed or not in order", i);
    }
    return DP_OK;
}

enum dp_status pin_parse(struct span bytes, const struct manifest_pin *pin, struct arena *arena,
                         struct pinned_object **out, size_t *count, struct dp_error *error)
{
    if (bytes.len < PIN_FIXED_LEN || bytes.len > PIN_LEN_MAX)
        return dp_fail(error, DP_CORRUPT, "%zu bytes are too few or too many for a pin", bytes.len);
    struct cursor tail = cursor_over(span_of(bytes.data + bytes.len - 8, 8));
    struct span covered = span_of(bytes.data, bytes.len - 8);
    if (cursor_u64(&tail) != checksum64(covered))
        return dp_fail(error, DP_CORRUPT, "its checksum does not fit");
    struct cursor c = cursor_over(covered);
    if (!span_equal_str(cursor_bytes(&c, sizeof PIN_MAGIC - 1), PIN_MAGIC))
        return dp_fail(error, DP_CORRUPT, "it does not begin with the magic bytes of a pin");
    uint32_t version = cursor_u32(&c);
    if (version != PIN_VERSION)
        return dp_fail(error, DP_UNSUPPORTED, "it has format version %" PRIu32 "; this build reads %d", version,
                       PIN_VERSION);
    *count = cursor_u32(&c);
    if (!span_equal(cursor_bytes(&c, ULID_LEN), ulid_span(&pin->id)) ||
        !span_equal(cursor_bytes(&c, ULID_LEN), ulid_span(&pin->incarnation)))
        return dp_fail(error, DP_CORRUPT, "it does not belong to pin %s as the manifest has it", pin->id.text);
    if (c.rest.len != *count * PIN_OBJECT_LEN)
        return dp_fail(error, DP_CORRUPT, "it does not have the length of %zu objects", *count);
    *out = arena_array(arena, *count + 1, sizeof **out);
    return *out ? parse_pinned(&c, *out, *count, error) : dp_fail_nomem(error, "a pin");
}

/* ---- all pins of a manifest ---------------------------------------------------------------------------- */

static bool has_same_pins(const struct pin_set *set, const struct manifest *m)
{
    bool same = set->count == m->pin_count;
    for (size_t i = 0; i < set->count && same; i++)
        same = ulid_equal(&set->lists[i].pin, &m->pins[i].id);
    return same;
}

static enum dp_status take_pin(struct call *call, const struct manifest_pin *pin,
                               const struct store_read_req *read, struct pinned_list *list)
{
    enum dp_status status = DP_OK;
    list->pin = pin->id;
    list->incarnation = pin->incarnation;
    if (store_read_missing(read))
        status = call_fail(call, DP_STALE, "the manifest has this pin, but the object is missing");
    else if (read->status) {
        call->error = read->error;
        return read->status;
    } else if (read->size != pin->size)
        status = call_fail(call, DP_CORRUPT, "it has %" PRIu64 " bytes; the manifest says %" PRIu64, read->size,
                           pin->size);
    if (status == DP_OK)
        status = pin_parse(read->bytes.span, pin, call->arena, &list->objects, &list->count, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%.*s", SPAN_FMT(read->key));
    return status;
}

enum dp_status pin_set_read(struct call *call, struct store *store, struct span name, const struct manifest *m,
                            struct pin_set *set)
{
    if (has_same_pins(set, m))
        return DP_OK;
    *set = (struct pin_set){.lists = arena_calloc(call->arena, m->pin_count + 1, sizeof *set->lists)};
    struct store_read_req *reads = arena_calloc(call->arena, m->pin_count + 1, sizeof *reads);
    struct object_key *keys = arena_array(call->arena, m->pin_count + 1, sizeof *keys);
    if (!set->lists || !reads || !keys)
        return call_nomem(call, "pins");
    for (size_t i = 0; i < m->pin_count; i++) {
        key_of_pin(&keys[i], name, &m->pins[i].incarnation, &m->pins[i].id);
        reads[i] = (struct store_read_req){.key = object_key_span(&keys[i]), .len = STORE_TO_END};
    }
    if (m->pin_count)
        store_read(call, store, reads, m->pin_count); /* each read has its own status */
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        dp_error_clear(&call->error);
    for (size_t i = 0; i < m->pin_count && status == DP_OK; i++)
        status = take_pin(call, &m->pins[i], &reads[i], &set->lists[i]);
    set->count = status == DP_OK ? m->pin_count : 0;
    if (m->pin_count)
        store_read_release(reads, m->pin_count);
    return status;
}

enum dp_status pin_set_read_newest(struct call *call, struct store *store, struct span name, struct manifest *m,
                                   struct pin_set *set)
{
    enum dp_status status = pin_set_read(call, store, name, m, set);
    while (status == DP_STALE) {
        struct manifest newer;
        uint64_t before = m->sequence;
        dp_error_clear(&call->error);
        status = manifest_load_any(call, store, name, &newer, NULL);
        if (status)
            return status;
        manifest_deinit(m);
        *m = newer;
        status = pin_set_read(call, store, name, m, set);
        if (status == DP_STALE && m->sequence == before)
            return call_restatus(call, DP_CORRUPT);
    }
    return status;
}

bool pin_set_has(const struct pin_set *set, const struct parsed_name *object)
{
    const struct pinned_object wanted = {object->segment, object->born};
    if (object->kind == OBJECT_WAL || object->kind == OBJECT_PIN || object->kind == OBJECT_KEYS)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        const struct pinned_list *list = &set->lists[i];
        if (list->count && ulid_equal(&list->incarnation, &object->incarnation) &&
            bsearch(&wanted, list->objects, list->count, sizeof wanted, compare_pinned))
            return true;
    }
    return false;
}
