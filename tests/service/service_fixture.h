/* service_fixture.h: a service over the tiny model and a fresh folder, for tests of service, api and server. */
#ifndef SERVICE_FIXTURE_H
#define SERVICE_FIXTURE_H

#include "test_support.h"

#include "service/indexes.h"
#include "service/ingest.h"
#include "tiny_model.h"

/* The tiny model's folder, written once a program. */
const char *fixture_model(void);

/* Opens a service over `root` (NULL: a fresh folder) with or without the model. Fails the test when it can't. */
struct service *fixture_service(const char *root, bool model);
/* One with the model and a cache of so many vectors. */
struct service *fixture_cached_service(size_t vectors);

/* Of services opened from now on; 2 at first. Tests that count blocks set 1: a starting thread frees one. */
extern unsigned fixture_threads;

/* Whether services opened from now on take token ids; false at first. */
extern bool fixture_token_input;

/* FAISS files that clients of services opened from now on may open; NULL at first. */
extern const struct indexes_options *fixture_indexes;

/* A call whose results live until the next fixture_call(). */
struct call *fixture_call(void);
void fixture_call_end(void); /* frees the last one */

/* Loads JSON lines into a namespace; DP_OK or what service_ingest answers, with the error in the call. */
enum dp_status fixture_ingest(struct call *call, struct service *service, const char *namespace, const char *lines,
                              struct ingest_summary *summary);
/* The same, and the test fails when it does. */
void fixture_index(struct service *service, const char *namespace, const char *lines);

/* Three rows, with attributes, that the tests ask for. */
extern const char FIXTURE_ROWS[];

#endif
