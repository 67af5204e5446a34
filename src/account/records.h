/* account/records.h: users, keys and usage in the database. Every statement on them is here, but for the reservations
 * of quotas (lease.c). Results live in the call's arena. */
#ifndef ACCOUNT_RECORDS_H
#define ACCOUNT_RECORDS_H

#include "account/database.h"
#include "account/key.h"
#include "account/tier.h"
#include "os/random.h"

/* The rights of a key. */
enum { RIGHT_EMBED = 1, RIGHT_READ = 2, RIGHT_WRITE = 4, RIGHT_ALL = 7 };

enum {
    EMAIL_MAX = 254,
    NAME_MAX_BYTES = 100,
    NAMESPACES_MAX = 1000, /* bytes of the prefixes with their commas */
    CANDIDATES_MAX = 8,    /* maximum keys of one prefix that are tried */
};

/* Rights as words, "embed,read,write", and back. False for an unknown word. */
bool rights_parse(struct span text, unsigned *out);
const char *rights_print(unsigned rights);
/* Checks prefixes of namespaces with commas between them; empty: all namespaces. DP_INVALID. */
enum dp_status namespaces_check(struct span prefixes, struct dp_error *error);
/* Whether a key with these prefixes may touch the namespace. */
bool namespaces_allow(struct span prefixes, struct span namespace);

struct key_record {
    struct span id, user_id, email, prefix, hash, name, namespaces;
    struct span digest; /* of the key with this hash (key.h); empty: unknown */
    enum account_tier tier;
    unsigned rights;
    int64_t created_ms, expires_ms, revoked_ms; /* 0: never */
};

struct key_records {
    const struct key_record *keys;
    size_t count;
};

/* The keys of a prefix that are neither revoked nor expired, at most CANDIDATES_MAX. */
enum dp_status records_find(struct call *call, struct database *db, struct span prefix, int64_t now_ms,
                            struct key_records *out);
/* One key by its id, revoked or not; count 0: not found. */
enum dp_status records_get(struct call *call, struct database *db, struct span id, struct key_records *out);
/* Stores the digest of a key whose text matched the hash; does nothing if the hash has changed since. */
enum dp_status records_learn_digest(struct call *call, struct database *db, struct span id, struct span hash,
                                    struct span digest);
/* All keys, or those of one user. */
enum dp_status records_list(struct call *call, struct database *db, struct span email, struct key_records *out);

/* Describes a new key. A user of this address is created if there is none. */
struct key_wish {
    struct span email, name, namespaces;
    bool has_tier; /* false: the tier of the user; free for a new user */
    enum account_tier tier;
    unsigned rights;
    int64_t expires_ms; /* 0: never */
    struct span scheme;
    unsigned cost; /* of bcrypt; 0: KEY_COST */
};

struct new_key {
    char text[KEY_TEXT_MAX + 1];
    char id[ULID_LEN + 1];
    enum account_tier tier;
};

/* Creates a key; its text exists only in *out. DP_INVALID names the wrong field. */
enum dp_status records_create(struct call *call, struct database *db, const struct key_wish *wish, int64_t now_ms,
                              struct new_key *out);
/* Revokes a key by its id or its prefix (with or without the scheme). *out: the key; revoking it again changes
 * nothing. DP_NOT_FOUND; DP_CONFLICT: several keys share the prefix. */
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

/* A month's usage by user (`by_key` false) or by key. An empty address or key id selects all. */
enum dp_status records_usage(struct call *call, struct database *db, int64_t month, struct span email,
                             struct span key_id, bool by_key, struct usage_rows *out);

#endif
