"""Which databases a bundle carries snapshots of, and making them with the services' own migrations."""

import re
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

DATABASE = re.compile(r"database_url\(\s*(?:service|['\"](\w+)['\"])\s*\)")
COLLATION = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"


@dataclass(frozen=True)
class Schema:
    """The databases of one service: `files` maps each configuration file to {section: {option: database}}.

    `config_data`: directories of the bundle's `etc` that its /etc/<service> begins with."""

    service: str
    databases: tuple[str, ...]
    migrate: tuple[str, ...]
    files: dict[str, dict[str, dict[str, str]]]
    config_data: tuple[str, ...] = ()

    def programs(self) -> set[str]:
        """The programs that its migrations run."""
        return {shlex.split(command)[0] for command in self.migrate}

    def commands(self, etc: Path) -> Iterable[list[str]]:
        """The migrations with their configuration taken from `etc` instead of /etc."""
        first = next(name for name, sections in self.files.items() if sections)
        for text in self.migrate:
            program, *arguments = shlex.split(text.replace(f"/etc/{self.service}/", f"{etc}/{self.service}/"))
            if "--config-file" not in arguments:
                arguments = ["--config-file", str(etc / self.service / first), *arguments]
            yield [program, *arguments]

    def write_files(self, etc: Path, socket: Path, bundled: Path) -> None:
        """Write its files below `etc`, with nothing in them but where the databases are, beside those of `bundled`."""
        for name in self.config_data:
            shutil.copytree(bundled / name, etc / self.service, dirs_exist_ok=True)
        for name, sections in self.files.items():
            path = etc / self.service / name
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = []
            for section, options in sections.items():
                lines.append(f"[{section}]")
                lines += [
                    f"{option} = mysql+pymysql://root@localhost/{database}?unix_socket={socket}&charset=utf8mb4"
                    for option, database in options.items()
                ]
            path.write_text("\n".join(lines) + "\n")


def load_schemas(services: Path, series: str) -> list[Schema]:
    """Read the schemas of all services in directory `services` as they are in `series`."""
    layers = yaml.safe_load((services / "layers.yml").read_text())
    found = [yaml.safe_load(path.read_text()) for path in sorted(services.glob("*.yml")) if path.name != "layers.yml"]
    merged = [_merge(service, service.get("releases", {}).get(series, {})) for service in found]
    return [_schema(service, layers) for service in merged if service.get("databases")]


def digest_input(schemas: list[Schema]) -> list[dict]:
    """What of the schemas decides the content of a bundle, as JSON."""
    return [asdict(schema) for schema in schemas]


def _schema(service: dict, layers: dict) -> Schema:
    files = {}
    for name, file in service.get("files", {}).items():
        sections: dict[str, dict[str, str]] = {}
        for options in [*(layers[layer] for layer in file.get("layers", [])), file.get("options", {})]:
            for section, values in options.items():
                for option, value in values.items():
                    if isinstance(value, str) and (match := DATABASE.search(value)):
                        sections.setdefault(section, {})[option] = match[1] or service["service"]
        files[name] = sections
    return Schema(service["service"], tuple(service["databases"]), tuple(service["migrate"]), files, tuple(service.get("config_data", [])))


def _merge(base, over):
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _merge(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over if over is not None else base
