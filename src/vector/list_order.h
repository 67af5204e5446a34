/* vector/list_order.h: an order of lists in which near ones lie side by side, so that a query's lists are few ranges of
 * the file. */
#ifndef VECTOR_LIST_ORDER_H
#define VECTOR_LIST_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Orders n centroids float[n][dim]. order: out, uint32_t[n]; the list order[i] comes at place i. Fails with DP_NOMEM. */
enum dp_status list_order_near(const float *centroids, size_t n, size_t dim, uint32_t *order,
                               struct dp_error *error);
/* Moves the centroids to their places. room: float[dim] of scratch. order: as list_order_near() made it; it becomes
 * the inverse: order[list] is the place of the list. Fails with DP_NOMEM. */
enum dp_status list_order_apply(float *centroids, size_t n, size_t dim, uint32_t *order, float *room,
                                struct dp_error *error);

#endif
