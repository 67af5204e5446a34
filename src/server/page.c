/* page.c: GET / and /assets/…: serves the search page, whose files are built into the program. */
#include "server/handlers.h"

/* Permits only our files: no inline script, no frames, no other site. */
static const char CONTENT_SECURITY_POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void handle_page(struct call *call, const struct api_context *api, const struct http_request *http,
                 struct http_response *response)
{
    (void)api;
    const struct page_file *file = NULL;
    for (size_t i = 0; i < PAGE_FILE_COUNT; i++)
        if (span_equal_str(http->path, PAGE_FILES[i].path))
            file = &PAGE_FILES[i];
    if (!file) {
        call_fail(call, DP_NOT_FOUND, "there is nothing at this path");
        api_fail(call, &api_fastembed, response);
        return;
    }
    http_add_header(response, "ETag", file->etag);
    http_add_header(response, "Cache-Control", "no-cache");
    http_add_header(response, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
    http_add_header(response, "Referrer-Policy", "no-referrer");
    if (span_equal_str(http->header(http->header_ctx, "if-none-match"), file->etag)) {
        response->status = 304;
        return;
    }
    response->content_type = file->content_type;
    response->static_body = span_of(file->bytes, file->len);
}
