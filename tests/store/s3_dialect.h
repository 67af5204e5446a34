/* s3_dialect.h: the scripted server (http_server.h) as an S3 store: errors in XML, conditional puts, listings, uploads in
 * parts. It keeps every condition, and checks no signature. An object's name is "/bucket/key". */
#ifndef S3_DIALECT_H
#define S3_DIALECT_H

#include "http_objects.h"

extern const struct http_dialect S3_DIALECT;

#endif
