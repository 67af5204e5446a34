/* service/url_rules.h: decides which URLs clients may open, by rules that the operator writes.
 *
 * A client that names a URL makes this process request it, which is server-side request forgery by nature. So
 * clients may open only URLs that match a rule. One strict parser reads rules and URLs. It refuses everything that
 * two programs may read differently: userinfo, backslashes, dot segments and slashes in any percent-encoding,
 * fragments, trailing dots of hosts.
 *
 * White space or commas separate the rules:
 *
 *   https://host/path        that path and all below it, but not https://host/pathology
 *   https://host/path-STAR   (STAR is '*') all URLs that begin with https://host/path-
 *   https://host:8443/       only this port
 *   https://STAR.example.com any host below example.com; https://STAR any host
 *   s3://bucket/prefix       objects, read with this server's own keys; gs:// and az:// as well
 *   file:///folder           files of this host
 *   private+http://host      http://host, also when it has a private address
 *
 * A rule whose host is an address or localhost permits exactly that host. All other names and wildcards must
 * resolve to a public address for each connection.
 */
#ifndef SERVICE_URL_RULES_H
#define SERVICE_URL_RULES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { URL_RULES_URL_MAX = 8192 };

struct url_rules;

/* The way to the store of a permitted URL. */
enum url_reach {
    URL_LOCAL,  /* file:// */
    URL_BUCKET, /* s3://, gs:// or az://, at the endpoint of the settings */
    URL_PUBLIC, /* http(s), only at public addresses */
    URL_ANY     /* http(s), at any address */
};

/* Parses rules. DP_INVALID names the rule and says why. An empty text has no rules, so it permits no URL. */
enum dp_status url_rules_new(struct span text, struct url_rules **out, struct dp_error *error);
void url_rules_free(struct url_rules *rules); /* NULL is fine */
size_t url_rules_count(const struct url_rules *rules);

struct url_permit {
    enum url_reach reach;
    /* URL_LOCAL: the absolute path of the rule's folder, in the arena. The opener must refuse symbolic links
     * below this folder, because they may lead out of it. */
    const char *below;
};

/* Checks a URL against the rules. DP_DENIED: no rule permits the URL; DP_INVALID: the URL is malformed.
 * Messages show neither query nor userinfo. Thread-safe. Takes temporary memory from the arena, too. */
enum dp_status url_rules_check(const struct url_rules *rules, struct span url, struct arena *arena,
                               struct url_permit *out, struct dp_error *error);

#endif
