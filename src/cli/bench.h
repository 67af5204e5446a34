/* cli/bench.h: the measurements of `dipper bench`. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stdbool.h>

#include "base/json.h"
#include "os/call.h"
#include "os/team.h"
#include "simd/simd.h"

struct model;

/* One run of the command. One owner thread. */
struct bench {
    struct call *call; /* cancelled by Ctrl-C */
    struct team *team;
    double seconds;           /* how long to measure, about */
    struct json_writer *json; /* an open object for the results; NULL: print for people */
};

/* Operations a second on registers alone, by all threads of a team together. */
struct bench_peak {
    double int8, fp32;
};

/* Measures the peak of an instruction set for about `seconds`. */
enum dp_status bench_peak(struct call *call, struct team *team, const struct simd_ops *set, double seconds,
                          struct bench_peak *out);

/* `bench peak`: measures each instruction set of the machine, and reading by size. */
enum dp_status bench_machine(const struct bench *b);

/* `bench embed`. */
struct bench_embed_options {
    const char *file;     /* a file with a text on each line; NULL: made-up texts */
    size_t tokens, batch; /* the only length and batch; 0: the usual ones */
};
enum dp_status bench_embed(const struct bench *b, const struct model *model,
                           const struct bench_embed_options *options);

#endif
