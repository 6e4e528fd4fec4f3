"""What users install is held to what is locked."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"version": "1"}, ["falcon is 1, locked is 4.4.0"]),
        ({"licenses": []}, ["falcon has no licence"]),
        ({"name": "flask"}, ["falcon is missing"]),
        ({"bom-ref": "elsewhere"}, ["falcon has no place among the dependencies"]),
    ],
)
def test_a_bill_of_materials_is_held_to_the_lock_file(
    change: dict[str, Any], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    sbom = import_module("sbom")
    part = {"name": "Falcon", "version": "4.4.0", "licenses": [{}], "bom-ref": "falcon==4.4.0"} | change
    graph = [{"ref": "falcon==4.4.0"}]
    wanted = sbom.pinned("falcon==4.4.0 ; sys_platform == 'x' \\\n    --hash=sha256:00\n")
    assert sbom.faults({"components": [part], "dependencies": graph}, wanted) == told
