"""Where configs are looked for: the user's folders first, then the packaged ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from besom.config.yaml_files import read_yaml
from besom.errors import ConfigError, did_you_mean
from besom.regular import special_kind

#: Primary configs that are not sweeps.
RESERVED = {"train", "sweep"}


def packaged_config_dirs() -> tuple[Path, Path]:
    """Besom's own ``conf`` and ``sweeps``: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    home = package if (package / "conf").is_dir() else package.parents[1]
    return home / "conf", home / "sweeps"


@dataclass(frozen=True)
class SearchPath:
    """An ordered list of existing folders; the first that holds a name wins.

    Attributes:
        directories: absolute folders, never empty: the packaged ones are always among them.
    """

    directories: tuple[Path, ...]

    @classmethod
    def of(cls, config_dir: str | Path | None = None, first: Path | None = None) -> SearchPath:
        """The folders to look in.

        Args:
            config_dir: the user's folder; None takes ``./conf`` and ``./sweeps``, where they exist.
            first: a folder to put before all others (that of a YAML given by path).

        Raises:
            ConfigError: ``config_dir`` is not a folder.
        """
        if config_dir is None:
            own = [Path("conf"), Path("sweeps")]
        else:
            root = Path(config_dir).expanduser()
            if not root.is_dir():
                raise ConfigError(
                    f"--config-dir is {str(config_dir)!r}, which is not a folder. "
                    "Give the folder that holds your conf groups or sweeps."
                )
            own = [root, root / "conf", root / "sweeps"]
        wanted = ([first] if first else []) + own + list(packaged_config_dirs())
        found = dict.fromkeys(path.resolve() for path in wanted if path.is_dir())
        return cls(tuple(found))

    def find(self, name: str) -> Path | None:
        """The file of the primary config ``name``, or None.

        Something of that name that is not a regular file, such as a folder, is returned only where
        there is no such file: reading it raises an error that says what it is.
        """
        named = [directory / f"{name}.yaml" for directory in self.directories]
        files = (path for path in named if path.is_file())
        return next(files, next((path for path in named if special_kind(path)), None))

    def sweeps(self) -> list[str]:
        """The name of every sweep on the path; files that cannot be read are left out."""
        return [path.stem for path in self._primaries() if not _unread(path) and is_sweep(path)]

    def unread(self) -> list[str]:
        """Why files that might be sweeps cannot be read; one message each."""
        return [why for path in self._primaries() if (why := _unread(path))]

    def _primaries(self) -> list[Path]:
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in sorted(directory.glob("*.yaml")):
                if path.stem not in RESERVED:
                    found.setdefault(path.stem, path)
        return list(found.values())

    def options(self, group: str) -> dict[str, Path]:
        """The options of a config group, by name; a regular file wins over anything else."""
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in sorted((directory / group).glob("*.yaml")):
                if path.stem not in found or (special_kind(found[path.stem]) and path.is_file()):
                    found[path.stem] = path
        return found

    def groups(self) -> list[str]:
        """Every config group on the path, such as ``model`` and ``sweep/sampler``."""
        found = {
            str(path.parent.relative_to(directory))
            for directory in self.directories
            for path in (*directory.glob("*/*.yaml"), *directory.glob("*/*/*.yaml"))
        }
        return sorted(found)


def _others(unread: list[str]) -> str:
    """The first files that a list of sweeps leaves out, and how many more there are."""
    listed = "".join(f" (Not listed: {why})" for why in unread[:3])
    return listed + (f" (And {len(unread) - 3} more.)" if len(unread) > 3 else "")


def _unread(path: Path) -> str:
    """Why a file cannot be read, or the sweep that it begins with; empty if both can."""
    try:
        is_sweep(path)
    except ConfigError as error:
        return str(error)
    return ""


def is_sweep(path: Path) -> bool:
    """Whether a YAML is a sweep: its defaults list begins with ``sweep``, or with another sweep.

    Raises:
        ConfigError: it cannot be read, or the sweep it begins with cannot.
    """
    seen: set[Path] = set()
    while path not in seen:
        seen.add(path)
        defaults = read_yaml(path).get("defaults")
        if not isinstance(defaults, list) or not defaults or not isinstance(defaults[0], str):
            return False
        first = defaults[0].removeprefix("/")
        if first == "sweep":
            return True
        folders = (path.parent, *SearchPath.of().directories)
        found = (folder / f"{first}.yaml" for folder in folders)
        path = next((candidate for candidate in found if candidate.is_file()), path)
    return False


def find_sweep(name: str, config_dir: str | Path | None) -> tuple[SearchPath, str]:
    """Find a sweep by name on the search path, or by the path of its YAML.

    Returns:
        The search path to compose on, and the sweep's config name.

    Raises:
        ConfigError: no such sweep (near names are listed), or the YAML is not a sweep.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name).expanduser()
        if special_kind(path):
            read_yaml(path)  # which says what it is
        if not path.is_file():
            raise ConfigError(
                f"There is no sweep file {name!r}. Give the path of an existing YAML file."
            )
        search, found = SearchPath.of(config_dir, first=path.resolve().parent), path.resolve()
        if path.suffix != ".yaml":
            raise ConfigError(f"{name!r}: Hydra reads '.yaml' files only; rename it.")
    else:
        search = SearchPath.of(config_dir)
        found_by_name = search.find(name)
        if found_by_name is None or name in RESERVED:
            raise ConfigError(
                f"There is no sweep {name!r}."
                + did_you_mean(name, search.sweeps())
                + _others(search.unread())
            )
        found = found_by_name
    if not is_sweep(found):
        raise ConfigError(
            f"{found} is not a sweep: its defaults list must begin with 'sweep', as in "
            "'defaults: [sweep, override data: mnist, _self_]'."
        )
    return search, found.stem
