/* socket_fixture.h: a server on a free port of the loopback interface, and raw sockets to it. */
#ifndef SOCKET_FIXTURE_H
#define SOCKET_FIXTURE_H

#include "service_fixture.h"

#include "server/server.h"

struct server *start_server(struct service *service, struct server_options options);

/* Returns a socket that is connected to the server. */
int dial(const struct server *server);
void send_bytes(int fd, const void *bytes, size_t len); /* fails the test when the server has closed */
void send_text(int fd, const char *text);

enum heard { HEARD_CLOSED, HEARD_RESET, HEARD_NOTHING };

/* Reads until the server closes or is silent for `ms`. The text ends with a NUL and is valid until the next call. */
const char *hear(int fd, int ms, enum heard *end);
/* Reads one whole answer, by its Content-Length. More answers may follow. Fails the test if none comes. */
const char *hear_answer(int fd);

/* Sends the text on a new connection and reads until the server closes or waits. */
const char *converse(const struct server *server, const char *text, enum heard *end);

#endif
