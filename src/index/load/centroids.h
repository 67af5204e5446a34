/* index/load/centroids.h: writes CENT, the head of the .ivf in the hot part of the .dpr (segment/ivf_head.h). */
#ifndef INDEX_LOAD_CENTROIDS_H
#define INDEX_LOAD_CENTROIDS_H

#include "index/load/build.h"

/* Writes the section, if the segment has vectors and the section is small enough. */
enum dp_status load_write_centroids(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
