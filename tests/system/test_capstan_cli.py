# SPDX-License-Identifier: BSD-3-Clause
"""Help, manual pages, completion, configuration: everything made from the command table."""
import json
import subprocess

from capstan_env import capstan  # noqa: F401

INIT_HELP = """NAME:
   capstan package init - initialise package structure

USAGE:
   capstan package init [command options] [path]

OPTIONS:
   --name value, -n value     package name
   --title value, -t value    package title
   --author value, -a value   package author
   --version value, -v value  package version
   --require value            specify package dependency
   --runtime value            runtime to stub package for. Use 'capstan runtime list' to list all
"""


def test_help_has_the_manuals_form(capstan):
    assert capstan("package", "init", "--help")[0] == INIT_HELP
    out, _ = capstan("--help")
    commands = [line.split()[0] for line in out.split("COMMANDS:")[1].split("GLOBAL")[0].splitlines() if line.strip()]
    assert {"package", "runtime", "run", "config", "images", "instances", "stop", "delete", "volume"} <= set(commands)
    for command in commands:
        text, _ = capstan(command, "--help")
        assert text.startswith(f"NAME:\n   capstan {command} - ") and "USAGE:" in text
        if "COMMANDS:" in text:
            for line in text.split("COMMANDS:")[1].splitlines():
                if line.strip():
                    assert "USAGE:" in capstan(command, line.split()[0], "--help")[0]
    assert capstan("--version")[0].startswith("capstan ")


def test_usage_errors(capstan):
    assert 'did you mean "package"' in capstan("pakage", status=64)[1]
    assert 'did you mean "compose"' in capstan("package", "compse", status=64)[1]
    assert "did you mean --size" in capstan("package", "compose", "--sise", "1G", "x", status=64)[1]
    assert "needs a value" in capstan("package", "compose", "--size", status=64)[1]
    assert "takes no value" in capstan("package", "compose", "--update=1", "x", status=64)[1]
    assert "unexpected argument" in capstan("images", "x", status=64)[1]
    assert "needs package-name" in capstan("package", "describe", status=64)[1]
    capstan(status=64)
    assert "needs --author" in capstan("package", "init", "-n", "x", "-t", "y", status=64)[1]
    assert "NAME:" in capstan("package", status=64)[0]


def test_configuration_priorities(capstan):
    def setting(key, *words, env=None):
        rows = json.loads(capstan(*words, "--json", "config", "print", env=env)[0])
        return [(r["value"], r["from"]) for r in rows if r["key"] == key][0]

    assert setting("repo_url")[1] == "default"
    env = {"CAPSTAN_REPO_URL": "http://env/"}
    assert setting("repo_url", env=env) == ("http://env", "CAPSTAN_REPO_URL")
    capstan.root.mkdir()
    (capstan.root / "config.yaml").write_text("repo_url: http://file/\ndisable_kvm: true\n")
    assert setting("repo_url", env=env) == ("http://file", "config.yaml")
    assert setting("disable_kvm") == ("true", "config.yaml")
    assert setting("repo_url", "-u", "http://line", env=env) == ("http://line", "command line")
    (capstan.root / "config.yaml").write_text("repo_ulr: x\n")
    assert 'did you mean "repo_url"' in capstan("config", "print")[1]
    (capstan.root / "config.yaml").write_text("disable_kvm: maybe\n")
    assert "config.yaml:1:14" in capstan("config", "print", status=65)[1]


def test_completion_scripts_work(capstan):
    bash, _ = capstan("completion", "bash")
    r = subprocess.run(["bash", "-c", bash + """
COMP_WORDS=(capstan package co); COMP_CWORD=2; _capstan; echo "${COMPREPLY[@]}"
COMP_WORDS=(capstan package compose --up); COMP_CWORD=3; _capstan; echo "${COMPREPLY[@]}"
COMP_WORDS=(capstan ru); COMP_CWORD=1; _capstan; echo "${COMPREPLY[@]}"
"""], capture_output=True, text=True, check=True)
    lines = r.stdout.splitlines()
    assert set(lines[0].split()) == {"collect", "compose"} and lines[1] == "--update"
    assert set(lines[2].split()) == {"run", "runtime"}
    assert "#compdef capstan" in capstan("completion", "zsh")[0]
    assert "complete -c capstan" in capstan("completion", "fish")[0]
    capstan("completion", "tcsh", status=64)


def test_manual_pages_are_well_formed(capstan):
    capstan("man", capstan.tmp / "man")
    pages = sorted((capstan.tmp / "man").iterdir())
    assert len(pages) > 30 and (capstan.tmp / "man/capstan-package-compose.1") in pages
    for page in pages:
        text = page.read_text()
        assert text.startswith(".TH CAPSTAN") and ".SH NAME\n" in text and ".SH SYNOPSIS\n" in text


def test_runtime_commands(capstan):
    out, _ = capstan("runtime", "list")
    for name in ("native", "node", "java", "python"):
        assert f"\n{name} " in out
    out, _ = capstan("runtime", "preview", "-r", "node")
    assert out.startswith("----- meta/run.yaml -----\nruntime: node\n\n# REQUIRED\n") and "main: <filepath>" in out
    assert "#" not in capstan("runtime", "preview", "-r", "node", "--plain")[0]
    capstan("runtime", "init", "-r", "python")
    assert "exists already" in capstan("runtime", "init", "-r", "node", status=1)[1]
    capstan("runtime", "init", "-r", "node", "-f", "--plain")
    assert (capstan.tmp / "meta/run.yaml").read_text().startswith("runtime: node\nconfig_set:\n")
    assert "there is: native" in capstan("runtime", "preview", "-r", "x", status=64)[1]


def test_json_events(capstan):
    _, err = capstan("--json", "package", "pull", "../x", status=65)
    event = json.loads(err.splitlines()[0])
    assert event["event"] == "error" and "package name" in event["message"]
