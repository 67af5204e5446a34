/* service_fixture.h: a service over the tiny model and a fresh folder, for tests of service, api and server. */
#ifndef SERVICE_FIXTURE_H
#define SERVICE_FIXTURE_H

#include "test_support.h"

#include "service/indexes.h"
#include "service/ingest.h"
#include "tiny_model.h"

/* Returns the tiny model's folder. The first call writes it. */
const char *fixture_model(void);

/* Opens a service over `root` (NULL: a fresh folder) with or without the model. Fails the test when it can't. */
struct service *fixture_service(const char *root, bool model);
/* Opens a service with the model and a cache of that many vectors. */
struct service *fixture_cached_service(size_t vectors);

/* Threads of services opened from now on; at first 2. Tests that count blocks set 1, because a starting thread
 * frees one. */
extern unsigned fixture_threads;

/* Whether services opened from now on accept token ids; at first false. */
extern bool fixture_token_input;

/* The FAISS files that clients of services opened from now on may open; at first NULL. */
extern const struct indexes_options *fixture_indexes;

/* Returns a call whose results live until the next fixture_call(). */
struct call *fixture_call(void);
void fixture_call_end(void); /* frees the latest call */

/* Loads JSON lines into a namespace. Returns the status of service_ingest, with the error in the call. */
enum dp_status fixture_ingest(struct call *call, struct service *service, const char *namespace, const char *lines,
                              struct ingest_summary *summary);
/* Loads JSON lines into a namespace. A failure fails the test. */
void fixture_index(struct service *service, const char *namespace, const char *lines);

/* Three rows with attributes, which the tests search. */
extern const char FIXTURE_ROWS[];

#endif
