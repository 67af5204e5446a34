/* lives.c: begins and ends the lives of a namespace's name, and changes settings of the present life.
 *
 * A name that had a manifest once keeps one for ever. A deletion makes it a tombstone, and a later creation makes the
 * tombstone the manifest of a new incarnation. Sequence, writers and horizon go on from life to life. So a writer
 * or a load that still works for an earlier life finds out from the manifest: a write to the old log is not
 * acknowledged, and a load does not commit.
 */
#include "index/lives.h"

#include <inttypes.h>

#include "index/manifest/swap.h"

/* ---- what the edits share ------------------------------------------------------------------------------ */

static void ignore_sent(void *context)
{
    (void)context;
}

static bool shows_no_change(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

static enum dp_status swap_life(struct call *call, struct store *store, struct span name,
                                const struct manifest_edit *edit, void *context, const struct index_clock *clock,
                                struct index_life *life)
{
    struct manifest m;
    enum dp_status status = index_check_name(name, &call->error);
    if (status == DP_OK)
        status = manifest_swap(call, store, name, edit, context, clock, &m);
    if (status == DP_OK && life)
        *life = life_of(&m.incarnation);
    if (status == DP_OK)
        manifest_deinit(&m);
    return status;
}

/* Sets *changed if the manifest's text is not `before`. */
static enum dp_status compare_text(struct call *call, const struct manifest *m, const struct buffer *before,
                                   bool *changed)
{
    struct buffer text;
    buffer_init(&text, MANIFEST_BYTES_MAX * 2);
    enum dp_status status = manifest_write(m, &text, &call->error);
    *changed = status != DP_OK || !span_equal(buffer_span(before), buffer_span(&text));
    buffer_deinit(&text);
    return status;
}

/* Edits a live manifest, and finds out whether that changes anything. */
static enum dp_status edit_and_compare(struct call *call, void *context, struct manifest *m, bool *needed,
                                       enum dp_status (*edit)(struct call *, void *, struct manifest *))
{
    struct buffer before;
    buffer_init(&before, MANIFEST_BYTES_MAX * 2);
    enum dp_status status = manifest_write(m, &before, &call->error);
    if (status == DP_OK)
        status = edit(call, context, m);
    if (status == DP_OK)
        status = compare_text(call, m, &before, needed);
    buffer_deinit(&before);
    return status;
}

static enum dp_status fail_read_only(struct call *call, struct span name)
{
    return call_fail(call, DP_DENIED, "namespace \"%.*s\" is read-only", SPAN_FMT(name));
}

static bool same_model(const struct index_vectors *a, const struct index_vectors *b)
{
    return a->fingerprint.len == 0 || b->fingerprint.len == 0 || span_equal(a->fingerprint, b->fingerprint);
}

/* Gives a namespace without vectors this kind of vectors, or checks that it has this kind. */
static enum dp_status join_vectors(struct call *call, struct span name, struct manifest *m,
                                   const struct index_vectors *v)
{
    if (v->dim == 0)
        return DP_OK;
    if (m->external.url.len)
        return manifest_fail_external(m, name, &call->error);
    if (m->vectors.dim == 0) {
        m->vectors = *v;
        return DP_OK;
    }
    if (m->vectors.dim != v->dim)
        return call_fail(call, DP_INVALID,
                         "namespace \"%.*s\" holds vectors of %" PRIu32 " dimensions, not of %" PRIu32,
                         SPAN_FMT(name), m->vectors.dim, v->dim);
    if (m->vectors.metric != v->metric)
        return call_fail(call, DP_INVALID, "namespace \"%.*s\" has another distance metric", SPAN_FMT(name));
    if (!same_model(&m->vectors, v))
        return call_fail(call, DP_INVALID,
                         "namespace \"%.*s\" was embedded by model \"%.*s\": vectors of two models cannot be "
                         "compared",
                         SPAN_FMT(name), SPAN_FMT(m->vectors.model));
    return DP_OK;
}

/* ---- creating ------------------------------------------------------------------------------------------ */

struct life_creation {
    struct span name;
    const struct index_vectors *vectors;
    const struct schema *declared; /* or NULL */
    const struct index_clock *clock;
};

static enum dp_status join_creation(struct call *call, void *context, struct manifest *m)
{
    const struct life_creation *c = context;
    m->features |= MANIFEST_FEATURE_LOG;
    enum dp_status status = join_vectors(call, c->name, m, c->vectors);
    if (status == DP_OK && c->declared)
        status = schema_join(&m->schema, &m->arena, c->declared, &call->error);
    return status;
}

static enum dp_status apply_creation(struct call *call, void *context, struct manifest *m, bool exists,
                                     bool *needed)
{
    struct life_creation *c = context;
    struct ulid incarnation;
    if (exists && m->state == NAMESPACE_LIVE) {
        bool read_only = m->read_only;
        enum dp_status joined = edit_and_compare(call, context, m, needed, join_creation);
        return joined == DP_OK && *needed && read_only ? fail_read_only(call, c->name) : joined;
    }
    enum dp_status status =
        ulid_new(c->clock, &m->horizon, manifest_store_ms(m, c->clock), &incarnation, &call->error);
    if (status)
        return status;
    manifest_begin_life(m, &incarnation);
    m->vectors = *c->vectors;
    return join_creation(call, context, m);
}

static const struct manifest_edit creation_edit = {apply_creation, ignore_sent, shows_no_change, true};

enum dp_status lives_create(struct call *call, struct store *store, struct span name,
                            const struct index_vectors *vectors, const struct schema *declared,
                            const struct index_clock *clock, struct index_life *life)
{
    struct life_creation c = {name, vectors, declared, clock};
    if (vectors->dim > INDEX_DIM_MAX)
        return call_fail(call, DP_INVALID, "vectors have 1 to %d dimensions, not %" PRIu32, INDEX_DIM_MAX,
                         vectors->dim);
    return swap_life(call, store, name, &creation_edit, &c, clock, life);
}

enum dp_status index_create(struct call *call, struct store *store, struct span name,
                            const struct index_vectors *vectors, const struct schema *declared,
                            struct index_life *life)
{
    return lives_create(call, store, name, vectors, declared, NULL, life);
}

/* ---- deleting ------------------------------------------------------------------------------------------ */

/* A deletion of the incarnation that its first read found. */
struct life_deletion {
    struct span name;
    bool found;
    struct ulid incarnation;
};

/* Whether the incarnation has ended, by this deletion or by another. */
static bool shows_deletion(const void *context, const struct manifest *m)
{
    const struct life_deletion *d = context;
    return d->found && (m->state == NAMESPACE_DELETED || !ulid_equal(&m->incarnation, &d->incarnation));
}

static enum dp_status apply_deletion(struct call *call, void *context, struct manifest *m, bool exists,
                                     bool *needed)
{
    struct life_deletion *d = context;
    bool live = exists && m->state == NAMESPACE_LIVE;
    if (!d->found && !live)
        return call_fail(call, DP_NOT_FOUND, "there is no namespace \"%.*s\"", SPAN_FMT(d->name));
    if (!d->found)
        d->incarnation = m->incarnation;
    d->found = true;
    *needed = live && ulid_equal(&m->incarnation, &d->incarnation);
    if (*needed)
        manifest_end_life(m);
    return DP_OK;
}

static const struct manifest_edit deletion_edit = {apply_deletion, ignore_sent, shows_deletion, true};

enum dp_status lives_delete(struct call *call, struct store *store, struct span name,
                            const struct index_clock *clock)
{
    struct life_deletion d = {.name = name};
    return swap_life(call, store, name, &deletion_edit, &d, clock, NULL);
}

enum dp_status index_delete(struct call *call, struct store *store, struct span name)
{
    return lives_delete(call, store, name, NULL);
}

/* ---- altering ------------------------------------------------------------------------------------------ */

struct life_alteration {
    struct span name;
    const struct index_alteration *change;
};

static enum dp_status set_external(struct call *call, struct span name, struct manifest *m,
                                   const struct index_external *x)
{
    if (m->vectors.dim)
        return call_fail(call, DP_INVALID, "namespace \"%.*s\" has vectors already: choose a new name",
                         SPAN_FMT(name));
    m->external = *x;
    m->features |= MANIFEST_FEATURE_EXTERNAL | MANIFEST_FEATURE_LOG;
    return DP_OK;
}

static enum dp_status alter_manifest(struct call *call, void *context, struct manifest *m)
{
    const struct life_alteration *a = context;
    const struct index_alteration *change = a->change;
    enum dp_status status = change->vectors ? join_vectors(call, a->name, m, change->vectors) : DP_OK;
    if (status == DP_OK && change->external)
        status = set_external(call, a->name, m, change->external);
    if (status == DP_OK && change->edit_schema)
        status = change->edit_schema(change->context, &m->schema, &m->arena, &call->error);
    return status;
}

static enum dp_status apply_alteration(struct call *call, void *context, struct manifest *m, bool exists,
                                       bool *needed)
{
    const struct life_alteration *a = context;
    const struct index_alteration *change = a->change;
    bool read_only = m->read_only;
    (void)exists;
    *needed = false;
    if (!life_matches(&change->life, &m->incarnation))
        return call_fail(call, DP_CONFLICT, "namespace \"%.*s\" was deleted and made anew during the write",
                         SPAN_FMT(a->name));
    enum dp_status status = edit_and_compare(call, context, m, needed, alter_manifest);
    if (status == DP_OK && *needed && read_only)
        status = fail_read_only(call, a->name);
    if (status == DP_OK && change->sets_read_only && read_only != change->read_only) {
        m->read_only = change->read_only;
        *needed = true;
    }
    return status;
}

static const struct manifest_edit alteration_edit = {apply_alteration, ignore_sent, shows_no_change, false};

enum dp_status lives_alter(struct call *call, struct store *store, struct span name,
                           const struct index_alteration *change, const struct index_clock *clock)
{
    struct life_alteration a = {name, change};
    return swap_life(call, store, name, &alteration_edit, &a, clock, NULL);
}

enum dp_status index_alter(struct call *call, struct store *store, struct span name,
                           const struct index_alteration *change)
{
    return lives_alter(call, store, name, change, NULL);
}
