# SPDX-License-Identifier: BSD-3-Clause
"""Programs of Debian's packages, unmodified and not installed, each alone in a virtual machine.

    image = debian.Image("shells", ["bash", "dash"], {"/test/a.sh": "echo hello"})
    r = image.run("/bin/dash /test/a.sh", cpus=2)
    assert (r.status, r.out) == (0, "hello\\n")

Packages are downloaded once with apt-get into build/debian/archives, unpacked below build/debian/roots and composed by
capstan. What a package depends on comes along, except what only its installation needs. Without a network the tests that
use this module fail; CARRARA_OFFLINE=1 in the environment skips them instead.
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CARRARA_BUILD", TOP / "build")).resolve()
CAPSTAN = BUILD / "capstan" / "capstan"
HERE = BUILD / "debian"
ARCHIVES = HERE / "archives"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
# apt as if nothing was installed: its choice and its downloads are the same on every machine.
FRESH = ["-o", f"Dir::State::status={HERE}/status", "-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=1",
         "-o", f"Dir::Cache::pkgcache={HERE}/pkgcache.bin", "-o", f"Dir::Cache::srcpkgcache={HERE}/srcpkgcache.bin"]
OWN_LISTS = ["-o", f"Dir::State::lists={HERE}/lists", "-o", "APT::Sandbox::User=root"]
# Maintainer scripts' needs, and what nobody calls in a machine of one program.
NOT_IN_A_GUEST = {
    "adduser", "base-files", "ca-certificates", "ca-certificates-java", "debconf", "debianutils", "dpkg",
    "init-system-helpers", "java-common", "libpam-modules", "libpam-modules-bin", "mawk", "media-types", "passwd",
    "perl-base", "tar", "usrmerge", "util-linux", "util-linux-extra", "fontconfig-config", "dmsetup", "mysql-common",
    "gcc-12-base", "readline-common", "install-info", "netbase", "openssl-provider"}


def _command(*args, **kw):
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env={**os.environ, "LC_ALL": "C"}, **kw)
    if done.returncode:
        text = done.stderr.decode(errors="replace")
        if os.environ.get("CARRARA_OFFLINE"):
            pytest.skip("no packages without a network: " + text[-200:])
        raise RuntimeError(f"{args[0]}: status {done.returncode}: {text}")
    return done.stdout.decode(errors="replace")


def _describe(names):
    """{name: [its dependencies, each a list of alternatives]} of those names that apt knows."""
    found = {}
    text = _command("apt-cache", *FRESH, "show", "--no-all-versions", *names) if names else ""
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Depends|Pre-Depends): (.*)$", paragraph, re.M))
        if "Package" in fields:
            clauses = ", ".join(fields[f] for f in ("Pre-Depends", "Depends") if f in fields)
            found.setdefault(fields["Package"], [[re.split(r"[ :(]", a.strip())[0] for a in clause.split("|")]
                                                 for clause in clauses.split(",") if clause.strip()])
    return found


def _ensure_lists():
    """A machine whose package lists were removed (a container's image) gets some of its own here."""
    if OWN_LISTS[1] in FRESH:
        return
    if not (HERE / "lists").exists() and _command("apt-cache", *FRESH, "policy", "coreutils").strip():
        return
    FRESH.extend(OWN_LISTS)
    if not (HERE / "lists").exists():
        (HERE / "lists" / "partial").mkdir(parents=True)
        _command("apt-get", "-q", *FRESH, "update")


def _that_exist(names):
    """Those of the names that apt could install."""
    _ensure_lists()
    text = _command("apt-cache", *FRESH, "policy", *names) if names else ""
    return set(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: [^(]", text, re.M))


def closure(packages, without=()):
    """Names of the packages with all they need to run."""
    known, asked, ask = {}, set(), set(packages)
    while ask:
        asked |= ask
        known.update(_describe(sorted(_that_exist(sorted(ask)))))
        # Of alternatives the first, as apt does; virtual packages have no files.
        ask = {alternatives[0] for clauses in known.values() for alternatives in clauses
               if not any(a in known for a in alternatives)} - asked - NOT_IN_A_GUEST - set(without)
    absent = set(packages) - set(known)
    if absent:
        raise RuntimeError(f"apt knows no package {' or '.join(sorted(absent))} (apt-get update?)")
    return sorted(known)


def _download(names):
    """The archives of packages, fetched when they are not there."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    missing = [n for n in names if not list(ARCHIVES.glob(f"{n}_*.deb"))]
    if missing:
        partial = HERE / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        partial.chmod(0o777)
        _command("apt-get", "-q", *FRESH, "-o", "APT::Sandbox::User=root", "download", *missing, cwd=partial)
        for deb in partial.iterdir():
            deb.rename(ARCHIVES / deb.name)
    return [next(ARCHIVES.glob(f"{n}_*.deb")) for n in names]


def unpack(name, packages, without=(), members=(), depends=True):
    """A directory with the packages' files, /bin and /lib merged into /usr as on an installed system. `members` names
    what shall be unpacked where that is not everything; without `depends` only the packages themselves are."""
    root = HERE / "roots" / name
    stamp = root.with_suffix(".stamp")
    what = repr((sorted(packages), sorted(without), sorted(members), depends))
    root.parent.mkdir(parents=True, exist_ok=True)
    with open(HERE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == what:
            return root
        (HERE / "status").touch()
        shutil.rmtree(root, ignore_errors=True)
        stamp.unlink(missing_ok=True)
        for directory in ("bin", "sbin", "lib", "lib64"):
            (root / "usr" / directory).mkdir(parents=True)
            (root / directory).symlink_to("usr/" + directory)
        for deb in _download(closure(packages, without) if depends else sorted(packages)):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as data:
                subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root),
                                "--wildcards", "--exclude=./usr/share/doc", "--exclude=./usr/share/man",
                                "--exclude=./usr/share/locale", *members],
                               stdin=data.stdout, stderr=subprocess.DEVNULL, check=not members)
                data.stdout.read()
        for library in (root / "usr/lib").glob("python3.*"):
            # What the package's installation does; without it each import compiles its module.
            on_host(root, f"/usr/bin/{library.name}", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
                    "-x", "/(test|idlelib|lib2to3)/", library, env={**os.environ, "PYTHONHOME": str(root / "usr")})
        stamp.write_text(what)
    return root


def on_host(root, *command, **kw):
    """Runs a program of an unpacked root on this machine, with that root's libraries."""
    loader = root / "lib64" / "ld-linux-x86-64.so.2"
    program = root / command[0].lstrip("/")
    head = [str(loader), "--library-path", str(root / LIBRARIES), str(program)] if loader.exists() else [str(program)]
    return subprocess.run([*head, *map(str, command[1:])], **{"check": True, **kw})


@dataclass
class Result:
    status: int
    out: str  # what the program wrote to its standard output
    err: str  # and to its standard error, with what the kernel and capstan said


class Image:
    """A disk image with packages and files {path in the image: text, bytes or Path}."""

    def __init__(self, name, packages, files=(), without=()):
        self.name = "debian-" + name
        self.root = unpack(name, packages, without)
        self.home = HERE / "capstan"
        package = HERE / "packages" / name
        shutil.rmtree(package, ignore_errors=True)
        (package / "meta").mkdir(parents=True)
        (package / "meta" / "package.yaml").write_text(f"name: {self.name}\ntitle: {name}\nauthor: tests\n")
        # Hard links: the image's content without a second copy of it.
        subprocess.run(["cp", "-al", *[str(p) for p in self.root.iterdir()], str(package)], check=True)
        (package / "tmp").mkdir(exist_ok=True)
        for inside, content in dict(files).items():
            target = package / inside.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, target)
            else:
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
                target.chmod(0o755)
        self._capstan("package", "compose", self.name, "--format", "raw", cwd=package)
        shutil.rmtree(package)

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CAPSTAN_")}
        return {**env, "CAPSTAN_ROOT": str(self.home)}

    def _capstan(self, *args, cwd=None):
        subprocess.run([str(CAPSTAN), *args], cwd=cwd, env=self._environment(), check=True, stdout=subprocess.DEVNULL)

    def run(self, command, *options, cpus=1, memory="512M", timeout=120, stdin=subprocess.DEVNULL):
        """Boots the image with a command line; what came of it."""
        done = subprocess.run([str(CAPSTAN), "run", self.name, "-n", "none", "-c", str(cpus), "-m", memory, *options,
                               "-e", command], env=self._environment(), stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, check=False)
        return Result(done.returncode, *(s.decode(errors="replace") for s in (done.stdout, done.stderr)))


def same(text):
    """A short name for a long output."""
    return hashlib.sha256(text.encode()).hexdigest()
