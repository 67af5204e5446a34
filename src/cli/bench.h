/* cli/bench.h: the measurements of `dipper bench`. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stdbool.h>

#include "base/json.h"
#include "os/call.h"
#include "os/team.h"
#include "simd/simd.h"

struct model;

/* One run of the command. Belongs to one thread. */
struct bench {
    struct call *call; /* cancelled by Ctrl-C */
    struct team *team;
    double seconds;           /* approximate time to measure */
    struct json_writer *json; /* an open object for the results; NULL: print for people */
};

/* Operations per second on registers alone, by all threads of a team together. */
struct bench_peak {
    double int8, fp32;
};

/* Measures the peak of an instruction set for about `seconds`. team NULL: with one thread. */
enum dp_status bench_peak(struct call *call, struct team *team, const struct simd_ops *set, double seconds,
                          struct bench_peak *out);

/* `bench peak`: measures the arithmetic of each instruction set, and how fast the machine reads memory of
 * several sizes. */
enum dp_status bench_machine(const struct bench *b);

/* The options of `bench embed`. */
struct bench_embed_options {
    const char *file;     /* a file with a text on each line; NULL: made-up texts */
    size_t tokens, batch; /* tokens of a text and texts of a batch; 0: several usual values */
};
/* `bench embed`: measures how fast a model embeds texts. */
enum dp_status bench_embed(const struct bench *b, const struct model *model,
                           const struct bench_embed_options *options);

#endif
