"""The exceptions. Each is a dipper.Error, and also Python's own exception where there is one.

The text is a sentence that names the object and says what to do; `status` is the library's name of the error.
"""


class Error(Exception):
    """A call of the library failed. `status` says how: "not_found", "corrupt", …"""

    status = "error"


class InvalidError(Error, ValueError):
    """An argument is wrong; the text says what to change."""

    status = "invalid"


class NotFoundError(Error, FileNotFoundError):
    """There is no such file, object, namespace or model."""

    status = "not_found"


class ConflictError(Error):
    """Another writer kept winning, or somebody deleted the namespace meanwhile; try again."""

    status = "conflict"


class StaleError(Error):
    """The file changed while it was open; open it again."""

    status = "stale"


class CorruptError(Error, ValueError):
    """Stored bytes fail a checksum or a bound."""

    status = "corrupt"


class UnsupportedError(Error, NotImplementedError):
    """The input is well formed, but of a kind that Dipper does not read."""

    status = "unsupported"


class DeniedError(Error, PermissionError):
    """The system or the store refused permission."""

    status = "denied"


class InputOutputError(Error, OSError):
    """The system or the network failed."""

    status = "io"


class UnavailableError(Error, ConnectionError):
    """The store or a peer does not answer; try again later."""

    status = "unavailable"


class OverloadedError(Error):
    """Too many texts are waiting to be embedded, or too many rows to be folded; try again later."""

    status = "overloaded"


class DeadlineError(Error, TimeoutError):
    """The timeout passed."""

    status = "deadline"


class CancelledError(Error):
    """The call was cancelled."""

    status = "cancelled"


class UnknownOutcomeError(Error):
    """Nobody can tell whether a write happened. Repeat it if it does no harm twice, as loads, upserts and deletions."""

    status = "unknown"


class TooLargeError(Error, ValueError):
    """A limit was exceeded; the text names it."""

    status = "too_large"


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""

    status = "nomem"


class FullError(Error, OSError):
    """No space is left for the data."""

    status = "full"


class NotDurableError(Error, OSError):
    """The data is visible, but a crash of the host may undo the write."""

    status = "not_durable"


_BY_STATUS = {kind.status: kind for kind in Error.__subclasses__()}


def of_status(status):
    """Returns the class for a status. The extension module calls this."""
    return _BY_STATUS.get(status, Error)
