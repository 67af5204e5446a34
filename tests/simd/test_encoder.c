/* test_encoder.c: the encoder's kernels: every instruction set gives the bits of the scalar one, at odd sizes
 * too; and the scalar one is near the exact answer.
 *
 * A set that this machine lacks is not tested here: its name is printed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_support.h"

#include "base/alloc.h"
#include "simd/encoder.h"
#include "simd/simd.h"

enum { ROWS_MAX = 31, WIDTH_MAX = 200 };

static uint64_t seed;

static float random_float(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(seed >> 32) / 1e9f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
}

static float *floats(size_t n)
{
    float *x = mem_aligned_alloc(64, n * sizeof *x);
    assert_non_null(x);
    fill(x, n);
    return x;
}

/* Calls `check` with every set but the scalar one that this machine has. */
static void with_each_set(void (*check)(const struct encoder_kernels *kernels))
{
    for (int isa = SIMD_SCALAR + 1; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        seed = 42;
        if (ops != NULL)
            check(ops->encoder);
        else
            print_message("instruction set %d is not on this machine\n", isa);
    }
}

static const struct encoder_kernels *const scalar = &encoder_kernels_scalar;

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* A weight of random size, or the largest that the packer allows; `lane` and `pair` are what is left of its
 * bounds. */
static int next_weight(bool large, int *lane, int *pair)
{
    random_float();
    int most = smaller(127, smaller(*lane, *pair)), size = (int)(seed >> 40 & 0x7f);
    size = large ? most : smaller(size, most);
    *lane -= size;
    *pair -= size;
    return size;
}

/* Fills q with packed weights, and `sum` with the sum of each channel. Channels 0 and 1 of each panel hold the
 * largest weights of one sign, channel 2 the largest weights of changing sign. */
static void fill_weights(size_t n, size_t k, int8_t *q, float *sum)
{
    for (size_t c = 0; c < n; c++) {
        int8_t *panel = q + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * k;
        size_t channel = c % ENCODER_BLOCK_N;
        int lane[2] = {0, 0}, pair = 0;
        sum[c] = 0;
        for (size_t i = 0; i < k; i++) {
            if (i % INT8_CHUNK == 0)
                lane[0] = lane[1] = INT8_LANE_MOST;
            if (i % 2 == 0)
                pair = INT8_PAIR_MOST;
            int w = next_weight(channel < 3, &lane[i / 2 % 2], &pair);
            if (channel == 1 || (channel == 2 && i % 3 != 0) || (channel > 2 && (seed & 1 << 20) != 0))
                w = -w;
            panel[(i / ENCODER_BLOCK_K * ENCODER_BLOCK_N + channel) * ENCODER_BLOCK_K + i % ENCODER_BLOCK_K] =
                (int8_t)w;
            sum[c] += (float)w;
        }
    }
}

static void check_linear_int8(const struct encoder_kernels *kernels)
{
    static const size_t depths[] = {4, 8, 12, 60, 128, 388, 780}, panels[] = {1, 2, 3};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (size_t p = 0; p < sizeof panels / sizeof *panels; p++)
            for (size_t rows = 1; rows <= ROWS_MAX; rows += rows < 14 ? 1 : 17) {
                size_t k = depths[d], n = panels[p] * ENCODER_BLOCK_N;
                float *arrays = floats(3 * n + 2 * rows), *out = floats(rows * n), *want = floats(rows * n);
                int8_t *w = mem_aligned_alloc(64, n * k);
                uint8_t *q = mem_aligned_alloc(64, rows * k);
                fill_weights(n, k, w, arrays + n);
                for (size_t i = 0; i < rows * k; i++)
                    q[i] = (uint8_t)((uint8_t)(int)(random_float() * 1e4f) % (INT8_LEVELS + 1));
                /* The extreme activations bring sums of 16 bits closest to overflow. */
                memset(q, INT8_LEVELS, k);
                memset(q + (rows - 1) * k, rows > 1 ? 0 : INT8_LEVELS, k);
                struct int8_linear layer = {n, k, w, arrays, arrays + n, arrays + 2 * n};
                struct u8_rows x = {k, q, arrays + 3 * n, arrays + 3 * n + rows};
                for (int act = ENCODER_LINEAR; act <= ENCODER_GELU; act++) {
                    memcpy(out, want, rows * n * sizeof *out);
                    size_t first = panels[p] - 1; /* the kernels must not write the panels before `first` */
                    scalar->linear_int8(&x, rows, &layer, first, panels[p], (enum encoder_activation)act, want, n);
                    kernels->linear_int8(&x, rows, &layer, first, panels[p], (enum encoder_activation)act, out, n);
                    assert_memory_equal(out, want, rows * n * sizeof *out);
                }
                mem_free(arrays);
                mem_free(out);
                mem_free(want);
                mem_free(w);
                mem_free(q);
            }
}

static void test_simd_linear_int8_equals_scalar(void **state)
{
    (void)state;
    with_each_set(check_linear_int8);
}

static void check_linear_fp32(const struct encoder_kernels *kernels)
{
    static const size_t depths[] = {1, 3, 64, 131};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (size_t rows = 1; rows <= ROWS_MAX; rows += rows < 14 ? 1 : 17) {
            size_t k = depths[d], n = 2 * ENCODER_BLOCK_N, stride = k + 5;
            float *w = floats(n * k + n), *x = floats(rows * stride), *out = floats(rows * n),
                  *want = floats(rows * n);
            struct fp32_linear layer = {n, k, w, w + n * k};
            for (int act = ENCODER_LINEAR; act <= ENCODER_GELU; act++) {
                scalar->linear_fp32(x, stride, rows, &layer, 0, 2, (enum encoder_activation)act, want, n);
                kernels->linear_fp32(x, stride, rows, &layer, 0, 2, (enum encoder_activation)act, out, n);
                assert_memory_equal(out, want, rows * n * sizeof *out);
            }
            mem_free(w);
            mem_free(x);
            mem_free(out);
            mem_free(want);
        }
}

static void test_simd_linear_fp32_equals_scalar(void **state)
{
    (void)state;
    with_each_set(check_linear_fp32);
}

static void check_rows(const struct encoder_kernels *kernels)
{
    float *x = floats(WIDTH_MAX * 8), *y = floats(WIDTH_MAX), *gamma = floats(WIDTH_MAX),
          *beta = floats(WIDTH_MAX);
    float *a = floats(WIDTH_MAX), *b = floats(WIDTH_MAX);
    for (size_t dim = 1; dim <= WIDTH_MAX; dim++) {
        /* Both kernels write exactly `dim` elements, so the bytes after these stay equal too. */
        uint8_t q[2][WIDTH_MAX] = {{0}};
        fill(x, WIDTH_MAX * 8);
        struct float_range want = scalar->range(x, dim), range = kernels->range(x, dim);
        assert_memory_equal(&range, &want, sizeof range);
        float want_scale = scalar->quantize(x, dim, range, q[0]), scale = kernels->quantize(x, dim, range, q[1]);
        assert_memory_equal(q[0], q[1], sizeof q[0]);
        assert_memory_equal(&scale, &want_scale, sizeof scale);

        fill(a, WIDTH_MAX);
        memcpy(b, a, WIDTH_MAX * sizeof *a);
        const float *unscale[] = {NULL, x + WIDTH_MAX, NULL}, *added[] = {y, y, NULL};
        for (int i = 0; i < 3; i++) {
            scalar->add_layer_norm(x, unscale[i], added[i], gamma, beta, 1e-5f, dim, a);
            kernels->add_layer_norm(x, unscale[i], added[i], gamma, beta, 1e-5f, dim, b);
            assert_memory_equal(a, b, WIDTH_MAX * sizeof *a);
        }

        int8_t codes[WIDTH_MAX];
        for (size_t i = 0; i < WIDTH_MAX; i++)
            codes[i] = (int8_t)(random_float() * 59);
        scalar->add_int8_row(codes, 0.37f, y, dim, a);
        kernels->add_int8_row(codes, 0.37f, y, dim, b);
        assert_memory_equal(a, b, WIDTH_MAX * sizeof *a);

        scalar->mean_rows(x, WIDTH_MAX, 1 + dim % 8, dim, a);
        kernels->mean_rows(x, WIDTH_MAX, 1 + dim % 8, dim, b);
        assert_memory_equal(a, b, WIDTH_MAX * sizeof *a);
        scalar->normalize(a, dim);
        kernels->normalize(b, dim);
        assert_memory_equal(a, b, WIDTH_MAX * sizeof *a);
    }
    mem_free(x);
    mem_free(y);
    mem_free(gamma);
    mem_free(beta);
    mem_free(a);
    mem_free(b);
}

static void test_simd_row_kernels_equal_scalar(void **state)
{
    (void)state;
    with_each_set(check_rows);
}

/* Computes one head of `dim` channels by two kernels, with other data between rows. The data after a row of output
 * must not change. */
static void check_head(void (*right)(const struct attention_head *), void (*kernel)(const struct attention_head *),
                       const float *qkv, size_t tokens, size_t dim)
{
    size_t stride = 3 * dim + 7, size = tokens * (dim + 3) * sizeof(float);
    float *scratch = floats(attention_scratch(tokens, dim));
    float *want = floats(tokens * (dim + 3)), *out = floats(tokens * (dim + 3));
    struct attention_head head = {
        tokens, dim, 1.0f / sqrtf((float)dim), qkv, qkv + dim, qkv + 2 * dim, stride, want, dim + 3, scratch};
    memcpy(out, want, size);
    right(&head);
    head.out = out;
    kernel(&head);
    assert_memory_equal(out, want, size);
    mem_free(scratch);
    mem_free(want);
    mem_free(out);
}

static void check_attention(const struct encoder_kernels *kernels)
{
    static const size_t dims[] = {1, 8, 16, 20, 32, 33, 52, 64};
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t tokens = 1; tokens <= 140; tokens += tokens < 36 ? 1 : 29) {
            float *qkv = floats(tokens * (3 * dims[d] + 7));
            check_head(scalar->attention, kernels->attention, qkv, tokens, dims[d]);
            check_head(scalar->attention_int16, kernels->attention_int16, qkv, tokens, dims[d]);
            mem_free(qkv);
        }
}

static void test_simd_attention_equals_scalar(void **state)
{
    (void)state;
    with_each_set(check_attention);
}

/* Infinities and NaN, among other floats and everywhere, give equal bits on all sets. */
static void check_special_heads(const struct encoder_kernels *kernels)
{
    enum { TOKENS = 21, DIM = 20, STRIDE = 3 * DIM + 7 };
    static const float specials[] = {NAN, INFINITY, -INFINITY, 3e38f, -1e-39f, 0.0f, -0.0f, 1e30f};
    for (size_t s = 0; s < sizeof specials / sizeof *specials; s++)
        for (size_t part = 0; part < 4; part++) {
            float *qkv = floats((size_t)TOKENS * STRIDE);
            for (size_t i = part; i < (size_t)TOKENS * STRIDE; i++)
                if (part == 3 || (i % STRIDE / DIM == part && i % 5 == 0))
                    qkv[i] = specials[s];
            check_head(scalar->attention_int16, kernels->attention_int16, qkv, TOKENS, DIM);
            mem_free(qkv);
        }
}

static void test_simd_attention_takes_any_float(void **state)
{
    (void)state;
    with_each_set(check_special_heads);
}

/* Attention in integers is within a thousandth of the greatest value of attention in fp32. */
static void test_simd_integer_attention_is_near_fp32(void **state)
{
    (void)state;
    static const size_t dims[] = {8, 32, 64, 128}, lengths[] = {1, 7, 64, 300};
    double worst = 0;
    seed = 3;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t t = 0; t < sizeof lengths / sizeof *lengths; t++) {
            size_t dim = dims[d], tokens = lengths[t], n = tokens * dim;
            float *qkv = floats(3 * n), *scratch = floats(attention_scratch(tokens, dim)), *want = floats(n),
                  *out = floats(n);
            struct attention_head head = {
                tokens, dim, 1.0f / sqrtf((float)dim), qkv, qkv + n, qkv + 2 * n, dim, want, dim, scratch};
            scalar->attention(&head);
            head.out = out;
            scalar->attention_int16(&head);
            for (size_t i = 0; i < n; i++) {
                double error = fabs((double)out[i] - (double)want[i]) / 2.147;
                if (error > worst)
                    worst = error;
            }
            mem_free(qkv);
            mem_free(scratch);
            mem_free(want);
            mem_free(out);
        }
    print_message("attention in integers: worst error %.2g of the greatest value\n", worst);
    assert_true(worst <= 1e-3);
}

static void check_special_rows(const struct encoder_kernels *kernels)
{
    float rows[][20] = {{0.0f, -0.0f, 0.0f}, {-0.0f},         {NAN, 1.0f, -3.0f}, {INFINITY, 1.0f},
                        {-INFINITY, NAN},    {3e38f, -3e38f}, {1e-38f, -1e-39f}};
    rows[1][19] = -0.0f;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t q[2][20];
        struct float_range want = scalar->range(rows[i], 20), range = kernels->range(rows[i], 20);
        assert_memory_equal(&range, &want, sizeof range);
        float want_scale = scalar->quantize(rows[i], 20, range, q[0]);
        float scale = kernels->quantize(rows[i], 20, range, q[1]);
        assert_memory_equal(q[0], q[1], sizeof q[0]);
        assert_memory_equal(&scale, &want_scale, sizeof scale);
    }
}

static void test_simd_quantize_takes_any_float(void **state)
{
    (void)state;
    with_each_set(check_special_rows);
}

/* GELU through a layer that passes its input on: out = gelu(bias). */
static void test_simd_gelu_is_within_1e_6(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    float w[COUNT] = {0}, x = 0.0f, bias[COUNT], out[COUNT];
    double worst = 0;
    for (int base = -900; base < 900; base++) {
        for (int i = 0; i < COUNT; i++)
            bias[i] = (float)base / 100.0f + (float)i / 6400.0f;
        struct fp32_linear layer = {COUNT, 1, w, bias};
        scalar->linear_fp32(&x, 1, 1, &layer, 0, 1, ENCODER_GELU, out, COUNT);
        for (int i = 0; i < COUNT; i++) {
            double exact = 0.5 * (double)bias[i] * (1.0 + erf((double)bias[i] / sqrt(2.0)));
            worst = fmax(worst, fabs((double)out[i] - exact));
        }
    }
    print_message("gelu: worst error %.2g\n", worst);
    assert_true(worst <= 1e-6);
}

/* Attention over two tokens is a sigmoid of the difference of their scores, so it tests exp alone. */
static void test_simd_softmax_is_within_1e_6(void **state)
{
    (void)state;
    float scratch[1024];
    double worst = 0;
    for (int i = 0; i <= 20000; i++) {
        float difference = (float)i / 1000.0f, q[2] = {1, 1}, k[2] = {0, -difference}, v[2] = {0, 1}, out[2];
        scalar->attention(&(struct attention_head){2, 1, 1.0f, q, k, v, 1, out, 1, scratch});
        worst = fmax(worst, fabs((double)out[0] - 1.0 / (1.0 + exp((double)difference))));
    }
    print_message("softmax: worst error %.2g\n", worst);
    assert_true(worst <= 1e-6);
}

static void test_simd_quantize_is_within_half_a_step(void **state)
{
    (void)state;
    float x[100];
    uint8_t q[100];
    seed = 7;
    for (int round = 0; round < 100; round++) {
        fill(x, 100);
        struct float_range range = scalar->range(x, 100);
        float scale = scalar->quantize(x, 100, range, q);
        for (int i = 0; i < 100; i++)
            assert_true(fabsf(range.least + scale * (float)q[i] - x[i]) <= 0.501f * scale);
    }
}

static void test_simd_check_refuses_unknown_and_missing_sets(void **state)
{
    (void)state;
    struct dp_error error;
    setenv("DIPPER_SIMD", "mmx", 1);
    assert_int_equal(simd_check(&error), DP_INVALID);
    assert_non_null(strstr(error.message, "mmx"));
    setenv("DIPPER_SIMD", "scalar", 1);
    assert_int_equal(simd_check(&error), DP_OK);
    assert_string_equal(simd_ops()->name, "scalar");
    unsetenv("DIPPER_SIMD");
    assert_int_equal(simd_check(&error), DP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simd_linear_int8_equals_scalar),
        cmocka_unit_test(test_simd_linear_fp32_equals_scalar),
        cmocka_unit_test(test_simd_row_kernels_equal_scalar),
        cmocka_unit_test(test_simd_attention_equals_scalar),
        cmocka_unit_test(test_simd_attention_takes_any_float),
        cmocka_unit_test(test_simd_integer_attention_is_near_fp32),
        cmocka_unit_test(test_simd_quantize_takes_any_float),
        cmocka_unit_test(test_simd_gelu_is_within_1e_6),
        cmocka_unit_test(test_simd_softmax_is_within_1e_6),
        cmocka_unit_test(test_simd_quantize_is_within_half_a_step),
        cmocka_unit_test(test_simd_check_refuses_unknown_and_missing_sets),
    };
    return test_run(tests);
}
