/* manifest/objects.c: the objects that a manifest lists, in segments and in pending loads, and their names. */
#include "index/manifest/manifest.h"

struct object_home manifest_home(const struct manifest *m, struct span name, uint32_t owner)
{
    if (owner == 0 || owner > m->owner_count)
        return (struct object_home){name, &m->incarnation};
    return (struct object_home){m->owners[owner - 1].name, &m->owners[owner - 1].incarnation};
}

enum dp_status segment_for_each_object(const struct manifest_segment *s, manifest_object_fn *fn, void *context)
{
    const struct manifest_object objects[] = {
        {MANIFEST_IVF, s, &s->id, s->ivf_size, s->owner},
        {MANIFEST_DPR, s, &s->id, s->dpr_size, s->owner},
        {MANIFEST_DEL, s, &s->deletion, s->deleted_size, s->deleted_owner},
    };
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < sizeof objects / sizeof *objects && status == DP_OK; i++) {
        bool there = objects[i].kind == MANIFEST_DEL   ? s->has_deleted
                     : objects[i].kind == MANIFEST_IVF ? s->vectors > 0
                                                       : true;
        if (there)
            status = fn(context, &objects[i]);
    }
    return status;
}

enum dp_status manifest_for_each_object(const struct manifest *m, manifest_object_fn *fn, void *context)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < m->segment_count && status == DP_OK; i++)
        status = segment_for_each_object(&m->segments[i], fn, context);
    for (size_t i = 0; i < m->pending_count; i++) {
        for (size_t k = 0; k < m->pending[i].segment_count && status == DP_OK; k++)
            status = segment_for_each_object(&m->pending[i].segments[k], fn, context);
    }
    return status;
}

void key_of_object(struct object_key *out, struct span name, const struct ulid *incarnation,
                   const struct manifest_object *object)
{
    const struct manifest_segment *s = object->segment;
    switch (object->kind) {
    case MANIFEST_IVF: key_of_ivf(out, name, incarnation, &s->id); break;
    case MANIFEST_DPR: key_of_dpr(out, name, incarnation, &s->id); break;
    case MANIFEST_DEL: key_of_del(out, name, incarnation, &s->id, &s->deletion); break;
    }
}

static enum dp_status add_size(void *context, const struct manifest_object *object)
{
    uint64_t *bytes = context;
    *bytes += object->size;
    return DP_OK;
}

uint64_t manifest_bytes(const struct manifest *m)
{
    uint64_t bytes = 0;
    manifest_for_each_object(m, add_size, &bytes);
    return bytes;
}

/* ---- searching ----------------------------------------------------------------------------------------- */

/* A search for an object among those that a manifest lists. */
struct listed_search {
    const struct manifest *m;
    struct span name;
    const struct parsed_name *object;
    bool found;
};

static enum dp_status compare_listed(void *context, const struct manifest_object *o)
{
    struct listed_search *s = context;
    struct object_home home = manifest_home(s->m, s->name, o->owner);
    s->found = s->found ||
               (ulid_equal(&o->segment->id, &s->object->segment) && ulid_equal(o->born, &s->object->born) &&
                ulid_equal(home.incarnation, &s->object->incarnation) && span_equal(home.name, s->object->name));
    return DP_OK;
}

bool manifest_lists(const struct manifest *m, struct span name, const struct parsed_name *object)
{
    struct listed_search s = {m, name, object, false};
    if (object->kind == OBJECT_KEYS)
        return m->keys.size && ulid_equal(&m->keys.id, &object->born) &&
               ulid_equal(&m->incarnation, &object->incarnation) && span_equal(name, object->name);
    if (object->kind != OBJECT_PIN) {
        manifest_for_each_object(m, compare_listed, &s);
        return s.found;
    }
    for (size_t i = 0; i < m->pin_count && !s.found; i++)
        s.found = ulid_equal(&m->pins[i].id, &object->born) &&
                  ulid_equal(&m->pins[i].incarnation, &object->incarnation) && span_equal(name, object->name);
    return s.found;
}
