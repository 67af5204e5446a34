/* embed/batch_queue.h: the texts that wait for the embedder, and the choice of those that the next batch computes.
 *
 * A batch takes one turn of about 15 ms, so a new request waits at most for that long before it is considered.
 * Small requests go first: a small request is one text, or no more work than a text of 256 tokens. Their batch holds
 * no text of a large request. While both kinds wait, small requests get at most three quarters of the time. Within
 * each kind every client gets the same share of the work, however many requests and texts it has (start-time fair
 * queueing: P. Goyal, H. Vin and H. Cheng, 1996).
 *
 * The queue has no lock, thread or clock: its caller guards it and says how long each batch took.
 */
#ifndef EMBED_BATCH_QUEUE_H
#define EMBED_BATCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embed/tokenizer.h"

/* A request on its way through the queue. It lies in its caller's memory. */
struct batch_request {
    const struct tokens *seqs; /* set by the caller, constant */
    size_t n;                  /* set by the caller, constant */
    uint64_t client;           /* set by the caller, constant: requests of one client share its part of the work */
    /* The queue sets the other fields. */
    struct batch_request *before, *behind;
    size_t next;        /* position of the first text that no batch has taken */
    size_t tokens_left; /* tokens of the texts that no batch has taken */
    uint64_t cost_left;
    uint64_t served; /* the client's place on the clock of its kind: the least comes next */
    bool small, queued;
};

struct batch_queue {
    struct batch_request *first, *last;
    size_t waiting_tokens, waiting[2]; /* waiting[small]: requests */
    uint64_t waiting_cost;
    uint64_t turn_cost; /* work of one batch */
    size_t workers;
    double cost_ns;    /* time that the whole team needs for one unit of work */
    bool is_measured;  /* cost_ns comes from batches */
    uint64_t clock[2]; /* clock[small]: place of the text of this kind that was taken last */
    int64_t lead;      /* work that small requests got beyond their share while large ones waited */
};

/* A text that a batch takes. */
struct batch_text {
    struct batch_request *request;
    size_t place; /* in `seqs` */
};

/* Returns the work that a text of `tokens` tokens is. */
uint64_t batch_cost(size_t tokens);

/* Makes an empty queue. workers: those of the team that computes. */
void batch_queue_init(struct batch_queue *q, size_t workers);
/* Appends a request. */
void batch_queue_add(struct batch_queue *q, struct batch_request *r);
/* Removes a request that still waits. */
void batch_queue_remove(struct batch_queue *q, struct batch_request *r);
/* Who computes a batch. */
struct batch_share {
    size_t workers;    /* how many of the queue's workers */
    size_t tokens_max; /* most tokens of the batch, unless one text has more */
};
/* Takes the texts of the next batch for these workers, at most tokens_max of them. A request whose last text it takes leaves
 * the queue. Returns how many it took, and sets *tokens to the sum of their tokens. */
size_t batch_queue_take(struct batch_queue *q, const struct batch_share *share, struct batch_text *texts,
                        size_t *tokens);
/* Says how long so many workers took for a batch of this work. The length of later turns depends on it. */
void batch_queue_took(struct batch_queue *q, size_t workers, uint64_t cost, int64_t ns);
/* Estimates how long the waiting texts take. */
int64_t batch_queue_ns(const struct batch_queue *q);

#endif
