from __future__ import annotations


class BridgeError(Exception):
    """The bridge refused a request, or could not be asked.

    ``code`` is a code of the bridge's table of errors, or one of this client: ``E_UNREACHABLE`` (no answer came),
    ``E_ANSWER`` (an answer that cannot be understood), ``E_CONFIGURATION`` (this client was set up wrongly),
    ``E_DELEGATION`` (nothing was signed).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        hint: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f'{code}: {detail}' if hint is None else f'{code}: {detail} {hint}')
        self.code = code
        self.detail = detail
        self.status = status
        self.hint = hint
        self.request_id = request_id
        #: Seconds that the bridge asks to wait for.
        self.retry_after = retry_after


class Unreachable(BridgeError):
    """No answer came: refused, reset, or not within the time given. What was sent may have been done."""

    def __init__(self, detail: str) -> None:
        super().__init__('E_UNREACHABLE', detail, hint='Is the bridge running, and is the address right?')
