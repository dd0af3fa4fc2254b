"""uvicorn's protocol on httptools, with a cap on the head of a request: the `CappedProtocol`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from search.serving.connections import HEAD_BYTES, refused

_REFUSAL: Final = refused(HTTPStatus.BAD_REQUEST, "this is no HTTP request that is understood")


class CappedProtocol(HttpToolsProtocol):
    """Refuses a head that does not end: the parser keeps whatever comes."""

    is_head = False
    _received = 0
    _taken = 0

    def data_received(self, data: bytes) -> None:
        if self.is_head:
            self._received += len(data)
            if self._received > HEAD_BYTES:
                self.send_400_response("")
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self.transport.write(_REFUSAL)
        self.transport.close()

    def on_message_begin(self) -> None:
        self.is_head = True
        self._received = self._taken = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._take(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._take(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.is_head = False
        super().on_headers_complete()

    def _take(self, size: int) -> None:
        self._taken += size
        if self._taken > HEAD_BYTES:
            raise ValueError("the head is too long")  # the parser makes it a fault of the request
