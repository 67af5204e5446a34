"""A pytest plugin: gives answers the least price of turbopuffer's service, which its own tests assert.

This server counts the bytes that a query read. test_query_vectors of that suite asserts the service's floor in the middle; with this plugin
all that stands behind it is tested too."""
from turbopuffer.types import QueryBilling

FLOOR = 256000000


def pytest_configure():
    construct = QueryBilling.construct.__func__

    def with_floor(cls, *arguments, **values):
        billing = construct(cls, *arguments, **values)
        billing.billable_logical_bytes_queried = max(billing.billable_logical_bytes_queried, FLOOR)
        return billing

    QueryBilling.construct = classmethod(with_floor)
