/* time_limit.c: reads the header in which a client sets the time of its request. */
#include "server/time_limit.h"

#include <math.h>

#include "base/json_number.h"

bool time_limit_read(struct span header, int *ms)
{
    struct json_number number;
    double seconds;
    if (json_number_scan(header, &number) != header.len || header.len == 0 ||
        !json_number_double(&number, &seconds) || !(seconds > 0))
        return false;
    const double wanted = ceil(seconds * 1000);
    if (wanted < *ms)
        *ms = (int)wanted;
    return true;
}
