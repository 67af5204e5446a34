/* endpoint.c: addresses of AWS's services (see endpoint.h). */
#include "store/s3/endpoint.h"

enum { HOST_MAX = 255, REGION_MAX = 63 };

/* From botocore's partitions.json. */
static const struct {
    const char *prefix; /* of the region's name */
    const char *domain;
} PARTITIONS[] = {
    {"cn-", "amazonaws.com.cn"},   {"eusc-", "amazonaws.eu"},      {"us-iso-", "c2s.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov"}, {"eu-isoe-", "cloud.adc-e.uk"}, {"us-isof-", "csp.hci.ic.gov"},
};
static const char MOST[] = "amazonaws.com";

const char *aws_domain(struct span region)
{
    for (size_t i = 0; i < sizeof PARTITIONS / sizeof *PARTITIONS; i++)
        if (span_starts_with(region, span_str(PARTITIONS[i].prefix)))
            return PARTITIONS[i].domain;
    return MOST;
}

static bool is_below(struct span host, const char *domain)
{
    size_t len = strlen(domain);
    return host.len > len && host.data[host.len - len - 1] == '.' &&
           span_equal_ignoring_case(span_of(host.data + host.len - len, len), span_str(domain));
}

bool aws_owns_host(struct span host)
{
    for (size_t i = 0; i < sizeof PARTITIONS / sizeof *PARTITIONS; i++)
        if (is_below(host, PARTITIONS[i].domain))
            return true;
    return is_below(host, MOST);
}

enum dp_status s3_endpoint_split(const char *from, struct span url, struct s3_endpoint *out,
                                 struct dp_error *error)
{
    static const char *const SCHEMES[] = {"https://", "http://"};
    struct span scheme = {0};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        struct span s = span_str(SCHEMES[i]);
        if (url.len > s.len && span_equal_ignoring_case(span_of(url.data, s.len), s))
            scheme = s;
    }
    struct span rest = span_of(url.data + scheme.len, url.len - scheme.len);
    const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    size_t host_len = slash ? (size_t)(slash - rest.data) : rest.len;
    bool good = scheme.len && host_len && host_len <= HOST_MAX;
    for (size_t i = 0; i < rest.len && good; i++)
        good = rest.data[i] > 0x20 && rest.data[i] < 0x7f && !strchr("@?#%\\\"<>", rest.data[i]);
    if (!good)
        return dp_fail(error, DP_INVALID,
                       "%s: write http://host:port or https://host, without user, query or escapes", from);
    *out = (struct s3_endpoint){scheme, span_of(rest.data, host_len),
                                span_of(rest.data + host_len, rest.len - host_len)};
    while (out->path.len && out->path.data[out->path.len - 1] == '/')
        out->path.len--;
    return DP_OK;
}

enum dp_status s3_region_check(const char *from, struct span region, struct dp_error *error)
{
    bool good = region.len && region.len <= REGION_MAX;
    for (size_t i = 0; i < region.len && good; i++) {
        uint8_t c = region.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        good = letter || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (good)
        return DP_OK;
    return dp_fail(error, DP_INVALID, "%s: \"%.*s\" is not a region's name (like eu-west-1)", from,
                   SPAN_FMT(region));
}
