/* store/azure/tokens.h: fetches, shares and renews the bearer tokens that open Azure's blobs.
 *
 * Tokens come from the first source that the settings name: a service principal's secret, a federated token file
 * (workload identity), the identity endpoint of App Service. Without any, the machine's metadata service is asked for
 * the token of its managed identity. store/auth/secret_cache.h says how threads share a token.
 */
#ifndef STORE_AZURE_TOKENS_H
#define STORE_AZURE_TOKENS_H

#include "os/call.h"
#include "store/auth/secret.h"
#include "store/azure_settings.h"

struct azure_tokens;

/* Copies the settings' texts; fetches nothing yet. `account` is for messages. `wall_ms` returns the time; NULL:
 * os_wall_ms. */
enum dp_status azure_tokens_new(const struct azure_settings *settings, struct span account,
                                int64_t (*wall_ms)(void), struct azure_tokens **out, struct dp_error *error);
void azure_tokens_free(struct azure_tokens *tokens); /* NULL is fine */

/* Sets *out to a token that is valid now, which the caller releases with secret_release. Blocks while it fetches
 * one. DP_DENIED if no source gives tokens; the message says what to set. */
enum dp_status azure_tokens_get(struct call *call, struct azure_tokens *tokens, struct bearer_token **out);
/* Reports that the store refused the token of this serial, without saying whether it has expired. Returns whether
 * azure_tokens_get may now give another one. */
bool azure_tokens_doubted(struct azure_tokens *tokens, uint64_t serial);

#endif
