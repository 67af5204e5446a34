/* test_index_manifest.c: a manifest that is printed and parsed stays the same; one that does not fit together is
 * refused.
 */
#include "test_support.h"

#include <stdio.h>

#include "index/manifest/format.h"
#include "index/manifest/pins.h"
#include "index/wal/entry.h"

static void put_ulid(struct ulid *out, const char *text)
{
    assert_true(ulid_parse(span_str(text), out));
}

/* A manifest that has every field. */
static void fill(struct manifest *m)
{
    static struct manifest_segment segments[2], waiting[2];
    static struct manifest_pending pending[2];
    static struct manifest_writer writers[2];
    manifest_init(m);
    m->writers = writers;
    m->sequence = 7;
    put_ulid(&m->incarnation, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    put_ulid(&writers[0].id, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
    put_ulid(&writers[1].id, "01BX5ZZKBKACTAV9WEVGEMMVS0");
    writers[0].sequence = 5;
    writers[1].sequence = 7;
    m->writers_gone = 3;
    writers[0].at_ms = 1699999999000;
    writers[1].at_ms = 1700000000001;
    m->writer_count = 2;
    m->created_ms = 1700000000000;
    m->updated_ms = 1700000000001;
    m->vectors.dim = 10;
    m->vectors.metric = INDEX_COSINE;
    m->vectors.model = span_str("model \"M\" \xc3\xa9");
    m->vectors.fingerprint = span_str("abcdef");
    static struct attribute attributes[3];
    attributes[0] = (struct attribute){.number = 2, .type = ATTRIBUTE_STRING, .name = span_str("title")};
    attributes[1] = (struct attribute){.number = 5, .type = ATTRIBUTE_FLOATS, .name = span_str("a \"b\" \n")};
    attributes[2] = (struct attribute){.number = 6,
                                       .type = ATTRIBUTE_VECTOR,
                                       .dim = 384,
                                       .element = ELEMENT_F16,
                                       .name = span_str("picture"),
                                       .options = span_str("{\"ann\":true}"),
                                       .dropped = true};
    m->schema.count = 3;
    m->schema.attributes = attributes;
    m->schema.id_kind = ID_UUID;
    m->schema.vector_element = ELEMENT_I8;
    segments[0] = (struct manifest_segment){.rows = 3,
                                            .vectors = 4,
                                            .ivf_size = 572,
                                            .ivf_head = 500,
                                            .dpr_size = 1000,
                                            .hot_offset = 300,
                                            .hot_len = 700};
    put_ulid(&segments[0].id, "01BX5ZZKBKACTAV9WEVGEMMVA0");
    segments[1] = segments[0];
    put_ulid(&segments[1].id, "01BX5ZZKBKACTAV9WEVGEMMVA1");
    segments[1].has_deleted = true;
    segments[1].centroids = true;
    segments[1].full = true;
    segments[1].deleted_rows = 2;
    segments[1].deleted_size = 66;
    put_ulid(&segments[1].deletion, "01BX5ZZKBKACTAV9WEVGEMMVZZ");
    m->segments = segments;
    m->segment_count = 2;
    for (int i = 0; i < 2; i++) {
        waiting[i] = segments[0];
        pending[i] =
            (struct manifest_pending){.at_ms = 1699999999000, .segments = &waiting[i], .segment_count = 1};
        put_ulid(&waiting[i].id, i ? "01BX5ZZKBKACTAV9WEVGEMMVC1" : "01BX5ZZKBKACTAV9WEVGEMMVC0");
        put_ulid(&pending[i].load, i ? "01BX5ZZKBKACTAV9WEVGEMMVD1" : "01BX5ZZKBKACTAV9WEVGEMMVD0");
    }
    static struct manifest_pin pins[2];
    static struct manifest_owner owners[2];
    for (int i = 0; i < 2; i++) {
        pins[i] = (struct manifest_pin){.size = 128, .branch = span_str(i ? "branch-1" : "branch-0")};
        put_ulid(&pins[i].id, i ? "01BX5ZZKBKACTAV9WEVGEMMVP1" : "01BX5ZZKBKACTAV9WEVGEMMVP0");
        put_ulid(&pins[i].incarnation, "01BX5ZZKBKACTAV9WEVGEMMVQ0");
        put_ulid(&pins[i].branch_incarnation, "01BX5ZZKBKACTAV9WEVGEMMVR0");
        owners[i].name = span_str(i ? "source" : "source-of-source");
        put_ulid(&owners[i].incarnation, "01BX5ZZKBKACTAV9WEVGEMMVS0");
    }
    m->pins = pins;
    m->pin_count = 2;
    m->owners = owners;
    m->owner_count = 2;
    segments[1].owner = 2;
    segments[1].deleted_owner = 1;
    m->pending = pending;
    m->pending_count = 2;
    m->features = MANIFEST_FEATURE_LOG;
    m->wal_floor = 90;
    m->wal_gone = 80;
    m->wal_chain = UINT64_C(0x0123456789abcdef);
    m->read_only = true;
    for (int kind = 0; kind < CLAIM_KINDS; kind += 2) {
        m->claims[kind].until_ms = 1700000000000 + kind;
        put_ulid(&m->claims[kind].node, "01BX5ZZKBKACTAV9WEVGEMMVE0");
    }
}

static void test_index_manifest_comes_back(void **state)
{
    (void)state;
    struct manifest m, back;
    struct buffer first, second;
    struct dp_error error;
    buffer_init(&first, MANIFEST_BYTES_MAX);
    buffer_init(&second, MANIFEST_BYTES_MAX);
    fill(&m);
    assert_int_equal(manifest_write(&m, &first, &error), DP_OK);
    if (manifest_parse(buffer_span(&first), &back, &error) != DP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(back.sequence, 7);
    assert_int_equal(back.vectors.dim, 10);
    assert_true(span_equal(back.vectors.model, m.vectors.model));
    assert_int_equal(back.schema.count, 3);
    assert_int_equal(back.schema.id_kind, ID_UUID);
    assert_int_equal(back.schema.vector_element, ELEMENT_I8);
    assert_int_equal(back.schema.attributes[2].dim, 384);
    assert_int_equal(back.schema.attributes[2].element, ELEMENT_F16);
    assert_true(back.schema.attributes[2].dropped && back.schema.attributes[2].unfiltered);
    assert_false(back.schema.attributes[0].unfiltered);
    assert_int_equal(back.schema.attributes[1].number, 5);
    assert_true(span_equal(back.schema.attributes[1].name, m.schema.attributes[1].name));
    assert_int_equal(back.segment_count, 2);
    assert_false(back.segments[0].has_deleted);
    assert_int_equal(back.segments[1].deleted_rows, 2);
    assert_int_equal(manifest_rows(&back), 4);
    assert_int_equal(manifest_bytes(&back), 572 * 4 + 1000 * 4 + 66);
    assert_int_equal(back.writers[0].at_ms, 1699999999000);
    assert_int_equal(back.state, NAMESPACE_LIVE);
    assert_int_equal(back.features, MANIFEST_FEATURE_LOG);
    assert_int_equal(back.wal_floor, 90);
    assert_int_equal(back.wal_gone, 80);
    assert_int_equal(back.wal_chain, UINT64_C(0x0123456789abcdef));
    assert_true(back.read_only);
    assert_int_equal(back.claims[CLAIM_FOLD].until_ms, 1700000000000);
    assert_int_equal(back.claims[CLAIM_MERGE].until_ms, 0);
    assert_int_equal(back.claims[CLAIM_COLLECT].until_ms, 1700000000002);
    assert_int_equal(back.pin_count, 2);
    assert_true(span_equal_str(back.pins[1].branch, "branch-1"));
    assert_true(ulid_equal(&back.pins[1].branch_incarnation, &m.pins[1].branch_incarnation));
    assert_int_equal(back.pins[1].size, 128);
    assert_int_equal(back.segments[0].owner, 0);
    struct object_home home = manifest_home(&back, span_str("rows"), back.segments[0].owner);
    assert_true(span_equal_str(home.name, "rows") && ulid_equal(home.incarnation, &m.incarnation));
    home = manifest_home(&back, span_str("rows"), back.segments[1].owner);
    assert_true(span_equal_str(home.name, "source") && ulid_equal(home.incarnation, &m.owners[1].incarnation));
    home = manifest_home(&back, span_str("rows"), back.segments[1].deleted_owner);
    assert_true(span_equal_str(home.name, "source-of-source"));
    assert_int_equal(back.pending_count, 2);
    assert_true(ulid_equal(&back.pending[1].load, &m.pending[1].load));
    assert_true(ulid_equal(&back.pending[1].segments[0].id, &m.pending[1].segments[0].id));
    assert_int_equal(back.writers[0].sequence, 5);
    assert_int_equal(back.writers_gone, 3);
    assert_ptr_equal(manifest_find_writer(&back, &m.writers[0].id), &back.writers[0]);
    assert_null(manifest_find_writer(&back, &m.incarnation));
    assert_int_equal(manifest_write(&back, &second, &error), DP_OK);
    assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
    manifest_deinit(&back);
    manifest_deinit(&m);
    buffer_deinit(&first);
    buffer_deinit(&second);
}

/* Replaces `from` by `to`, makes the checksum fit, and expects the refusal. */
static void expect_refusal(const char *from, const char *to, enum dp_status wanted, const char *words)
{
    struct manifest m, back;
    struct buffer written, changed;
    struct dp_error error = {0};
    buffer_init(&written, MANIFEST_BYTES_MAX);
    buffer_init(&changed, MANIFEST_BYTES_MAX);
    fill(&m);
    assert_int_equal(manifest_write(&m, &written, &error), DP_OK);
    buffer_u8(&written, 0);
    written.data[written.len - 1 - MANIFEST_TAIL_LEN] = 0;
    const char *text = (const char *)written.data, *at = strstr(text, from);
    assert_non_null(at);
    buffer_append(&changed, span_of(text, (size_t)(at - text)));
    buffer_append_str(&changed, to);
    buffer_append_str(&changed, at + strlen(from));
    manifest_put_checksum(&changed, 0);
    enum dp_status status = manifest_parse(buffer_span(&changed), &back, &error);
    if (status != wanted || !strstr(error.message, words))
        fail_msg("%s → %s: %s: %s", from, to, dp_status_name(status), error.message);
    manifest_deinit(&m);
    buffer_deinit(&written);
    buffer_deinit(&changed);
}

static void test_index_manifest_of_newer_versions_is_refused(void **state)
{
    (void)state;
    expect_refusal("\"version\": 2", "\"version\": 3", DP_UNSUPPORTED, "version 3; this build reads 1 to 2");
    expect_refusal("\"version\": 2", "\"version\": 0", DP_UNSUPPORTED, "version 0");
    expect_refusal("\"features\": [\"log\"]", "\"features\": [\"log\", \"wal\"]", DP_UNSUPPORTED, "\"wal\"");
    expect_refusal("\"num_shards\": 1", "\"num_shards\": 2", DP_UNSUPPORTED, "2 shards");
    expect_refusal("\"wal_floor\": 90", "\"wal_floor\": 90, \"shiny\": 1", DP_UNSUPPORTED, "\"shiny\"");
    expect_refusal("[]float", "[]geo", DP_UNSUPPORTED, "[]geo");
    expect_refusal("cosine_distance", "hamming", DP_UNSUPPORTED, "hamming");
    expect_refusal("\"element\": \"i8\"", "\"element\": \"i4\"", DP_UNSUPPORTED, "\"i4\"");
    expect_refusal("\"id_type\": \"uuid\"", "\"id_type\": \"float\"", DP_UNSUPPORTED, "\"float\"");
    expect_refusal("{\"ann\":true}", "{\"hnsw\":true}", DP_UNSUPPORTED, "no option \"hnsw\"");
    expect_refusal("{\"ann\":true}", "7", DP_UNSUPPORTED, "expected an object");
    expect_refusal("\"state\": \"live\"", "\"state\": \"asleep\"", DP_UNSUPPORTED, "\"asleep\"");
    expect_refusal("\"kind\": \"fold\"", "\"kind\": \"paint\"", DP_UNSUPPORTED, "\"paint\"");
    expect_refusal("\"size\": 128", "\"size\": 128, \"colour\": 3", DP_UNSUPPORTED, "\"colour\"");
}

/* The fields about the log: numbers, claims and pending loads. */
static void test_index_manifest_whose_log_does_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refusal("\"wal_gone\": 80", "\"wal_gone\": 91", DP_CORRUPT, "wal_gone 91 is more than wal_floor 90");
    expect_refusal("\"wal_floor\": 90,\n  \"wal_gone\": 80", "\"wal_floor\": 0,\n  \"wal_gone\": 0", DP_CORRUPT,
                   "wal_chain");
    expect_refusal("\"0123456789abcdef\"", "\"0123456789abcdeF\"", DP_CORRUPT, "hexadecimal");
    expect_refusal("\"0123456789abcdef\"", "\"0123456789abcdef0\"", DP_CORRUPT, "hexadecimal");
    expect_refusal("\"0123456789abcdef\"", "\"\"", DP_CORRUPT, "hexadecimal");
    expect_refusal("\"kind\": \"gc\"", "\"kind\": \"fold\"", DP_CORRUPT, "two claims to fold");
    expect_refusal("\"until_ms\": 1700000000002", "\"until_ms\": 0", DP_CORRUPT, "without an end");
    expect_refusal("[\"log\"]", "[\"log\", \"log\"]", DP_CORRUPT, "twice");
    expect_refusal("VC1", "VC0", DP_CORRUPT, "pending in load 01BX5ZZKBKACTAV9WEVGEMMVD1, and listed elsewhere");
    expect_refusal("VC1", "VA1", DP_CORRUPT, "listed elsewhere");
    expect_refusal("VD1", "VD0", DP_CORRUPT, "pending twice");
    expect_refusal("\"state\": \"live\"", "\"state\": \"deleted\"", DP_CORRUPT, "is deleted, but has");
    expect_refusal("\"read_only\": true", "\"read_only\": 1", DP_CORRUPT, "expected");
    expect_refusal("\"load\": \"01BX5ZZKBKACTAV9WEVGEMMVD0\", ", "", DP_CORRUPT, "\"load\" is missing");
}

static void test_index_manifest_whose_branches_do_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refusal("VP1", "VP0", DP_CORRUPT, "pin 01BX5ZZKBKACTAV9WEVGEMMVP0 is not in order");
    expect_refusal("VP1", "VPI", DP_CORRUPT, "ULID");
    expect_refusal("\"branch-0\"", "\".branch\"", DP_CORRUPT, "not the name of a namespace");
    expect_refusal("\"branch\": \"branch-0\", ", "", DP_CORRUPT, "\"branch\" is missing");
    expect_refusal("\"source\"", "\"source-of-source\"", DP_CORRUPT, "owner \"source-of-source\" is there twice");
    expect_refusal("\"source\"", "\"a/b\"", DP_CORRUPT, "not the name of a namespace");
    expect_refusal("\"owner\": 2", "\"owner\": 3", DP_CORRUPT, "owner");
    expect_refusal("\"owner\": 2", "\"owner\": 0", DP_CORRUPT, "outside 1..64");
    expect_refusal("\"owner\": 1}", "\"owner\": 65}", DP_CORRUPT, "outside 1..64");
    expect_refusal("\"owner\": 1}", "\"owner\": 18446744073709551615}", DP_CORRUPT, "outside 1..64");
}

/* A manifest without owners has no field "owners", as manifests had none before there were branches. */
static void test_index_manifest_without_owners_does_not_tell_them(void **state)
{
    (void)state;
    struct manifest m, back;
    struct buffer text;
    struct dp_error error = {0};
    buffer_init(&text, MANIFEST_BYTES_MAX);
    fill(&m);
    m.owner_count = m.pin_count = 0;
    m.segments[1].owner = m.segments[1].deleted_owner = 0;
    assert_int_equal(manifest_write(&m, &text, &error), DP_OK);
    assert_null(memmem(text.data, text.len, "owner", 5));
    assert_int_equal(manifest_parse(buffer_span(&text), &back, &error), DP_OK);
    assert_int_equal(back.owner_count + back.pin_count, 0);
    manifest_deinit(&back);
    manifest_deinit(&m);
    buffer_deinit(&text);
}

/* ---- .pin objects ------------------------------------------------------------------------------------------ */

static void test_index_pins_come_back(void **state)
{
    (void)state;
    struct pinned_object objects[4], *back;
    struct manifest m;
    struct buffer text;
    struct arena arena;
    struct dp_error error = {0};
    size_t count;
    fill(&m);
    arena_init(&arena, 1 << 20);
    buffer_init(&text, PIN_LEN_MAX);
    put_ulid(&objects[0].segment, "01BX5ZZKBKACTAV9WEVGEMMVA1");
    put_ulid(&objects[0].born, "01BX5ZZKBKACTAV9WEVGEMMVZZ");
    objects[1] = objects[0];
    put_ulid(&objects[2].segment, "01BX5ZZKBKACTAV9WEVGEMMVA0");
    objects[2].born = objects[2].segment;
    objects[3] = (struct pinned_object){objects[0].segment, objects[0].segment};
    assert_int_equal(pin_sort(objects, 4), 3);
    pin_write(&m.pins[0], objects, 3, &text);
    assert_int_equal(text.len, PIN_FIXED_LEN + 3 * PIN_OBJECT_LEN);
    assert_int_equal(pin_parse(buffer_span(&text), &m.pins[0], &arena, &back, &count, &error), DP_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(ulid_equal(&back[i].segment, &objects[i].segment) &&
                    ulid_equal(&back[i].born, &objects[i].born));
    assert_int_equal(pin_parse(buffer_span(&text), &m.pins[1], &arena, &back, &count, &error), DP_CORRUPT);
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(pin_parse(span_of(text.data, len), &m.pins[0], &arena, &back, &count, &error),
                         DP_CORRUPT);
    for (size_t at = 0; at < text.len; at++) {
        text.data[at] ^= 1;
        assert_int_equal(pin_parse(buffer_span(&text), &m.pins[0], &arena, &back, &count, &error), DP_CORRUPT);
        text.data[at] ^= 1;
    }
    struct pinned_list list = {m.pins[0].id, m.pins[0].incarnation, objects, 3};
    const struct pin_set set = {&list, 1};
    struct parsed_name name = {.kind = OBJECT_DEL,
                               .incarnation = m.pins[0].incarnation,
                               .segment = objects[2].segment,
                               .born = objects[2].born};
    assert_true(pin_set_has(&set, &name));
    name.incarnation = m.incarnation;
    assert_false(pin_set_has(&set, &name));
    name = (struct parsed_name){.kind = OBJECT_PIN, .incarnation = m.pins[0].incarnation, .born = m.pins[0].id};
    assert_false(pin_set_has(&set, &name));
    name.name = span_str("rows");
    assert_true(manifest_lists(&m, span_str("rows"), &name));
    manifest_deinit(&m);
    buffer_deinit(&text);
    arena_deinit(&arena);
}

static enum dp_status count_object(void *context, const struct manifest_object *object)
{
    (void)object;
    ++*(size_t *)context;
    return DP_OK;
}

/* A collector keeps what pending loads have. */
static void test_index_manifest_enumerates_pending_loads(void **state)
{
    (void)state;
    struct manifest m;
    size_t objects = 0;
    fill(&m);
    assert_int_equal(manifest_for_each_object(&m, count_object, &objects), DP_OK);
    assert_int_equal(objects, 2 + 3 + 2 * 2);
    manifest_deinit(&m);
}

/* A tombstone and the next life keep what a name has for ever, and forget the rest. */
static void test_index_manifest_goes_through_lives(void **state)
{
    (void)state;
    struct manifest m, back;
    struct buffer text;
    struct dp_error error = {0};
    struct ulid life;
    fill(&m);
    put_ulid(&m.horizon, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
    put_ulid(&life, "01CX5ZZKBKACTAV9WEVGEMMVRZ");
    buffer_init(&text, MANIFEST_BYTES_MAX);
    manifest_end_life(&m);
    assert_int_equal(manifest_write(&m, &text, &error), DP_OK);
    const size_t told = (size_t)((const uint8_t *)memmem(text.data, text.len, "deleted\"", 8) + 8 - text.data);
    assert_true(told < MANIFEST_STATE_WITHIN);
    for (size_t cut = 0; cut <= MANIFEST_STATE_WITHIN; cut++) /* no length misleads */
        assert_int_equal(manifest_peek_state(span_of(text.data, cut)) == NAMESPACE_DELETED, cut >= told);
    assert_int_equal(manifest_parse(buffer_span(&text), &back, &error), DP_OK);
    assert_int_equal(back.state, NAMESPACE_DELETED);
    assert_int_equal(manifest_check_live(&back, span_str("rows"), &error), DP_NOT_FOUND);
    assert_int_equal(back.sequence, 7);
    assert_true(ulid_equal(&back.horizon, &m.horizon));
    assert_true(ulid_equal(&back.incarnation, &m.incarnation));
    assert_int_equal(back.writer_count, 2);
    assert_int_equal(back.pin_count, 2); /* what a branch needs stays */
    assert_int_equal(back.owner_count, 0);
    manifest_begin_life(&back, &life);
    assert_int_equal(manifest_check(&back, &error), DP_CORRUPT);
    assert_non_null(strstr(error.message, "dim is 0, and the namespace has no log"));
    back.features = MANIFEST_FEATURE_LOG; /* so it may lack a vector */
    assert_int_equal(manifest_check(&back, &error), DP_OK);
    assert_int_equal(back.state, NAMESPACE_LIVE);
    assert_int_equal(back.sequence, 7);
    assert_true(ulid_equal(&back.horizon, &m.horizon));
    assert_true(ulid_equal(&back.incarnation, &life));
    assert_int_equal(back.wal_floor, 0);
    assert_int_equal(back.wal_chain, wal_chain_start(&life));
    assert_false(back.read_only);
    assert_int_equal(back.pin_count, 2);
    assert_int_equal(back.claims[CLAIM_FOLD].until_ms, 0);
    assert_int_equal(back.created_ms, 0);
    manifest_deinit(&back);
    manifest_deinit(&m);
    buffer_deinit(&text);
}

static void test_index_manifest_whose_numbers_do_not_fit_is_refused(void **state)
{
    (void)state;
    expect_refusal("\"rows\": 3", "\"rows\": 0", DP_CORRUPT, "rows");
    expect_refusal("\"vectors\": 4", "\"vectors\": 0", DP_CORRUPT, "ivf"); /* without vectors there is no .ivf */
    expect_refusal("\"rows\": 3", "\"rows\": 4000001", DP_CORRUPT, "rows");
    expect_refusal("\"vectors\": 4", "\"vectors\": 5", DP_CORRUPT, "ivf");
    expect_refusal("\"vectors\": 4", "\"vectors\": 18446744073709551615", DP_CORRUPT, "vectors");
    expect_refusal("\"head\": 500", "\"head\": 501", DP_CORRUPT, "ivf");
    expect_refusal("\"size\": 572", "\"size\": 18446744073709551615", DP_CORRUPT, "ivf");
    expect_refusal("\"hot_offset\": 300", "\"hot_offset\": 299", DP_CORRUPT, "dpr");
    expect_refusal("\"hot_offset\": 300, \"hot_length\": 700", "\"hot_offset\": 207, \"hot_length\": 793",
                   DP_CORRUPT, "dpr");
    expect_refusal("\"size\": 1000", "\"size\": 281474976710657", DP_CORRUPT, "dpr");
    expect_refusal("\"rows\": 2, \"size\": 66", "\"rows\": 3, \"size\": 66", DP_CORRUPT, "deleted");
    expect_refusal("\"rows\": 2, \"size\": 66", "\"rows\": 2, \"size\": 65", DP_CORRUPT, "deleted");
    expect_refusal("\"rows\": 2, \"size\": 66", "\"rows\": 0, \"size\": 66", DP_CORRUPT, "deleted");
    expect_refusal("VA1", "VA0", DP_CORRUPT, "order");
    expect_refusal("VA1", "VAI", DP_CORRUPT, "ULID");
    expect_refusal("\"dim\": 10", "\"dim\": 0", DP_CORRUPT, "ivf");
    expect_refusal("\"dim\": 10", "\"dim\": 16385", DP_CORRUPT, "dim");
    expect_refusal("\"dim\": 10", "\"dim\": -1", DP_CORRUPT, "byte");
    expect_refusal("\"number\": 5", "\"number\": 2", DP_CORRUPT, "number 2");
    expect_refusal("\"name\": \"title\"", "\"name\": \"id\"", DP_CORRUPT, "name");
    expect_refusal("\"updated_ms\": 1700000000001", "\"updated_ms\": 1", DP_CORRUPT, "times");
    expect_refusal("\"at_ms\": 1699999999000", "\"at_ms\": 1700000000002", DP_CORRUPT, "writers' times");
    expect_refusal("\"at_ms\": 1700000000001", "\"at_ms\": 1699999998999", DP_CORRUPT, "writers' times");
    expect_refusal("\"at_ms\": 1700000000001", "\"at_ms\": -1", DP_CORRUPT, "byte");
    expect_refusal(", \"at_ms\": 1700000000001", "", DP_CORRUPT, "\"at_ms\" is missing");
    expect_refusal("\"at_ms\": 1700000000001", "\"at_ms\": 1, \"at_ms\": 1", DP_CORRUPT, "twice");
    expect_refusal("\"at_ms\": 1700000000001", "\"at_ms\": 18446744073709551615", DP_CORRUPT, "out of range");
    expect_refusal("\"sequence\": 7,\n", "\"sequence\": 0,\n", DP_CORRUPT, "sequence");
    expect_refusal("\"sequence\": 5", "\"sequence\": 3", DP_CORRUPT, "writers' sequences");
    expect_refusal("\"sequence\": 5", "\"sequence\": 7", DP_CORRUPT, "writers' sequences");
    expect_refusal("\"sequence\": 5", "\"sequence\": 8", DP_CORRUPT, "writers' sequences");
    expect_refusal("\"sequence\": 5", "\"sequence\": 0", DP_CORRUPT, "sequence is 0");
    expect_refusal("\"writers_gone\": 3", "\"writers_gone\": 5", DP_CORRUPT, "writers' sequences");
    expect_refusal("\"sequence\": 5, ", "", DP_CORRUPT, "writers' sequences");
    expect_refusal("\"sequence\": 7,", "", DP_CORRUPT, "\"sequence\" is missing");
    expect_refusal("\"sequence\": 7,", "\"sequence\": 7, \"sequence\": 7,", DP_CORRUPT, "twice");
    expect_refusal("\"sequence\": 7", "\"sequence\": \"7\"", DP_CORRUPT, "expected");
    expect_refusal("\"format\": \"dipper-namespace\"", "\"format\": \"other\"", DP_CORRUPT, "format");
    expect_refusal("\"model\": ", "\"model\": 3, \"x\": ", DP_CORRUPT, "string");
}

static void test_index_manifest_too_large_is_refused(void **state)
{
    (void)state;
    struct manifest m;
    struct buffer out;
    struct dp_error error;
    enum { MANY = 2000 };
    static struct manifest_segment many[MANY];
    buffer_init(&out, (size_t)4 * MANIFEST_BYTES_MAX);
    fill(&m);
    for (size_t i = 0; i < MANY; i++)
        many[i] = m.segments[1];
    m.segments = many;
    m.segment_count = MANY;
    assert_int_equal(manifest_write(&m, &out, &error), DP_TOO_LARGE);
    assert_non_null(strstr(error.message, "too many segments"));
    buffer_clear(&out);
    buffer_append_zeros(&out, MANIFEST_BYTES_MAX + 1);
    struct manifest back;
    assert_int_equal(manifest_parse(buffer_span(&out), &back, &error), DP_CORRUPT);
    m.segment_count = 0;
    manifest_deinit(&m);
    buffer_deinit(&out);
}

/* Version 1 listed the writers of the latest swaps, without times and sequences: the times count as that of the latest
 * swap. */
static void test_index_manifest_of_version_1_opens(void **state)
{
    (void)state;
    struct manifest m;
    struct buffer text;
    struct dp_error error = {0};
    static const char old[] =
        "{\n  \"format\": \"dipper-namespace\",\n  \"version\": 1,\n  \"features\": [],\n  \"sequence\": 9,\n"
        "  \"incarnation\": \"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\n"
        "  \"writers\": [\"01BX5ZZKBKACTAV9WEVGEMMVRZ\", \"01BX5ZZKBKACTAV9WEVGEMMVS0\"],\n"
        "  \"created_ms\": 5,\n  \"updated_ms\": 7,\n  \"wal_floor\": 0,\n"
        "  \"horizon\": \"00000000000000000000000000\",\n  \"num_shards\": 1,\n"
        "  \"vector\": {\"attribute\": 1, \"dim\": 4, \"metric\": \"cosine_distance\", \"model\": \"\", "
        "\"fingerprint\": \"\"},\n  \"schema\": [],\n  \"segments\": []";
    buffer_init(&text, MANIFEST_BYTES_MAX);
    buffer_append_str(&text, old);
    manifest_put_checksum(&text, 0);
    if (manifest_parse(buffer_span(&text), &m, &error) != DP_OK)
        fail_msg("%s", error.message);
    assert_int_equal(m.writer_count, 2);
    assert_int_equal(m.writers[0].at_ms, 7);
    assert_int_equal(m.writers[0].sequence, 8);
    assert_int_equal(m.writers[1].sequence, 9);
    assert_int_equal(m.writers_gone, 7);
    assert_int_equal(m.state, NAMESPACE_LIVE); /* from here on: fields that the text lacks */
    assert_int_equal(m.features, 0);
    assert_int_equal(m.wal_gone, 0);
    assert_int_equal(m.wal_chain, wal_chain_start(&m.incarnation));
    assert_int_equal(m.pending_count, 0);
    buffer_clear(&text);
    assert_int_equal(manifest_write(&m, &text, &error), DP_OK); /* it is written in the present version */
    manifest_deinit(&m);
    assert_int_equal(manifest_parse(buffer_span(&text), &m, &error), DP_OK);
    manifest_deinit(&m);
    buffer_deinit(&text);
}

/* The n-th of many ULIDs. */
static struct ulid numbered(unsigned n)
{
    struct ulid u;
    char text[ULID_LEN + 1];
    snprintf(text, sizeof text, "01ARZ3NDEKTSV4RRFFQ69%05u", n % 100000);
    put_ulid(&u, text);
    return u;
}

/* Adds writers [from, to), step_ms apart. */
static void add_writers(struct manifest *m, unsigned from, unsigned to, int64_t step_ms)
{
    static struct manifest_writer kept[MANIFEST_WRITERS_MAX];
    for (unsigned n = from; n < to; n++) {
        struct ulid u = numbered(n);
        struct dp_error error;
        m->sequence++;
        m->updated_ms += step_ms;
        assert_int_equal(manifest_add_writer(m, &u, &error), DP_OK);
        memcpy(kept, m->writers, m->writer_count * sizeof *kept); /* so that the arena's maximum does not matter */
        m->writers = kept;
        arena_reset(&m->arena);
    }
}

static bool remembers(const struct manifest *m, unsigned n)
{
    struct ulid u = numbered(n);
    const struct manifest_writer *writer = manifest_find_writer(m, &u);
    if (writer)
        assert_int_equal(writer->sequence, n + 1);
    return writer != NULL;
}

static void test_index_manifest_remembers_its_writers_for_ten_minutes(void **state)
{
    (void)state;
    struct manifest m;
    manifest_init(&m);
    add_writers(&m, 0, 150, 3000); /* one swap in three seconds: all are younger than ten minutes */
    assert_int_equal(m.writer_count, 150);
    assert_true(manifest_covers(&m, 0));
    add_writers(&m, 150, 400, 3000);
    assert_int_equal(m.writer_count, 200);
    assert_true(remembers(&m, 200));
    assert_false(remembers(&m, 199));
    assert_true(manifest_covers(&m, 200)); /* swaps 201 to 400 */
    assert_false(manifest_covers(&m, 199));
    add_writers(&m, 400, 800, 0);
    add_writers(&m, 800, 2000, 0); /* more than a manifest may have */
    assert_int_equal(m.writer_count, MANIFEST_WRITERS_MAX);
    assert_true(remembers(&m, 2000 - MANIFEST_WRITERS_MAX));
    add_writers(&m, 2000, 2040, INT64_C(86400000)); /* one swap a day: the latest few stay */
    assert_int_equal(m.writer_count, MANIFEST_WRITERS_MIN);
    assert_true(remembers(&m, 2040 - MANIFEST_WRITERS_MIN));
    manifest_deinit(&m);
}

/* A writer has one place, that of its latest swap, however often it swaps. Nothing is forgotten by that. */
static void test_index_manifest_gives_a_writer_one_place(void **state)
{
    (void)state;
    struct manifest m;
    manifest_init(&m);
    add_writers(&m, 0, 5, 1000);
    for (int i = 0; i < 2000; i++) {
        struct ulid u = numbered((unsigned)i % 2);
        struct dp_error error;
        m.sequence++;
        m.updated_ms += 50;
        assert_int_equal(manifest_add_writer(&m, &u, &error), DP_OK);
    }
    assert_int_equal(m.writer_count, 5);
    assert_int_equal(m.writers[0].sequence, 3);
    assert_int_equal(m.writers[3].sequence, 2004);
    assert_int_equal(m.writers[4].sequence, 2005);
    assert_true(manifest_covers(&m, 0));
    manifest_deinit(&m);
}

/* With as many writers as a manifest may have, several hundred segments still fit. */
static void test_index_manifest_has_room_beside_its_writers(void **state)
{
    (void)state;
    struct manifest m;
    struct buffer text;
    struct dp_error error;
    fill(&m);
    m.writer_count = 0;
    add_writers(&m, 0, 2 * MANIFEST_WRITERS_MAX, 0);
    buffer_init(&text, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(&m, &text, &error), DP_OK);
    printf("%zu bytes with %d writers\n", text.len, MANIFEST_WRITERS_MAX);
    assert_true(text.len < MANIFEST_BYTES_MAX / 5);
    manifest_deinit(&m);
    buffer_deinit(&text);
}

static void test_index_ulids_come_after_what_they_must(void **state)
{
    (void)state;
    struct ulid after, made;
    struct dp_error error;
    static const char *const far[][2] = {
        {"7ZZZZZZZZ0ZZZZZZZZZZZZZZZZ", "7ZZZZZZZZ1"},
        {"70000000ZZ0000000000000000", "7000000100"},
        {"6ZZZZZZZZZ0000000000000000", "7000000000"},
    };
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        put_ulid(&after, far[i][0]);
        assert_int_equal(ulid_new(NULL, &after, 0, &made, &error), DP_OK);
        assert_memory_equal(made.text, far[i][1], 10);
        put_ulid(&after, made.text); /* fails the test unless this is a ULID */
    }
    put_ulid(&after, "7ZZZZZZZZZ0000000000000000");
    assert_int_equal(ulid_new(NULL, &after, 0, &made, &error), DP_CONFLICT);
    put_ulid(&after, "00000000000000000000000000");
    assert_int_equal(ulid_new(NULL, &after, 0, &made, &error), DP_OK);
    assert_true(memcmp(made.text, "01", 2) >= 0); /* now */
    put_ulid(&after, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
    assert_int_equal(ulid_ms(&after), INT64_C(1508808576371));
}

static int64_t going_back_ms;

static int64_t time_goes_back(void *ctx)
{
    (void)ctx;
    return going_back_ms--;
}

/* The ULIDs of a process rise, although its clock goes back. A horizon in the future does not move the process's
 * later ULIDs into the future. */
static void test_index_ulids_of_a_process_rise(void **state)
{
    (void)state;
    struct index_process process = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct index_clock clock = index_system_clock;
    struct ulid before, made, zero, future;
    struct dp_error error;
    clock.wall_ms = time_goes_back;
    clock.process = &process;
    going_back_ms = 1700000000000;
    put_ulid(&zero, "00000000000000000000000000");
    put_ulid(&future, "0ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    assert_int_equal(ulid_new(&clock, &zero, 0, &before, &error), DP_OK);
    assert_int_equal(ulid_ms(&before), 1700000000000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ulid_new(&clock, &zero, 0, &made, &error), DP_OK);
        assert_true(memcmp(made.text, before.text, ULID_LEN) > 0);
        before = made;
        assert_int_equal(ulid_new(&clock, &future, 0, &made, &error), DP_OK);
        assert_int_equal(ulid_ms(&made), ulid_ms(&future) + 1);
    }
    assert_int_equal(ulid_ms(&before), INT64_C(1700000000000) + 199);
    assert_int_equal(ulid_new(&clock, &zero, INT64_C(1800000000000), &made, &error), DP_OK); /* the store's time */
    assert_int_equal(ulid_ms(&made), INT64_C(1800000000000));
}

static int64_t at_nine_seconds(void *ctx)
{
    (void)ctx;
    return INT64_C(9000000000);
}

/* A manifest in memory tells the store's time, however long ago it came. */
static void test_index_manifest_tells_the_time_of_the_store(void **state)
{
    (void)state;
    struct manifest m;
    struct index_clock clock = index_system_clock;
    clock.now_ns = at_nine_seconds;
    clock.wall_ms = time_goes_back;
    going_back_ms = 1;
    manifest_init(&m);
    assert_int_equal(manifest_store_ms(&m, &clock), 1); /* the host's, for want of another */
    m.date_ms = 1700000000000;
    assert_int_equal(manifest_store_ms(&m, &clock), 1700000000000);
    m.came_ns = INT64_C(2000000000);
    assert_int_equal(manifest_store_ms(&m, &clock), 1700000007000);
    manifest_deinit(&m);
}

/* The manifest of a namespace whose vectors are in a FAISS file. */
static const struct index_external their_file = {.size = 12345, .vectors = 600, .dim = 16, .metric = INDEX_COSINE};

static void attach(struct manifest *m)
{
    m->vectors = (struct index_vectors){.dim = 0};
    m->segment_count = m->pending_count = 0; /* theirs have vectors */
    m->features = MANIFEST_FEATURE_LOG | MANIFEST_FEATURE_EXTERNAL;
    m->external = their_file;
    m->external.url = span_str("s3://their/vectors.index");
    m->external.version = span_str("\"etag\"");
}

static enum dp_status write_and_parse(const struct manifest *m, struct manifest *back, struct dp_error *error)
{
    struct buffer text;
    buffer_init(&text, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(m, &text, error), DP_OK);
    enum dp_status status = manifest_parse(buffer_span(&text), back, error);
    buffer_deinit(&text);
    return status;
}

static void test_index_manifest_names_the_file_that_has_the_vectors(void **state)
{
    struct manifest m, back;
    struct dp_error error = {0};
    (void)state;
    fill(&m);
    attach(&m);
    assert_int_equal(write_and_parse(&m, &back, &error), DP_OK);
    assert_true(span_equal_str(back.external.url, "s3://their/vectors.index"));
    assert_true(span_equal_str(back.external.version, "\"etag\""));
    assert_int_equal(back.external.size, their_file.size);
    assert_int_equal(back.external.vectors, their_file.vectors);
    assert_int_equal(back.external.dim, their_file.dim);
    assert_int_equal(back.external.metric, their_file.metric);
    manifest_end_life(&back);
    assert_int_equal(back.external.url.len, 0);
    manifest_deinit(&back);

    m.vectors.dim = 16; /* two places for vectors */
    assert_int_equal(write_and_parse(&m, &back, &error), DP_CORRUPT);
    attach(&m);
    m.external.dim = 0;
    assert_int_equal(write_and_parse(&m, &back, &error), DP_CORRUPT);
    attach(&m);
    m.features = MANIFEST_FEATURE_LOG; /* an older program would not notice the file */
    assert_int_equal(write_and_parse(&m, &back, &error), DP_CORRUPT);
    manifest_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_manifest_names_the_file_that_has_the_vectors),
        cmocka_unit_test(test_index_manifest_comes_back),
        cmocka_unit_test(test_index_manifest_of_newer_versions_is_refused),
        cmocka_unit_test(test_index_manifest_whose_numbers_do_not_fit_is_refused),
        cmocka_unit_test(test_index_manifest_whose_log_does_not_fit_is_refused),
        cmocka_unit_test(test_index_manifest_whose_branches_do_not_fit_is_refused),
        cmocka_unit_test(test_index_manifest_without_owners_does_not_tell_them),
        cmocka_unit_test(test_index_pins_come_back),
        cmocka_unit_test(test_index_manifest_enumerates_pending_loads),
        cmocka_unit_test(test_index_manifest_goes_through_lives),
        cmocka_unit_test(test_index_manifest_too_large_is_refused),
        cmocka_unit_test(test_index_manifest_of_version_1_opens),
        cmocka_unit_test(test_index_manifest_remembers_its_writers_for_ten_minutes),
        cmocka_unit_test(test_index_manifest_gives_a_writer_one_place),
        cmocka_unit_test(test_index_manifest_has_room_beside_its_writers),
        cmocka_unit_test(test_index_ulids_come_after_what_they_must),
        cmocka_unit_test(test_index_ulids_of_a_process_rise),
        cmocka_unit_test(test_index_manifest_tells_the_time_of_the_store),
    };
    return test_run(tests);
}
