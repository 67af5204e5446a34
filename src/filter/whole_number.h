/* filter/whole_number.h: integers of 64 bits, however JSON writes them. */
#ifndef FILTER_WHOLE_NUMBER_H
#define FILTER_WHOLE_NUMBER_H

#include "base/json_number.h"

enum whole { WHOLE, WHOLE_NOT, WHOLE_OUT_OF_RANGE };

/* Sets *magnitude to the absolute value of a whole number, without rounding: 7, 7.0 and 0.7e1 are all whole. */
enum whole whole_of_number(const struct json_number *n, uint64_t *magnitude);

#endif
