/* s3/place.c: where a bucket is. The settings name a region; if the bucket is in another one, the store's answers say so,
 * and the requests follow. The address is always made of the region's name, never taken from an answer, so no answer can
 * send requests to a stranger. */
#include <stdio.h>

#include "base/alloc.h"
#include "store/s3/endpoint.h"
#include "store/s3/s3.h"

enum { MOVES_MAX = 8 };

/* A place that an answer named. Immutable. */
struct s3_place {
    struct s3_place *older; /* requests that are under way may use it, so it stays until the store ends */
    unsigned number;        /* from 1 */
    struct span region, origin;
    char text[]; /* region and origin */
};

static struct s3_place *place_of(const struct s3_store *s3)
{
    return atomic_load_explicit(&s3->moved, memory_order_acquire);
}

struct span s3_region(const struct s3_store *s3)
{
    const struct s3_place *place = place_of(s3);
    return place ? place->region : s3->region;
}

struct span s3_origin(const struct s3_store *s3)
{
    const struct s3_place *place = place_of(s3);
    return place ? place->origin : s3->origin;
}

/* Writes the origin of requests to a region, like snprintf. */
static size_t write_origin(const struct s3_store *s3, struct span region, char *out, size_t room)
{
    if (!s3->at_amazon)
        return (size_t)snprintf(out, room, "%.*s", SPAN_FMT(s3->origin));
    bool by_host = s3->base_path.len == 1;
    return (size_t)snprintf(out, room, "https://%.*s%ss3.%.*s.%s", SPAN_FMT(by_host ? s3->bucket : span_str("")),
                            by_host ? "." : "", SPAN_FMT(region), aws_domain(region));
}

bool s3_move(struct s3_store *s3, struct span region)
{
    struct dp_error ignored;
    struct s3_place *now = place_of(s3);
    if (s3_region_check("", region, &ignored) != DP_OK || span_equal(region, s3_region(s3)) ||
        (now && now->number == MOVES_MAX))
        return false;
    size_t origin_len = write_origin(s3, region, NULL, 0);
    struct s3_place *place = mem_alloc(sizeof *place + region.len + origin_len + 1);
    if (!place)
        return false;
    memcpy(place->text, region.data, region.len);
    place->region = span_of(place->text, region.len);
    write_origin(s3, region, place->text + region.len, origin_len + 1);
    place->origin = span_of(place->text + region.len, origin_len);
    place->older = now;
    place->number = now ? now->number + 1 : 1;
    if (!atomic_compare_exchange_strong(&s3->moved, &now, place))
        mem_free(place); /* another thread had the same news */
    return true;
}

void s3_free_places(struct s3_store *s3)
{
    struct s3_place *place = place_of(s3);
    while (place) {
        struct s3_place *older = place->older;
        mem_free(place);
        place = older;
    }
}
