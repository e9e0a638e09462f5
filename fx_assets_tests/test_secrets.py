"""What a setting holds is in no message about it, whatever is wrong with it or with its server."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fx_assets.alerting.channels import AlertSettings
from fx_assets.assets.lineage import _client
from fx_assets.bundles.signing import signing_keys
from fx_assets.errors import FxAssetsError, SourceError, without_logins
from fx_assets.executors import retrain_executor
from fx_assets.faults import described
from fx_assets.settings import Settings
from serving.http.security import Limiter, load_keys
from serving.settings import load_settings
from serving.state.trust import load_public_keys

SECRET = "canary0f5ecrets"  # noqa: S105
REDIS = f"redis://:{SECRET}@127.0.0.1:1/0"


def limiter() -> Limiter:
    settings = load_settings()
    return Limiter(settings.rate_limit, settings.rate_limit_storage)


WRONG: list[tuple[Callable[[], object], dict[str, str]]] = [
    (Settings, {"FX_ASSETS_EXECUTOR_CONFIG": f'{{"broker": "{SECRET}"'}),
    (Settings, {"FX_ASSETS_EXECUTOR_CONFIG": f'["{SECRET}"]'}),
    (Settings, {"FX_ASSETS_HTTP_ATTEMPTS": f"http://desk:{SECRET}@proxy/"}),
    (
        retrain_executor,
        {
            "FX_ASSETS_EXECUTOR": "multiprocess",
            "FX_ASSETS_EXECUTOR_CONFIG": f'{{"max_concurrent": "{SECRET}"}}',
        },
    ),
    (signing_keys, {"FX_ASSETS_SIGNING_KEY": SECRET}),
    (lambda: load_keys(load_settings().keys, None), {"FX_SERVING_KEYS": SECRET}),
    (lambda: load_keys(load_settings().keys, None), {"FX_SERVING_KEYS": f"{SECRET}:read"}),
    (lambda: load_public_keys(load_settings()), {"FX_SERVING_PUBLIC_KEYS": f"{SECRET}=,"}),
    (limiter, {"FX_SERVING_RATE_LIMIT": "x", "FX_SERVING_RATE_LIMIT_STORAGE": REDIS}),
    (limiter, {"FX_SERVING_RATE_LIMIT": "5/day", "FX_SERVING_RATE_LIMIT_STORAGE": f"no{REDIS}"}),
    (AlertSettings, {"FX_ASSETS_ALERTS_EMAIL_TO": f'["{SECRET}"'}),
    (AlertSettings, {"FX_ASSETS_ALERTS_SMTP_PORT": SECRET}),
]


@pytest.mark.parametrize(("call", "environment"), WRONG)
def test_a_setting_that_is_wrong_is_named_and_a_secret_in_it_is_not_told(
    call: Callable[[], object], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FxAssetsError) as refused:
        call()
    told = "".join(traceback.format_exception(refused.value))
    assert SECRET not in told
    assert any(name in str(refused.value) for name in environment)
    assert refused.value.remedy


@pytest.mark.parametrize(
    "stated", ["a@b.org, c@d.org", '["a@b.org", "c@d.org"]', "a@b.org c@d.org"]
)
def test_addresses_are_parted_by_commas_or_a_json_list(
    stated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FX_ASSETS_ALERTS_EMAIL_TO", stated)
    assert AlertSettings().email_to == ["a@b.org", "c@d.org"]


PASSWORDS = st.text("aZ9/:@?#%&'\"+=é", min_size=1)


@given(
    user=st.sampled_from(["", "me", "me-2"]),
    password=PASSWORDS.map(lambda text: f"{text}{SECRET}"),
    host=st.sampled_from(["db:5432/fx", "127.0.0.1:6379/0", "[::1]/x", "mlflow.example"]),
    scheme=st.sampled_from(["https", "postgresql+psycopg2", "redis", "amqp"]),
)
def test_no_message_shows_the_login_of_an_address(
    user: str, password: str, host: str, scheme: str
) -> None:
    address = f"{scheme}://{user}:{password}@{host}"
    error = SourceError(f"No answer from {address} today.", remedy=f"Look at {address}.")
    for told in (str(error), error.message, error.remedy, described(OSError(address))):
        assert SECRET not in told
        assert host in told


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:3000/runs/1?who=me@example.org",
        "s3://bucket/a@b/c",
        "mail to me@example.org about https://example.org/x",
        "sqlite:////data/mlflow.db",
    ],
)
def test_what_has_no_login_is_told_as_it_is(text: str) -> None:
    assert without_logins(text) == text


def test_openlineages_client_repeats_no_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openlineage.client", reason="fx-assets[openlineage] is not installed")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "noop")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__AUTH", f'{{"apiKey": "{SECRET}"')
    with caplog.at_level(logging.DEBUG):
        _client()
    assert SECRET not in caplog.text
