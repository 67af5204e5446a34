/* test_vector_file.c: .npy and .fvecs, and what is wrong with those that are not. */
#include <string.h>

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
    if (strstr(error.message, says) == NULL)
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
    refuse(span_of(made.data, made.len - 1), "not whole vectors");
    made.data[12] = 3;
    refuse(buffer_span(&made), "vector 1 has 3 dimensions, the first 2");
}

static void test_vector_file_refusals(void **state)
{
    (void)state;
    static const float floats[] = {1, 2, 3, 4};
    refuse(span_of(NULL, 0), "neither .npy nor .fvecs");
    refuse(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2)}", floats, 16), "'>f4'");
    refuse(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", floats, 16), "ascontiguousarray");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", floats, 16),
           "2 vectors of 3 dimensions");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", floats, 16), "the 16 bytes");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1)}", floats, 16), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0)}", floats, 0), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': False}", floats, 16), "its shape");
    refuse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999, 999999999999999999)}",
               floats, 16),
           "do not take");
    refuse(span_of("\x93NUMPY\x01\x00\xff\xff{", 11), "cut short");
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
        cmocka_unit_test(test_vector_file_fvecs),
        cmocka_unit_test(test_vector_file_refusals),
    };
    return test_run(tests);
}
