"""The proxy's example lets nobody through without a password, and all of Dagster with one."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from fx_assets.testing.processes import free_port, running, stop

EXAMPLE = Path(__file__).parents[2] / "deploy" / "proxy" / "nginx.conf"
PASSWORD = "only for this test"  # noqa: S105
PLACES = {"443": "3000", "5443": "5000", "8443": "8001"}
pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(
        shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin") is None,
        reason="nginx is missing: apt-get install nginx-light",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers' own user may read, with a certificate and one user."""
    made = tmp_path_factory.mktemp("proxy")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", made / "key.pem", "-out", made / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True
    )
    (made / "users").write_text(f"ann:{hashed.stdout}")
    return made


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[dict[str, int]]:
    """The proxy's ports by those of the example; Dagster is behind the first."""
    dagster, others = free_port(), free_port()
    (folder / "empty.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    config, found = EXAMPLE.read_text(), {}
    for outer, inner in PLACES.items():
        found[outer] = free_port()
        config = config.replace(f"listen {outer} ssl", f"listen 127.0.0.1:{found[outer]} ssl")
        place = dagster if inner == "3000" else others
        config = config.replace(f"127.0.0.1:{inner};", f"127.0.0.1:{place};")
    logs = f'daemon off; pid "{folder}/pid"; error_log "{folder}/error.log";\n'
    if os.getuid() == 0:
        logs += "user root;\n"
    (folder / "nginx.conf").write_text(logs + config.replace("http {", "http { access_log off;", 1))
    webserver = [
        str(Path(sys.executable).with_name("dagster-webserver")),
        *("-f", str(folder / "empty.py"), "-p", str(dagster)),
    ]
    home = {"DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    with ExitStack() as stack:
        server = running(
            webserver, "/server_info", port=dagster, folder=folder, environment=home, patience=120
        )
        stack.enter_context(server)
        proxy = subprocess.Popen(
            [shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin") or "nginx",
             "-p", folder, "-c", folder / "nginx.conf"],
            start_new_session=True,
        )  # fmt: skip
        stack.callback(stop, proxy)
        yield found


@pytest.fixture
def client(folder: Path, ports: dict[str, int]) -> Iterator[httpx.Client]:
    trusted = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    transport = httpx.HTTPTransport(verify=trusted, retries=5)
    with httpx.Client(transport=transport, timeout=60) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("login", [None, ("ann", "wrong"), ("bob", PASSWORD)])
def test_nobody_comes_through_without_a_password(
    login: tuple[str, str] | None, client: httpx.Client, ports: dict[str, int]
) -> None:
    for port in ports.values():
        for path in ("/", "/graphql", "/server_info", "/query"):
            answer = client.get(f"https://localhost:{port}{path}", auth=login)
            assert answer.status_code == 401, (port, path)


@pytest.mark.slow
def test_with_one_the_pages_and_graphql_of_dagster_answer(
    client: httpx.Client, ports: dict[str, int]
) -> None:
    place, login = f"https://localhost:{ports['443']}", ("ann", PASSWORD)
    page = client.get(f"{place}/locations", auth=login)
    assert page.status_code == 200
    assert "<html" in page.text
    asked = client.post(f"{place}/graphql", json={"query": "{ version }"}, auth=login)
    assert asked.json()["data"]["version"]
    plain = httpx.get(f"http://localhost:{ports['443']}/", timeout=30)
    assert plain.status_code == 400
