/* http/run.c: runs rounds of requests: sends their tries, judges the answers, and schedules retries.
 *
 * Each request is a job: ready → in flight → (waiting → in flight)* → ended. A job runs on the thread that called
 * transport_run; the loop only moves the bytes of the tries in flight. The wait before try k+1 is random up to
 * min(cap, base · 2^(k-1)) ("full jitter": M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog,
 * 2015), and never shorter than a Retry-After asks.
 */
#include "store/http/run.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/masked_url.h"
#include "os/clock.h"
#include "store/implement.h"
#include "store/http/head.h"
#include "store/http/transport.h"

enum { NS_PER_MS = 1000000, CANCEL_LOOK_MS = 20, RETRY_AFTER_MAX_MS = 30000 };

enum job_state { JOB_READY, JOB_IN_FLIGHT, JOB_WAITING, JOB_ENDED };

/* One request until it has ended. */
struct http_job {
    struct transport_request *req;
    struct http_try t, hedge; /* in flight: `t`, both, or `hedge` alone after `t` has failed */
    unsigned flying;          /* tries in flight */
    struct http_try *winner;  /* the try with a complete answer, while the loop aborts the other; else NULL */
    enum job_state state;
    int64_t first_ns, due_ns;
    unsigned tries, waits, unconnected;
    bool retried_once;
    struct http_sink sink;    /* bytes from earlier tries */
    struct buffer first_head; /* head of the answer that brought the first bytes of `sink` */
    int first_code;
};

/* One transport_run: a round of jobs. */
struct http_run {
    struct call *call;
    struct transport *transport;
    const struct transport_options *options;
    struct transport_counts *counts;
    struct http_round round;
    struct http_job *jobs;
    size_t n, left; /* all jobs; those that have not ended */
};

static void count_event(_Atomic int64_t *counter, int64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

/* ---- ends ------------------------------------------------------------------------------------------- */

static bool is_write(const struct transport_request *req)
{
    return req->method == HTTP_PUT || req->method == HTTP_DELETE || req->once;
}

static void drop_bytes(struct http_job *job)
{
    http_sink_drop(&job->sink);
    buffer_clear(&job->first_head);
}

/* Ends a job. If the store may have carried out a write, the job ends with DP_UNKNOWN, whatever ended it. */
static void end_job(struct http_run *run, struct http_job *job, enum dp_status status)
{
    struct transport_request *req = job->req;
    char shown[URL_SHOWN_MAX];
    if (status == DP_DEADLINE || status == DP_CANCELLED) /* the call's error, which names no object */
        dp_error_prefix(&req->error, "%s", url_shown(req->url, shown));
    if (status != DP_OK && is_write(req) && req->maybe_landed) {
        dp_error_prefix(&req->error, "the store may or may not have carried out the write");
        status = dp_restatus(&req->error, DP_UNKNOWN);
    }
    if (status != DP_OK) {
        store_bytes_release(&req->bytes);
        count_event(&run->counts->failures, 1);
    }
    req->status = status;
    drop_bytes(job);
    job->state = JOB_ENDED;
    run->left--;
}

static enum dp_status fail_job(struct http_run *run, struct http_job *job, enum dp_status status, const char *why)
{
    char shown[URL_SHOWN_MAX];
    const char *after = job->tries > 1 ? " (after several tries)" : "";
    dp_fail(&job->req->error, status, "%s: %s%s", url_shown(job->req->url, shown), why, after);
    end_job(run, job, status);
    return status;
}

/* ---- trying again ----------------------------------------------------------------------------------- */

/* Returns whether the job may make another try. */
static bool may_try(const struct http_run *run, const struct http_job *job)
{
    bool reads = job->req->method == HTTP_GET || job->req->method == HTTP_HEAD;
    return transport_allows(run->transport, !reads || run->call->patient, job->tries, job->unconnected);
}

/* Schedules the job's next try after at least `least_ms`, or ends the job if it may make no more. */
static void try_later(struct http_run *run, struct http_job *job, uint64_t least_ms, const char *why)
{
    const struct transport_options *o = run->options;
    enum dp_status called = call_check(run->call);
    if (called != DP_OK) {
        job->req->error = run->call->error;
        end_job(run, job, called);
        return;
    }
    uint64_t most = o->retry_base_ms;
    for (unsigned i = 0; i < job->waits && most < o->retry_cap_ms; i++)
        most *= 2;
    if (most > o->retry_cap_ms)
        most = o->retry_cap_ms;
    int64_t wait_ns = (int64_t)transport_random(run->transport, most * NS_PER_MS + 1);
    if (least_ms > RETRY_AFTER_MAX_MS)
        least_ms = RETRY_AFTER_MAX_MS;
    if (wait_ns < (int64_t)least_ms * NS_PER_MS)
        wait_ns = (int64_t)least_ms * NS_PER_MS;
    int64_t due = os_now_ns() + wait_ns;
    if (!may_try(run, job) || due - job->first_ns > (int64_t)o->retry_total_ms * NS_PER_MS ||
        due >= run->call->deadline_ns) {
        fail_job(run, job, DP_UNAVAILABLE, why);
        return;
    }
    job->waits++;
    job->due_ns = due;
    job->state = JOB_WAITING;
}

/* Keeps the bytes of a broken answer if a later try can resume after them: a GET whose version and length are
 * known. */
static void keep_bytes(struct http_job *job, struct http_try *t)
{
    bool resumed = t->asked.at > 0;
    /* This try added no bytes and damaged none. */
    if (resumed && (!t->came.decided || t->came.code / 100 != 2)) {
        job->sink = t->came.sink;
        t->came.sink = (struct http_sink){0};
        return;
    }
    bool elsewhere = t->asked.is_hedge && job->req->into;
    bool usable = job->req->method == HTTP_GET && !elsewhere && t->came.sink.len > 0 && !t->came.sink.grows &&
                  t->came.expected_known && t->came.body_len < t->came.expected &&
                  http_same_version(job->req, buffer_span(&t->came.head), buffer_span(&t->came.head));
    http_sink_drop(&job->sink);
    if (!usable) {
        http_sink_drop(&t->came.sink);
        buffer_clear(&job->first_head);
        return;
    }
    job->sink = t->came.sink;
    t->came.sink = (struct http_sink){0};
    if (!resumed) {
        struct buffer head = job->first_head;
        job->first_head = t->came.head;
        job->first_code = t->came.code;
        t->came.head = head;
        buffer_clear(&t->came.head);
    }
}

/* Prepares, arms and submits a try. On failure fills the request's error. */
static enum dp_status send_try(struct http_run *run, struct http_job *job, struct http_try *t)
{
    struct transport_request *req = job->req;
    struct dp_error *error = &req->error;
    enum dp_status status = DP_OK;
    if (req->prepare) {
        dp_error_clear(&run->call->error);
        status = req->prepare(run->call, req, t);
        if (status != DP_OK) {
            *error = run->call->error;
            dp_restatus(error, status);
        }
    }
    t->asked.easy = status == DP_OK ? transport_easy_take(run->transport) : NULL;
    if (status == DP_OK && !t->asked.easy)
        status = dp_fail_nomem(error, "a request");
    if (status == DP_OK)
        status = http_try_arm(t, run->options, transport_trust_of(run->transport), error);
    if (status == DP_OK)
        status = transport_submit(run->transport, &run->round, t, error);
    if (status == DP_OK) {
        job->flying++;
        count_event(&run->counts->in_flight, 1);
    }
    return status;
}

/* Frees the resources of a try that is not in flight. */
static void close_try(struct http_run *run, struct http_try *t)
{
    transport_easy_return(run->transport, t->asked.easy);
    t->asked.easy = NULL;
    http_sink_drop(&t->came.sink);
    http_try_deinit(t);
}

static void begin_try(struct http_run *run, struct http_job *job)
{
    struct transport_request *req = job->req;
    struct http_try *t = &job->t;
    http_try_init(t, req);
    t->asked.job = job;
    if (job->sink.len) {
        t->came.sink = job->sink;
        t->asked.at = job->sink.len;
        t->asked.first_head = buffer_span(&job->first_head);
        job->sink = (struct http_sink){0};
    }
    t->asked.hedgeable = req->method == HTTP_GET && !req->once && t->asked.at == 0 && !run->options->no_hedges;
    count_event(&run->counts->retries, job->tries++ > 0);
    enum dp_status status = send_try(run, job, t);
    if (status == DP_OK) {
        job->state = JOB_IN_FLIGHT;
        return;
    }
    close_try(run, t);
    end_job(run, job, status);
}

/* Sends a slow GET a second time. A hedge that cannot be sent is ignored: the first try is still in flight. */
static void begin_hedge(struct http_run *run, struct http_job *job)
{
    if (job->state != JOB_IN_FLIGHT || job->flying != 1 || call_check(run->call) != DP_OK)
        return;
    http_try_init(&job->hedge, job->req);
    job->hedge.asked.job = job;
    job->hedge.asked.is_hedge = true;
    if (send_try(run, job, &job->hedge) != DP_OK) {
        close_try(run, &job->hedge);
        dp_error_clear(&job->req->error);
        return;
    }
    count_event(&run->counts->hedges, 1);
}

/* ---- judging what came ------------------------------------------------------------------------------ */

/* Copies the answer to the request's outputs, for its inspect and its caller. Returns false when out of memory. */
static bool take_answer(struct http_run *run, struct http_job *job, struct http_try *t)
{
    struct transport_request *req = job->req;
    struct span head = arena_copy(run->call->arena, buffer_span(&t->came.head));
    store_bytes_release(&req->bytes);
    /* A resumed answer continues the one that brought the first bytes. */
    bool resumed = t->asked.at > 0 && t->came.code == 206;
    req->code = resumed ? job->first_code : t->came.code;
    req->body_len = 0;
    if (!head.data)
        return false;
    req->head = head;
    req->etag = http_shown_version(req, head);
    req->last_modified = http_head_find(head, "last-modified");
    req->size_known = t->came.size_known;
    req->size = t->came.size_known ? t->came.size : 0;
    if (t->came.code == 416) {
        struct http_content_range range;
        if (http_content_range_parse(http_head_find(head, "content-range"), &range) && range.has_size) {
            req->size = range.size;
            req->size_known = true;
        }
    }
    if (t->came.code / 100 == 2) {
        req->body_len = t->came.sink.len;
        if (t->came.sink.block && req->into)
            memcpy(req->into, t->came.sink.data, t->came.sink.len); /* from a hedge, which has a block */
        else if (t->came.sink.block)
            req->bytes = store_block_bytes(t->came.sink.block, 0, t->came.sink.len);
    } else if (t->came.error_body.len) {
        struct store_block *block = store_block_new(t->came.error_body.len);
        if (!block)
            return false;
        memcpy(store_block_data(block), t->came.error_body.data, t->came.error_body.len);
        req->bytes = store_block_bytes(block, 0, t->came.error_body.len);
        req->body_len = t->came.error_body.len;
        store_block_release(block);
    }
    return true;
}

/* Returns the milliseconds that Retry-After asks to wait, at most RETRY_AFTER_MAX_MS; 0 without that header. */
static uint64_t retry_after_ms(const struct transport_request *req)
{
    uint64_t seconds;
    struct span value = http_head_find(req->head, "retry-after");
    if (!http_retry_after_parse(value, os_wall_ms() / 1000, &seconds))
        return 0;
    return seconds > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : seconds * 1000;
}

static bool retried_as_usual(int code)
{
    return code == 408 || code == 429 || (code >= 500 && code != 501 && code != 505);
}

/* Returns whether the store did not carry out a write that it answers like this. With a 3xx it sends the client
 * elsewhere, with a 4xx it refuses the write. After a 5xx, or an error in a 200, it may have carried out the write. */
static bool refuses(int code)
{
    return code / 100 == 3 || code / 100 == 4;
}

/* Returns whether a server or proxy refuses to be asked before the body comes. It did not carry out the write; the next
 * try does not ask. */
static bool refuses_question(struct transport_request *req, int code)
{
    bool refused = code == 417 && is_write(req) && !req->unasked;
    req->unasked |= refused;
    return refused;
}

static void judge_answer(struct http_run *run, struct http_job *job, struct http_try *t)
{
    struct transport_request *req = job->req;
    int code = t->came.code;
    if (!take_answer(run, job, t)) {
        req->maybe_landed |= is_write(req) && !refuses(code);
        dp_fail_nomem(&req->error, "an answer");
        end_job(run, job, DP_NOMEM);
        return;
    }
    if (code == 412 && (req->if_match.len || t->asked.at) &&
        (req->method == HTTP_GET || req->method == HTTP_HEAD)) {
        if (req->if_match.len) {
            fail_job(run, job, DP_STALE, "the object has changed since it was opened");
            return;
        }
        drop_bytes(job);
        try_later(run, job, 0, "the object keeps changing while it is read");
        return;
    }
    if (code == 416 && t->asked.at) {
        drop_bytes(job);
        try_later(run, job, 0, "the object keeps changing while it is read");
        return;
    }
    enum http_verdict verdict = req->inspect ? req->inspect(run->call, req) : HTTP_AS_USUAL;
    if (verdict == HTTP_AS_USUAL)
        verdict = retried_as_usual(code) ? HTTP_RETRY : HTTP_FINAL;
    if (verdict == HTTP_RETRY_ONCE) {
        verdict = job->retried_once ? HTTP_FINAL : HTTP_RETRY_ONCE;
        job->retried_once = true;
    }
    if (refuses_question(req, code))
        verdict = HTTP_RETRY_ONCE;
    if (verdict == HTTP_FINAL) {
        end_job(run, job, DP_OK);
        return;
    }
    req->maybe_landed |= is_write(req) && !refuses(code);
    if (t->asked.at && code / 100 != 2)
        keep_bytes(job, t);
    if (verdict == HTTP_RETRY_ONCE && may_try(run, job) && call_check(run->call) == DP_OK) {
        job->due_ns = 0;
        job->state = JOB_WAITING;
        return;
    }
    char why[64];
    snprintf(why, sizeof why, "the server answers %d", code);
    try_later(run, job, retry_after_ms(req), why);
}

/* Returns whether a transfer that failed with this result may succeed next time. */
static bool is_transient(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_ABORTED_BY_CALLBACK: return true;
    default: return false;
    }
}

/* Fails a job because the peer's certificate is not trusted, or the trusted ones cannot be read. */
static void fail_untrusted(struct http_run *run, struct http_job *job, const char *why)
{
    const struct trust *trust = job->req->trust ? job->req->trust : transport_trust_of(run->transport);
    char text[DP_ERROR_MESSAGE_MAX];
    snprintf(text, sizeof text,
             "%.200s (trusted: %.180s; name the file of another authority with --ca-file, AWS_CA_BUNDLE or "
             "SSL_CERT_FILE)",
             why, *trust->file ? trust->file : trust->folders);
    fail_job(run, job, DP_IO, text);
}

/* Judges a transfer without a complete answer. */
static void judge_break(struct http_run *run, struct http_job *job, struct http_try *t)
{
    char why[CURL_ERROR_SIZE + 64];
    snprintf(why, sizeof why, "%s",
             t->came.curl_error[0] ? t->came.curl_error : curl_easy_strerror(t->came.result));
    for (char *c = why; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    if (t->came.fault == HTTP_FAULT_STALLED)
        snprintf(why, sizeof why, "the connection has stalled");
    else if (t->came.fault == HTTP_FAULT_RESENT)
        snprintf(why, sizeof why, "the connection broke off");
    refuses_question(job->req, t->came.code); /* libcurl was about to send the request again by itself */
    if (t->came.result == CURLE_OUT_OF_MEMORY) {
        dp_fail_nomem(&job->req->error, "a request");
        end_job(run, job, DP_NOMEM);
        return;
    }
    if (t->came.result == CURLE_URL_MALFORMAT ||
        (t->came.result == CURLE_UNSUPPORTED_PROTOCOL && t->came.sent == 0)) {
        fail_job(run, job, DP_INVALID, why);
        return;
    }
    if (t->came.result == CURLE_PEER_FAILED_VERIFICATION || t->came.result == CURLE_SSL_CACERT_BADFILE) {
        fail_untrusted(run, job, why);
        return;
    }
    if (t->came.refused && t->came.sent == 0) {
        fail_job(run, job, DP_DENIED, "the host's address is not public");
        return;
    }
    if (!is_transient(t->came.result)) {
        fail_job(run, job, DP_IO, why);
        return;
    }
    job->unconnected = t->came.sent ? 0 : job->unconnected + 1;
    keep_bytes(job, t);
    try_later(run, job, 0, why);
}

/* Judges a try that we broke off ourselves. */
static void judge_fault(struct http_run *run, struct http_job *job, struct http_try *t)
{
    char why[160];
    switch (t->came.fault) {
    case HTTP_FAULT_HEAD: fail_job(run, job, DP_TOO_LARGE, "the answer's head has more than 64 KiB"); return;
    case HTTP_FAULT_BODY: fail_job(run, job, DP_TOO_LARGE, "the answer is longer than requested"); return;
    case HTTP_FAULT_BAD_RANGE:
        snprintf(why, sizeof why, "the server answers with another range than requested (Content-Range: %.*s)",
                 SPAN_FMT(http_head_find(buffer_span(&t->came.head), "content-range")));
        for (char *c = why; *c; c++)
            if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
                *c = '?';
        fail_job(run, job, DP_IO, why);
        return;
    case HTTP_FAULT_NO_RANGES:
        fail_job(run, job, DP_UNSUPPORTED, "the server does not answer ranges (200 instead of 206)");
        return;
    case HTTP_FAULT_STALE: fail_job(run, job, DP_STALE, "the object has changed since it was opened"); return;
    case HTTP_FAULT_CHANGED:
        drop_bytes(job);
        if (job->req->if_match.len)
            fail_job(run, job, DP_STALE, "the object has changed while it was read");
        else
            try_later(run, job, 0, "the object keeps changing while it is read");
        return;
    default:
        dp_fail_nomem(&job->req->error, "an answer's body");
        end_job(run, job, DP_NOMEM);
        return;
    }
}

/* Returns whether the answer is complete. libcurl checks Content-Length; the length of a range is known without
 * it. */
static bool is_complete(const struct http_try *t)
{
    if (t->came.fault == HTTP_FAULT_CUT)
        return true;
    if (t->came.fault != HTTP_FAULT_NONE || t->came.result != CURLE_OK)
        return false;
    return t->came.code / 100 != 2 || t->asked.req->method == HTTP_HEAD || !t->came.expected_known ||
           t->came.body_len == t->came.expected;
}

/* Judges a try that has ended, and ends its job or schedules the next try. */
static void judge_try(struct http_run *run, struct http_job *job, struct http_try *t)
{
    enum dp_status called = call_check(run->call);
    bool whole = is_complete(t);
    if (called != DP_OK && !whole) {
        job->req->error = run->call->error;
        end_job(run, job, called);
    } else if (whole) {
        judge_answer(run, job, t);
    } else if (t->came.fault == HTTP_FAULT_NONE || t->came.fault == HTTP_FAULT_STALLED ||
               t->came.fault == HTTP_FAULT_RESENT) {
        judge_break(run, job, t);
    } else {
        judge_fault(run, job, t);
    }
}

static void count_try(struct transport_counts *counts, const struct http_try *t, bool whole)
{
    int class = t->came.code / 100 - 2;
    count_event(&counts->in_flight, -1);
    count_event(&counts->tries, t->came.sent);
    count_event(&counts->received_bytes, (int64_t)t->came.body_len);
    if (whole && class >= 0 && class < HTTP_CLASSES)
        count_event(&counts->answers[class], 1);
    else
        count_event(&counts->broken, 1);
}

/* Takes a try back from the loop. If two are in flight, the first whose answer needs no retry wins, and the loop
 * aborts the other; if one fails, the other may still answer. */
static void finish_try(struct http_run *run, struct http_try *t)
{
    struct http_job *job = t->asked.job;
    struct transport_request *req = job->req;
    req->sent += t->came.sent;
    run->call->cost.requests += t->came.sent;
    if (t->came.code / 100 == 2)
        run->call->cost.bytes += t->came.body_len;
    if (t->came.result == CURLE_OK && !t->came.decided)
        t->came.result = CURLE_GOT_NOTHING; /* a 1xx, then nothing */
    bool whole = is_complete(t);
    count_try(run->counts, t, whole);
    if (!whole && t->came.result == CURLE_OK && t->came.fault == HTTP_FAULT_NONE)
        t->came.result = CURLE_PARTIAL_FILE;
    /* A 4xx refuses the write, even if its body broke off. libcurl repeats a request if its connection was dead. */
    bool told = whole || (t->came.decided && refuses(t->came.code));
    if (t->came.sent > (told ? 1u : 0u))
        req->maybe_landed |= is_write(req);
    if (--job->flying) {
        if (whole && !retried_as_usual(t->came.code)) {
            job->winner = t;
            transport_abort_try(run->transport, t == &job->t ? &job->hedge : &job->t);
        } else {
            close_try(run, t);
        }
        return;
    }
    if (job->winner && job->winner != t) {
        close_try(run, t);
        t = job->winner;
    }
    job->winner = NULL;
    judge_try(run, job, t);
    close_try(run, t);
}

/* ---- rounds ----------------------------------------------------------------------------------------- */

/* Begins the tries that are due. Returns when the next one is due (os_now_ns() scale); INT64_MAX: none waits. */
static int64_t begin_due(struct http_run *run)
{
    int64_t next = INT64_MAX;
    int64_t now = os_now_ns();
    for (size_t i = 0; i < run->n; i++) {
        struct http_job *job = &run->jobs[i];
        if (job->state == JOB_READY || (job->state == JOB_WAITING && job->due_ns <= now))
            begin_try(run, job);
        if (job->state == JOB_WAITING && job->due_ns < next)
            next = job->due_ns;
    }
    return next;
}

static void finish_done(struct http_run *run, int64_t until)
{
    struct http_try *slow, *done = transport_wait(run->transport, &run->round, until, &slow);
    for (struct http_try *t = slow, *next; t; t = next) {
        next = t->locked.next_slow;
        begin_hedge(run, t->asked.job);
    }
    for (struct http_try *t = done, *next; t; t = next) {
        next = t->next;
        finish_try(run, t);
    }
}

/* Ends all jobs with the status of the call. */
static void give_up(struct http_run *run, enum dp_status status)
{
    const struct dp_error error = run->call->error;
    for (size_t i = 0; i < run->n; i++) {
        struct http_job *job = &run->jobs[i];
        if (job->state == JOB_READY || job->state == JOB_WAITING) {
            job->req->error = error;
            end_job(run, job, status);
        }
    }
    if (run->left)
        transport_abort(run->transport, &run->round);
    while (run->left)
        finish_done(run, INT64_MAX);
}

static void run_http_jobs(struct http_run *run)
{
    while (run->left) {
        enum dp_status status = call_check(run->call);
        if (status != DP_OK) {
            give_up(run, status);
            return;
        }
        int64_t until = begin_due(run);
        if (!run->left)
            return;
        if (run->call->deadline_ns < until)
            until = run->call->deadline_ns;
        if (run->call->cancelled) {
            int64_t look = os_now_ns() + (int64_t)CANCEL_LOOK_MS * NS_PER_MS;
            until = look < until ? look : until;
        }
        finish_done(run, until);
    }
}

/* Clears the outputs, and refuses a malformed request. */
static enum dp_status check_http_request(struct transport_request *req)
{
    req->error = (struct dp_error){0};
    req->code = 0;
    req->bytes = (struct store_bytes){0};
    req->body_len = req->size = 0;
    req->head = req->etag = req->last_modified = span_of(NULL, 0);
    req->size_known = req->maybe_landed = req->unasked = false;
    req->sent = 0;
    for (size_t i = 0; i < req->url.len; i++)
        if (req->url.data[i] <= 0x20 || req->url.data[i] >= 0x7f)
            return dp_fail(&req->error, DP_INVALID, "a URL has a character in it that must be percent-encoded");
    if (!span_starts_with(req->url, span_str("http://")) && !span_starts_with(req->url, span_str("https://")))
        return dp_fail(&req->error, DP_INVALID, "a URL must begin with http:// or https://");
    if (req->ranged && (req->method != HTTP_GET || req->len == 0 || req->len < HTTP_LEN_TO_END ||
                        req->offset > INT64_MAX || (req->len > 0 && (uint64_t)req->len > INT64_MAX - req->offset)))
        return dp_fail(&req->error, DP_INVALID, "a range of %" PRId64 " bytes at %" PRIu64 " cannot be asked for",
                       req->len, req->offset);
    return DP_OK;
}

enum dp_status transport_run(struct call *call, struct transport *transport, struct transport_request *reqs,
                             size_t n)
{
    struct http_run run = {.call = call,
                           .transport = transport,
                           .options = transport_options_of(transport),
                           .counts = transport_counts_of(transport),
                           .jobs = mem_calloc(n ? n : 1, sizeof *run.jobs),
                           .n = n,
                           .left = n};
    int64_t now = os_now_ns();
    for (size_t i = 0; i < n; i++) {
        struct transport_request *req = &reqs[i];
        req->status = check_http_request(req);
        if (req->status == DP_OK && !run.jobs)
            req->status = dp_fail_nomem(&req->error, "requests");
        if (!run.jobs)
            continue;
        struct http_job *job = &run.jobs[i];
        *job = (struct http_job){.req = req, .first_ns = now};
        buffer_init(&job->first_head, HTTP_HEAD_MAX);
        if (req->status != DP_OK)
            end_job(&run, job, req->status);
    }
    if (run.jobs) {
        pthread_cond_init(&run.round.wake, NULL);
        run_http_jobs(&run);
        pthread_cond_destroy(&run.round.wake);
        for (size_t i = 0; i < n; i++)
            buffer_deinit(&run.jobs[i].first_head);
        mem_free(run.jobs);
    }
    for (size_t i = 0; i < n; i++)
        if (reqs[i].status != DP_OK) {
            call->error = reqs[i].error;
            return reqs[i].status;
        }
    dp_error_clear(&call->error);
    return DP_OK;
}

void transport_release(struct transport_request *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_bytes_release(&reqs[i].bytes);
}
