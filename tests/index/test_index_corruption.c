/* test_index_corruption.c: changes every byte of every object of a small namespace in turn, and cuts every object at
 * every length. A reader gives an error that names the object, or exactly the right answer.
 */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "faiss/ivf.h"

enum { ROWS = 14, NEW_ROWS = 5, SMALL_DIM = 4, OBJECTS_MAX = 16 };

struct object {
    char *key;
    uint8_t *bytes;
    size_t len;
};

struct small {
    struct object objects[OBJECTS_MAX];
    size_t count;
    struct buffer answer;       /* of the query, as bytes */
    struct buffer after_upsert; /* the answer after three more rows were loaded */
};

static void take_objects(struct world *w, struct small *s)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    assert_true(page.count <= OBJECTS_MAX);
    for (size_t i = 0; i < page.count; i++) {
        struct store_read_req req = {.key = page.entries[i].key, .len = STORE_TO_END};
        struct object *o = &s->objects[s->count++];
        assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
        o->key = strndup((const char *)req.key.data, req.key.len);
        o->len = req.bytes.span.len;
        o->bytes = malloc(o->len + 1);
        assert_true(o->key && o->bytes);
        memcpy(o->bytes, req.bytes.span.data, o->len);
        store_read_release(&req, 1);
    }
}

static void put(struct world *w, const char *key, struct span body)
{
    struct store_put p = {.key = span_str(key), .body = body};
    assert_int_equal(store_put(&w->call, w->store, &p), DP_OK);
}

/* The answer to a query for everything, as bytes. */
static enum dp_status answer_of(struct world *w, struct buffer *out)
{
    struct index_reader *reader;
    float query[SMALL_DIM];
    struct index_answer answer;
    buffer_clear(out);
    enum dp_status status = index_open(&w->call, w->store, span_str("small"), &reader);
    if (status)
        return status;
    fixture_query(w, 0, query);
    struct index_query q = {.vector = query, .dim = SMALL_DIM, .top_k = 100, .all_attributes = true};
    status = index_query(&w->call, reader, &q, &answer);
    for (size_t i = 0; status == DP_OK && i < answer.count; i++) {
        const struct index_hit *hit = &answer.hits[i];
        buffer_u64(out, hit->id.number);
        buffer_append(out, hit->id.text);
        buffer_f32(out, hit->dist);
        buffer_append(out, hit->attributes);
    }
    if (status == DP_OK) {
        struct span schema;
        struct index_stats stats;
        assert_int_equal(index_schema_json(&w->call, reader, &schema), DP_OK);
        assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
        buffer_append(out, schema);
        buffer_append(out, stats.vectors.model);
        buffer_u64(out, stats.rows);
    }
    index_close(reader);
    return status;
}

static void load_small(struct world *w, struct small *s)
{
    w->dim = SMALL_DIM;
    w->windows = true;
    fixture_must_load(w, "small", 0, ROWS, 0);
    fixture_must_load(w, "small", ROWS - 2, ROWS - 2 + NEW_ROWS, 1);
    buffer_init(&s->answer, 1 << 20);
    buffer_init(&s->after_upsert, 1 << 20);
    assert_int_equal(answer_of(w, &s->answer), DP_OK);
    take_objects(w, s);
    assert_int_equal(s->count, 6); /* manifest, two segments of two objects, one .del */
}

static void small_free(struct small *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->objects[i].key);
        free(s->objects[i].bytes);
    }
    buffer_deinit(&s->answer);
    buffer_deinit(&s->after_upsert);
}

static size_t errors, equals;

/* Checks that a reader of the changed object gives an error that says what is wrong, or the right answer. */
static void check_reading(struct world *w, const struct small *s, const struct object *o, const char *what,
                          size_t at)
{
    struct buffer got;
    buffer_init(&got, 1 << 20);
    enum dp_status status = answer_of(w, &got);
    if (status == DP_OK) {
        equals++;
        if (!span_equal(buffer_span(&got), buffer_span(&s->answer)))
            fail_msg("%s: %s at %zu gives a wrong answer", o->key, what, at);
    } else {
        errors++;
        if (status != DP_CORRUPT && status != DP_UNSUPPORTED)
            fail_msg("%s: %s at %zu gives %s: %s", o->key, what, at, dp_status_name(status),
                     w->call.error.message);
        if (!strstr(w->call.error.message, strrchr(o->key, '/') + 1))
            fail_msg("%s: %s at %zu is not named: %s", o->key, what, at, w->call.error.message);
    }
    buffer_deinit(&got);
}

/* Returns how many bytes at the beginning of the object no query reads: the head of the .ivf, which the hot part of
 * the .dpr has, too. */
static size_t unread_head(const struct object *o)
{
    struct faiss_ivf *ivf;
    struct dp_error error;
    if (!strstr(o->key, ".ivf"))
        return 0;
    assert_int_equal(faiss_ivf_parse_head(span_of(o->bytes, o->len), o->len, &ivf, &error), DP_OK);
    size_t head = (size_t)faiss_ivf_info(ivf).head_bytes;
    faiss_ivf_free(ivf);
    return head;
}

static void test_index_every_flipped_byte_is_found_or_harmless(void **state)
{
    struct world *w = *state;
    struct small s = {0};
    load_small(w, &s);
    for (size_t i = 0; i < s.count; i++) {
        struct object *o = &s.objects[i];
        const size_t head = unread_head(o);
        errors = equals = 0;
        for (size_t at = 0; at < o->len; at++) {
            static const uint8_t masks[] = {0x01, 0x20, 0xff};
            for (size_t m = 0; m < sizeof masks; m++) {
                world_reset(w);
                o->bytes[at] ^= masks[m];
                put(w, o->key, span_of(o->bytes, o->len));
                check_reading(w, &s, o, "a flipped byte", at);
                o->bytes[at] ^= masks[m];
            }
        }
        put(w, o->key, span_of(o->bytes, o->len));
        printf("%s: %zu bytes: %zu errors, %zu equal answers\n", strrchr(o->key, '.'), o->len, errors, equals);
        /* Queries read neither the head of the .ivf, nor that of the .dpr and its ids in their order. */
        assert_true(equals == 3 * head || strstr(o->key, ".dpr"));
    }
    small_free(&s);
}

static void test_index_every_truncation_is_found(void **state)
{
    struct world *w = *state;
    struct small s = {0};
    load_small(w, &s);
    for (size_t i = 0; i < s.count; i++) {
        struct object *o = &s.objects[i];
        errors = equals = 0;
        for (size_t len = 0; len < o->len; len++) {
            world_reset(w);
            put(w, o->key, span_of(o->bytes, len));
            check_reading(w, &s, o, "an end", len);
        }
        o->bytes[o->len] = '\n';
        put(w, o->key, span_of(o->bytes, o->len + 1));
        check_reading(w, &s, o, "a byte more", o->len);
        put(w, o->key, span_of(o->bytes, o->len));
        assert_int_equal(equals, 0);
    }
    small_free(&s);
}

/* A load reads the hot parts, the ids and the deleted rows of older segments: it must notice damage. */
static void test_index_a_load_over_damaged_segments_fails_or_is_right(void **state)
{
    struct world *w = *state;
    struct small s = {0};
    struct buffer got;
    buffer_init(&got, 1 << 20);
    load_small(w, &s);
    fixture_must_load(w, "small", 3, 6, 2);
    assert_int_equal(answer_of(w, &s.after_upsert), DP_OK);
    for (size_t i = 0; i < s.count; i++) {
        struct object *o = &s.objects[i];
        errors = equals = 0;
        for (size_t at = 0; at < o->len; at++) {
            struct index_load_summary summary;
            if (at % 64 == 0) { /* removes the garbage of the loads below */
                store_free(w->store);
                w->store = test_store_wrap(fixture_memory(w));
            }
            world_reset(w);
            for (size_t j = 0; j < s.count; j++)
                put(w, s.objects[j].key, span_of(s.objects[j].bytes, s.objects[j].len));
            o->bytes[at] ^= 0x04;
            put(w, o->key, span_of(o->bytes, o->len));
            enum dp_status status = fixture_load(w, "small", 3, 6, 2, &summary);
            o->bytes[at] ^= 0x04;
            put(w, o->key, span_of(o->bytes, o->len));
            if (status == DP_OK) { /* the load's rows must be right once the damage is undone */
                equals++;
                if (!strstr(o->key, "manifest.json")) {
                    assert_int_equal(answer_of(w, &got), DP_OK);
                    assert_true(span_equal(buffer_span(&got), buffer_span(&s.after_upsert)));
                }
            } else {
                errors++;
                assert_true(status == DP_CORRUPT || status == DP_UNSUPPORTED);
                assert_int_equal(answer_of(w, &got), DP_OK);
                assert_true(span_equal(buffer_span(&got), buffer_span(&s.answer)));
            }
        }
        printf("%s: %zu bytes: %zu loads refused, %zu right\n", strrchr(o->key, '.'), o->len, errors, equals);
        assert_true(equals == 0 || !strstr(o->key, "manifest.json"));
    }
    buffer_deinit(&got);
    small_free(&s);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_every_flipped_byte_is_found_or_harmless),
        IN_MEMORY(test_index_every_truncation_is_found),
        IN_MEMORY(test_index_a_load_over_damaged_segments_fails_or_is_right),
    };
    return test_run(tests);
}
