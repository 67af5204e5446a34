/* test_fault_matrix.c: every fault of a network or a store, met by every operation, on every remote store.
 *
 * A cell is one operation whose request meets one fault. The test checks the rules that hold for all cells (check_cell), and
 * compares the outcomes with the tables in docs/internals/store.md, which this test prints there:
 *
 *     FAULT_MATRIX_WRITE=1 build/tests/test_fault_matrix
 *
 * A new store is a row of SUBJECTS: how to open it, and which requests carry its operations. Its dialect must keep conditions.
 */
#include "test_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "fault_subjects.h"
#include "store/store.h"

enum {
    STALL_MS = 150,
    UPLOAD_STALL_MS = 1000,
    EMULATED_STALL_MS = 5000,
    SHORT_MS = 40,
    NEVER_MS = 60000,
    LONG_MESSAGE = 1200
};

/* ---- faults --------------------------------------------------------------------------------------------- */

enum {
    FOR_EVER = 1 << 0, /* every try meets the fault; otherwise only the first one */
    STALLS = 1 << 1,   /* the client must notice that nothing comes */
    CLEAR = 1 << 2,    /* the answer says that nothing was written: no write may end as unknown */
    EXPIRED = 1 << 3,  /* the subject says what its store answers */
    SKEWED = 1 << 4,
    TLS = 1 << 5,  /* the server's certificate is not trusted */
    WHOLE = 1 << 6 /* the fault concerns the whole store, so the error may name the root alone */
};

static const struct fault {
    const char *name;
    unsigned is;
    struct http_act act;
    const char *says; /* a word that each error must have; NULL: no rule */
} FAULTS[] = {
    {"no answer, nothing done", STALLS, {.kind = HTTP_ACT_SILENT}, NULL},
    {"closed without an answer (a write: done after the next try)", 0, {.kind = HTTP_ACT_LATE}, NULL},
    {"no answer, although done (a read: 3 bytes, then nothing)", STALLS, {.kind = HTTP_ACT_MUTE, .at = 3}, NULL},
    {"reset in the body (a write: done, then reset)", 0, {.kind = HTTP_ACT_RESET, .at = 3}, NULL},
    {"body cut short", 0, {.kind = HTTP_ACT_TRUNCATE, .at = 3}, NULL},
    {"body without end", FOR_EVER, {.kind = HTTP_ACT_ENDLESS}, NULL},
    {"429 once", CLEAR, {.kind = HTTP_ACT_STATUS, .code = 429}, NULL},
    {"500 once", 0, {.kind = HTTP_ACT_STATUS, .code = 500}, NULL},
    {"503 once", 0, {.kind = HTTP_ACT_STATUS, .code = 503}, NULL},
    {"503 for ever", FOR_EVER, {.kind = HTTP_ACT_STATUS, .code = 503}, "503"},
    {"expired key", FOR_EVER | CLEAR | WHOLE | EXPIRED, {.kind = HTTP_ACT_STATUS}, "expired"},
    {"wrong clock", FOR_EVER | CLEAR | WHOLE | SKEWED, {.kind = HTTP_ACT_STATUS}, "clock"},
    {"object replaced just before", CLEAR, {.kind = HTTP_ACT_CHANGE}, NULL},
    {"redirect",
     FOR_EVER | CLEAR | WHOLE,
     {.kind = HTTP_ACT_STATUS, .code = 307, .lines = "Location: http://127.0.0.1:9/elsewhere\r\n"},
     NULL},
    {"certificate not trusted", FOR_EVER | CLEAR | WHOLE | TLS, {.kind = HTTP_ACT_SERVE}, "--ca-file"},
};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS };

static const char *const OPERATIONS[] = {
    [FAULT_READ] = "read",
    [FAULT_HEAD] = "head",
    [FAULT_LIST] = "list",
    [FAULT_PUT] = "put",
    [FAULT_PUT_IF] = "put if version",
    [FAULT_UPLOAD] = "end of an upload",
    [FAULT_REMOVE] = "remove",
};

/* ---- one cell ------------------------------------------------------------------------------------------- */

static const char OLD[] = "the old bytes", NEW[] = "the new bytes";

enum content { IS_OLD, IS_NEW, IS_ABSENT, IS_OTHER };

/* What came of an operation that met a fault. */
struct outcome {
    enum dp_status status;
    unsigned tries;
    enum content content; /* of the object, afterwards */
    bool right;           /* a read or listing brought what the store holds */
    char message[DP_ERROR_MESSAGE_MAX];
};

/* A store over its own server, for one row of faults. */
struct stand {
    const struct fault_subject *subject;
    struct http_server *server;
    struct transport *transport;
    struct store *store;
    struct arena arena;
    struct call call;
    _Atomic bool given_up; /* the caller has cancelled the operation */
    _Atomic bool done;     /* the operation has ended */
};

/* Everything that a subject's thread found out. */
struct sheet {
    const struct fault_subject *subject;
    struct outcome cells[FAULT_COUNT][FAULT_OPERATIONS];
    char trouble[LONG_MESSAGE]; /* "": every rule holds */
};

static void set_up_call(struct stand *s, int ms)
{
    arena_deinit(&s->arena);
    arena_init(&s->arena, 256 << 20);
    call_init(&s->call, &s->arena);
    call_limit_ms(&s->call, ms);
}

static enum content content_of(struct stand *s)
{
    struct store_read_req req = {.key = span_str(FAULT_KEY), .len = STORE_TO_END};
    enum content is = IS_OTHER;
    set_up_call(s, NEVER_MS);
    enum dp_status status = store_read(&s->call, s->store, &req, 1);
    if (status == DP_NOT_FOUND)
        is = IS_ABSENT;
    else if (status == DP_OK && span_equal_str(req.bytes.span, OLD))
        is = IS_OLD;
    else if (status == DP_OK && (span_equal_str(req.bytes.span, NEW) || req.size > s->subject->upload_bytes))
        is = IS_NEW;
    store_read_release(&req, 1);
    return is;
}

static void read_object(struct stand *s, const struct store_version *version, struct outcome *out)
{
    struct store_read_req req = {.key = span_str(FAULT_KEY), .len = sizeof OLD - 1, .pinned = version};
    out->status = store_read(&s->call, s->store, &req, 1);
    out->right = out->status == DP_OK && span_equal_str(req.bytes.span, OLD);
    store_read_release(&req, 1);
}

static void list_objects(struct stand *s, struct outcome *out)
{
    struct store_listing listing;
    out->status = store_list(&s->call, s->store, span_str("the-"), (struct span){0}, false, 10, &listing);
    out->right = out->status == DP_OK && listing.count == 1 && span_equal_str(listing.entries[0].key, FAULT_KEY) &&
                 listing.entries[0].size == sizeof OLD - 1;
}

static void put_object(struct stand *s, const struct store_version *version, struct outcome *out)
{
    struct store_put put = {.key = span_str(FAULT_KEY),
                            .body = span_str(NEW),
                            .condition = version ? STORE_IF_VERSION : STORE_ANY,
                            .expected = version};
    out->status = store_put(&s->call, s->store, &put);
}

/* Waits until the server has met a request with the fault, and has the caller give up. */
static void *give_up(void *context)
{
    struct stand *s = context;
    while (http_server_unused(s->server) && !atomic_load(&s->done))
        sched_yield();
    atomic_store(&s->given_up, true);
    return NULL;
}

/* Ends an upload, as a caller who gives up if the store would take minutes to notice that no answer comes. */
static enum dp_status finish_upload(struct stand *s, const struct fault *fault, struct store_upload *upload)
{
    struct store_version version;
    pthread_t watcher;
    if (!(fault->is & STALLS && s->subject->ends_slowly))
        return store_upload_finish(&s->call, upload, &version);
    atomic_store(&s->done, false);
    atomic_store(&s->given_up, false);
    s->call.cancelled = &s->given_up;
    if (pthread_create(&watcher, NULL, give_up, s) != 0)
        abort();
    enum dp_status status = store_upload_finish(&s->call, upload, &version);
    atomic_store(&s->done, true);
    pthread_join(watcher, NULL);
    return status;
}

/* Uploads one part and a byte. The fault meets the request that ends the upload. */
static void upload_object(struct stand *s, const struct fault *fault, struct outcome *out)
{
    struct store_upload *upload;
    uint8_t *bytes = mem_calloc(1, s->subject->upload_bytes + 1);
    out->status = store_upload_begin(&s->call, s->store, span_str(FAULT_KEY), &upload);
    if (out->status == DP_OK) {
        out->status = store_upload_write(&s->call, upload, span_of(bytes, s->subject->upload_bytes + 1));
        if (out->status == DP_OK)
            out->status = finish_upload(s, fault, upload);
        else
            store_upload_abort(upload);
    }
    mem_free(bytes);
}

static unsigned count_requests(struct http_server *server, const char *match)
{
    unsigned n = 0;
    for (unsigned i = 0; i < http_server_count(server); i++) {
        const struct http_seen seen = http_server_seen(server, i);
        n += strstr(seen.head, match) != NULL;
    }
    return n;
}

/* Returns whether the operation can meet the fault at this store. */
static bool is_met(const struct fault_subject *subject, const struct fault *fault, enum fault_operation op)
{
    return subject->matches[op] && !(fault->is & EXPIRED && !subject->expired.code) &&
           !(fault->is & SKEWED && !subject->skewed.code);
}

/* Has the operation's requests meet the fault. */
static void script(struct stand *s, const struct fault *fault, const char *match)
{
    struct http_act act = fault->act;
    const struct http_act *refusal = fault->is & EXPIRED  ? &s->subject->expired
                                     : fault->is & SKEWED ? &s->subject->skewed
                                                          : NULL;
    if (refusal)
        act = *refusal;
    act.match = match;
    act.times = fault->is & FOR_EVER ? 1000000 : 1;
    http_server_script(s->server, act);
}

static void run_cell(struct stand *s, const struct fault *fault, enum fault_operation op, struct outcome *out)
{
    struct store_info info = {0};
    const char *match = s->subject->matches[op];
    http_server_reset(s->server);
    http_server_put(s->server, s->subject->object, span_str(OLD));
    set_up_call(s, NEVER_MS);
    if (!(fault->is & TLS) && store_head(&s->call, s->store, span_str(FAULT_KEY), &info) != DP_OK) {
        snprintf(out->message, sizeof out->message, "before the fault: %.400s", s->call.error.message);
        return;
    }
    http_server_reset(s->server);
    script(s, fault, match);
    set_up_call(s, NEVER_MS);
    switch (op) {
    case FAULT_READ: read_object(s, info.version.len ? &info.version : NULL, out); break;
    case FAULT_HEAD:
        out->status = store_head(&s->call, s->store, span_str(FAULT_KEY), &info);
        out->right = info.size == sizeof OLD - 1;
        break;
    case FAULT_LIST: list_objects(s, out); break;
    case FAULT_PUT: put_object(s, NULL, out); break;
    case FAULT_PUT_IF: put_object(s, &info.version, out); break;
    case FAULT_UPLOAD: upload_object(s, fault, out); break;
    default: out->status = store_remove(&s->call, s->store, span_str(FAULT_KEY)); break;
    }
    snprintf(out->message, sizeof out->message, "%s", s->call.error.message);
    out->tries = count_requests(s->server, match);
    http_server_reset(s->server);
    if (!(fault->is & TLS))
        out->content = content_of(s);
}

/* ---- the rules ------------------------------------------------------------------------------------------ */

static bool writes(enum fault_operation op)
{
    return op >= FAULT_PUT;
}

/* Returns NULL if the outcome keeps every rule, else the rule that it breaks. */
static const char *broken_rule(const struct fault *fault, enum fault_operation op, const struct outcome *o)
{
    bool changed_before = fault->act.kind == HTTP_ACT_CHANGE;
    enum content wanted = op == FAULT_REMOVE ? IS_ABSENT : IS_NEW;
    if (o->status == DP_OK && !writes(op))
        return o->right ? NULL : "a success must bring what the store holds";
    if (o->status == DP_OK)
        return o->content == wanted ? NULL : "a success must have written the object";
    if (o->message[0] == '\0')
        return "an error must have a message";
    bool of_root = op == FAULT_LIST || fault->is & WHOLE;
    if (!strstr(o->message, FAULT_KEY) && !(of_root && strstr(o->message, "://")))
        return "an error must name its object, or the root if all objects are concerned";
    if (strstr(o->message, FAULT_SECRET))
        return "no message may have a secret";
    if (fault->says && !strstr(o->message, fault->says))
        return "the message must say what is wrong";
    if (o->status == DP_UNKNOWN)
        return !writes(op)         ? "a read has no unknown outcome"
               : fault->is & CLEAR ? "nothing was written, and the answer says so"
                                   : NULL;
    if (writes(op) && !(fault->is & TLS) && o->content != (changed_before ? IS_OTHER : IS_OLD))
        return "a write that failed for certain must have written nothing";
    return NULL;
}

static void check_cell(struct sheet *sheet, size_t row, enum fault_operation op)
{
    const struct outcome *o = &sheet->cells[row][op];
    const char *rule = broken_rule(&FAULTS[row], op, o);
    size_t len = strlen(sheet->trouble);
    if (rule)
        snprintf(sheet->trouble + len, sizeof sheet->trouble - len, "%s: %s, %s: %s: \"%s\" (%s)\n",
                 sheet->subject->name, FAULTS[row].name, OPERATIONS[op], rule, o->message,
                 dp_status_name(o->status));
}

/* ---- one store ------------------------------------------------------------------------------------------ */

/* Returns how long a connection may rest. The parts of an upload take a while on a busy machine, so uploads may rest for
 * longer. */
static unsigned stall_ms_of(const struct fault_subject *subject, const struct fault *fault, bool uploads)
{
    if (!(fault->is & STALLS) || (uploads && subject->ends_slowly))
        return NEVER_MS;
    if (getenv("QEMU_CPU")) /* scripts/check-arm64 sets it */
        return EMULATED_STALL_MS;
    return uploads ? UPLOAD_STALL_MS : STALL_MS;
}

static bool open_stand(struct stand *s, const struct fault *fault, bool uploads, struct sheet *sheet)
{
    const struct fault_subject *subject = sheet->subject;
    const struct http_server_options server = {.dialect = subject->dialect, .tls = fault->is & TLS};
    const struct transport_options options = {.retry_base_ms = 1,
                                              .retry_cap_ms = 2,
                                              .tries = 4,
                                              .no_hedges = true,
                                              .stall_ms = stall_ms_of(subject, fault, uploads),
                                              .retry_total_ms = fault->is & FOR_EVER ? SHORT_MS : NEVER_MS};
    *s = (struct stand){.subject = subject, .server = http_server_start(&server)};
    set_up_call(s, NEVER_MS);
    enum dp_status status = transport_new(&options, &s->transport, &s->call.error);
    if (status == DP_OK)
        status = subject->open(&s->call, http_server_url(s->server, ""), s->transport, &s->store);
    /* The first put makes the store check conditions, so that the next requests are the test's. */
    if (status == DP_OK && subject->matches[FAULT_PUT] && !(fault->is & TLS)) {
        struct store_put put = {.key = span_str("warm"), .body = span_str("x")};
        status = store_put(&s->call, s->store, &put);
    }
    if (status != DP_OK)
        snprintf(sheet->trouble, sizeof sheet->trouble, "%s: %s\n", subject->name, s->call.error.message);
    return status == DP_OK;
}

static void close_stand(struct stand *s)
{
    store_free(s->store);
    transport_free(s->transport);
    http_server_stop(s->server);
    arena_deinit(&s->arena);
}

/* Runs a row's cells: those of uploads, or those of all other operations. */
static void run_row(struct sheet *sheet, size_t row, bool uploads)
{
    struct stand s;
    if (open_stand(&s, &FAULTS[row], uploads, sheet))
        for (int op = 0; op < FAULT_OPERATIONS; op++)
            if (is_met(sheet->subject, &FAULTS[row], op) && uploads == (op == FAULT_UPLOAD)) {
                run_cell(&s, &FAULTS[row], op, &sheet->cells[row][op]);
                check_cell(sheet, row, op);
            }
    close_stand(&s);
}

static void *fill_sheet(void *context)
{
    struct sheet *sheet = context;
    for (size_t row = 0; row < FAULT_COUNT && !sheet->trouble[0]; row++) {
        run_row(sheet, row, false);
        if (sheet->subject->matches[FAULT_UPLOAD])
            run_row(sheet, row, true);
    }
    return NULL;
}

/* ---- the tables ----------------------------------------------------------------------------------------- */

static void print_cell(FILE *out, const struct outcome *o, enum fault_operation op, bool met)
{
    if (!met)
        fprintf(out, " |");
    else if (o->status != DP_OK)
        fprintf(out, " `%s` |", dp_status_name(o->status));
    else if (o->tries == 1)
        fprintf(out, " %s |", writes(op) ? "done" : "right");
    else
        fprintf(out, " %s, again |", writes(op) ? "done" : "right");
}

static void print_sheet(FILE *out, const struct sheet *sheet)
{
    fprintf(out, "| %s |", sheet->subject->name);
    for (int op = 0; op < FAULT_OPERATIONS; op++)
        if (sheet->subject->matches[op])
            fprintf(out, " %s |", OPERATIONS[op]);
    fprintf(out, "\n|---|");
    for (int op = 0; op < FAULT_OPERATIONS; op++)
        if (sheet->subject->matches[op])
            fprintf(out, "---|");
    fprintf(out, "\n");
    for (size_t row = 0; row < FAULT_COUNT; row++) {
        fprintf(out, "| %s |", FAULTS[row].name);
        for (int op = 0; op < FAULT_OPERATIONS; op++)
            if (sheet->subject->matches[op])
                print_cell(out, &sheet->cells[row][op], op, is_met(sheet->subject, &FAULTS[row], op));
        fprintf(out, "\n");
    }
    fprintf(out, "\n");
}

#define BEGIN "<!-- what test_fault_matrix printed begins -->\n"
#define END   "<!-- what test_fault_matrix printed ends -->\n"

/* Reads a file whole. The caller frees it. */
static char *read_page(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    assert_non_null(in);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    return text;
}

/* Compares the tables with the page, or writes them there. */
static void compare_with_page(const char *tables)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/internals/store.md", getenv("DIPPER_SOURCE"));
    char *page = read_page(path);
    char *begin = strstr(page, BEGIN), *end = strstr(page, END);
    assert_true(begin && end && begin < end);
    begin += strlen(BEGIN);
    if (getenv("FAULT_MATRIX_WRITE")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fprintf(out, "%.*s\n%s%s", (int)(begin - page), page, tables, end);
        fclose(out);
    } else if (strncmp(begin + 1, tables, strlen(tables)) != 0 || begin + 1 + strlen(tables) != end) {
        fail_msg("docs/internals/store.md has other tables; FAULT_MATRIX_WRITE=1 writes these there:\n%s", tables);
    }
    free(page);
}

static void test_store_outcomes_of_faults(void **state)
{
    (void)state;
    if (test_emulated()) /* a program under QEMU does not notice each reset of a connection, and waits for minutes */
        return;
    struct sheet *sheets = calloc(FAULT_SUBJECT_COUNT, sizeof *sheets);
    pthread_t threads[FAULT_SUBJECT_COUNT];
    char *tables = NULL;
    size_t len;
    assert_non_null(sheets);
    for (size_t i = 0; i < FAULT_SUBJECT_COUNT; i++) {
        sheets[i].subject = &FAULT_SUBJECTS[i];
        assert_int_equal(pthread_create(&threads[i], NULL, fill_sheet, &sheets[i]), 0);
    }
    FILE *out = open_memstream(&tables, &len);
    assert_non_null(out);
    for (size_t i = 0; i < FAULT_SUBJECT_COUNT; i++) {
        pthread_join(threads[i], NULL);
        print_sheet(out, &sheets[i]);
    }
    fclose(out);
    for (size_t i = 0; i < FAULT_SUBJECT_COUNT; i++)
        if (sheets[i].trouble[0])
            fail_msg("%s", sheets[i].trouble);
    compare_with_page(tables);
    free(tables);
    free(sheets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_outcomes_of_faults),
    };
    return test_run(tests);
}
