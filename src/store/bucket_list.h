/* store/bucket_list.h: lists a bucket or container page by page, for the remote stores.
 *
 * A store gives a function that fetches one page. This code puts the root's prefix before names, leaves out names
 * that cannot be keys ("a//b", markers "a/") and names below ".dipper", and ends a listing that makes no progress:
 * one in which a page names itself as the next page, or begins before the end of the previous page.
 */
#ifndef STORE_BUCKET_LIST_H
#define STORE_BUCKET_LIST_H

#include "store/store.h"

/* One page of a listing. Its texts live in `bytes` or in the call's arena. */
struct bucket_page {
    struct store_entry *entries; /* ascending; names in the bucket, with the root's prefix */
    size_t count, capacity;
    bool truncated;
    struct span next;         /* token of the next page */
    struct store_bytes bytes; /* the answer; bucket_list releases it */
};

/* Appends an entry. Its key lives as long as the page. */
enum dp_status bucket_page_append(struct arena *arena, struct bucket_page *page, const struct store_entry *entry,
                                  struct dp_error *error);
/* Sorts objects and folders together. Some stores list objects before the folders, some after them or between
 * them, and some do not sort at all. */
void bucket_page_sort(struct bucket_page *page);

/* The page that a request asks for. */
struct bucket_page_req {
    struct span prefix; /* names that begin with this text */
    struct span behind; /* names behind this one; empty if there is none, and whenever there is a token */
    struct span token;  /* empty: the first page */
    bool folders;       /* names with another '/' behind the prefix become folders */
    size_t most;        /* maximum entries */
};

/* A bucket to list. */
struct bucket {
    const char *root;   /* for messages */
    struct span prefix; /* of the root: empty, or ends in '/' */
    size_t page_max;    /* maximum entries that a request for a page may ask for */
    enum dp_status (*fetch)(struct call *call, const struct bucket *bucket, const struct bucket_page_req *req,
                            struct bucket_page *out);
    /* Returns whether a listing can begin behind a name. If it cannot, the listing begins at its start, and
     * bucket_list skips the names before. An answer may change it from true to false. */
    bool (*begins_behind)(const struct bucket *bucket);
    void *ctx;
};

/* Implements a store's `list`. Counts a round for each page after the first. */
enum dp_status bucket_list(struct call *call, const struct bucket *bucket, struct span prefix, struct span after,
                           bool folders, size_t max, struct store_listing *out);

#endif
