"""Cases in which a service does not start, does not answer, or is not the declared one."""

from tests.accuracy.case import Case, Remote, Truth
from tests.accuracy.declare import environment, remote, service

TESTS = """
    def test_orders(real_services):
        assert real_services.http_client_sync.get("/orders").status_code == 200

    def test_me(real_services):
        assert real_services.http_client_sync.get("/me").status_code == 200

    def test_alone():
        pass
"""
_ALONE = {"test_alone": Truth.PASSED}


def _infrastructure(name: str, injected: str, rule: str, declaration: str, **more: object) -> Case:
    return Case(
        name,
        injected,
        Truth.INFRASTRUCTURE,
        TESTS,
        rule=rule,
        also=_ALONE,
        environment=declaration,
        **more,  # type: ignore[arg-type]
    )


BACKEND = environment(service(start_deadline=0.8, ping_deadline=0.3))
REMOTE = environment(remote(ping_deadline=0.3))

CASES = (
    _infrastructure(
        "command exits at once",
        "the process ends with a line in its log",
        "I202",
        environment(service()),
        faults={"backend": "exits"},
    ),
    _infrastructure(
        "command not found",
        "the declared program does not exist",
        "I202",
        environment(service(command=["no-such-program", "{backend.port}"])),
    ),
    _infrastructure("never ready", "health answers 503 for ever", "I202", BACKEND, faults={"backend": "unwell"}),
    _infrastructure("hangs at start", "it accepts and never answers", "I202", BACKEND, faults={"backend": "hang"}),
    _infrastructure("resets at start", "every connection is reset", "I202", BACKEND, faults={"backend": "reset"}),
    _infrastructure(
        "what it needs does not start",
        "the service behind the declared one ends at once",
        "I202",
        environment(service(env={"UPSTREAM": "{app.url}"}), service("app")),
        faults={"app": "exits"},
    ),
    _infrastructure(
        "remote refuses connections",
        "nobody listens at the URL",
        "I201",
        environment(remote(url="http://127.0.0.1:9", ping_deadline=0.3)),
    ),
    _infrastructure(
        "remote name is unknown",
        "the host cannot be resolved",
        "I201",
        environment(remote(url="http://backend.invalid", ping_deadline=0.3)),
    ),
    _infrastructure(
        "remote hangs",
        "it accepts and never answers",
        "I201",
        REMOTE,
        remotes=(Remote(),),
        faults={"backend": "hang"},
    ),
    _infrastructure(
        "wrong service answers",
        "the URL leads to another service, and that is healthy",
        "I203",
        REMOTE,
        remotes=(Remote(env={"SERVICE": "wiki"}),),
    ),
    _infrastructure(
        "wrong environment answers",
        "the URL leads to production",
        "I203",
        REMOTE,
        remotes=(Remote(env={"ENVIRONMENT": "production"}),),
    ),
    _infrastructure(
        "wrong commit answers",
        "the deployment is of an older commit than was declared",
        "I203",
        environment(remote(identity={"service": "backend", "commit": "c2"})),
        remotes=(Remote(),),
    ),
    _infrastructure(
        "our own process is another service",
        "the declared command starts the wrong program",
        "I203",
        environment(service(env={"SERVICE": "wiki"}, start_deadline=1.0)),
    ),
    _infrastructure(
        "health lies from the start",
        "health says 200, all else is a gateway's 502",
        "I204",
        environment(service()),
        faults={"backend": "502"},
    ),
    _infrastructure(
        "a proxy in front of nothing",
        "a remote proxy is healthy by its own word, its backend was never there",
        "I204",
        REMOTE,
        remotes=(Remote(env={"UPSTREAM": "http://127.0.0.1:9"}),),
    ),
    # A 4xx is what the declaration got wrong; a 500 is a server that cannot do its work. No test has said a word about
    # the product yet, so a person would call the people who run it rather than mend a fixture.
    _infrastructure(
        "sign-up answers 500",
        "the service cannot make users",
        "",
        environment(service()),
        faults={"backend": "signup-500"},
    ),
    _infrastructure(
        "down with two workers",
        "the process ends at once; each worker sees it",
        "I202",
        environment(service()),
        faults={"backend": "exits"},
        arguments=("-n2",),
    ),
)
