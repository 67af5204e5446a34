/* bench_output.c: measures how long it takes to write a vector as text: JSON numbers, and base 64.
 *
 *     bench_output
 *
 * The vector is like an embedding: 384 floats, of length 1. Prints the minimum processor time of many rounds.
 * For comparison with JSON numbers it also prints the time of the C library's "%.9g".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base64.h"
#include "base/json.h"

enum { DIM = 384, VECTORS = 2048, ROUNDS = 15 };

static float vectors[VECTORS][DIM];

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sums of uniform numbers are nearly normal; then the vector is scaled to length 1. */
static void fill(void)
{
    uint64_t state = 1;
    for (size_t v = 0; v < VECTORS; v++) {
        float sum = 0.0f;
        for (size_t d = 0; d < DIM; d++) {
            float x = -6.0f;
            for (int i = 0; i < 12; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                x += (float)(state >> 40) * 0x1p-24f;
            }
            vectors[v][d] = x;
            sum += x * x;
        }
        for (size_t d = 0; d < DIM; d++)
            vectors[v][d] /= sqrtf(sum);
    }
}

static void print_json(const float *v, struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_floats(&w, v, DIM);
}

static void print_c_library(const float *v, struct buffer *out)
{
    char text[32];
    for (size_t d = 0; d < DIM; d++)
        buffer_append(out, span_of(text, (size_t)snprintf(text, sizeof text, "%.9g,", (double)v[d])));
}

static void print_base64(const float *v, struct buffer *out)
{
    base64_encode(span_of(v, DIM * sizeof *v), out);
}

static void decode_base64(const float *v, struct buffer *out)
{
    static struct buffer text = {.max = 1 << 20};
    static uint8_t bytes[DIM * 4 + 8];
    size_t len;
    if (text.len == 0)
        print_base64(v, &text);
    if (!base64_decode(buffer_span(&text), bytes, &len))
        abort();
    out->len += text.len;
}

static void measure(const char *what, void (*print)(const float *v, struct buffer *out))
{
    struct buffer out;
    int64_t least = INT64_MAX;
    size_t bytes = 0;
    buffer_init(&out, (size_t)1 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t began = thread_ns();
        bytes = 0;
        for (size_t v = 0; v < VECTORS; v++) {
            buffer_clear(&out);
            print(vectors[v], &out);
            bytes += out.len;
        }
        int64_t took = thread_ns() - began;
        least = took < least ? took : least;
    }
    double ns = (double)least / VECTORS;
    printf("%-22s %8.0f ns a vector, %6.2f ns a number, %8.1f MB/s of text\n", what, ns, ns / DIM,
           (double)bytes / (double)least * 1e3);
    buffer_deinit(&out);
}

int main(void)
{
    fill();
    measure("JSON", print_json);
    measure("C library, %.9g", print_c_library);
    measure("base 64", print_base64);
    measure("base 64, back", decode_base64);
    return 0;
}
