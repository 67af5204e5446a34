/* index_worker.c: `dipper index-worker` looks after all namespaces of a root until a signal ends it. */
#include <stdio.h>
#include <time.h>

#include "base/masked_url.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "os/log.h"

enum { PAUSE_MS = 100 };

static int run_index_worker(const struct cli_args *args)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char root[MASKED_URL_MAX];
    struct service *service = NULL;
    struct dp_error error = {0};
    if (args->position_count > 0)
        return cli_unexpected(args, args->positions[0]);
    const _Atomic bool *ended = interrupt_watch();
    if (open_service(program_inputs(&args->config), OPEN_STORE | OPEN_UPKEEP, &service, &error) == DP_OK) {
        log_write(LOG_INFO, "looking after the namespaces of %s", masked_url(span_str(args->config.root), root));
        while (!atomic_load(ended))
            nanosleep(&pause, NULL);
        log_write(LOG_INFO, "ending");
    }
    service_free(service);
    return cli_end(args, &error);
}

const struct cli_command cli_index_worker_command = {
    .name = "index-worker",
    .usage = "--root DIR|URL",
    .summary = "fold, merge and tidy all namespaces of a root",
    .details = "Moves the logs of namespaces into segments, merges segments, and removes what no namespace needs\n"
               "any more, until Ctrl-C or SIGTERM. `dipper serve` does the same for the namespaces that its\n"
               "clients use; any number of both may work on one root.\n",
    .example = "  dipper index-worker --root s3://my-bucket/dipper\n",
    .main_settings = "--root --log-format",
    .settings = CONFIG_GROUP_STORE | CONFIG_GROUP_LOG,
    .run = run_index_worker,
};
