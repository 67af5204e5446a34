/* serve.c: `dipper serve` runs the HTTP server over a root until Ctrl-C or SIGTERM. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/masked_url.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/banner.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "os/cpu.h"
#include "os/log.h"
#include "os/log_writer.h"
#include "os/memory.h"
#include "os/supervisor.h"
#include "os/worker.h"
#include "server/server.h"

enum { LISTEN_MAX = 300, LISTEN_ORIGIN_MAX = 640, LAST_LINES_MS = 1000, TRIM_MS = 10000, ARENAS_A_CPU = 2 };
#define NEVER_MS (INT64_C(1000) * 3600 * 24 * 365) /* a period: the task runs only when it is woken */

/* A thread for work that no request waits for. */
struct chores {
    struct worker *worker;
    unsigned reload; /* the task that reads the models again */
};

/* Blocks the signals that serve() waits for, in this thread and in the threads that it starts. SIGHUP stays
 * blocked: it comes when somebody wants a reload, but also when a terminal closes or a log rotates, and none of these
 * should end the server. */
static void hold_signals(sigset_t *ends, sigset_t *hangup)
{
    sigemptyset(ends);
    if (!interrupt_is_ignored(SIGINT)) /* it is ignored in a shell's background job */
        sigaddset(ends, SIGINT);
    sigaddset(ends, SIGTERM);
    sigemptyset(hangup);
    sigaddset(hangup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ends, NULL);
    pthread_sigmask(SIG_BLOCK, hangup, NULL);
}

/* Opens the files of the open models again. A task of a worker. */
static enum dp_status reload_models(struct call *call, void *context)
{
    struct service *service = context;
    struct model_change *changes = NULL;
    size_t count = 0;
    log_write(LOG_INFO, "SIGHUP: reading the models again");
    enum dp_status status = service_reload_models(call, service, span_of(NULL, 0), &changes, &count);
    for (size_t i = 0; i < count; i++) {
        const struct service_model *model = &changes[i].after;
        const bool same = span_equal(model->fingerprint, changes[i].before);
        log_write(LOG_INFO, "model %.*s was reloaded in %" PRId64 " ms: %s (fingerprint %.16s)",
                  SPAN_FMT(model->name), changes[i].ms, same ? "it is the same version" : "a new version serves",
                  (const char *)model->fingerprint.data);
    }
    if (status != DP_OK)
        log_write(LOG_ERROR, "%s", call->error.message);
    return status;
}

/* Gives free memory back to the system. The allocator keeps what a burst of requests used, in one arena for each
 * thread, and the arenas of a server under load grow for hours. A task of a worker. */
static enum dp_status trim_memory(struct call *call, void *context)
{
    (void)call, (void)context;
    os_trim_memory();
    return DP_OK;
}

/* Starts the thread. It answers SIGHUP, too, so that the main thread sees SIGTERM also while models are read. */
static enum dp_status start_chores(struct service *service, struct chores *out, struct dp_error *error)
{
    const struct worker_task reload = {.run = reload_models, .ctx = service, .period_ms = NEVER_MS};
    const struct worker_task trim = {.run = trim_memory, .period_ms = TRIM_MS};
    enum dp_status status = worker_new(&out->worker, error);
    if (status != DP_OK)
        return status;
    out->reload = worker_add(out->worker, &reload);
    worker_add(out->worker, &trim);
    return worker_start(out->worker, "dipper-chores", error);
}

/* Waits for a signal that ends the server. */
static void wait_for_the_end(const struct chores *chores, struct server *server, const sigset_t *ends,
                             const sigset_t *hangup)
{
    sigset_t all;
    int which = 0;
    sigorset(&all, ends, hangup);
    do {
        sigwait(&all, &which);
        if (which == SIGHUP) {
            struct dp_error error;
            worker_wake(chores->worker, chores->reload);
            if (server_reload(server, &error) != DP_OK)
                log_write(LOG_ERROR, "the former certificate stays: %s", error.message);
        }
    } while (which == SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, ends, NULL); /* then a second signal ends the process at once */
}

/* Raises the soft limit on open files, which is often 1024, to the hard limit: each connection is an open file. */
static void allow_many_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static enum access_log_format access_log_kind(const struct config *config)
{
    if (strcmp(config->log_format, "json") == 0)
        return ACCESS_LOG_JSON;
    return strcmp(config->log_format, "off") == 0 ? ACCESS_LOG_OFF : ACCESS_LOG_TEXT;
}

/* Writes where host and port come from, unless both are flags: a shell may have set HOST, for example. Returns
 * NULL then. */
static const char *listen_origin(const struct config *config, char into[LISTEN_ORIGIN_MAX])
{
    const char *host = config_origin(config, "server.host"), *port = config_origin(config, "server.port");
    if (strncmp(host, "--", 2) == 0 && strncmp(port, "--", 2) == 0)
        return NULL;
    snprintf(into, LISTEN_ORIGIN_MAX, "host %s (%s), port %u (%s)", config->host, *host ? host : "default",
             (unsigned)config->port, *port ? port : "default");
    return into;
}

/* Returns the settings of the server, without its address. */
static struct server_options options_of(const struct config *config)
{
    return (struct server_options){
        .unix_socket = *config->unix_socket ? config->unix_socket : NULL,
        .base_path = config->base_path,
        .tls_certificate = *config->tls_cert ? config->tls_cert : NULL,
        .tls_key = *config->tls_key ? config->tls_key : NULL,
        .insecure = config->insecure,
        .request_threads = config->request_threads,
        .queue_max = config->queue_max,
        .connections_max = config->max_connections,
        .peer_connections_max = config->max_peer_connections,
        .trusted_proxies = config->trusted_proxies,
        .body_max = (size_t)config->max_body_bytes,
        .large_body_max = (size_t)config->max_write_body_bytes,
        .spilled_max = (size_t)config->max_spilled_bytes,
        .head_timeout_ms = (int)config->head_timeout_ms,
        .body_timeout_ms = (int)config->body_timeout_ms,
        .request_timeout_ms = (int)config->request_timeout_ms,
        .idle_timeout_ms = (int)config->idle_timeout_ms,
        .send_timeout_ms = (int)config->send_timeout_ms,
        .drain_timeout_ms = (int)config->drain_timeout_ms,
        .cors_origin = *config->cors_origin ? config->cors_origin : NULL,
        .allowed_hosts = *config->allowed_hosts ? config->allowed_hosts : NULL,
        .watch_needs_key = config->protect_metrics,
        .needs_model = true,
        .log = access_log_kind(config),
    };
}

static enum dp_status serve(const struct config *config, struct dp_error *error)
{
    char listen[LISTEN_MAX], origin[LISTEN_ORIGIN_MAX], root[MASKED_URL_MAX];
    const bool is_ipv6 = strchr(config->host, ':') != NULL && config->host[0] != '[';
    struct server_options options = options_of(config);
    struct service *service = NULL;
    struct server *server = NULL;
    struct chores chores = {.worker = NULL};
    sigset_t ends, hangup;

    snprintf(listen, sizeof(listen), is_ipv6 ? "[%s]:%u" : "%s:%u", config->host, (unsigned)config->port);
    options.listen = listen;
    options.listen_origin = listen_origin(config, origin);
    hold_signals(&ends, &hangup);
    allow_many_files();
    os_limit_arenas(ARENAS_A_CPU * os_cpu_count());
    /* Warn about a new folder: perhaps its name was mistyped. */
    const bool is_new = *config->root && !strstr(config->root, "://") && access(config->root, F_OK) != 0;
    const unsigned store = *config->root ? OPEN_STORE | OPEN_CREATE : 0;
    if (open_service(program_inputs(config), OPEN_MODEL | OPEN_SERVER | store, &service, error) != DP_OK)
        return error->status;
    enum dp_status status =
        config->auth ? open_accounts(config, service_metrics(service), &options.accounts, error) : DP_OK;
    if (status == DP_OK)
        status = os_supervisor_socket(&options.socket, error);
    if (status == DP_OK)
        status = start_chores(service, &chores, error);
    if (status == DP_OK)
        status = server_start(&options, service, &server, error);
    if (status == DP_OK) {
        if (is_new)
            log_write(LOG_WARN, "the folder %s was not there; a new, empty one was made", config->root);
        log_write(LOG_INFO, "serving %s on %s",
                  *config->root ? masked_url(span_str(config->root), root) : "embeddings (there is no --root)",
                  server_url(server));
        dprintf(STDOUT_FILENO, "%s\n", server_url(server)); /* the log line has the address, too */
        os_supervisor_tell("READY=1");
        log_writer_start(options.log == ACCESS_LOG_JSON);
        banner_log(config, service, options.accounts, server_url(server));
        wait_for_the_end(&chores, server, &ends, &hangup);
        os_supervisor_tell("STOPPING=1");
        log_write(LOG_INFO, "draining: waiting for requests in progress");
        server_stop(server);
        log_write(LOG_INFO, "ended");
    }
    worker_free(chores.worker);
    accounts_close(options.accounts);
    service_free(service);
    log_writer_stop(LAST_LINES_MS);
    return error->status;
}

static int run_serve(const struct cli_args *args)
{
    struct dp_error error = {0};
    if (args->position_count > 0)
        return cli_unexpected(args, args->positions[0]);
    serve(&args->config, &error);
    return cli_end(args, &error);
}

const struct cli_command cli_serve_command = {
    .name = "serve",
    .usage = "[--root DIR|URL] [OPTIONS]",
    .summary = "serve search and embeddings over HTTP, with a search page",
    .details = "Prints its address on standard output once it accepts connections. Ctrl-C ends it after the\n"
               "requests in progress, a second Ctrl-C at once. SIGHUP reads the models\n"
               "again. Without --root it serves embeddings only.\n",
    .example = "  dipper serve --root s3://my-bucket/dipper --listen 0.0.0.0:8080\n",
    .main_settings = "--root --listen --model --tls-cert --config",
    .settings = CONFIG_GROUP_ALL,
    .run = run_serve,
};
