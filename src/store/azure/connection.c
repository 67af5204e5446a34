/* azure/connection.c: which account, which endpoint, which credentials (see connection.h). */
#include "store/azure/connection.h"

#include "base/base64.h"
#include "base/url.h"
#include "base/utf8.h"
#include "store/implement.h"

enum {
    CONTAINER_MIN = 3,
    CONTAINER_MAX = 63,
    ACCOUNT_MAX = 63,
    HOST_MAX = 255,
    ENDPOINT_MAX = 1024,
    KEY_MAX = 512
};

/* The emulator's account and key are the same on every machine ("Use the Azurite emulator", Azure Storage). */
static const char EMULATOR_ENDPOINT[] = "http://127.0.0.1:10000/devstoreaccount1";
static const char EMULATOR_ACCOUNT[] = "devstoreaccount1";
static const char EMULATOR_KEY[] =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/* What follows the account and ".blob." or ".dfs." in the names of Azure's own hosts. */
static const char *const CLOUDS[] = {"core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net",
                                     "storage.azure.net", "fabric.microsoft.com"};

static bool is_lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return true;
}

/* Returns the first of two texts that is not empty. */
static struct span or_else(struct span first, const char *second)
{
    return first.len ? first : span_str(second ? second : "");
}

/* Splits `text` at the first `c`. *behind is empty with .data NULL if there is none. */
static struct span cut_at(struct span text, char c, struct span *behind)
{
    const uint8_t *at = text.len ? memchr(text.data, c, text.len) : NULL;
    size_t len = at ? (size_t)(at - text.data) : text.len;
    *behind = at ? span_of(at + 1, text.len - len - 1) : (struct span){0};
    return span_of(text.data, len);
}

/* ---- connection strings ----------------------------------------------------------------------------- */

enum dp_status azure_connection_parse(struct span text, struct arena *arena, struct azure_connection_string *out,
                                      struct dp_error *error)
{
    struct span protocol = {0}, suffix = {0}, emulator = {0};
    const struct {
        const char *name;
        struct span *to;
    } known[] = {{"AccountName", &out->account},
                 {"AccountKey", &out->account_key},
                 {"SharedAccessSignature", &out->sas_token},
                 {"BlobEndpoint", &out->endpoint},
                 {"DefaultEndpointsProtocol", &protocol},
                 {"EndpointSuffix", &suffix},
                 {"UseDevelopmentStorage", &emulator}};
    *out = (struct azure_connection_string){0};
    for (struct span rest = text; rest.len;) {
        struct span value, item = span_trim(cut_at(rest, ';', &rest), " \t\r\n");
        if (!item.len)
            continue;
        struct span name = span_trim(cut_at(item, '=', &value), " \t");
        if (!value.data)
            return dp_fail(
                error, DP_INVALID,
                "AZURE_STORAGE_CONNECTION_STRING: write Name=value;Name=value, as the Azure portal does");
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (span_equal_ignoring_case(name, span_str(known[i].name)))
                *known[i].to = span_trim(value, " \t");
    }
    if (span_equal_ignoring_case(emulator, span_str("true"))) {
        out->account = span_str(EMULATOR_ACCOUNT);
        out->account_key = span_str(EMULATOR_KEY);
        out->endpoint = or_else(out->endpoint, EMULATOR_ENDPOINT);
    }
    if (!out->endpoint.len && out->account.len && (suffix.len || protocol.len)) {
        struct span scheme = or_else(protocol, "https"), cloud = or_else(suffix, CLOUDS[0]);
        const char *url = arena_printf(arena, "%.*s://%.*s.blob.%.*s", SPAN_FMT(scheme), SPAN_FMT(out->account),
                                       SPAN_FMT(cloud));
        if (!url)
            return dp_fail_nomem(error, "a connection string");
        out->endpoint = span_str(url);
    }
    return DP_OK;
}

/* ---- roots ------------------------------------------------------------------------------------------ */

/* A container's name has small letters, digits and '-'; three special ones begin with '$'. */
static bool is_container(struct span name)
{
    static const char *const SPECIAL[] = {"$root", "$web", "$logs"};
    if (span_one_of(name, SPECIAL, sizeof SPECIAL / sizeof *SPECIAL))
        return true;
    if (name.len < CONTAINER_MIN || name.len > CONTAINER_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_lower_or_digit(name.data[i]) && !(name.data[i] == '-' && i > 0))
            return false;
    return true;
}

static bool is_host(struct span host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!is_lower_or_digit(host.data[i]) && !memchr(".-:", host.data[i], 3))
            return false;
    return host.len > 0 && host.len <= HOST_MAX;
}

enum dp_status azure_root_parse(const char *scheme, struct span name, struct azure_root *out,
                                struct dp_error *error)
{
    struct span place = cut_at(name, '/', &out->prefix);
    out->container = cut_at(place, '@', &out->host);
    while (out->prefix.len && out->prefix.data[out->prefix.len - 1] == '/')
        out->prefix.len--;
    /* A SAS token behind '?' is a secret, so no message shows the name. */
    if (place.len && memchr(place.data, '?', place.len))
        return dp_fail(error, DP_INVALID,
                       "root %s://…: a root has no '?': set AZURE_STORAGE_SAS_TOKEN to a SAS token", scheme);
    if (memmem(out->prefix.data ? out->prefix.data : (const uint8_t *)"", out->prefix.len, "sig=", 4))
        return dp_fail(error, DP_INVALID,
                       "root %s://%.*s/…: a root has no SAS token: set AZURE_STORAGE_SAS_TOKEN to it", scheme,
                       SPAN_FMT(out->container));
    if (!is_container(out->container))
        return dp_fail(error, DP_INVALID,
                       "root %s://%.*s: \"%.*s\" is not a container's name: write az://container/prefix, or "
                       "abfss://container@account.dfs.core.windows.net/prefix",
                       scheme, SPAN_FMT(utf8_shown(place, HOST_MAX)),
                       SPAN_FMT(utf8_shown(out->container, HOST_MAX)));
    if (out->host.data && !is_host(out->host))
        return dp_fail(error, DP_INVALID,
                       "root %s://%.*s@…: a host's name follows the '@', like account.dfs.core.windows.net",
                       scheme, SPAN_FMT(out->container));
    if (out->prefix.len && store_key_check(out->prefix, error) != DP_OK)
        return dp_fail(error, DP_INVALID,
                       "root %s://%.*s/%.*s: the prefix has an empty, \".\" or \"..\" part, or bytes that names "
                       "cannot have",
                       scheme, SPAN_FMT(place), SPAN_FMT(utf8_shown(out->prefix, HOST_MAX)));
    return DP_OK;
}

/* ---- hosts and endpoints ---------------------------------------------------------------------------- */

/* Returns whether the host is Azure's, and sets *account to its account and *rest to what follows it, ".blob.…" or
 * ".dfs.…" (with a zone, ".z01.blob.…"). */
static bool is_azure_host(struct span host, struct span *account, struct span *rest)
{
    size_t len = 0;
    while (len < host.len && host.data[len] != '.')
        len++;
    *account = span_of(host.data, len);
    *rest = span_of(host.data + len, host.len - len);
    struct span end = *rest;
    if (end.len > 4 && end.data[1] == 'z' && end.data[2] >= '0' && end.data[2] <= '9') /* a zone */
        for (end = span_of(end.data + 1, end.len - 1); end.len && end.data[0] != '.';)
            end = span_of(end.data + 1, end.len - 1);
    static const char *const SERVICES[] = {".blob.", ".dfs."};
    for (size_t s = 0; s < sizeof SERVICES / sizeof *SERVICES; s++) {
        size_t skip = strlen(SERVICES[s]);
        if (span_starts_with(end, span_str(SERVICES[s])) && len > 0 &&
            span_one_of(span_of(end.data + skip, end.len - skip), CLOUDS, sizeof CLOUDS / sizeof *CLOUDS))
            return true;
    }
    return false;
}

/* Writes the URL of the blob service on a host of Azure: ".dfs." becomes ".blob.". */
static const char *blob_url(struct arena *arena, struct span host)
{
    const uint8_t *dfs = memmem(host.data, host.len, ".dfs.", 5);
    if (!dfs)
        return arena_printf(arena, "https://%.*s", SPAN_FMT(host));
    size_t before = (size_t)(dfs - host.data);
    return arena_printf(arena, "https://%.*s.blob.%.*s", (int)before, (const char *)host.data,
                        (int)(host.len - before - 5), (const char *)dfs + 5);
}

/* Splits a configured endpoint into the URL, the account that it names, and a SAS token behind '?'. */
static enum dp_status split_endpoint(struct span text, struct span *endpoint, struct span *account,
                                     struct span *sas, struct dp_error *error)
{
    struct url u;
    struct span rest;
    uint16_t port;
    bool good = url_split(text, &u) && text.len <= ENDPOINT_MAX && is_printable(text) && u.host.len &&
                !u.userinfo.data && !u.fragment.data && (!u.port.data || url_port(u.port, &port)) &&
                (span_equal_str(u.scheme, "https") || span_equal_str(u.scheme, "http"));
    for (size_t i = 0; i < u.path.len && good; i++) /* the path is signed, and sent, as it is */
        good = !strchr("@%\\\"<>", u.path.data[i]);
    if (!good)
        return dp_fail(error, DP_INVALID,
                       "AZURE_STORAGE_BLOB_ENDPOINT, or BlobEndpoint in the connection string: write "
                       "https://account.blob.core.windows.net, or http://host:port/account");
    *sas = u.query;
    *endpoint = span_of(text.data, text.len - (u.query.data ? u.query.len + 1 : 0));
    while (endpoint->data[endpoint->len - 1] == '/')
        endpoint->len--;
    if (is_azure_host(u.host, account, &rest))
        return DP_OK;
    /* An emulator has its account in the path. Another host may have it as first part of its name. */
    struct span path = span_trim(u.path, "/");
    if (path.len && !memchr(path.data, '/', path.len))
        *account = path;
    return DP_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* What the settings say, with the connection string's parts first. */
struct configured {
    struct span account, endpoint, key, sas;
    struct span endpoint_account;
};

static enum dp_status take_settings(const struct azure_settings *s, struct arena *arena, struct configured *out,
                                    struct dp_error *error)
{
    struct azure_connection_string c = {0};
    struct span sas = {0};
    enum dp_status status = DP_OK;
    *out = (struct configured){0};
    if (setting_is_set(s->connection_string))
        status = azure_connection_parse(span_str(s->connection_string), arena, &c, error);
    if (status != DP_OK)
        return status;
    out->endpoint = or_else(c.endpoint, s->endpoint);
    if (out->endpoint.len)
        status = split_endpoint(out->endpoint, &out->endpoint, &out->endpoint_account, &sas, error);
    out->account = or_else(c.account, s->account);
    if (!out->account.len)
        out->account = out->endpoint_account;
    out->key = or_else(c.account_key, s->account_key);
    out->sas = c.sas_token.len ? c.sas_token : sas.len ? sas : span_str(s->sas_token ? s->sas_token : "");
    while (out->sas.len && (out->sas.data[0] == '?' || out->sas.data[0] == '&'))
        out->sas = span_of(out->sas.data + 1, out->sas.len - 1);
    return status;
}

/* Checks an account's name, which becomes a part of a host's name and of signatures. */
static enum dp_status check_account(struct span account, struct dp_error *error)
{
    bool good = account.len > 0 && account.len <= ACCOUNT_MAX;
    for (size_t i = 0; i < account.len && good; i++)
        good = is_lower_or_digit(account.data[i]) || (account.data[i] == '-' && i > 0);
    return good ? DP_OK
                : dp_fail(error, DP_INVALID,
                          "AZURE_STORAGE_ACCOUNT: \"%.*s\" is not a storage account's name: it has small letters "
                          "and digits",
                          SPAN_FMT(utf8_shown(account, ACCOUNT_MAX)));
}

static enum dp_status take_key(struct span text, struct arena *arena, struct span *key, struct dp_error *error)
{
    uint8_t *bytes = text.len <= KEY_MAX ? arena_alloc(arena, text.len + 3) : NULL;
    size_t len = 0;
    if (text.len <= KEY_MAX && !bytes)
        return dp_fail_nomem(error, "an account's key");
    if (!bytes || !base64_decode(text, bytes, &len) || !len)
        return dp_fail(error, DP_INVALID,
                       "the key of the storage account is not base 64: copy AZURE_STORAGE_KEY, or the connection "
                       "string, from the account's access keys");
    *key = span_of(bytes, len);
    return DP_OK;
}

/* Chooses the credential. `own`: the settings' key and SAS token belong to this account. */
static enum dp_status take_credential(const struct azure_settings *s, const struct configured *c, bool own,
                                      struct arena *arena, struct azure_connection *out, struct dp_error *error)
{
    out->credential = s->anonymous        ? AZURE_ANONYMOUS
                      : own && c->key.len ? AZURE_SHARED_KEY
                      : own && c->sas.len ? AZURE_SAS
                                          : AZURE_TOKEN;
    if (out->credential == AZURE_SHARED_KEY)
        return take_key(c->key, arena, &out->key, error);
    if (out->credential != AZURE_SAS)
        return DP_OK;
    if (!is_printable(c->sas) || memchr(c->sas.data, '#', c->sas.len) ||
        !memmem(c->sas.data, c->sas.len, "sig=", 4))
        return dp_fail(error, DP_INVALID,
                       "AZURE_STORAGE_SAS_TOKEN is not a SAS token: it has parameters like sv=…&sp=…&sig=…");
    out->sas = arena_copy(arena, c->sas);
    return out->sas.data ? DP_OK : dp_fail_nomem(error, "a SAS token");
}

enum dp_status azure_connection_find(const struct azure_settings *settings, const struct azure_root *root,
                                     struct arena *arena, struct azure_connection *out, struct dp_error *error)
{
    struct configured c;
    struct span account = {0}, rest, place = {0};
    struct url u;
    enum dp_status status = take_settings(settings, arena, &c, error);
    if (status != DP_OK)
        return status;
    if (c.endpoint.len && url_split(c.endpoint, &u))
        place = u.place;
    bool own = true, azure = root->host.data && is_azure_host(root->host, &account, &rest);
    if (root->host.data && !azure && !span_equal(root->host, place))
        return dp_fail(error, DP_INVALID,
                       "root …@%.*s: the host is not one of Azure's, like account.dfs.core.windows.net: set "
                       "AZURE_STORAGE_BLOB_ENDPOINT if it is yours",
                       SPAN_FMT(root->host));
    if (azure)
        own = !c.account.len || span_equal(account, c.account);
    else
        account = c.account;
    if (!account.len)
        return dp_fail(error, DP_INVALID,
                       "root az://%.*s: the storage account is not known: set AZURE_STORAGE_ACCOUNT, or name it: "
                       "abfss://%.*s@account.dfs.core.windows.net",
                       SPAN_FMT(root->container), SPAN_FMT(root->container));
    status = check_account(account, error);
    if (status != DP_OK)
        return status;
    const char *url = own && c.endpoint.len ? arena_printf(arena, "%.*s", SPAN_FMT(c.endpoint))
                      : azure               ? blob_url(arena, root->host)
                              : arena_printf(arena, "https://%.*s.blob.%s", SPAN_FMT(account), CLOUDS[0]);
    out->account = arena_copy(arena, account);
    if (!url || !out->account.data)
        return dp_fail_nomem(error, "a store");
    out->endpoint = span_str(url);
    return take_credential(settings, &c, own, arena, out, error);
}
