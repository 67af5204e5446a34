/* verify_owners.c: a branch lists objects of other namespaces. Verifies that these namespaces keep the objects. */
#include "index/fold/verify_owners.h"

/* The objects of one owner that the branch lists. */
struct owner_check {
    struct verification *v;
    uint32_t owner;           /* as manifest_segment.owner */
    struct manifest manifest; /* the owner's */
    struct pin_set pins;
    uint64_t listed, unkept; /* objects that the branch lists; those that the owner would not keep */
};

static bool has_pin_for(const struct verification *v, const struct manifest *owner, const struct ulid *incarnation)
{
    bool has = false;
    for (size_t i = 0; i < owner->pin_count && !has; i++) {
        const struct manifest_pin *pin = &owner->pins[i];
        has = span_equal(pin->branch, v->name) && ulid_equal(&pin->incarnation, incarnation) &&
              ulid_equal(&pin->branch_incarnation, &v->manifest.incarnation);
    }
    return has;
}

static enum dp_status count_owned(void *context, const struct manifest_object *o)
{
    struct owner_check *c = context;
    c->listed += o->owner == c->owner;
    return DP_OK;
}

static enum dp_status compare_kept(void *context, const struct manifest_object *o)
{
    struct owner_check *c = context;
    const struct object_home home = manifest_home(&c->v->manifest, c->v->name, c->owner);
    const struct parsed_name name = {.kind = OBJECT_DPR,
                                     .name = home.name,
                                     .incarnation = *home.incarnation,
                                     .segment = o->segment->id,
                                     .born = *o->born};
    if (o->owner == c->owner)
        c->unkept += !manifest_lists(&c->manifest, home.name, &name) && !pin_set_has(&c->pins, &name);
    return DP_OK;
}

/* Checks that the owner has a pin for the branch, and that it keeps all of its objects that the branch lists: its
 * manifest lists them, or its pins keep them. An earlier life of the branch's own name needs no pin for the branch.
 */
static enum dp_status check_kept(struct call *call, struct owner_check *c)
{
    struct verification *v = c->v;
    const struct object_home home = manifest_home(&v->manifest, v->name, c->owner);
    bool is_self = span_equal(home.name, v->name); /* an earlier life of the name: its manifest is the branch's */
    enum dp_status status = pin_set_read_newest(call, v->store, home.name, &c->manifest, &c->pins);
    if (status)
        return status;
    if (!is_self && !has_pin_for(v, &c->manifest, home.incarnation))
        return call_fail(
            call, DP_CORRUPT,
            "namespace \"%.*s\" has no pin for this branch, which lists objects of it: its collector may "
            "remove them; compact the branch",
            SPAN_FMT(home.name));
    manifest_for_each_object(&v->manifest, compare_kept, c);
    if (c->unkept)
        return call_fail(call, DP_CORRUPT,
                         "namespace \"%.*s\" does not keep all objects that this branch lists: compact the branch",
                         SPAN_FMT(home.name));
    return DP_OK;
}

static enum dp_status check_owner(struct call *call, struct verification *v, uint32_t owner, const char *object)
{
    struct owner_check c = {.v = v, .owner = owner};
    const struct object_home home = manifest_home(&v->manifest, v->name, owner);
    manifest_for_each_object(&v->manifest, count_owned, &c);
    if (c.listed == 0)
        return DP_OK;
    enum dp_status status = manifest_load_any(call, v->store, home.name, &c.manifest, NULL);
    if (status == DP_OK) {
        status = check_kept(call, &c);
        manifest_deinit(&c.manifest);
    }
    return status ? verify_fault(call, v, object) : DP_OK;
}

enum dp_status verify_owners(struct call *call, struct verification *v, const char *object)
{
    enum dp_status status = DP_OK;
    for (uint32_t owner = 1; owner <= v->manifest.owner_count && status == DP_OK; owner++)
        status = check_owner(call, v, owner, object);
    return status;
}
