/* service/url_rules.h: which URLs the operator permits clients to open.
 *
 * A client that names a URL makes this process request it, which is server-side request forgery by nature. So only URLs
 * that match a rule are permitted. One strict parser reads rules and URLs, and refuses all that can be read in two ways:
 * userinfo, backslashes, dot segments and slashes in any percent-encoding, fragments, trailing dots of hosts.
 *
 * Rules are separated by blanks or commas:
 *
 *   https://host/path        that path and all below it, but not https://host/pathology
 *   https://host/path-STAR   (STAR is '*') all URLs that begin so
 *   https://host:8443/       only this port
 *   https://STAR.example.com any host below example.com; https://STAR any host
 *   s3://bucket/prefix       objects, read with this server's own keys
 *   file:///folder           files of this host
 *   private+http://host      http://host, also when it has a private address
 *
 * A rule with an address or localhost permits exactly that. All other names and wildcards must resolve to a public address
 * each time a connection is made.
 */
#ifndef SERVICE_URL_RULES_H
#define SERVICE_URL_RULES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { URL_RULES_URL_MAX = 8192 };

struct url_rules;

/* How the store of a permitted URL is reached. */
enum url_reach {
    URL_LOCAL,  /* file:// */
    URL_BUCKET, /* s3://, at the endpoint of the settings */
    URL_PUBLIC, /* http(s), only at public addresses */
    URL_ANY     /* http(s), at any address */
};

/* DP_INVALID names the rule and says why. Without rules no URL is permitted. */
enum dp_status url_rules_new(struct span text, struct url_rules **out, struct dp_error *error);
void url_rules_free(struct url_rules *rules); /* NULL is fine */
size_t url_rules_count(const struct url_rules *rules);

struct url_permit {
    enum url_reach reach;
    /* URL_LOCAL: the absolute path of the rule's folder, in the arena. Between it and the file there must be no symbolic
     * link, which may lead out of it. */
    const char *below;
};

/* DP_DENIED: no rule permits the URL; DP_INVALID: it is malformed. Messages show neither query nor userinfo. Thread-safe.
 * arena: also for scratch. */
enum dp_status url_rules_check(const struct url_rules *rules, struct span url, struct arena *arena,
                               struct url_permit *out, struct dp_error *error);

#endif
