/* account/schema.h: the tables, and migrating a database to them. */
#ifndef ACCOUNT_SCHEMA_H
#define ACCOUNT_SCHEMA_H

#include "account/database.h"

/* The version of the schema that this program uses. */
extern const int64_t SCHEMA_VERSION;

/* Applies the missing migrations in order, in one transaction that excludes other nodes. DP_UNSUPPORTED: a newer
 * program has migrated the database. */
enum dp_status schema_migrate(struct call *call, struct database *db);

#endif
