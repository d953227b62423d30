"""The error hierarchy; `server.errors` is the one place that maps it to HTTP.

EmotionalRagError
├── SettingsError             a setting is wrong; the start stops
├── DataFolderError
│   ├── DataFolderBusy        another process holds the data folder
│   └── NewerSchema           a file was written by a newer version
├── BadRequest                the caller can fix it                        400
│   ├── PromptTooLong         card, examples and newest message do not fit  400
│   └── RequestTooLarge       more bytes than MAX_BODY_MB                    413
├── NotFound                  no such session, path or model               404
└── ProviderError             the language model's side
    ├── ProviderBusy          rate limit or quota, after the retries       429
    ├── ProviderUnavailable   refused, broken off, 5xx, malformed          502
    ├── ProviderTimeout       no bytes for too long                        504
    ├── ProviderRefused       the provider rejected the request (4xx)      400
    ├── ProviderDenied        the provider rejected the key                502
    ├── ContextOverflow       the provider counts more tokens than it takes 400
    └── Blocked               prompt or answer stopped by a content filter 400
"""

from __future__ import annotations


class EmotionalRagError(Exception):
    """Base of everything this project raises on purpose; the text is fit for the user's eyes."""


class SettingsError(EmotionalRagError):
    """A setting is wrong; the text names it and what is allowed."""


class DataFolderError(EmotionalRagError):
    """The data folder cannot be opened."""


class DataFolderBusy(DataFolderError):
    """Another process holds the data folder; `pid` and `url` say who and where."""

    def __init__(self, folder: str, pid: int, url: str | None = None) -> None:
        where = f" and serves on {url}" if url else ""
        super().__init__(
            f"The data folder {folder} is in use by process {pid}{where}. "
            "Use that server, stop it, or set DB_PATH to another folder."
        )
        self.pid = pid
        self.url = url


class NewerSchema(DataFolderError):
    """A file was written by a newer version of this software."""


class BadRequest(EmotionalRagError):
    """The request cannot be served as it is; `param` names the field."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class PromptTooLong(BadRequest):
    """What may never be dropped does not fit; `over` tokens too many."""

    def __init__(self, message: str, over: int) -> None:
        super().__init__(message, param="messages")
        self.over = over


class RequestTooLarge(BadRequest):
    """The request's body is larger than MAX_BODY_MB."""


class NotFound(EmotionalRagError):
    """What was asked for does not exist."""


class ProviderError(EmotionalRagError):
    """The language model's side failed."""


class ProviderBusy(ProviderError):
    """Rate limit or quota, still there after the retries; `retry_after` in seconds when the provider said."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(ProviderError):
    """The provider could not be reached, broke off, failed, or sent what cannot be read."""


class ProviderTimeout(ProviderError):
    """The provider sent nothing for too long."""


class ProviderRefused(ProviderError):
    """The provider rejected the request as malformed or unsupported."""


class ProviderDenied(ProviderError):
    """The provider rejected the key or the account."""


class ContextOverflow(ProviderError):
    """The provider counted more tokens than the model takes."""


class Blocked(ProviderError):
    """A content filter stopped the prompt or the answer; `reason` is the provider's word for why."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
