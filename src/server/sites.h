/* server/sites.h: which web sites a request may come from, and by which names a client may call this server.
 *
 * A browser runs pages of any site and can reach servers that others cannot reach. Three rules protect a server
 * that asks nobody for a key: a page of another site may send nothing (site_is_foreign), a page may not rebind its
 * own name to this server's address (site_knows_host), and a browser shows an answer to a page of another site only
 * if headers permit it (site_add_cors).
 */
#ifndef SERVER_SITES_H
#define SERVER_SITES_H

#include "api/http.h"
#include "server/head.h"

/* The settings of a server. Both texts hold words, separated by blanks or commas. */
struct site_rules {
    const char *cors_origin; /* origins whose pages may send requests: "https://a.example"; "*": all; NULL: none */
    /* Names that a Host header may have beside localhost and addresses: "a.example", "*.a.example" for all names
     * below it, "*" for any. NULL: none. */
    const char *allowed_hosts;
    bool checks_host; /* whether a Host header must be known */
};

/* Refuses words that match no origin or no name, such as an origin with a path (DP_INVALID). */
enum dp_status site_rules_check(const struct site_rules *rules, struct dp_error *error);

/* Whether a page of another site sent this request, and no rule permits that site. Browsers name the kind of site
 * in Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/). Where that header is missing, Origin decides about a
 * POST that a browser may send to another site without asking first. */
bool site_is_foreign(const struct site_rules *rules, const struct head *head, struct span method);

/* Whether the Host header is an address, localhost or an allowed name. True also without a Host header, because all
 * browsers send one. */
bool site_knows_host(const struct site_rules *rules, const struct head *head);

/* Adds the headers that let a page of a permitted origin read the answer. Does nothing without cors_origin. */
void site_add_cors(const struct site_rules *rules, const struct head *head, struct arena *arena,
                   struct http_response *response);
/* Adds the headers that answer a browser's question whether a page may send a request (a preflight). */
void site_add_preflight(const struct site_rules *rules, const struct head *head, struct arena *arena,
                        struct http_response *response);

#endif
