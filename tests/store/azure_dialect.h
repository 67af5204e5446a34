/* azure_dialect.h: the scripted server (http_server.h) as Azure's blob service: errors by name, conditional puts,
 * listings with markers, uploads in blocks. It keeps every condition, and wants the headers that Azure wants, but checks no
 * signature. An object's name is "/account/container/blob". */
#ifndef AZURE_DIALECT_H
#define AZURE_DIALECT_H

#include "http_objects.h"

extern const struct http_dialect AZURE_DIALECT;

#endif
