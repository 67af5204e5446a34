/* setting_shared.c: decides whether the value of an environment variable is meant for Dipper or for another
 * program.
 *
 * Dipper accepts FastEmbed's names, which are common: conda and tcsh set HOST, web frameworks set WORKERS and
 * DATABASE_URL, and Kubernetes sets NAME_PORT in each pod beside a Service of that name. */
#include "config/settings.h"

#include <string.h>

#include "os/address.h"

enum { ADDRESS_MAX = 64 };

bool setting_variable_is_shared(const char *name)
{
    static const char *const ours[] = {"DIPPER_",   "AWS_",     "S3_",          "GOOGLE_", "STORAGE_EMULATOR_HOST",
                                       "CLOUDSDK_", "GCE_",     "NO_GCE_CHECK", "AZURE_",  "IDENTITY_",
                                       "SSL_CERT_", "CURL_CA_", "REQUESTS_CA_", "XDG_",    "HOME"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strncmp(name, ours[i], strlen(ours[i])) == 0)
            return false;
    return true;
}

bool setting_variable_is_of_kubernetes(const char *name, struct span value)
{
    static const char suffix[] = "_PORT";
    static const char *const protocols[] = {"tcp://", "udp://", "sctp://"};
    const size_t len = strlen(name), tail = sizeof suffix - 1;
    if (len < tail || strcmp(name + len - tail, suffix) != 0)
        return false;
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (span_starts_with(value, span_str(protocols[i])))
            return true;
    return false;
}

bool setting_is_address(struct span text)
{
    char copy[ADDRESS_MAX];
    if (text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']')
        text = span_of(text.data + 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return strcmp(copy, "localhost") == 0 || os_is_address(copy);
}

bool setting_is_redis(struct span text)
{
    return span_starts_with(text, span_str("redis://"));
}

bool setting_is_database(struct span text)
{
    static const char *const beginnings[] = {"sqlite://", "postgresql://", "postgres://", "/"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (span_starts_with(text, span_str(beginnings[i])))
            return true;
    return false;
}
