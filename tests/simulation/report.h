/* report.h: runs many histories (history.h) and tells what happened in them. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include <stdio.h>

#include "history.h"

/* Histories of `make check`: fewer where the processor is emulated. */
#ifdef SIMULATION_EMULATED
enum { REPORT_HISTORIES = 60 };
#else
enum { REPORT_HISTORIES = 1000 };
#endif

struct report {
    uint64_t histories, failed, operations, steps, faults;
    uint64_t least_operations, least_nodes, least_faults;
    struct sim_counts store;
    struct sim_truth truth; /* counts only */
    struct branch_counts branches;
};

/* Runs the histories of `count` seeds from `first` on; prints the seed and the failure of each that fails, the
 * history of the first of them, and a summary. Returns how many failed. */
uint64_t report_run(struct report *report, uint64_t first, uint64_t count, FILE *out);
/* Runs histories until one fails, whose seed and failure it prints. Returns whether one did. */
bool report_find(uint64_t first, uint64_t count, FILE *out);

#endif
