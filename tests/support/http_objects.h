/* http_objects.h: the objects of a scripted server (http_server.h), and what all dialects share that answer about
 * them.
 *
 * A dialect is the way in which a kind of store speaks: how a request names its object, and what the answers look
 * like. The server calls it for each request that no act answers, one at a time under its lock, and then sends the
 * answer as the act says. So acts work with every dialect: the answer is lost, reset, cut, late and so on.
 *
 * The functions below may be called only from a dialect, or under the server's lock. Memory comes from malloc.
 */
#ifndef HTTP_OBJECTS_H
#define HTTP_OBJECTS_H

#include "http_server.h"

enum { HTTP_NAME_MAX = 2048 }; /* bytes of an object's name, with its NUL */

struct http_object {
    struct http_object *next; /* in ascending order of names, by bytes */
    char *name;
    uint8_t *body;
    size_t len;
    unsigned version; /* each put in this server gets a greater one */
    char etag[40];    /* "vVERSION", with its quotes */
};

/* The objects of a server. */
struct http_objects {
    struct http_object *first;
    unsigned version; /* of the last put */
    struct http_server_options options;
};

struct http_object *http_objects_find(const struct http_objects *all, const char *name);
/* Puts an object, and returns it. */
struct http_object *http_objects_put(struct http_objects *all, const char *name, struct span body);
void http_objects_remove(struct http_objects *all, const char *name);
void http_objects_clear(struct http_objects *all);

/* A request, as a dialect sees it. */
struct http_request {
    const char *method;
    const char *head;  /* request line and header lines */
    const char *path;  /* of the target, still percent-encoded */
    const char *query; /* behind the '?'; "" without one */
    struct span body;
    const struct http_act *act; /* the way to answer; HTTP_ACT_SERVE: as usual */
};

/* Copies the value of a header. Returns false when the request lacks it. */
bool http_request_header(const struct http_request *request, const char *name, char *out, size_t room);
/* Copies the value of a parameter of the query, decoded. Returns false when the request lacks it. */
bool http_request_parameter(const struct http_request *request, const char *name, char *out, size_t room);
/* Decodes %XX of `from`. */
void http_decode(const char *from, char *out, size_t room);

/* The answer that a dialect makes. */
struct http_answer {
    int code;
    char *lines; /* header lines, each with \r\n; a dialect adds to them by http_answer_line */
    char *body;
    size_t lines_len, body_len;
};

/* Adds a header line, without its \r\n. */
void http_answer_line(struct http_answer *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds the header Date with the time of now. */
void http_answer_now(struct http_answer *answer);
/* Appends text to the body. */
void http_answer_text(struct http_answer *answer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends bytes to the body. */
void http_answer_bytes(struct http_answer *answer, struct span bytes);

struct http_dialect {
    /* Answers a request and carries it out. */
    void (*answer)(struct http_objects *all, const struct http_request *request, struct http_answer *answer);
    /* Writes the name of the object that the request is about. */
    void (*name)(const struct http_request *request, char out[HTTP_NAME_MAX]);
};

/* Objects by path, as a web server has them: GET, HEAD, PUT, DELETE. The default. */
extern const struct http_dialect HTTP_PLAIN;

/* Answers a GET or HEAD of an object (NULL: it is missing) with its ETag, its range, If-Match and If-None-Match. */
void http_answer_object(const struct http_objects *all, const struct http_request *request,
                        const struct http_object *o, struct http_answer *answer);

#endif
