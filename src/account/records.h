/* account/records.h: users, keys and usage as they lie in the database, and every statement that reads or writes them
 * but for the reservations of quota (lease.c). Results live in the call's arena. */
#ifndef ACCOUNT_RECORDS_H
#define ACCOUNT_RECORDS_H

#include "account/database.h"
#include "account/key.h"
#include "account/tier.h"
#include "os/random.h"

/* What a key may do. */
enum { RIGHT_EMBED = 1, RIGHT_READ = 2, RIGHT_WRITE = 4, RIGHT_ALL = 7 };

enum {
    EMAIL_MAX = 254,
    NAME_MAX_BYTES = 100,
    NAMESPACES_MAX = 1000, /* bytes of the prefixes with their commas */
    CANDIDATES_MAX = 8,    /* keys of one prefix that are tried */
};

/* "embed,read,write" and back. False when a word is none of them. */
bool rights_parse(struct span text, unsigned *out);
const char *rights_print(unsigned rights);
/* Prefixes of names of namespaces, with commas between them; empty: all namespaces. DP_INVALID. */
enum dp_status namespaces_check(struct span prefixes, struct dp_error *error);
/* Whether a key with these prefixes may touch the namespace. */
bool namespaces_allow(struct span prefixes, struct span namespace);

struct key_record {
    struct span id, user_id, email, prefix, hash, name, namespaces;
    struct span digest; /* of the key that the hash is of (key.h); empty: not known */
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
/* One key by its id, revoked or not; count 0: there is none. */
enum dp_status records_get(struct call *call, struct database *db, struct span id, struct key_records *out);
/* Notes the digest of a key whose text was found to be the hash's; nothing happens when the hash has changed since. */
enum dp_status records_learn_digest(struct call *call, struct database *db, struct span id, struct span hash,
                                    struct span digest);
/* All keys, or those of one user. */
enum dp_status records_list(struct call *call, struct database *db, struct span email, struct key_records *out);

/* What a new key is to be. Its user is made when there is none of this address. */
struct key_wish {
    struct span email, name, namespaces;
    bool has_tier; /* else: the user's, or free for a new one */
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

/* Makes a key; its text is nowhere but in *out. DP_INVALID names what is wrong with the wish. */
enum dp_status records_create(struct call *call, struct database *db, const struct key_wish *wish, int64_t now_ms,
                              struct new_key *out);
/* Revokes a key by its id or its prefix (with or without the scheme). DP_NOT_FOUND; DP_CONFLICT: several keys share the
 * prefix. *out: the key; revoking it again changes nothing. */
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

/* A month's usage by user (`by_key` false) or by key; email and key id may be empty: all. */
enum dp_status records_usage(struct call *call, struct database *db, int64_t month, struct span email,
                             struct span key_id, bool by_key, struct usage_rows *out);

#endif
