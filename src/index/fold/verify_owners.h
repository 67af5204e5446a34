/* index/fold/verify_owners.h: verifies the owners of a branch's objects. */
#ifndef INDEX_FOLD_VERIFY_OWNERS_H
#define INDEX_FOLD_VERIFY_OWNERS_H

#include "index/fold/verify.h"

/* A branch's manifest lists objects that belong to other namespaces, their owners. Verifies that each owner's manifest
 * has a pin for this branch, so that the owner's collector keeps them. Reports faults as those of `object`. Fails as
 * index_verify() does. */
enum dp_status verify_owners(struct call *call, struct verification *v, const char *object);

#endif
