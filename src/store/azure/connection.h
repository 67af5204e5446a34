/* store/azure/connection.h: finds the account, endpoint and credentials that open a container, from the root's URL, the
 * settings and a connection string. Pure: no I/O.
 */
#ifndef STORE_AZURE_CONNECTION_H
#define STORE_AZURE_CONNECTION_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "store/azure_settings.h"

/* The parts of a connection string ("AccountName=…;AccountKey=…;EndpointSuffix=…"); empty if not there. They are
 * spans of the text, but `endpoint` may be in the arena. */
struct azure_connection_string {
    struct span account, account_key, sas_token;
    struct span endpoint; /* of blobs */
};
/* Parses a connection string. Names count without case; unknown ones (QueueEndpoint) are skipped. DP_INVALID for
 * other texts; no message quotes the text. */
enum dp_status azure_connection_parse(struct span text, struct arena *arena, struct azure_connection_string *out,
                                      struct dp_error *error);

/* The part of a root behind "://": "container/prefix", or "container@account.dfs.core.windows.net/prefix". */
struct azure_root {
    struct span container;
    struct span host;   /* .data NULL: none */
    struct span prefix; /* without '/' at its end */
};
/* Splits and checks a root. `scheme` is for messages. */
enum dp_status azure_root_parse(const char *scheme, struct span name, struct azure_root *out,
                                struct dp_error *error);

/* How requests show who asks. */
enum azure_credential {
    AZURE_ANONYMOUS,
    AZURE_SHARED_KEY,
    AZURE_SAS,
    AZURE_TOKEN /* a bearer token (store/azure/tokens.h) */
};

/* Where requests go, and with what. Texts live in the arena, with a NUL behind them. */
struct azure_connection {
    struct span account;
    struct span endpoint; /* "https://account.blob.core.windows.net", without '/' at its end */
    enum azure_credential credential;
    struct span key; /* AZURE_SHARED_KEY: decoded */
    struct span sas; /* AZURE_SAS: parameters without '?' */
};
/* A key or SAS token belongs to one account. If the root's host names another account than the settings, they do not
 * apply to it: no secret goes to a host that a stranger's URL names. Hosts that are not Azure's are DP_INVALID,
 * unless the settings name them. */
enum dp_status azure_connection_find(const struct azure_settings *settings, const struct azure_root *root,
                                     struct arena *arena, struct azure_connection *out, struct dp_error *error);

#endif
