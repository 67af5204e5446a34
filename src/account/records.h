/* account/records.h: reads and writes users, keys and usage in the database. All SQL statements on them are here,
 * except those that reserve quotas (lease.c). Results live in the call's arena. */
#ifndef ACCOUNT_RECORDS_H
#define ACCOUNT_RECORDS_H

#include "account/database.h"
#include "account/key.h"
#include "account/tier.h"
#include "os/random.h"

/* The rights of a key. RIGHT_USUAL: those of a key that was created without a list. */
enum { RIGHT_EMBED = 1, RIGHT_READ = 2, RIGHT_WRITE = 4, RIGHT_ADMIN = 8, RIGHT_USUAL = 7, RIGHT_ALL = 15 };

enum {
    EMAIL_MAX = 254,
    NAME_MAX_BYTES = 100,
    NAMESPACES_MAX = 1000, /* maximum bytes of the prefixes with their commas */
    CANDIDATES_MAX = 8,    /* maximum keys of one prefix that are tried */
};

/* Reads rights from words, such as "embed,read,write". Returns false for an unknown word. */
bool rights_parse(struct span text, unsigned *out);
const char *rights_print(unsigned rights);
/* Checks prefixes of namespaces with commas between them; empty: all namespaces. Errors: DP_INVALID. */
enum dp_status namespaces_check(struct span prefixes, struct dp_error *error);
/* Returns whether a key with these prefixes may use the namespace. */
bool namespaces_allow(struct span prefixes, struct span namespace);

struct key_record {
    struct span id, user_id, email, prefix, hash, name, namespaces;
    struct span digest; /* SHA-256 of the key (key.h); empty: unknown */
    enum account_tier tier;
    unsigned rights;
    int64_t created_ms, expires_ms, revoked_ms; /* 0: never */
};

struct key_records {
    const struct key_record *keys;
    size_t count;
};

/* Reads the keys of a prefix that are neither revoked nor expired, at most CANDIDATES_MAX. */
enum dp_status records_find(struct call *call, struct database *db, struct span prefix, int64_t now_ms,
                            struct key_records *out);
/* Reads a key that is neither revoked nor expired. out->count is 0 if there is none. */
enum dp_status records_usable(struct call *call, struct database *db, int64_t now_ms, struct key_records *out);
/* Reads one key by its id, revoked or not. out->count is 0 if it does not exist. */
enum dp_status records_get(struct call *call, struct database *db, struct span id, struct key_records *out);
/* Stores the digest of a key whose text matched the hash; does nothing if the hash has changed since. */
enum dp_status records_learn_digest(struct call *call, struct database *db, struct span id, struct span hash,
                                    struct span digest);
/* Reads the keys of the user with this address; empty: all keys. */
enum dp_status records_list(struct call *call, struct database *db, struct span email, struct key_records *out);

/* Describes a new key. records_create creates the user, too, if no user has this address. */
struct key_wish {
    struct span email, name, namespaces;
    bool has_tier; /* false: the tier of the user; free for a new user */
    enum account_tier tier;
    unsigned rights;
    int64_t expires_ms; /* 0: never */
    struct span scheme;
    unsigned cost; /* bcrypt's cost; 0: KEY_COST */
};

struct new_key {
    char text[KEY_TEXT_MAX + 1];
    char id[ULID_LEN + 1];
    enum account_tier tier;
};

/* Creates a key. Only *out holds its text. Errors: DP_INVALID names the wrong field. */
enum dp_status records_create(struct call *call, struct database *db, const struct key_wish *wish, int64_t now_ms,
                              struct new_key *out);
/* Revokes the key with this id or prefix (with or without the scheme) and sets *out to it. Revoking it again
 * changes nothing. Errors: DP_NOT_FOUND, DP_CONFLICT (several keys share the prefix). */
enum dp_status records_revoke(struct call *call, struct database *db, struct span which, struct span scheme,
                              int64_t now_ms, struct key_record *out);

struct usage_row {
    struct span email, key_id; /* key_id empty: the user's whole month */
    enum account_tier tier;
    int64_t month, embeddings, requests;
};

struct usage_rows {
    const struct usage_row *rows;
    size_t count;
};

/* Reads a month's usage by user (`by_key` false) or by key. An empty address or key id selects all. */
enum dp_status records_usage(struct call *call, struct database *db, int64_t month, struct span email,
                             struct span key_id, bool by_key, struct usage_rows *out);

#endif
