import pytest
import torch

from smalti.errors import SmaltiError
from smalti.nets import DiT, DiTSettings, NetSettings, UNet, UNetSettings


@pytest.mark.parametrize(("settings", "kind"), [(UNetSettings(width=32), UNet), (DiTSettings(width=64, layers=2), DiT)])
def test_settings_build_the_network_of_their_kind(settings: NetSettings, kind: type) -> None:
    net = settings.build(4, 6, (5, 7), 3)
    assert type(net) is kind
    assert net(torch.randn(2, 4, 5, 7), torch.tensor([0, 999])).shape == (2, 6, 5, 7)
    said = {name: net.config[name] for name in ("in_channels", "out_channels", "classes", "width", "layers", "dropout")}
    own = {"width": settings.width, "layers": settings.layers, "dropout": settings.dropout}
    assert said == {"in_channels": 4, "out_channels": 6, "classes": 3, **own}


def test_every_kind_is_known_by_its_name() -> None:
    assert {name: NetSettings.kinds()[name] for name in ("unet", "dit")} == {"unet": UNetSettings, "dit": DiTSettings}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"width": 40}, "multiple of 32"),
        ({"width": 0}, "multiple of 32"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"dropout": 1.0}, "dropout from 0 to 1"),
        ({"dropout": -0.1}, "dropout from 0 to 1"),
    ],
)
@pytest.mark.parametrize("kind", [UNetSettings, DiTSettings])
def test_a_network_that_cannot_be_built_is_refused_when_it_is_asked_for(
    kind: type[NetSettings], wrong: dict[str, float], says: str
) -> None:
    with pytest.raises(SmaltiError, match=says):
        kind(**wrong)  # pyright: ignore[reportArgumentType]


def test_a_patch_is_unfolded_into_a_power_of_two() -> None:
    with pytest.raises(SmaltiError, match="power of 2"):
        UNetSettings(unfold=3)
