"""Fetch the JavaScript that ``besom report`` puts into its pages, with all its licences.

Run it after changing a version in ``src/besom/page/vendor/packages.json``; it needs npm and a
network. ``npm pack`` only downloads: no script of a package runs. Each archive must have the
integrity that the list says. ``--pin`` writes into the list what the registry gives today: look at
the difference before you commit it.

The bundles contain other packages. Their source maps say which, and each must be in the list, so
that its licence is here. A bundle does not say which version it has; the list has one that its
package.json allows.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/besom/page/vendor"
PACKAGES = VENDOR / "packages.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pin", action="store_true", help="Accept the integrity found today.")
    pin = parser.parse_args().pin
    packages = json.loads(PACKAGES.read_text())
    licences: dict[str, list[str]] = {}
    bundled: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            archive = fetch(package, Path(folder), pin)
            named = f"{package['name']} {package['version']}"
            licences.setdefault(licence_in(archive), []).append(named)
            for source, target in package.get("files", {}).items():
                script = as_script(read(archive, source), package["name"])
                (VENDOR / target).write_text(script)
                package.setdefault("sha256", {})[target] = sha256(script)
                bundled |= packages_in(read(archive, f"{source}.map"))
    if missing := bundled - {package["name"] for package in packages}:
        raise SystemExit(f"packages.json lacks what the bundles contain: {sorted(missing)}")
    sections = [f"{', '.join(named)}\n\n{text}\n" for text, named in licences.items()]
    (VENDOR / "LICENSES.txt").write_text(f"\n{'-' * 72}\n\n".join(sections))
    PACKAGES.write_text(json.dumps(packages, indent=2) + "\n")
    print(f"{len(packages)} packages, {sum(p.stat().st_size for p in VENDOR.glob('*.js')):,} bytes")


def fetch(package: dict, folder: Path, pin: bool) -> Path:
    """Download a package's archive and check it against the list."""
    wanted = f"{package['name']}@{package['version']}"
    command = ["npm", "pack", wanted, "--json", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    archive = folder / json.loads(done.stdout)[0]["filename"]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    found = f"sha512-{digest}"
    if pin:
        package["integrity"] = found
    if package.get("integrity") != found:
        raise SystemExit(f"{wanted}: integrity is {found}, expected {package.get('integrity')}")
    return archive


def read(archive: Path, name: str) -> str:
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"package/{name}")
        assert member is not None
        return member.read().decode()


def licence_in(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        names = [n for n in tar.getnames() if re.fullmatch(r"package/licen[sc]e[^/]*", n, re.I)]
    if not names:
        raise SystemExit(f"{archive.name} has no licence file")
    return read(archive, names[0].removeprefix("package/")).strip()


def packages_in(source_map: str) -> set[str]:
    """The packages whose code a bundle contains, apart from its own."""
    found = set()
    for source in json.loads(source_map)["sources"]:
        installed = re.findall(r"node_modules/((?:@[^/]+/)?[^/]+)/", source)
        beside = re.findall(r"^\.\./\.\./([a-z][a-z0-9-]*)/", source)
        found.update((installed or beside)[-1:])
    return found


def as_script(text: str, name: str) -> str:
    """The text as a plain script: without its source map, and a module's exports as one object."""
    text = re.sub(r"\n?//# sourceMappingURL=.*\s*$", "\n", text)
    imported = re.match(r"import (\{[^}]*\}) from 'vega-util';\n", text)
    if not imported:
        return text
    exported = re.search(r"export (\{[^}]*\});\s*$", text)
    assert exported is not None
    body = text[imported.end() : exported.start()]
    names = exported[1].replace(" as ", ": ")
    renamed = re.sub(r"(\w+): (\w+)", r"\2: \1", names)
    variable = re.sub(r"-(\w)", lambda found: found[1].upper(), name)
    head = f"(function () {{\n'use strict';\nconst {imported[1]} = vega;\n"
    return f"{head}{body}\nglobalThis.{variable} = {renamed};\n}})();\n"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
