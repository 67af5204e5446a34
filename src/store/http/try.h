/* store/http/try.h: one try of a request, and its answer. http/run.c decides on tries, http/try.c speaks to
 * libcurl, and the loop of http/transport.c moves the bytes.
 *
 * A try belongs to the thread that runs the round until transport_submit, then to the loop, and to the round
 * again when it is TRY_DONE. The groups of `struct http_try` say who may touch which field in between.
 */
#ifndef STORE_HTTP_TRY_H
#define STORE_HTTP_TRY_H

#include <curl/curl.h>

#include "base/buffer.h"
#include "store/http/request.h"

struct transport_options;

enum {
    HTTP_HEAD_MAX = 64 << 10,       /* bytes of an answer's header lines */
    HTTP_ERROR_BODY_MAX = 64 << 10, /* bytes kept of an answer that is not 2xx */
    HTTP_BODY_DEFAULT_MAX = 16 << 20
};

/* The reason for which we broke off a try ourselves. */
enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_HEAD,      /* the head is longer than HTTP_HEAD_MAX */
    HTTP_FAULT_BODY,      /* the body is longer than allowed */
    HTTP_FAULT_BAD_RANGE, /* 206 with another range than requested, or without a range */
    HTTP_FAULT_NO_RANGES, /* 200 with a larger object than the range */
    HTTP_FAULT_STALE,     /* the ETag differs from if_match */
    HTTP_FAULT_CHANGED,   /* the version differs from the one that an earlier try began to read */
    HTTP_FAULT_RESENT,    /* libcurl was about to send a `once` request a second time */
    HTTP_FAULT_STALLED,
    HTTP_FAULT_CUT, /* the body of an error is longer than HTTP_ERROR_BODY_MAX; the answer counts as complete */
    HTTP_FAULT_NOMEM
};

/* Takes the bytes of a 2xx answer. A try that resumes an earlier one takes over its sink. */
struct http_sink {
    uint8_t *data; /* NULL: nothing yet */
    size_t room, len;
    struct store_block *block; /* the block that holds `data`; NULL: `data` is the caller's `into` */
    bool grows;                /* `data` grows, because the length is unknown */
};

enum http_try_state { TRY_IDLE, TRY_QUEUED, TRY_STARTING, TRY_ACTIVE, TRY_DONE };

struct http_round;
struct http_host;
struct http_job;

/* One sending of a request, and its answer. */
struct http_try {
    /* Set until transport_submit returns, then only read. */
    struct {
        const struct transport_request *req;
        struct http_job *job; /* in http/run.c */
        CURL *easy;
        bool is_hedge;  /* waits in its host's queue for hedges, and has its bytes in a block, not in `into` */
        bool hedgeable; /* the loop may report it as slow */
        struct curl_slist *headers;
        bool complete;     /* `headers` has all headers of the try: see http_try_complete */
        struct buffer url; /* the URL that prepare chose; empty: the one of req */
        /* For a try that resumes: the sink holds the first `at` bytes of the range, and `first_head` is the head
         * of the answer that brought them (.data NULL: this try starts afresh). */
        uint64_t at;
        struct span first_head;
        struct http_round *round;
        struct http_host *host;
    } asked;

    /* Guarded by the transport's lock. */
    struct {
        enum http_try_state state;
        bool aborted;
        struct http_try *next_slow; /* next in the round's list of slow tries */
    } locked;

    /* Links in a host's queue, the list to start, the loop's list of active tries, or the round's list of finished
     * tries. The guard of that list guards them. */
    struct http_try *next, *previous;

    /* Owned by the loop while the try is active. */
    struct {
        size_t upload_at;
        uint64_t moved, window_moved; /* bytes in either direction: now, and at the last look for stalls */
        int64_t window_ns;            /* time of that look; 0: not sent yet */
        int64_t sent_ns;              /* 0: not sent yet */
        int64_t decided_ns;           /* time at which the head was whole */
        bool asked_twice;             /* the loop has reported the try as slow */
    } loop;

    /* The answer. The loop writes it; the round reads it when the try is TRY_DONE. */
    struct {
        CURLcode result;
        enum http_fault fault;
        bool refused; /* the host's address is not public */
        unsigned sent;
        int code;
        struct buffer head; /* header lines, without the status line */
        bool decided;       /* the head was judged */
        bool expected_known;
        uint64_t expected, body_len; /* bytes of this answer's body */
        uint64_t size;               /* bytes of the whole object */
        bool size_known;
        struct http_sink sink;
        struct buffer error_body;
        char curl_error[CURL_ERROR_SIZE];
    } came;
};

/* Makes an idle try of `req`. */
void http_try_init(struct http_try *t, const struct transport_request *req);
/* Frees everything in the try but the easy handle and the sink. */
void http_try_deinit(struct http_try *t);

/* Adds a header to this try. It replaces a header of the same name in the request's `headers`; names are compared
 * without regard to case. DP_INVALID if the value holds a line end. */
enum dp_status http_try_header(struct http_try *attempt, const char *name, struct span value,
                               struct dp_error *error);
/* Returns "GET", …, as requests and their signatures name a method. */
struct span http_method_name(enum http_method method);
/* Adds the remaining headers of the try: those of the request that `prepare` did not set, Range and If-Match. A
 * `prepare` that signs them calls it after it has set its own; otherwise http_try_arm does. */
enum dp_status http_try_complete(struct http_try *attempt, struct dp_error *error);
/* Copies the try's headers, without those that libcurl adds (Host, Content-Length), to `out`. Returns their number,
 * which may exceed `room`. */
size_t http_try_headers(const struct http_try *attempt, struct transport_header *out, size_t room);
/* Sends this try to another URL. */
enum dp_status http_try_url(struct http_try *attempt, struct span url, struct dp_error *error);

/* Sets up the easy handle, which must be as curl_easy_init left it. `trust` is for a request that
 * names no trust itself. */
enum dp_status http_try_arm(struct http_try *t, const struct transport_options *options, const struct trust *trust,
                            struct dp_error *error);
struct span http_try_target(const struct http_try *t);
/* Take a header line with its line end (the status line begins an answer, an empty line ends its head), or a piece
 * of the body, from libcurl. Return false when the try must be broken off; `fault` then says why. */
bool http_try_take_head(struct http_try *t, struct span line);
bool http_try_take_body(struct http_try *t, struct span data);
void http_sink_drop(struct http_sink *sink);
/* Returns the version that the head of an answer shows: the request's version_header, else the ETag. len 0: none. */
struct span http_shown_version(const struct transport_request *req, struct span head);
/* Returns whether the heads of two answers show the same version: in the request's version_header, or the same ETag, or
 * without one, the same Last-Modified. False when `first` has none of them. */
bool http_same_version(const struct transport_request *req, struct span first, struct span head);

#endif
