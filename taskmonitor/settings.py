"""Settings. A deployment speaks through the environment; a fresh clone needs none of it (docs/operators.md)."""

import logging
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

from taskmonitor.secret_key import kept_key, refuse_weak_key
from taskmonitor.static_address import static_address
from taskmonitor.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.Env):  # type: ignore[misc]  # it has no types
    """What a deployment says; a value that cannot be used ends the program with a line that names it."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, *args, **options)
        except ValueError as error:
            raise SystemExit(f"{var} cannot be {os.environ[var]!r}: {error}") from error

    def number(self, var: str, default: int, least: int = 0, most: int = 500_000) -> int:
        """A whole number within bounds; those it has by itself are days that a calendar can count back."""
        number: int = self.int(var, default=default)
        if not least <= number <= most:
            raise SystemExit(f"{var} cannot be {number}; it is a number from {least} to {most}")
        return number

    def switch(self, var: str, default: str = "0") -> bool:
        """Whether it is on."""
        given = self.str(var, default=default).lower()
        if given not in (*self.BOOLEAN_TRUE_STRINGS, "false", "off", "n", "no", "0", ""):
            raise SystemExit(f"{var} cannot be {given!r}; it is 1 or 0")
        return given in self.BOOLEAN_TRUE_STRINGS


env = Environment()

# Where it keeps what it must not lose
DATA = Path(env.str("TASKMONITOR_DATA", default=str(BASE_DIR / "var"))).resolve()
try:
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise SystemExit(f"The data folder {DATA} cannot be made: {error.strerror} (TASKMONITOR_DATA)") from error
if not os.access(DATA, os.W_OK | os.X_OK):
    raise SystemExit(f"The data folder {DATA} is not writable (TASKMONITOR_DATA)")


SECRET_KEY = env.str("SECRET_KEY", default="")
if SECRET_KEY:
    refuse_weak_key(SECRET_KEY)
else:
    SECRET_KEY = kept_key(DATA / "secret_key")
DEBUG = env.switch("DEBUG")
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.number("PORT", default=8000, most=65_535)
HOST_IN_URL = f"[{HOST}]" if ":" in HOST else HOST
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", HOST_IN_URL])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if not all(origin.startswith(("http://", "https://")) for origin in CSRF_TRUSTED_ORIGINS):
    raise SystemExit("CSRF_TRUSTED_ORIGINS must each begin with http:// or https://")

INSTALLED_APPS = [
    "taskmonitor.apps.TaskMonitorConfig",
    "coordinator.apps.CoordinatorConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_q",
    "rest_framework",
]

MIDDLEWARE = [
    "taskmonitor.serving.requests.RequestFacts",
    "taskmonitor.pages.middleware.Compressed",
    "django.middleware.security.SecurityMiddleware",
    "api.middleware.ApiMiddleware",
    "taskmonitor.pages.middleware.Policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "taskmonitor.pages.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "taskmonitor.pages.readable.Readable",
    "taskmonitor.pages.middleware.Csrf",
    "taskmonitor.pages.middleware.Authentication",
    "taskmonitor.pages.middleware.Messages",
    "taskmonitor.pages.middleware.PasswordFirst",
    "taskmonitor.pages.middleware.Frames",
    "taskmonitor.pages.middleware.Htmx",
    "taskmonitor.pages.methods.KnownMethods",
]

ROOT_URLCONF = "taskmonitor.urls"
ASGI_APPLICATION = "taskmonitor.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


# The database: SQLite beside the data, or what DATABASE_URL names
HOST_AND_PORT = r"(\[[\da-f:.]+\]|[^/?#:@]*)(:\d+)?"
DATABASE_URL = re.compile(rf"(sqlite://|(postgres(ql)?|psql)://([^/?#]*@)?{HOST_AND_PORT})/[^?]")


def database() -> dict[str, Any]:
    """Django's settings of the one database."""
    if not env.str("DATABASE_URL", default=""):
        config: dict[str, Any] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA / "taskmonitor.sqlite3",
        }
    else:
        if not DATABASE_URL.match(env.str("DATABASE_URL")):
            raise SystemExit(
                "DATABASE_URL must be postgres://user:password@host:port/name, or sqlite:/// and a path"
            )
        config = env.db("DATABASE_URL")
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",  # a transaction that will write waits for its turn at its start
            "timeout": 20,  # seconds to wait for another process's write; requests wait less (serving/bounds.py)
            "detect_types": 0,  # fields know their types; to guess them by columns first costs a call for each value
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-16000;"
            ),
        }
        config["TEST"] = {
            "NAME": DATA / "test.sqlite3"
        }  # a file, so that its threads meet as they do in service
    else:
        prepared = {"server_side_binding": True, "prepare_threshold": 2}  # halves the database's own work
        # A server that has vanished is noticed within seconds, while asking it and while waiting for its answer
        watched = {
            "connect_timeout": 5,
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        }
        given = config.get("OPTIONS", {})
        # A process that was stopped within a transaction would keep its rows from everybody for as long
        session = f"-c idle_in_transaction_session_timeout=15s {given.get('options', '')}".strip()
        config["ENGINE"] = "taskmonitor.postgresql"
        config["OPTIONS"] = {**prepared, **watched, **given, "options": session}
        config["CONN_HEALTH_CHECKS"] = True  # a restarted server costs no request
    return config | {"CONN_MAX_AGE": None}  # threads and workers are few and keep theirs


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What hosts share for a while, which is never the truth: failed logins. In Redis, where there is one; else in the
# database if hosts may share it; SQLite has one web server, whose memory will do
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise SystemExit("REDIS_URL must be redis://host:port/number, rediss:// or unix://")
PROCESS_CACHE = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "LOCATION": "process",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}


def shared_cache() -> dict[str, Any]:
    """Django's settings of the cache that is common to all web servers."""
    if REDIS_URL:
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "taskmonitor",
            "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},  # seconds; it holds nobody up
        }
    if not DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        return {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "taskmonitor_cache",  # the table; it is made at the start
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    return PROCESS_CACHE | {"LOCATION": "shared"}


CACHES = {"default": shared_cache(), "process": PROCESS_CACHE}

# The web server: as many requests at once as can wait for one disk, or for a database server
THREADS = env.number("THREADS", default=16 if env.str("DATABASE_URL", default="") else 8, least=1)

# The workers
WORKERS = env.number("WORKERS", default=2, least=1)
Q_CLUSTER: dict[str, Any] = {
    "name": "task-monitor",
    "orm": "default",
    "broker_class": "coordinator.engine.watch.Watch",
    "workers": 1,  # for its ordinary tasks; those for commands are WORKERS, and one for polls
    "daemonize_workers": False,  # a command may start processes
    "timeout": 300,  # seconds a task may take
    "retry": 360,  # seconds until a lost task is given out again; longer than it may take
    "max_attempts": 5,
    "recycle": 100_000,  # tasks until a worker is replaced; the next one is looked for each guard_cycle
    "ack_failures": True,
    "save_limit": 100,
    "catch_up": False,
    "guard_cycle": 0.5,  # seconds between looks at the workers
    "label": "Background tasks",
}

# Until the commands of a worker that is gone are somebody else's; a lease is renewed at a third of it
COMMAND_LEASE = timedelta(seconds=env.number("TASKMONITOR_LEASE_SECONDS", default=15, least=1, most=3600))
# For what workers are at when the site is stopped
STOP_GRACE = timedelta(seconds=env.number("TASKMONITOR_STOP_SECONDS", default=8, least=1, most=86_400))
KEEP_ENDED_COMMANDS_FOR = timedelta(days=env.number("TASKMONITOR_COMMAND_DAYS", default=30))

# Commands that come with it, each only if it is allowed something
HTTP_HOSTS = env.list("TASKMONITOR_HTTP_HOSTS", default=[])
if not all(re.fullmatch(r"([a-z\d][a-z\d.-]*|\[[a-f\d:.]+\])(:\d{1,5})?", host) for host in HTTP_HOSTS):
    raise SystemExit(
        "TASKMONITOR_HTTP_HOSTS must be names in lower case, perhaps with :port, divided by commas"
    )
HTTP_PRIVATE = env.switch("TASKMONITOR_HTTP_PRIVATE")


def programs() -> dict[str, str]:
    """The path of each program that may be run, by the name that commands give it."""
    found = {}
    for pair in env.list("TASKMONITOR_PROGRAMS", default=[]):
        name, _, path = pair.partition("=")
        if not re.fullmatch(r"[\w.-]+", name) or not path.startswith("/"):
            raise SystemExit("TASKMONITOR_PROGRAMS must be name=/absolute/path, several divided by commas")
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise SystemExit(f"TASKMONITOR_PROGRAMS names {path}, which is not a program that can be run")
        found[name] = path
    return found


PROGRAMS = programs()

# Who one is
AUTHENTICATION_BACKENDS = ["taskmonitor.pages.login.PasswordBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "job_list"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
] + [{"NAME": f"taskmonitor.services.accounts.{name}"} for name in ("NotTheProduct", "EndsLogins")]
TEMPORARY_PASSWORD_LIFE = timedelta(hours=24)  # of one that somebody else chose, for the API
SESSION_ENGINE = "taskmonitor.sessions"
SESSION_LIFE = timedelta(hours=env.number("TASKMONITOR_SESSION_HOURS", default=12, least=1, most=24 * 365))
SESSION_IDLE = timedelta(minutes=env.number("TASKMONITOR_SESSION_IDLE_MINUTES", default=120, least=5))
SESSION_COOKIE_AGE = int(SESSION_LIFE.total_seconds())
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # forms carry the token, no script reads it
MESSAGE_STORAGE = (
    "django.contrib.messages.storage.session.SessionStorage"  # what is said to a user is in no cookie
)
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # of Django's own middleware against frames, and
    "security.W003",  # against forged forms, ours are subclasses
    "security.W005",  # what HSTS covers
    "security.W021",  # is the operator's to say
]
HSTS = env.str("TASKMONITOR_HSTS", default="host")
if HSTS not in ("host", "subdomains", "preload"):
    raise SystemExit(f"TASKMONITOR_HSTS cannot be {HSTS!r}; it is host, subdomains or preload")
if env.switch("HTTPS"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_REDIRECT_EXEMPT = [
        r"^(api|ovirt-engine|metrics)([/;]|\Z)"
    ]  # which refuse instead (api/middleware.py)
    # Browsers take cookies of these names by HTTPS only, and from this very host
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = HSTS in ("subdomains", "preload")
    SECURE_HSTS_PRELOAD = HSTS == "preload"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
DATE_FORMAT, DATETIME_FORMAT = "Y-m-d", "Y-m-d H:i:s"  # in the admin, as on the pages

IDIOMORPH = BASE_DIR / "node_modules/idiomorph/dist"  # npm brings it; without it static/idiomorph is served
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"]
if IDIOMORPH.is_dir():
    STATICFILES_DIRS.insert(0, ("idiomorph", IDIOMORPH))
STATIC_URL = static_address(STATICFILES_DIRS)
WHITENOISE_IMMUTABLE_FILE_TEST = "(?!)" if DEBUG else f"/{STATIC_URL}"  # never while they are worked on
WHITENOISE_ALLOW_ALL_ORIGINS = False  # they are for our own pages
WHITENOISE_MIMETYPES = {".svg": "image/svg+xml; charset=utf-8"}
WHITENOISE_USE_FINDERS = True  # no collectstatic: files are served from where they lie

# Bytes that the body of a request may have
DATA_UPLOAD_MAX_MEMORY_SIZE = env.number("TASKMONITOR_BODY_LIMIT", default=1_000_000, least=1, most=10**9)

# Whether anybody may read /metrics, or only who sees everybody's jobs
METRICS_PUBLIC = env.switch("TASKMONITOR_METRICS_PUBLIC")

# What upkeep does when (MISSION.md D14)
CLEAR_FINISHED_AFTER = timedelta(minutes=env.number("TASKMONITOR_CLEAR_FINISHED_MINUTES", default=10))
CLEAR_FAILED_AFTER = timedelta(minutes=env.number("TASKMONITOR_CLEAR_FAILED_MINUTES", default=60))
KEEP_CLEARED_FOR = timedelta(days=env.number("TASKMONITOR_RETENTION_DAYS", default=90))
KEEP_ANSWERS_FOR = timedelta(hours=24)  # of requests with an Idempotency-Key
KEEP_LOGINS_FOR = timedelta(days=90)  # in the audit, which keeps all else for ever
LOGIN_TOKEN_LIFE = timedelta(hours=env.number("TASKMONITOR_LOGIN_TOKEN_HOURS", default=12, least=1))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.authentication.TokenAuthentication",
        "api.authentication.PasswordAuthentication",
        "api.persistent.PersistentAuthentication",
        "api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.negotiation.XmlUnlessJson",
    "DEFAULT_RENDERER_CLASSES": ["api.xml.XMLRenderer", "api.json.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.xml.XMLParser", "api.json.JSONParser"],
    "EXCEPTION_HANDLER": "api.errors.fault",
    "DEFAULT_SCHEMA_CLASS": "api.schema.DescribedView",  # imported when the OpenAPI document is asked for
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `accept` is the parameter that stands for the header
}
SPECTACULAR_SETTINGS = {"TITLE": "Task Monitor", "VERSION": VERSION}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise SystemExit(f"LOG_LEVEL cannot be {LOG_LEVEL!r}; it is DEBUG, INFO, WARNING, ERROR or CRITICAL")
LOG_FORMAT = env.str("LOG_FORMAT", default="plain")
if LOG_FORMAT not in ("plain", "json"):
    raise SystemExit(f"LOG_FORMAT cannot be {LOG_FORMAT!r}; it is plain or json")
LOG_REQUESTS = env.switch("LOG_REQUESTS", default="1")
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line has them
logging._srcfile = None  # nor where it was written
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "taskmonitor.logs.PlainLine"},
        "json": {"()": "taskmonitor.logs.JsonLine"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},  # of what is refused serving/requests.py has a line
        **{  # what these say of themselves, and of each odd request, is news only to who looks for a fault
            name: {} if LOG_LEVEL == "DEBUG" else {"level": level}
            for name, level in {"django-q": "WARNING", "uvicorn.error": "ERROR"}.items()
        },
    },
}
