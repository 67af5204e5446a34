/* store/azure_settings.h: the settings of the Azure store, as plain values. The program fills them from the table of
 * settings (src/config); each comment names the environment variable of Azure's own tools.
 */
#ifndef STORE_AZURE_SETTINGS_H
#define STORE_AZURE_SETTINGS_H

#include <stdbool.h>

#include "store/trust.h"

/* NULL and "" mean not set. The texts must live until the store is open. */
struct azure_settings {
    const char *connection_string; /* AZURE_STORAGE_CONNECTION_STRING; it wins over the next four */
    const char *account;           /* AZURE_STORAGE_ACCOUNT */
    const char *account_key;       /* AZURE_STORAGE_KEY */
    const char *sas_token;         /* AZURE_STORAGE_SAS_TOKEN */
    const char *endpoint;          /* AZURE_STORAGE_BLOB_ENDPOINT; else Azure's for the account */
    bool anonymous;                /* for public containers: sends requests without credentials */

    /* Sources of tokens, if there is neither key nor SAS token: the first one that is set, else the metadata
     * service. */
    const char *client_id, *client_secret, *tenant_id; /* AZURE_CLIENT_ID, … */
    const char *federated_token_file;                  /* AZURE_FEDERATED_TOKEN_FILE */
    const char *authority;                             /* AZURE_AUTHORITY_HOST */
    const char *identity_endpoint, *identity_header;   /* IDENTITY_ENDPOINT, IDENTITY_HEADER: of App Service */
    const char *metadata_endpoint;                     /* AZURE_POD_IDENTITY_AUTHORITY_HOST */

    struct trust_settings trust; /* set by the store, from its options */
};

#endif
