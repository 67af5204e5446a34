/* likely_name.c: the distance of two names: Damerau and Levenshtein's, in its restricted form (optimal string alignment).
 * Source: F. J. Damerau, A technique for computer detection and correction of spelling errors, CACM 7(3), 1964. */
#include "base/likely_name.h"

#include <string.h>

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(struct span a, struct span b)
{
    /* rows[i % 3][j]: the distance of the first i bytes of a and the first j bytes of b */
    unsigned rows[3][LIKELY_NAME_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

void likely_name_offer(struct likely_name *n, const char *name)
{
    const struct span offered = span_str(name);
    if (n->given.len == 0 || n->given.len > LIKELY_NAME_MAX || offered.len > LIKELY_NAME_MAX)
        return;
    const unsigned most = n->given.len < 6 ? 1 : (unsigned)n->given.len / 3, d = distance(n->given, offered);
    if (d > most || (n->name && d >= n->distance))
        return;
    n->name = name;
    n->distance = d;
}
