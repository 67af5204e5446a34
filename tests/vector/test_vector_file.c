/* test_vector_file.c: reads .npy, .fvecs and .bvecs, and says what is wrong with other files. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "test_support.h"
#include "vector/vector_file.h"

static struct buffer made;

static struct span npy(const char *header, const void *numbers, size_t len)
{
    buffer_clear(&made);
    buffer_append(&made, span_of("\x93NUMPY\x01\x00", 8));
    buffer_u16(&made, (uint16_t)strlen(header));
    buffer_append_str(&made, header);
    buffer_append(&made, span_of(numbers, len));
    return buffer_span(&made);
}

static void refuse(struct span bytes, const char *says)
{
    struct vector_file file;
    struct dp_error error = {0};
    assert_int_equal(vector_file_parse(bytes, "q.npy", &file, &error), DP_INVALID);
    assert_null(file.values);
    assert_non_null(strstr(error.message, "q.npy: "));
    if (!strstr(error.message, says))
        fail_msg("%s", error.message);
}

static void test_vector_file_npy(void **state)
{
    (void)state;
    static const float floats[] = {1, 2, 3, 4, 5, 6};
    static const double doubles[] = {0.5, -2};
    struct vector_file file;
    struct span bytes =
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", floats, sizeof floats);
    assert_int_equal(vector_file_parse(bytes, "q", &file, NULL), DP_OK);
    assert_int_equal(file.count, 2);
    assert_int_equal(file.dim, 3);
    assert_memory_equal(file.values, floats, sizeof floats);
    vector_file_deinit(&file);
    bytes = npy("{'shape': (2,), 'fortran_order': False, 'descr': '<f8'}\n", doubles, sizeof doubles);
    assert_int_equal(vector_file_parse(bytes, "q", &file, NULL), DP_OK);
    assert_int_equal(file.count, 1);
    assert_int_equal(file.dim, 2);
    assert_true(file.values[0] == 0.5f && file.values[1] == -2.0f);
    vector_file_deinit(&file);
    bytes = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }\n", floats, 0);
    assert_int_equal(vector_file_parse(bytes, "q", &file, NULL), DP_OK);
    assert_int_equal(file.count, 0);
    vector_file_deinit(&file);
}

static void test_vector_file_fvecs(void **state)
{
    (void)state;
    struct vector_file file;
    buffer_clear(&made);
    for (int i = 0; i < 3; i++) {
        buffer_u32(&made, 2);
        buffer_f32(&made, (float)i);
        buffer_f32(&made, 0.5f);
    }
    assert_int_equal(vector_file_parse(buffer_span(&made), "q", &file, NULL), DP_OK);
    assert_int_equal(file.count, 3);
    assert_int_equal(file.dim, 2);
    assert_true(file.values[4] == 2.0f && file.values[5] == 0.5f);
    vector_file_deinit(&file);
    refuse(span_of(made.data, made.len - 1), "not whole");
    made.data[12] = 3;
    refuse(buffer_span(&made), "vector 1 has 3 dimensions, the first 2");
}

/* Every type in either byte order, in C's and in Fortran's order, gives three vectors: (1, 2), (3, 0), (-5, 6), or 5
 * where there is no sign. */
static void test_vector_file_npy_types(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        unsigned char one[8], two[8], three[8], five[8], six[8];
        size_t size;
        bool negative;
    } types[] = {
        {"<f2", {0, 0x3c}, {0, 0x40}, {0, 0x42}, {0, 0xc5}, {0, 0x46}, 2, true},
        {">f4", {0x3f, 0x80}, {0x40, 0}, {0x40, 0x40}, {0xc0, 0xa0}, {0x40, 0xc0}, 4, true},
        {">f8", {0x3f, 0xf0}, {0x40, 0}, {0x40, 0x08}, {0xc0, 0x14}, {0x40, 0x18}, 8, true},
        {"|i1", {1}, {2}, {3}, {0xfb}, {6}, 1, true},
        {"<i2", {1}, {2}, {3}, {0xfb, 0xff}, {6}, 2, true},
        {">i4", {0, 0, 0, 1}, {0, 0, 0, 2}, {0, 0, 0, 3}, {0xff, 0xff, 0xff, 0xfb}, {0, 0, 0, 6}, 4, true},
        {"<i8", {1}, {2}, {3}, {0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {6}, 8, true},
        {"|u1", {1}, {2}, {3}, {5}, {6}, 1, false},
        {">u2", {0, 1}, {0, 2}, {0, 3}, {0, 5}, {0, 6}, 2, false},
        {"<u4", {1}, {2}, {3}, {5}, {6}, 4, false},
        {"<u8", {1}, {2}, {3}, {5}, {6}, 8, false},
    };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int fortran = 0; fortran < 2; fortran++) {
            static const unsigned char zero[8];
            const unsigned char *rows[] = {types[t].one, types[t].two,  types[t].three,
                                           zero,         types[t].five, types[t].six};
            static const int orders[2][6] = {{0, 1, 2, 3, 4, 5}, {0, 2, 4, 1, 3, 5}};
            unsigned char numbers[48];
            char header[128];
            for (size_t i = 0; i < 6; i++)
                memcpy(numbers + i * types[t].size, rows[orders[fortran][i]], types[t].size);
            snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': (3, 2), }",
                     types[t].descr, fortran ? "True" : "False");
            struct vector_file file;
            const float want[] = {1, 2, 3, 0, types[t].negative ? -5.0f : 5.0f, 6};
            if (vector_file_parse(npy(header, numbers, 6 * types[t].size), "q", &file, NULL) != DP_OK)
                fail_msg("%s", header);
            assert_true(file.count == 3 && file.dim == 2);
            assert_memory_equal(file.values, want, sizeof want);
            vector_file_deinit(&file);
        }
    struct vector_file file;
    assert_int_equal(
        vector_file_parse(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2L, 2L), }", "\1\0\0\1", 4), "q",
                          &file, NULL),
        DP_OK);
    assert_true(file.values[0] == 1.0f && file.values[1] == 0.0f && file.values[3] == 1.0f);
    vector_file_deinit(&file);
}

static void test_vector_file_bvecs(void **state)
{
    (void)state;
    struct vector_file file;
    buffer_clear(&made);
    for (uint8_t i = 0; i < 3; i++) {
        buffer_u32(&made, 2);
        buffer_u8(&made, i);
        buffer_u8(&made, 255);
    }
    assert_int_equal(vector_file_parse(buffer_span(&made), "q", &file, NULL), DP_OK);
    assert_true(file.count == 3 && file.dim == 2 && file.values[4] == 2.0f && file.values[5] == 255.0f);
    vector_file_deinit(&file);
    /* One vector of .fvecs has as many bytes as vectors of .bvecs may have: their dimensions decide. */
    buffer_clear(&made);
    buffer_u32(&made, 2);
    buffer_f32(&made, 0.5f);
    buffer_f32(&made, 1.5f);
    assert_int_equal(vector_file_parse(buffer_span(&made), "q", &file, NULL), DP_OK);
    assert_true(file.count == 1 && file.values[1] == 1.5f);
    vector_file_deinit(&file);
    refuse(span_of(NULL, 0), "it is empty");
}

static void test_vector_ids_of_every_whole_type(void **state)
{
    (void)state;
    int64_t *ids;
    size_t count;
    struct dp_error error;
    assert_int_equal(vector_ids_parse(npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}",
                                          "\3\0\0\0\xff\xff\xff\xff", 8),
                                      "i", &ids, &count, NULL),
                     DP_OK);
    assert_true(count == 2 && ids[0] == 3 && ids[1] == -1);
    mem_free(ids);
    assert_int_equal(
        vector_ids_parse(npy("{'descr': '>u2', 'fortran_order': True, 'shape': (2, 1)}", "\1\2\xff\xff", 4), "i",
                         &ids, &count, NULL),
        DP_OK);
    assert_true(count == 2 && ids[0] == 258 && ids[1] == 65535);
    mem_free(ids);
    static const uint64_t large = UINT64_MAX - 1;
    assert_int_equal(vector_ids_parse(npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", &large, 8),
                                      "i", &ids, &count, &error),
                     DP_INVALID);
    assert_non_null(strstr(error.message, "id 0 is 18446744073709551614"));
    assert_int_equal(vector_ids_parse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", &large, 8),
                                      "i", &ids, &count, &error),
                     DP_INVALID);
    assert_non_null(strstr(error.message, "ids.astype('<i8')"));
}

static void test_vector_file_refusals(void **state)
{
    (void)state;
    static const float floats[] = {1, 2, 3, 4};
    refuse(npy("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 1)}", floats, 16), "'<c8', complex numbers");
    refuse(npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 1)}", floats, 16), "numpy.stack");
    refuse(npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1, 1)}", floats, 16), "dipper embed");
    refuse(npy("{'descr': '|V2', 'fortran_order': False, 'shape': (2, 2)}", floats, 16), "astype('<f4')");
    refuse(npy("{'descr': '<f16', 'fortran_order': False, 'shape': (1, 1)}", floats, 16),
           "'<f16', a type that is not read");
    refuse(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (4,)}", floats, 16), "records");
    refuse(npy("{'fortran_order': False, 'shape': (4,)}", floats, 16), "its numbers are");
    refuse(npy("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 2)}", floats, 16), "fortran_order");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", floats, 16),
           "2 vectors of 3 dimensions");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", floats, 16), "the 16 bytes");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1)}", floats, 16), "reshape(len(x), -1)");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 4)}", floats, 16),
           "reshape(len(x), -1)");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", floats, 4), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0)}", floats, 0), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': False}", floats, 16), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (999999999999999999, 1048576)}", floats, 16),
           "do not fill");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1048577)}", floats, 0),
           "1 to 1048576 are read");
    refuse(span_of("\x93NUMPY\x01\x00\xff\xff{", 11), "cut short");
    refuse(span_str("PK\x03\x04 an archive"), "numpy.load(FILE)[\"NAME\"]");
    refuse(span_str("0.5,0.25\n0.125,1\n"), "numpy.loadtxt");
    refuse(span_str("PAR1 and so on"), "read_parquet");
    refuse(span_str("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "git lfs pull");
    refuse(span_str("IwFl\x10"), "a FAISS index");
    buffer_deinit(&made);
}

static int set_up(void **state)
{
    (void)state;
    buffer_init(&made, 4096);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_vector_file_npy, set_up),
        cmocka_unit_test(test_vector_file_npy_types),
        cmocka_unit_test(test_vector_file_fvecs),
        cmocka_unit_test(test_vector_file_bvecs),
        cmocka_unit_test(test_vector_ids_of_every_whole_type),
        cmocka_unit_test(test_vector_file_refusals),
    };
    return test_run(tests);
}
