"""The HTTP API: one bearer token, and errors as JSON that never repeat the request."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

import operations
from examples.tenants.model import Tenant, TenantName, TenantRequest
from examples.tenants.streams import Streams
from examples.tenants.tenants import BusyError, Tenants, UnknownTenantError

_BEARER = Depends(HTTPBearer())


def make_app(tenants: Tenants, token: str) -> FastAPI:
    """Create the application.

    Args:
        tenants: the tenants to serve.
        token: bearer token that clients must send.
    """

    def authorized(credentials: Annotated[HTTPAuthorizationCredentials, _BEARER]) -> None:
        if not secrets.compare_digest(credentials.credentials.encode(), token.encode()):
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the token is invalid")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tenants.resume()
        yield
        tenants.close()

    app = FastAPI(
        title="Tenants",
        lifespan=lifespan,
        dependencies=[Depends(authorized)],
        # these pages load scripts from other hosts
        docs_url=None,
        redoc_url=None,
    )
    _add_error_handlers(app)
    streams = Streams()

    @app.put("/tenants/{name}", status_code=HTTPStatus.ACCEPTED)
    def put(name: TenantName, request: TenantRequest) -> Tenant:
        tenants.put(name, request)
        return Tenant(name=name, state="updating")

    @app.get("/tenants/{name}")
    def get(name: TenantName) -> Tenant:
        return tenants.get(name)

    @app.get("/tenants/{name}/progress")
    def progress(name: TenantName, request: Request) -> StreamingResponse:
        client = request.client.host if request.client else ""
        return streams.response(client, _lines(tenants.progress(name)))

    @app.delete("/tenants/{name}", status_code=HTTPStatus.ACCEPTED)
    def delete(name: TenantName) -> Tenant:
        tenants.delete(name)
        return Tenant(name=name, state="updating")

    return app


async def _lines(progress: AsyncIterator[operations.Progress]) -> AsyncIterator[str]:
    async for event in progress:
        yield json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n"


def _add_error_handlers(app: FastAPI) -> None:
    def unknown(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"tenant {error} does not exist"}, HTTPStatus.NOT_FOUND)

    def busy(_: Request, error: Exception) -> JSONResponse:
        detail = f"tenant {error} is being updated; try again when it is ready"
        return JSONResponse({"detail": detail}, HTTPStatus.CONFLICT)

    def invalid_configuration(_: Request, error: Exception) -> JSONResponse:
        mistakes = (
            [asdict(mistake) for mistake in error.mistakes]
            if isinstance(error, operations.InvalidConfigurationError)
            else []
        )
        return JSONResponse({"detail": mistakes}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def invalid_request(_: Request, error: Exception) -> JSONResponse:
        # FastAPI's default response repeats the input, which may contain a secret value
        details = error.errors() if isinstance(error, RequestValidationError) else []
        mistakes = [{"path": list(mistake["loc"]), "wrong": mistake["msg"]} for mistake in details]
        return JSONResponse({"detail": mistakes}, HTTPStatus.UNPROCESSABLE_ENTITY)

    app.add_exception_handler(UnknownTenantError, unknown)
    app.add_exception_handler(BusyError, busy)
    app.add_exception_handler(operations.InvalidConfigurationError, invalid_configuration)
    app.add_exception_handler(RequestValidationError, invalid_request)
