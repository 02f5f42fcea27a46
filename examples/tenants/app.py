"""The HTTP side: FastAPI, one bearer token, errors as JSON without what was sent."""

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

import automation
from examples.tenants.model import Tenant, TenantName, Wanted
from examples.tenants.streams import Streams
from examples.tenants.tenants import BusyError, Tenants, UnknownTenantError

_BEARER = Depends(HTTPBearer())


def make_app(tenants: Tenants, token: str) -> FastAPI:
    """The application; `token` is what clients show."""

    def authorized(shown: Annotated[HTTPAuthorizationCredentials, _BEARER]) -> None:
        if not secrets.compare_digest(shown.credentials.encode(), token.encode()):
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the token is wrong")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tenants.resume()
        yield
        tenants.close()

    app = FastAPI(
        title="Tenants",
        lifespan=lifespan,
        dependencies=[Depends(authorized)],
        # its pages load scripts from elsewhere
        docs_url=None,
        redoc_url=None,
    )
    _answer_errors(app)
    streams = Streams()

    @app.put("/tenants/{name}", status_code=HTTPStatus.ACCEPTED)
    def put(name: TenantName, wanted: Wanted) -> Tenant:
        tenants.put(name, wanted)
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


async def _lines(progress: AsyncIterator[automation.Progress]) -> AsyncIterator[str]:
    async for event in progress:
        yield json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n"


def _answer_errors(app: FastAPI) -> None:
    def unknown(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"there is no tenant {error}"}, HTTPStatus.NOT_FOUND)

    def busy(_: Request, error: Exception) -> JSONResponse:
        detail = f"tenant {error} is being updated; ask again when it is ready"
        return JSONResponse({"detail": detail}, HTTPStatus.CONFLICT)

    def bad_settings(_: Request, error: Exception) -> JSONResponse:
        mistakes = (
            [asdict(mistake) for mistake in error.mistakes]
            if isinstance(error, automation.BadSettings)
            else []
        )
        return JSONResponse({"detail": mistakes}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        # FastAPI's own answer repeats the input, in which a value may be
        found = error.errors() if isinstance(error, RequestValidationError) else []
        mistakes = [{"path": list(mistake["loc"]), "wrong": mistake["msg"]} for mistake in found]
        return JSONResponse({"detail": mistakes}, HTTPStatus.UNPROCESSABLE_ENTITY)

    app.add_exception_handler(UnknownTenantError, unknown)
    app.add_exception_handler(BusyError, busy)
    app.add_exception_handler(automation.BadSettings, bad_settings)
    app.add_exception_handler(RequestValidationError, invalid)
