/* test_peak.c: the kernels that measure the machine count their operations right, and read every byte. */
#include <stdlib.h>

#include "test_support.h"

#include "base/alloc.h"
#include "simd/peak.h"
#include "simd/simd.h"

enum { LEN = 512 * 7 };

static void test_simd_peak_counts_its_operations(void **state)
{
    (void)state;
    for (int isa = SIMD_SCALAR; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *set = simd_ops_for((enum simd_isa)isa);
        if (set == NULL)
            continue;
        assert_int_equal(set->peak->int8(0), 0);
        assert_true(set->peak->int8(1) > 0 && set->peak->fp32(1) > 0);
        assert_int_equal(set->peak->int8(5), 5 * set->peak->int8(1));
        assert_int_equal(set->peak->fp32(5), 5 * set->peak->fp32(1));
    }
}

static void test_simd_peak_reads_every_byte(void **state)
{
    (void)state;
    uint8_t *bytes = mem_aligned_alloc(64, LEN);
    assert_non_null(bytes);
    for (size_t i = 0; i < LEN; i++)
        bytes[i] = (uint8_t)(i * i + 7 * i);
    for (int isa = SIMD_SCALAR; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *set = simd_ops_for((enum simd_isa)isa);
        if (set == NULL)
            continue;
        uint64_t before = set->peak->read(bytes, LEN);
        assert_int_equal(before, peak_kernels_scalar.read(bytes, LEN));
        for (size_t i = 0; i < LEN; i++) {
            bytes[i] ^= 0x10;
            assert_int_not_equal(set->peak->read(bytes, LEN), before);
            bytes[i] ^= 0x10;
        }
        assert_int_equal(set->peak->read(bytes, 0), 0);
    }
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simd_peak_counts_its_operations),
        cmocka_unit_test(test_simd_peak_reads_every_byte),
    };
    return test_run(tests);
}
