/* cli/accounts.h: opens the accounts that the settings describe. */
#ifndef CLI_ACCOUNTS_H
#define CLI_ACCOUNTS_H

#include "account/accounts.h"
#include "config/config.h"

/* Opens the accounts for a server. `registry` receives their metrics; NULL: none. */
enum dp_status open_accounts(const struct config *config, struct metric_registry *registry, struct accounts **out,
                             struct dp_error *error);
/* Returns the URL of the database: the settings' URL, or else that of a file in the user's state folder.
 * Returns NULL, with the call's error filled, if that folder is unknown or no memory is left. */
const char *accounts_database_url(struct call *call, const struct config *config);
/* Opens only the accounts' database, for commands, and brings its schema up to date. */
enum dp_status open_accounts_database(struct call *call, const struct config *config, struct database **out);

#endif
