"""DATABASE_URL as SQLAlchemy wants it for one driver."""

import os

from sqlalchemy import URL, make_url


def database_url(driver: str = "asyncpg") -> URL:
    """Reads DATABASE_URL in any of its spellings and names the driver in it."""
    text = os.environ.get("DATABASE_URL")
    if not text:
        raise SystemExit("DATABASE_URL is not set")
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    url = make_url(text).set(drivername=f"postgresql+{driver}")
    if driver == "asyncpg":
        # asyncpg knows neither libpq's sslmode by that name nor channel_binding.
        sslmode = url.query.get("sslmode")
        url = url.difference_update_query(["sslmode", "channel_binding"])
        if sslmode is not None:
            url = url.update_query_dict({"ssl": sslmode})
    return url
