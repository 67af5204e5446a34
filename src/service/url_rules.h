/* service/url_rules.h: which URLs of files clients may have opened, as the operator permits.
 *
 * Whoever may name a URL makes this process ask it: server-side request forgery by nature. So nothing is permitted but
 * what a rule names, rules and URLs are taken apart by one strict parser, and what could be read in two ways is refused:
 * userinfo, backslashes, dot segments and slashes in any percent-encoding, fragments, trailing dots of hosts.
 *
 * Rules are separated by blanks or commas:
 *
 *   https://host/path        the URL of that path, or of anything below it; never https://host/pathology
 *   https://host/path-STAR   (STAR is '*') what begins with that
 *   https://host:8443/       another port is another server
 *   https://STAR.example.com any host below example.com; https://STAR any host
 *   s3://bucket/prefix       objects, read with this server's own keys
 *   file:///folder           files of this host
 *   private+http://host      as without "private+", but the host may have a private address
 *
 * A host named by an address or as localhost is taken at its word; whatever other names and wildcards stand for must be
 * a public address each time a connection is made, whatever their resolver says then.
 */
#ifndef SERVICE_URL_RULES_H
#define SERVICE_URL_RULES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { URL_RULES_URL_MAX = 8192 };

struct url_rules;

/* How the store behind a permitted URL is to be reached. */
enum url_reach {
    URL_LOCAL,  /* file:// */
    URL_BUCKET, /* s3://, at the endpoint that the operator has set */
    URL_PUBLIC, /* http(s), public addresses alone */
    URL_ANY     /* http(s), the operator vouches for the host */
};

/* DP_INVALID says which rule is wrong and why. No rules: nothing is permitted. */
enum dp_status url_rules_new(struct span text, struct url_rules **out, struct dp_error *error);
void url_rules_free(struct url_rules *rules); /* NULL is fine */
size_t url_rules_count(const struct url_rules *rules);

struct url_permit {
    enum url_reach reach;
    /* URL_LOCAL: the folder that the rule names, an absolute path: the way from there to the file must be without
     * symbolic links, which may lead out of it. In the arena. */
    const char *below;
};

/* DP_DENIED when no rule permits the URL, DP_INVALID when it is malformed. Messages show neither query nor userinfo.
 * arena: for scratch. Thread-safe. */
enum dp_status url_rules_check(const struct url_rules *rules, struct span url, struct arena *arena,
                               struct url_permit *out, struct dp_error *error);

#endif
