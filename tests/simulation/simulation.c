/* simulation.c: simulation [--trace | --first] [FIRST [COUNT]]: runs the histories of COUNT seeds (1) from FIRST (1)
 * on. --trace prints the steps of the first one; --first stops at the first failure. Exits with 1 when one fails. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

int main(int argc, char **argv)
{
    bool trace = argc > 1 && strcmp(argv[1], "--trace") == 0;
    bool find = argc > 1 && strcmp(argv[1], "--first") == 0;
    argv += trace || find;
    argc -= trace || find;
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
             count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct report report = {0};
    struct history_result result;
    if (find)
        return report_find(first, count, stdout);
    if (!trace)
        return report_run(&report, first, count, stdout) != 0;
    history_run(first, true, &result);
    printf("%s\n", result.failed ? result.failure : "as promised");
    return result.failed;
}
