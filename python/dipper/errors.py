"""What goes wrong, as exceptions. Each is a dipper.Error, and Python's own kind of error where it has one.

The text is a sentence that names the object and says what to do; `status` is the library's word for it.
"""


class Error(Exception):
    """The library failed. `status` says how: "not_found", "corrupt", …"""

    status = "error"


class InvalidError(Error, ValueError):
    """What was asked for is wrong; the text says what to change."""

    status = "invalid"


class NotFoundError(Error, FileNotFoundError):
    """There is no such file, object, namespace or model."""

    status = "not_found"


class ConflictError(Error):
    """Another writer kept winning; try again."""

    status = "conflict"


class StaleError(Error):
    """The file changed while it was open: open it anew."""

    status = "stale"


class CorruptError(Error, ValueError):
    """Stored bytes are not what they should be."""

    status = "corrupt"


class UnsupportedError(Error, NotImplementedError):
    """Well formed, but of a kind that is not read."""

    status = "unsupported"


class DeniedError(Error, PermissionError):
    """The system or the store refuses."""

    status = "denied"


class InputOutputError(Error, OSError):
    """The system or the network failed."""

    status = "io"


class UnavailableError(Error, ConnectionError):
    """The store or a peer does not answer; try again later."""

    status = "unavailable"


class OverloadedError(Error):
    """Too much waits to be embedded already; try again later."""

    status = "overloaded"


class DeadlineError(Error, TimeoutError):
    """The timeout passed."""

    status = "deadline"


class CancelledError(Error):
    """The call was cancelled."""

    status = "cancelled"


class UnknownOutcomeError(Error):
    """A write whose outcome cannot be told; a repeat is safe."""

    status = "unknown"


class TooLargeError(Error, ValueError):
    """A limit was exceeded; the text names it."""

    status = "too_large"


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""

    status = "nomem"


class FullError(Error, OSError):
    """There is no space left where data must be written."""

    status = "full"


class NotDurableError(Error, OSError):
    """What was written is visible, but a crash of the host may undo it."""

    status = "not_durable"


_BY_STATUS = {kind.status: kind for kind in Error.__subclasses__()}


def of_status(status):
    """The class for a status; the extension module asks."""
    return _BY_STATUS.get(status, Error)
