/* cli/accounts.h: opening the accounts as the settings say. */
#ifndef CLI_ACCOUNTS_H
#define CLI_ACCOUNTS_H

#include "account/accounts.h"
#include "config/config.h"

/* The accounts of the settings, for a server with these metrics (NULL: none), whose request threads are so many. */
enum dp_status open_accounts(const struct config *config, struct metric_registry *registry, struct accounts **out,
                             struct dp_error *error);
/* Their database alone, brought up to date, for commands. */
enum dp_status open_accounts_database(struct call *call, const struct config *config, struct database **out);

#endif
