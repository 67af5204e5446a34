/* http_listing.c: pages of a listing (see http_listing.h). */
#include "http_listing.h"

#include <stdio.h>
#include <string.h>

/* Returns the key of an object of the bucket; NULL if it lies elsewhere or does not begin with the prefix. */
static const char *key_in(const struct http_page *p, const struct http_object *o, const char *bucket)
{
    size_t len = strlen(bucket);
    if (strncmp(o->name, bucket, len) != 0 || o->name[len] != '/')
        return NULL;
    const char *key = o->name + len + 1;
    return strncmp(key, p->prefix, strlen(p->prefix)) == 0 ? key : NULL;
}

/* Returns whether the page before ended with the folder that holds the key. */
static bool was_listed(const struct http_page *p, const char *key)
{
    size_t len = strlen(p->token);
    bool is_folder = len && p->folders && p->token[len - 1] == '/';
    return strcmp(key, p->token) <= 0 || (is_folder && strncmp(key, p->token, len) == 0);
}

bool http_page_next(struct http_page *p, const struct http_objects *all, const char *bucket,
                    const struct http_object **object)
{
    if (!p->begun)
        p->next = all->first;
    p->begun = true;
    while (p->next) {
        const struct http_object *o = p->next;
        const char *key = key_in(p, o, bucket);
        bool skipped = !key || (*p->after && strcmp(key, p->after) <= 0) || strcmp(key, p->from) < 0 ||
                       (*p->token && was_listed(p, key));
        const char *slash = !skipped && p->folders ? strchr(key + strlen(p->prefix), '/') : NULL;
        size_t len = slash ? (size_t)(slash - key) + 1 : skipped ? 0 : strlen(key);
        skipped = skipped || (slash && strlen(p->last) == len && strncmp(p->last, key, len) == 0);
        if (!skipped && p->count == p->most) {
            p->full = true;
            return false;
        }
        p->next = o->next;
        if (skipped)
            continue;
        p->count++;
        snprintf(p->last, sizeof p->last, "%.*s", (int)len, key);
        *object = slash ? NULL : o;
        return true;
    }
    return false;
}
