/* index/fold/verify_owners.h: verifies the owners of a branch's objects. */
#ifndef INDEX_FOLD_VERIFY_OWNERS_H
#define INDEX_FOLD_VERIFY_OWNERS_H

#include "index/fold/verify.h"

/* Verifies that the owners of the objects that the manifest lists have pins for them. Reports faults as those of `object`.
 * Fails as index_verify() does. */
enum dp_status verify_owners(struct call *call, struct verification *v, const char *object);

#endif
