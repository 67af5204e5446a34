/* service/full_text.h: gives full-text search to the texts of namespaces that an older `dipper index` has made. */
#ifndef SERVICE_FULL_TEXT_H
#define SERVICE_FULL_TEXT_H

#include "index/index.h"

/* The attribute for which `dipper index` declares full-text search. */
#define FULL_TEXT_ATTRIBUTE "text"

/* Declares the attribute "text" for full-text search if a model of ours has embedded the namespace, and nobody has
 * declared an option of the attribute. *declared: whether the call has declared it. Segments get their text index by
 * the next merge. Leaves a read-only namespace as it is. Fails as index_alter() does. */
enum dp_status service_declare_full_text(struct call *call, struct store *store, struct span name,
                                         struct index_reader *reader, bool *declared);

#endif
