"""Signatures cover every byte that counts, the place, and the moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_assets.bundles.bundle import champion_ref, load, point_to, publish, store_bundle
from fx_assets.bundles.signing import SigningKey, check, seal_path, signed, signed_by_all
from fx_assets.errors import SignatureError
from fx_assets.lake.below import Below
from fx_assets.testing.lakes.samples import Folder, champion
from fx_assets_tests.examples import examples

FORECAST = "eurusd_direction"
PATH = f"bundles/{FORECAST}/champion.json"
OURS, NEXT = SigningKey.new(), SigningKey.new()


@pytest.fixture(autouse=True)
def _signing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FX_ASSETS_SIGNING_KEY", OURS.secret)


def keys(*them: SigningKey) -> dict:  # type: ignore[type-arg]
    return {one.public.id: one.public for one in them}


def published() -> Folder:
    blobs = Folder()
    publish(blobs, champion(1))
    return blobs


def test_a_signed_bundle_loads_where_signatures_are_unknown() -> None:
    blobs = published()
    assert load(blobs, FORECAST).manifest.version == 1
    assert json.loads(blobs.files[PATH])["signatures"][0]["key"] == OURS.public.id


def test_nothing_is_signed_and_nothing_differs_without_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FX_ASSETS_SIGNING_KEY")
    blobs = published()
    assert seal_path(FORECAST, 1) not in blobs.files
    assert set(json.loads(blobs.files[PATH])) == {
        *("format", "forecast", "version", "manifest_sha256", "published_at", "put_back")
    }


@settings(max_examples=examples(100), deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_in_a_pointer_is_noticed_or_changes_nothing(
    data: st.DataObject,
) -> None:
    sound = published().files[PATH]
    place = data.draw(st.integers(0, len(sound) - 1))
    content = bytearray(sound)
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        check(bytes(content), PATH, keys(OURS))
    except SignatureError:
        return
    assert json.loads(bytes(content)) == json.loads(sound)


def test_a_signature_is_of_its_place_only() -> None:
    blobs = Folder()
    below = Below(Below(blobs, "members/all/EURUSD/"), "challenger/")
    publish(below, champion(1))
    where = f"members/all/EURUSD/challenger/{PATH}"
    raw = blobs.files[where]
    assert check(raw, where, keys(OURS)).by == (OURS.public.id,)
    for elsewhere in (PATH, where.replace("EURUSD", "GBPUSD"), f"{where} "):
        with pytest.raises(SignatureError, match="of elsewhere"):
            check(raw, elsewhere, keys(OURS))


def test_each_signature_is_later_than_the_one_before_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs, moments = Folder(), []
    for version, now in ((1, "2026-03-02T12:00:00+00:00"), (2, "2026-03-01T12:00:00+00:00")):
        monkeypatch.setenv("FX_ASSETS_NOW", now)
        publish(blobs, champion(version))
        moments.append(check(blobs.files[PATH], PATH, keys(OURS)).at)
    assert moments[0] == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert moments[1] > moments[0]


def test_the_platform_vouches_only_for_bundles_that_it_has_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = published()
    monkeypatch.setenv("FX_ASSETS_SIGNING_KEY", NEXT.secret)
    store_bundle(blobs, champion(2))
    monkeypatch.setenv("FX_ASSETS_SIGNING_KEY", OURS.secret)
    with pytest.raises(SignatureError, match=r"/2 may not become champion: .* none of the public"):
        point_to(blobs, FORECAST, 2)
    # Nor for another content under the seal of one that it has signed.
    blobs.files[seal_path(FORECAST, 2)] = blobs.files[seal_path(FORECAST, 1)]
    with pytest.raises(SignatureError, match="of elsewhere"):
        point_to(blobs, FORECAST, 2)
    assert champion_ref(blobs, FORECAST).version == 1


def test_a_pointer_that_was_altered_is_signed_anew_when_the_ledger_is_followed() -> None:
    blobs = published()
    sound = json.loads(blobs.files[PATH])
    blobs.files[PATH] = json.dumps(sound | {"signatures": []}).encode()
    assert "not signed" in str(signed_by_all(blobs, PATH))
    ref = point_to(blobs, FORECAST, 1)
    assert signed_by_all(blobs, PATH) is None
    assert ref.published_at.isoformat() == sound["published_at"].replace("Z", "+00:00")


def test_several_keys_sign_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = published()
    monkeypatch.setenv("FX_ASSETS_SIGNING_KEY", f"{OURS.secret} {NEXT.secret}")
    assert NEXT.public.id in str(signed_by_all(blobs, PATH))
    publish(blobs, champion(2))
    raw = blobs.files[PATH]
    for one in (OURS, NEXT):
        assert check(raw, PATH, keys(one)).by == (one.public.id,)
    assert check(raw, PATH, keys(NEXT, OURS)).by == (OURS.public.id, NEXT.public.id)


def test_what_is_signed_can_be_signed_again() -> None:
    blobs = published()
    blobs.files[PATH] = signed(blobs, PATH, blobs.files[PATH])
    assert signed_by_all(blobs, PATH) is None
    assert load(blobs, FORECAST).manifest.version == 1


def test_a_private_key_shows_its_public_half_only() -> None:
    assert OURS.secret not in f"{OURS!r} {OURS}"
    assert OURS.public.id in repr(OURS)
