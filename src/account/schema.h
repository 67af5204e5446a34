/* account/schema.h: the tables, and bringing a database up to them. */
#ifndef ACCOUNT_SCHEMA_H
#define ACCOUNT_SCHEMA_H

#include "account/database.h"

/* The version that this program knows. */
extern const int64_t SCHEMA_VERSION;

/* Applies what the database lacks, in order, in one transaction that no other node enters meanwhile. DP_UNSUPPORTED: the
 * database is of a newer program. */
enum dp_status schema_migrate(struct call *call, struct database *db);

#endif
