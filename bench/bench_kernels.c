/* bench_kernels.c: measures each kernel of the encoder alone, with its data in cache, for each instruction set.
 *
 *     bench_kernels [SET…]
 *
 * The shapes are those of all-MiniLM-L6-v2: six layers of 384 channels, 12 heads of 32, 1,536 in the
 * feed-forward. Prints microseconds per token in all six layers, and operations per second. A figure is the minimum of many
 * short runs, because other programs can only make a run longer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "simd/encoder.h"
#include "simd/simd.h"

enum { LAYERS = 6, HIDDEN = 384, HEADS = 12, WIDE = 1536, BLOCK = 48, TOKENS_MAX = 256, ROUNDS = 25 };

/* All data that kernels read and write: one layer, used repeatedly. */
static struct {
    struct int8_linear int8[4];
    struct fp32_linear fp32[4];
    struct u8_rows x[2]; /* quantised rows of HIDDEN and of WIDE channels */
    float *qkv, *wide, *hidden, *scratch, *ones;
} data;

static const size_t layer_n[4] = {3 * HIDDEN, HIDDEN, WIDE, HIDDEN}, layer_k[4] = {HIDDEN, HIDDEN, HIDDEN, WIDE};

static void *bench_allocate(size_t bytes)
{
    void *p = mem_aligned_alloc(64, bytes);
    if (p == NULL)
        exit(1);
    memset(p, 0, bytes);
    return p;
}

/* The upper bits of a linear congruential generator (Knuth's MMIX). */
static uint32_t next_random(void)
{
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float *random_floats(size_t n)
{
    float *x = bench_allocate(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((int)(next_random() % 2000) - 1000) / 1000.0f;
    return x;
}

static void *random_bytes(size_t n)
{
    uint8_t *x = bench_allocate(n);
    for (size_t i = 0; i < n; i++)
        x[i] = (uint8_t)next_random();
    return x;
}

static void make_data(void)
{
    for (size_t i = 0; i < 4; i++) {
        size_t n = layer_n[i], k = layer_k[i];
        data.int8[i] =
            (struct int8_linear){n, k, random_bytes(n * k), random_floats(n), random_floats(n), random_floats(n)};
        data.fp32[i] = (struct fp32_linear){n, k, random_floats(n * k), random_floats(n)};
    }
    data.x[0] =
        (struct u8_rows){HIDDEN, random_bytes((size_t)BLOCK * HIDDEN), random_floats(BLOCK), random_floats(BLOCK)};
    data.x[1] =
        (struct u8_rows){WIDE, random_bytes((size_t)BLOCK * WIDE), random_floats(BLOCK), random_floats(BLOCK)};
    data.qkv = random_floats((size_t)TOKENS_MAX * 3 * HIDDEN);
    data.wide = random_floats((size_t)TOKENS_MAX * WIDE);
    data.hidden = random_floats((size_t)TOKENS_MAX * HIDDEN);
    data.scratch = random_floats(attention_scratch(TOKENS_MAX, HIDDEN / HEADS));
    data.ones = random_floats(WIDE);
}

/* ---- the parts of one layer ---- */

static size_t block_of(size_t tokens, size_t r)
{
    return tokens - r < BLOCK ? tokens - r : BLOCK;
}

static void run_int8(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < tokens; r += BLOCK)
            k->linear_int8(&data.x[i == 3], block_of(tokens, r), &data.int8[i], 0, layer_n[i] / ENCODER_BLOCK_N,
                           ENCODER_LINEAR, data.wide, WIDE);
}

static void run_fp32(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < tokens; r += BLOCK)
            k->linear_fp32(i == 3 ? data.qkv : data.hidden, layer_k[i], block_of(tokens, r), &data.fp32[i], 0,
                           layer_n[i] / ENCODER_BLOCK_N, ENCODER_LINEAR, data.wide, WIDE);
}

static void run_ffn_in(const struct encoder_kernels *k, size_t tokens, enum encoder_activation act)
{
    for (size_t r = 0; r < tokens; r += BLOCK)
        k->linear_int8(&data.x[0], block_of(tokens, r), &data.int8[2], 0, WIDE / ENCODER_BLOCK_N, act, data.wide,
                       WIDE);
}

static void run_ffn_linear(const struct encoder_kernels *k, size_t tokens)
{
    run_ffn_in(k, tokens, ENCODER_LINEAR);
}

static void run_ffn_gelu(const struct encoder_kernels *k, size_t tokens)
{
    run_ffn_in(k, tokens, ENCODER_GELU);
}

static struct attention_head head_of(size_t h, size_t tokens)
{
    return (struct attention_head){tokens,
                                   HIDDEN / HEADS,
                                   0.1767767f,
                                   data.qkv + h * 32,
                                   data.qkv + HIDDEN + h * 32,
                                   data.qkv + 2 * HIDDEN + h * 32,
                                   3 * HIDDEN,
                                   data.hidden + h * 32,
                                   HIDDEN,
                                   data.scratch};
}

static void run_attention(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t h = 0; h < HEADS; h++) {
        struct attention_head head = head_of(h, tokens);
        k->attention(&head);
    }
}

static void run_attention_int16(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t h = 0; h < HEADS; h++) {
        struct attention_head head = head_of(h, tokens);
        k->attention_int16(&head);
    }
}

static void run_quantize(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t r = 0; r < tokens; r++) {
            struct u8_rows *x = &data.x[i == 3];
            size_t at = r % BLOCK;
            const float *row = i == 3 ? data.wide + at * WIDE : data.hidden + at * HIDDEN;
            x->scale[at] = k->quantize(row, x->k, k->range(row, x->k), x->q + at * x->k);
        }
}

static void run_norm(const struct encoder_kernels *k, size_t tokens)
{
    for (size_t i = 0; i < 2; i++)
        for (size_t r = 0; r < tokens; r++)
            k->add_layer_norm(data.hidden + r * HIDDEN, data.ones, data.qkv + r % BLOCK * HIDDEN, data.ones,
                              data.ones, 1e-12f, HIDDEN, data.hidden + r * HIDDEN);
}

/* Returns microseconds per token in all layers: the minimum of ROUNDS. */
static double least_time(const struct encoder_kernels *k, size_t tokens,
                         void (*run)(const struct encoder_kernels *k, size_t tokens))
{
    double least = INFINITY;
    size_t turns = 1 + 400 / tokens;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begin = os_now_ns();
        for (size_t i = 0; i < turns; i++)
            run(k, tokens);
        least = fmin(least, (double)(os_now_ns() - begin));
    }
    return least * 1e-3 * LAYERS / (double)(turns * tokens);
}

static void bench_set(const struct simd_ops *ops)
{
    static const size_t counts[] = {12, 27, 64, 195, 256};
    const struct encoder_kernels *k = ops->encoder;
    double operations = 0;
    for (size_t i = 0; i < 4; i++)
        operations += 2.0 * LAYERS * (double)(layer_n[i] * layer_k[i]);
    printf("%s: microseconds a token\n%7s %8s %6s %8s %6s %6s %10s %6s %8s %8s %6s\n", ops->name, "tokens", "int8",
           "GOPS", "fp32", "GFLOPS", "GELU", "attention", "GFLOPS", "integers", "quantise", "norm");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t tokens = counts[i];
        double int8 = least_time(k, tokens, run_int8), fp32 = least_time(k, tokens, run_fp32);
        double gelu = least_time(k, tokens, run_ffn_gelu) - least_time(k, tokens, run_ffn_linear);
        double attention = least_time(k, tokens, run_attention);
        printf("%7zu %8.2f %6.0f %8.2f %6.0f %6.2f %10.2f %6.0f %8.2f %8.2f %6.2f\n", tokens, int8,
               operations / int8 * 1e-3, fp32, operations / fp32 * 1e-3, gelu, attention,
               4.0 * LAYERS * HIDDEN * (double)tokens / attention * 1e-3,
               least_time(k, tokens, run_attention_int16), least_time(k, tokens, run_quantize),
               least_time(k, tokens, run_norm));
    }
}

int main(int argc, char **argv)
{
    make_data();
    for (int isa = SIMD_SCALAR + 1; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            wanted |= ops != NULL && strcmp(argv[i], ops->name) == 0;
        if (ops != NULL && wanted)
            bench_set(ops);
    }
    return 0;
}
