/* http_listing.h: walks the objects of a bucket in pages, for the dialects of a scripted server that list
 * (http_objects.h). An object's name is "/bucket/key". */
#ifndef HTTP_LISTING_H
#define HTTP_LISTING_H

#include "http_objects.h"

enum { HTTP_LISTED_MAX = 4096 };

/* A page of a listing. The dialect zeroes it and sets the first group. */
struct http_page {
    char prefix[HTTP_LISTED_MAX];
    char after[HTTP_LISTED_MAX]; /* names that sort after this one; "": all */
    char from[HTTP_LISTED_MAX];  /* names that do not sort before this one */
    char token[HTTP_LISTED_MAX]; /* the last entry of the page before; "": the first page */
    bool folders;
    size_t most;

    const struct http_object *next; /* of the walk; NULL before it begins */
    bool begun, full;               /* full: there are more entries than `most` */
    size_t count;
    char last[HTTP_LISTED_MAX]; /* the last entry: a key, or a folder with its '/' */
};

/* Moves to the next entry, `page->last`, of the bucket "/bucket". *object is NULL for a folder. Returns false at the
 * page's end. */
bool http_page_next(struct http_page *page, const struct http_objects *all, const char *bucket,
                    const struct http_object **object);

#endif
