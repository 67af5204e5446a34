"""Presigned URLs: anyone who has one may do one thing with one S3 object for a while (Signature Version 4 in the query).

Standard library only. Dipper reads such URLs. With boto3, use generate_presigned_url instead."""
import datetime
import hashlib
import hmac
import urllib.parse


def presign(method, endpoint, path, access_key_id, secret_access_key, region="us-east-1", seconds=3600, now=None):
    """The URL for `method` on /bucket or /bucket/key at an endpoint (http://host:port)."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    host, path = urllib.parse.urlsplit(endpoint).netloc, urllib.parse.quote(path)
    scope = f"{day}/{region}/s3/aws4_request"
    query = urllib.parse.urlencode(sorted({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{access_key_id}/{scope}", "X-Amz-Date": time,
        "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host"}.items()), quote_via=urllib.parse.quote)
    request = "\n".join([method, path, query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret_access_key).encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{endpoint}{path}?{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
