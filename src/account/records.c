/* records.c: reads and writes users, API keys and usage in the database. */
#include "account/records.h"

#include <ctype.h>
#include <stdio.h>

#include "base/utf8.h"

/* ---- words ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned right;
} RIGHTS[] = {{"embed", RIGHT_EMBED}, {"read", RIGHT_READ}, {"write", RIGHT_WRITE}, {"admin", RIGHT_ADMIN}};
enum { RIGHT_COUNT = sizeof RIGHTS / sizeof *RIGHTS };

/* Removes the text up to the next comma from *rest and returns it. After the last word, rest->data is NULL. */
static struct span next_word(struct span *rest)
{
    const uint8_t *comma = rest->len ? memchr(rest->data, ',', rest->len) : NULL;
    size_t len = comma ? (size_t)(comma - rest->data) : rest->len;
    struct span word = span_of(rest->data, len);
    *rest = comma ? span_of(comma + 1, rest->len - len - 1) : span_of(NULL, 0);
    return word;
}

bool rights_parse(struct span text, unsigned *out)
{
    *out = 0;
    do {
        struct span word = next_word(&text);
        unsigned found = 0;
        for (size_t i = 0; i < RIGHT_COUNT; i++)
            if (span_equal_str(word, RIGHTS[i].name))
                found = RIGHTS[i].right;
        if (!found)
            return false;
        *out |= found;
    } while (text.data);
    return true;
}

const char *rights_print(unsigned rights)
{
    static const char *const texts[RIGHT_ALL + 1] = {"none",
                                                     "embed",
                                                     "read",
                                                     "embed,read",
                                                     "write",
                                                     "embed,write",
                                                     "read,write",
                                                     "embed,read,write",
                                                     "admin",
                                                     "embed,admin",
                                                     "read,admin",
                                                     "embed,read,admin",
                                                     "write,admin",
                                                     "embed,write,admin",
                                                     "read,write,admin",
                                                     "embed,read,write,admin"};
    return texts[rights & RIGHT_ALL];
}

enum dp_status namespaces_check(struct span prefixes, struct dp_error *error)
{
    bool good = prefixes.len <= NAMESPACES_MAX;
    struct span rest = prefixes;
    while (good && rest.data && prefixes.len) {
        struct span prefix = next_word(&rest);
        good = prefix.len >= 1 && prefix.len <= 128 && prefix.data[0] != '.' && prefix.data[0] != '_';
        for (size_t i = 0; good && i < prefix.len; i++) {
            uint8_t c = prefix.data[i];
            good = isalnum(c) || c == '.' || c == '_' || c == '-';
        }
    }
    if (!good)
        return dp_fail(
            error, DP_INVALID,
            "the prefixes of namespaces are \"%.*s\", but must be beginnings of their names, with commas "
            "between them, of at most %d bytes",
            prefixes.len > 100 ? 100 : (int)prefixes.len, (const char *)prefixes.data, NAMESPACES_MAX);
    return DP_OK;
}

bool namespaces_allow(struct span prefixes, struct span namespace)
{
    if (prefixes.len == 0)
        return true;
    do {
        if (span_starts_with(namespace, next_word(&prefixes)))
            return true;
    } while (prefixes.data);
    return false;
}

/* ---- keys ------------------------------------------------------------------------------------------- */

#define KEY_COLUMNS                                                                                      \
    "k.id, k.user_id, u.email, u.tier, k.prefix, k.hash, k.name, k.rights, k.namespaces, k.created_at, " \
    "k.expires_at, k.revoked_at, CASE WHEN k.digest_hash = k.hash THEN k.digest END"
#define FROM_KEYS " FROM api_keys k JOIN users u ON u.id = k.user_id "

static enum dp_status read_key_record(struct call *call, const struct db_value *row, struct key_record *out)
{
    *out = (struct key_record){.id = row[0].text,
                               .user_id = row[1].text,
                               .email = row[2].text,
                               .prefix = row[4].text,
                               .hash = row[5].text,
                               .name = row[6].text,
                               .rights = (unsigned)row[7].number & RIGHT_ALL,
                               .namespaces = row[8].text,
                               .created_ms = row[9].number,
                               .expires_ms = row[10].number,
                               .revoked_ms = row[11].number,
                               .digest = row[12].text};
    if (!tier_parse(row[3].text, &out->tier))
        return call_fail(call, DP_CORRUPT, "the accounts' database has a user with the unknown tier \"%.*s\"",
                         SPAN_FMT(row[3].text));
    return DP_OK;
}

/* A statement that selects KEY_COLUMNS. */
struct key_query {
    const char *sql;
    const struct db_value *parameters;
    size_t count;
    struct key_records *out;
};

static enum dp_status run_key_query(struct call *call, struct db_transaction *t, void *context)
{
    const struct key_query *q = context;
    struct db_rows rows;
    enum dp_status status = db_run(call, t, q->sql, q->parameters, q->count, &rows);
    if (status != DP_OK)
        return status;
    struct key_record *keys = arena_calloc(call->arena, rows.count + 1, sizeof *keys);
    if (!keys)
        return call_nomem(call, "keys");
    for (size_t i = 0; i < rows.count && status == DP_OK; i++)
        status = read_key_record(call, db_row(&rows, i), &keys[i]);
    *q->out = (struct key_records){keys, rows.count};
    return status;
}

static enum dp_status find_keys(struct call *call, struct database *db, const char *sql,
                                const struct db_value *parameters, size_t count, struct key_records *out)
{
    struct key_query query = {sql, parameters, count, out};
    *out = (struct key_records){NULL, 0};
    return database_read(call, db, run_key_query, &query);
}

enum dp_status records_find(struct call *call, struct database *db, struct span prefix, int64_t now_ms,
                            struct key_records *out)
{
    const struct db_value parameters[] = {db_text(prefix), db_number(now_ms), db_number(CANDIDATES_MAX)};
    return find_keys(call, db,
                     "SELECT " KEY_COLUMNS FROM_KEYS "WHERE k.prefix = $1 AND k.revoked_at IS NULL "
                     "AND (k.expires_at IS NULL OR k.expires_at > $2) ORDER BY k.id DESC LIMIT $3",
                     parameters, 3, out);
}

enum dp_status records_usable(struct call *call, struct database *db, int64_t now_ms, struct key_records *out)
{
    const struct db_value parameter = db_number(now_ms);
    return find_keys(call, db,
                     "SELECT " KEY_COLUMNS FROM_KEYS "WHERE k.revoked_at IS NULL "
                     "AND (k.expires_at IS NULL OR k.expires_at > $1) LIMIT 1",
                     &parameter, 1, out);
}

enum dp_status records_get(struct call *call, struct database *db, struct span id, struct key_records *out)
{
    const struct db_value parameter = db_text(id);
    return find_keys(call, db, "SELECT " KEY_COLUMNS FROM_KEYS "WHERE k.id = $1", &parameter, 1, out);
}

static enum dp_status learn_digest(struct call *call, struct db_transaction *t, void *context)
{
    return db_run(call, t, "UPDATE api_keys SET digest = $3, digest_hash = $2 WHERE id = $1 AND hash = $2",
                  context, 3, NULL);
}

enum dp_status records_learn_digest(struct call *call, struct database *db, struct span id, struct span hash,
                                    struct span digest)
{
    struct db_value row[] = {db_text(id), db_text(hash), db_text(digest)};
    return database_transact(call, db, learn_digest, row);
}

/* Returns the text in lower case (ASCII letters only), in the call's arena; .data is NULL when out of memory. The
 * database keeps and compares e-mail addresses in this form. */
static struct span lower_text(struct call *call, struct span text)
{
    uint8_t *out = arena_alloc(call->arena, text.len + 1);
    for (size_t i = 0; out && i < text.len; i++)
        out[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (uint8_t)(text.data[i] + 32) : text.data[i];
    return span_of(out, text.len);
}

enum dp_status records_list(struct call *call, struct database *db, struct span email, struct key_records *out)
{
    const struct db_value parameter = db_text(lower_text(call, email));
    if (!parameter.text.data)
        return call_nomem(call, "an address");
    if (email.len == 0)
        return find_keys(call, db, "SELECT " KEY_COLUMNS FROM_KEYS "ORDER BY k.id", NULL, 0, out);
    return find_keys(call, db, "SELECT " KEY_COLUMNS FROM_KEYS "WHERE u.email = $1 ORDER BY k.id", &parameter, 1,
                     out);
}

/* ---- making a key ----------------------------------------------------------------------------------- */

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return utf8_valid(text);
}

static enum dp_status check_wish(struct call *call, const struct key_wish *w)
{
    const uint8_t *at = w->email.len ? memchr(w->email.data, '@', w->email.len) : NULL;
    bool is_address = at && at > w->email.data && at < w->email.data + w->email.len - 1 &&
                      w->email.len <= EMAIL_MAX && is_printable(w->email) &&
                      !memchr(w->email.data, ' ', w->email.len);
    if (!is_address)
        return call_fail(call, DP_INVALID, "\"%.*s\" is not an e-mail address",
                         w->email.len > EMAIL_MAX ? EMAIL_MAX : (int)w->email.len, (const char *)w->email.data);
    if (w->name.len > NAME_MAX_BYTES || !is_printable(w->name))
        return call_fail(call, DP_INVALID, "a key's name has at most %d bytes of printable UTF-8", NAME_MAX_BYTES);
    enum dp_status status = key_check_scheme(w->scheme, &call->error);
    return status == DP_OK ? namespaces_check(w->namespaces, &call->error) : status;
}

struct creation {
    const struct key_wish *wish;
    struct span email;
    int64_t now_ms;
    char user_id[ULID_LEN + 1];
    char hash[KEY_HASH_MAX + 1];
    char digest[KEY_DIGEST_LEN + 1];
    struct new_key *out;
};

/* Finds or inserts the user's record, and sets its tier if the wish names one. */
static enum dp_status have_user(struct call *call, struct db_transaction *t, struct creation *c, struct span *id)
{
    const struct db_value user[] = {db_text_str(c->user_id), db_text(c->email),
                                    db_text_str(tier_name(c->wish->tier)), db_number(c->now_ms)};
    struct db_rows rows;
    enum dp_status status =
        db_run(call, t,
               c->wish->has_tier ? "INSERT INTO users (id, email, tier, created_at) VALUES ($1, $2, $3, $4) "
                                   "ON CONFLICT (email) DO UPDATE SET tier = excluded.tier RETURNING id, tier"
                                 : "INSERT INTO users (id, email, tier, created_at) VALUES ($1, $2, $3, $4) "
                                   "ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id, tier",
               user, 4, &rows);
    if (status != DP_OK)
        return status;
    if (rows.count != 1 || !tier_parse(db_row(&rows, 0)[1].text, &c->out->tier))
        return call_fail(call, DP_CORRUPT, "the accounts' database has a user with an unknown tier");
    *id = db_row(&rows, 0)[0].text;
    return DP_OK;
}

static enum dp_status create_in_transaction(struct call *call, struct db_transaction *t, void *context)
{
    struct creation *c = context;
    const struct key_wish *w = c->wish;
    struct span user_id = span_of(NULL, 0);
    enum dp_status status = have_user(call, t, c, &user_id);
    if (status != DP_OK)
        return status;
    struct db_value never = {.type = DB_NULL};
    const struct db_value key[] = {
        db_text_str(c->out->id), db_text(user_id),     db_text(key_prefix(w->scheme, span_str(c->out->text))),
        db_text_str(c->hash),    db_text(w->name),     db_number(w->rights),
        db_text(w->namespaces),  db_number(c->now_ms), w->expires_ms ? db_number(w->expires_ms) : never,
        db_text_str(c->digest)};
    return db_run(call, t,
                  "INSERT INTO api_keys (id, user_id, prefix, hash, name, rights, namespaces, created_at, "
                  "expires_at, digest, "
                  "digest_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $4)",
                  key, 10, NULL);
}

enum dp_status records_create(struct call *call, struct database *db, const struct key_wish *wish, int64_t now_ms,
                              struct new_key *out)
{
    struct creation c = {.wish = wish, .now_ms = now_ms, .out = out};
    memset(out, 0, sizeof *out);
    enum dp_status status = check_wish(call, wish);
    if (status != DP_OK)
        return status;
    c.email = lower_text(call, wish->email);
    if (!c.email.data)
        return call_nomem(call, "an address");
    status = key_generate(wish->scheme, out->text, &call->error);
    if (status == DP_OK)
        status = key_hash(span_str(out->text), wish->cost ? wish->cost : KEY_COST, c.hash, &call->error);
    if (status == DP_OK)
        status = os_ulid(out->id, &call->error);
    key_digest(span_str(out->text), c.digest);
    if (status == DP_OK)
        status = os_ulid(c.user_id, &call->error);
    return status == DP_OK ? database_transact(call, db, create_in_transaction, &c) : status;
}

/* ---- revoking --------------------------------------------------------------------------------------- */

struct revocation {
    struct span id, prefix;
    int64_t now_ms;
    struct key_record *out;
};

static enum dp_status revoke_in_transaction(struct call *call, struct db_transaction *t, void *context)
{
    struct revocation *r = context;
    const struct db_value which[] = {db_text(r->id), db_text(r->prefix)};
    struct key_records found;
    struct key_query query = {"SELECT " KEY_COLUMNS FROM_KEYS "WHERE k.id = $1 OR k.prefix = $2", which, 2,
                              &found};
    enum dp_status status = run_key_query(call, t, &query);
    if (status != DP_OK)
        return status;
    if (found.count == 0)
        return call_fail(call, DP_NOT_FOUND, "there is no key \"%.*s\": `dipper key list` names ids and prefixes",
                         r->id.len > 64 ? 64 : (int)r->id.len, (const char *)r->id.data);
    if (found.count > 1)
        return call_fail(call, DP_CONFLICT, "%zu keys begin with \"%.*s\": name the one by its id", found.count,
                         SPAN_FMT(r->prefix));
    const struct db_value now[] = {db_number(r->now_ms), db_text(found.keys[0].id)};
    *r->out = found.keys[0];
    if (r->out->revoked_ms)
        return DP_OK;
    r->out->revoked_ms = r->now_ms;
    return db_run(call, t, "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL", now, 2,
                  NULL);
}

enum dp_status records_revoke(struct call *call, struct database *db, struct span which, struct span scheme,
                              int64_t now_ms, struct key_record *out)
{
    struct span prefix = which;
    if (scheme.len < prefix.len && span_starts_with(prefix, scheme))
        prefix = span_of(prefix.data + scheme.len, prefix.len - scheme.len);
    if (prefix.len > KEY_PREFIX_LEN && key_is_well_formed(scheme, which))
        prefix.len = KEY_PREFIX_LEN; /* the caller named the key by its whole text */
    struct revocation r = {which, prefix, now_ms, out};
    return database_transact(call, db, revoke_in_transaction, &r);
}

/* ---- usage ------------------------------------------------------------------------------------------ */

struct usage_query {
    const char *sql;
    struct db_value parameters[3];
    int64_t month;
    struct usage_rows *out;
};

static enum dp_status run_usage_query(struct call *call, struct db_transaction *t, void *context)
{
    const struct usage_query *q = context;
    struct db_rows rows;
    enum dp_status status = db_run(call, t, q->sql, q->parameters, 3, &rows);
    if (status != DP_OK)
        return status;
    struct usage_row *out = arena_calloc(call->arena, rows.count + 1, sizeof *out);
    if (!out)
        return call_nomem(call, "usage");
    for (size_t i = 0; i < rows.count; i++) {
        const struct db_value *row = db_row(&rows, i);
        out[i] = (struct usage_row){.email = row[0].text,
                                    .key_id = row[2].text,
                                    .month = q->month,
                                    .embeddings = row[3].number,
                                    .requests = row[4].number};
        if (!tier_parse(row[1].text, &out[i].tier))
            return call_fail(call, DP_CORRUPT, "the accounts' database has a user with an unknown tier");
    }
    *q->out = (struct usage_rows){out, rows.count};
    return DP_OK;
}

enum dp_status records_usage(struct call *call, struct database *db, int64_t month, struct span email,
                             struct span key_id, bool by_key, struct usage_rows *out)
{
    struct usage_query q = {.month = month, .out = out};
    struct span address = lower_text(call, email);
    if (!address.data)
        return call_nomem(call, "an address");
    q.parameters[0] = db_number(month);
    q.parameters[1] = db_text(address);
    q.parameters[2] = db_text(key_id);
    q.sql =
        by_key
            ? "SELECT u.email, u.tier, k.id, c.embeddings, c.requests FROM key_usage c "
              "JOIN api_keys k ON k.id = c.key_id JOIN users u ON u.id = k.user_id "
              "WHERE c.month = $1 AND ($2 = '' OR u.email = $2) AND ($3 = '' OR k.id = $3) ORDER BY u.email, k.id"
            : "SELECT u.email, u.tier, '', COALESCE(s.used, 0), CAST(COALESCE((SELECT SUM(c.requests) "
              "FROM key_usage c JOIN api_keys k ON k.id = c.key_id WHERE k.user_id = u.id AND c.month = $1), 0) "
              "AS BIGINT) FROM users u LEFT JOIN usage s ON s.user_id = u.id AND s.month = $1 "
              "WHERE ($2 = '' OR u.email = $2) AND ($3 = '' OR u.id = $3) ORDER BY u.email";
    return database_read(call, db, run_usage_query, &q);
}
