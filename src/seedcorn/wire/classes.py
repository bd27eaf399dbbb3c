"""A request class in documents."""

from typing import Annotated

from pydantic import Field

from seedcorn.domain.workload import ALL_REQUESTS, RequestClass
from seedcorn.wire._fields import Absent, Count, Document

_End = Annotated[Count | None, Absent("no end")]


class RequestClassDocument(Document):
    """Requests by length: more tokens than `above`, at most `upto`."""

    input_above: int = Field(default=0, ge=0, description="Prompt tokens that its requests exceed.")
    input_upto: _End = Field(default=None, description="Most prompt tokens of its requests.")
    output_above: int = Field(default=0, ge=0, description="Generated tokens that its requests exceed.")
    output_upto: _End = Field(default=None, description="Most generated tokens of its requests.")

    @classmethod
    def of(cls, request_class: RequestClass) -> "RequestClassDocument | None":
        """The class as documents hold it; ``None`` for all requests."""
        if request_class == ALL_REQUESTS:
            return None
        return cls.model_validate(request_class, from_attributes=True)

    @property
    def request_class(self) -> RequestClass:
        """The class as routers take it."""
        return RequestClass(**self.model_dump())
