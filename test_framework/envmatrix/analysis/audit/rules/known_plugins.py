"""Fixtures of widely used plugins, for the hint which plugin to install."""

_FIXTURES = {
    "anyio": "anyio_backend",
    "celery": "celery_app celery_worker celery_session_app celery_session_worker",
    "envmatrix": "real_services real_llm",
    "faker": "faker",
    "pyfakefs": "fs fs_class fs_module fs_session",
    "pytest-aiohttp": "aiohttp_client aiohttp_server aiohttp_raw_server",
    "pytest-asyncio": "event_loop unused_tcp_port unused_tcp_port_factory",
    "pytest-benchmark": "benchmark benchmark_weave",
    "pytest-datadir": "datadir shared_datadir original_datadir",
    "pytest-django": "admin_client admin_user django_assert_max_num_queries django_assert_num_queries django_db_blocker "
    "django_db_setup django_user_model mailoutbox transactional_db",
    "pytest-docker": "docker_compose_file docker_ip docker_services",
    "pytest-freezer": "freezer",
    "pytest-httpx": "httpx_mock",
    "pytest-localserver or pytest-httpserver": "httpserver",
    "pytest-mock": "mocker class_mocker module_mocker package_mocker session_mocker",
    "pytest-playwright": "browser_context_args browser_type page",
    "pytest-postgresql": "postgresql postgresql_proc",
    "pytest-qt": "qapp qtbot qtlog qtmodeltester",
    "pytest-regressions": "data_regression dataframe_regression file_regression image_regression num_regression",
    "pytest-xdist": "testrun_uid worker_id",
    "requests-mock": "requests_mock",
    "respx": "respx_mock",
    "syrupy": "snapshot",
    "time-machine": "time_machine",
}

PLUGINS = {name: plugin for plugin, names in _FIXTURES.items() for name in names.split()}
"""Fixture → the distribution that provides it."""
