/* cli/banner.h: tells an operator what a server that has just begun offers, in its log. */
#ifndef CLI_BANNER_H
#define CLI_BANNER_H

#include "account/accounts.h"
#include "config/config.h"
#include "service/service.h"

/* Logs the version, the processors and their instruction set, the models, the namespaces, the search page, and what the
 * operator should know about keys. Takes at most a second, even if the store does not answer. `accounts` may be
 * NULL. */
void banner_log(const struct config *config, struct service *service, struct accounts *accounts, const char *url);

#endif
