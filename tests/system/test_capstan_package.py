# SPDX-License-Identifier: BSD-3-Clause
"""Packages, runtimes and composition, through the command line."""
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

from capstan_env import BUILD, capstan  # noqa: F401

NODE = """runtime: node
config_set:
  word_count:
    main: /start.js
    env:
      PORT: 4000
config_set_default: word_count
"""


def add_node(capstan, version="4.4.5"):
    d = capstan.package("carrara.node", {"usr/bin/node": ("#!/bin/sh\n", 0o755), "shared.txt": "node"},
                        version=version)
    capstan("package", "import", cwd=d)


def test_manual_walk_through_node_application(capstan):
    add_node(capstan)
    d = capstan.tmp / "word-finder"
    d.mkdir()
    (d / "start.js").write_text("server\n")
    out, _ = capstan("package", "init", "--name", "com.example.word-finder", "--title", "Word Finder",
                     "--author", "Lemmy", cwd=d)
    assert out == f"Initializing package in {d}/meta\n"
    assert (d / "meta/package.yaml").read_text() == (
        "name: com.example.word-finder\ntitle: Word Finder\nauthor: Lemmy\n")
    out, _ = capstan("runtime", "init", "--runtime", "node", cwd=d)
    assert out == ("meta/run.yaml stub successfully added to your package. "
                   "Please customize it in editor.\n")
    stub = (d / "meta/run.yaml").read_text()
    assert "config_set_default: myconfig1" in stub and "main: <filepath>" in stub
    (d / "meta/run.yaml").write_text(NODE)
    out, _ = capstan("package", "compose", "com.example.word-finder", "--size", "200MB", cwd=d)
    path = capstan.image("com.example.word-finder")
    assert out.splitlines() == [
        "Resolved runtime into: node",
        "Prepending 'node' runtime dependencies to dep list: [carrara.node]",
        "Importing com.example.word-finder...",
        "Using named configuration: 'word_count'",
        f"Importing into {path}",
        f"Uploading files to {path}...",
        "All files uploaded",
        "Command line set to: --env=PORT=4000 /usr/bin/node /start.js"]
    subprocess.run(["qemu-img", "check", path], check=True, stdout=subprocess.DEVNULL)
    _, err = capstan("run", "com.example.word-finder", "-f", "4004:4000")
    assert err.splitlines() == ["Created instance: com.example.word-finder",
                                "Setting cmdline: --env=PORT=4000 /usr/bin/node /start.js"]
    assert capstan.cmdline() == "--env=PORT=4000 /usr/bin/node /start.js"
    assert any("hostfwd=tcp::4004-:4000" in a for a in capstan.qemu()["args"])
    assert "Word Finder" in capstan("images")[0]


def test_order_application_overrides_packages(capstan):
    for name, require in [("base", ()), ("middle", ["base"]), ("other", ["base"])]:
        capstan("package", "import", cwd=capstan.package(
            name, {"same.txt": name, f"only/{name}": name}, require=require))
    d = capstan.package("app", {"bin/app": "x", "meta/README.md": "hidden", ".git/config": "no",
                                "mpm-pkg/old": "no", "skip/me": "no", "keep.o": "yes", "a.o": "no",
                                ".capstanignore": "skip/\n*.o\n!keep.o\n"},
                        require=["middle", "other"],
                        run="runtime: native\nbootcmd: /bin/app\n")
    capstan("package", "collect", cwd=d)
    files = {str(p.relative_to(d / "mpm-pkg")) for p in (d / "mpm-pkg").rglob("*") if p.is_file()}
    assert {"same.txt", "only/base", "only/middle", "only/other", "bin/app", "keep.o", "run/default"} <= files
    assert not [f for f in files if f.startswith(("meta", ".git", "mpm-pkg", "skip")) or f == "a.o"]
    assert (d / "mpm-pkg/same.txt").read_text() == "other"
    (d / "same.txt").write_text("app")
    capstan("package", "compose", "img", cwd=d)
    tree = capstan.extract(capstan.image("img"))
    assert (tree / "same.txt").read_text() == "app"
    composed = {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()}
    assert composed == files | {"same.txt"}


def test_compose_is_deterministic_and_parallel(capstan):
    d = capstan.package("app", {f"d{i}/f{j}": f"{i}{j}" * 500 for i in range(20) for j in range(20)},
                        run="runtime: native\nbootcmd: /d0/f0\n")
    env = {"SOURCE_DATE_EPOCH": "1000000000"}
    procs = [subprocess.Popen([str(BUILD / "capstan/capstan"), "package", "compose", f"i{k}"], cwd=d,
                              env={**capstan.env, **env}, stdout=subprocess.DEVNULL) for k in range(6)]
    assert [p.wait() for p in procs] == [0] * 6
    images = {capstan.image(f"i{k}").read_bytes() for k in range(6)}
    assert len(images) == 1
    same = [subprocess.Popen([str(BUILD / "capstan/capstan"), "package", "compose", "i0"], cwd=d,
                             env={**capstan.env, **env}, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [p.wait() for p in same] == [0] * 4
    assert capstan.image("i0").read_bytes() in images
    assert not list(capstan.root.rglob("*.tmp"))


def test_update_sees_every_kind_of_change(capstan):
    d = capstan.package("app", {f"f{i}": f"content {i}" * i for i in range(600)},
                        run="runtime: native\nbootcmd: /f1\n")
    (d / "link").symlink_to("f1")
    capstan("package", "compose", "img", cwd=d)

    def update(expect):
        out, _ = capstan("package", "compose", "img", "--update", cwd=d)
        assert expect in out, out
        fresh = capstan.tmp / "fresh"
        capstan("package", "compose", "-o", fresh, cwd=d)
        assert capstan.image("img").read_bytes() == fresh.read_bytes()

    update("0 files changed, 0 added, 0 removed")
    st = os.stat(d / "f5")
    (d / "f5").write_text("CONTENT 5" * 5)  # the same size and time
    os.utime(d / "f5", ns=(st.st_atime_ns, st.st_mtime_ns))
    update("1 files changed, 0 added, 0 removed")
    (d / "f7").chmod(0o755)
    update("1 files changed")
    (d / "link").unlink()
    (d / "link").symlink_to("f2")
    update("1 files changed")
    (d / "f9").unlink()
    (d / "new").write_text("new")
    update("0 files changed, 1 added, 1 removed")
    tree = capstan.extract(capstan.image("img"))
    assert (tree / "f5").read_text() == "CONTENT 5" * 5 and os.readlink(tree / "link") == "f2"
    assert not (tree / "f9").exists() and (tree / "new").read_text() == "new"
    assert (tree / "f7").stat().st_mode & 0o777 == 0o755


def test_every_shape_of_file_survives(capstan):
    d = capstan.package("app", {"empty": "", "x" * 255: "long name"},
                        run="runtime: native\nbootcmd: /empty\n")
    sizes = [1, 31, 32, 4031, 4032, 4033, 4095, 4096, 4097, 8191, 8192, 65536, 1000003]
    for n in sizes:
        (d / f"s{n}").write_bytes(os.urandom(n))
    (d / "many").mkdir()
    for i in range(1500):  # several directory blocks
        (d / "many" / f"entry-{i:05}-{'n' * (i % 90)}").write_bytes(b"%d" % i)
    (d / "deep").mkdir()
    p = d / "deep"
    for i in range(40):
        p = p / f"l{i}"
    p.mkdir(parents=True)
    (p / "leaf").symlink_to("../" * 10 + "t" * 3000)
    (d / "ünï").write_text("utf8")
    (d / "early!").write_text("sorts before dot")
    (d / "set").write_text("x")
    (d / "set").chmod(0o751)
    os.mkfifo(d / "pipe")
    for fmt in ("qcow2", "raw"):
        capstan("package", "compose", "img", "-f", fmt, "--size", "64M", cwd=d)
        tree = capstan.extract(capstan.image("img"))
        for n in sizes:
            assert (tree / f"s{n}").read_bytes() == (d / f"s{n}").read_bytes()
        assert len(os.listdir(tree / "many")) == 1500
        for f in os.listdir(d / "many"):
            assert (tree / "many" / f).read_bytes() == (d / "many" / f).read_bytes()
        assert os.readlink(tree / p.relative_to(d) / "leaf") == os.readlink(p / "leaf")
        assert (tree / "ünï").read_text() == "utf8" and (tree / "early!").exists()
        assert (tree / "set").stat().st_mode & 0o7777 == 0o751
        assert (tree / "pipe").is_fifo()


def test_sizes(capstan):
    d = capstan.package("app", {"big": "x" * 3000000}, run="runtime: native\nbootcmd: /big\n")
    _, err = capstan("package", "compose", "img", "--size", "1M", cwd=d, status=65)
    assert "the image needs" in err and not capstan.image("img").exists()
    capstan("package", "compose", "img", "--size", "20M", "-f", "raw", cwd=d)
    assert capstan.image("img").stat().st_size == 20 << 20
    capstan("package", "compose", "img", "--size", "3G", cwd=d)
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", capstan.image("img")]))
    assert info["virtual-size"] == 3 << 30 and info["format"] == "qcow2"


def test_base_inheritance_and_runtime_commands(capstan):
    capstan("package", "import", cwd=capstan.package(
        "hdfs", {"usr/bin/java": ("#!/bin/sh\n", 0o755)}, run="""runtime: java
config_set:
  datanode:
    main: org.Data
    classpath: [/a, /b.jar]
    vmargs: [-Dx=y]
    args: [start, "with space"]
    xmx: 512m
    env: {A: 1, B: 2}
  template:
    args: [x]
"""))
    capstan("package", "import", cwd=capstan.package("carrara.java", {"jre": "x"}))
    d = capstan.package("app", {}, require=["hdfs"], run="""runtime: java
config_set:
  mine:
    base: hdfs:datanode
    args: [stop]
    env: {B: 3, C: 4}
""")
    out, _ = capstan("package", "compose", "img", cwd=d)
    assert ("Command line set to: --env=A=1 --env=B=3 --env=C=4 /usr/bin/java -Xmx512m -Dx=y "
            "-cp /a:/b.jar org.Data stop") in out
    tree = capstan.extract(capstan.image("img"))
    assert "start 'with space'" in (tree / "run/datanode").read_text()
    # A package without run.yaml inherits the command of what it requires, when that is decided.
    d = capstan.package("plain", {}, require=["hdfs"])
    out, _ = capstan("package", "compose", "img2", "-r", "datanode", cwd=d)
    assert "org.Data start" in out
    for runtime, tool in [("python", "python3"), ("node", "node"), ("perl", "perl"), ("lua", "lua5.4")]:
        capstan("package", "import", cwd=capstan.package(
            f"carrara.{tool.removesuffix('5.4')}", {f"usr/bin/{tool}": ("#!/bin/sh\n", 0o755)}))
        d = capstan.package(f"r{runtime}", {"main.x": "x"}, run=f"runtime: {runtime}\nmain: /main.x\nargs: [1]\n")
        assert f"/usr/bin/{tool} /main.x 1" in capstan("package", "compose", "r", cwd=d)[0]


def test_bad_manifests_are_explained(capstan):
    d = capstan.package("app", {}, run="runtime: native\nbootcmd: /x\n")

    def check(name, text, message, status=65):
        (d / "meta" / name).write_text(text)
        _, err = capstan("package", "compose", "img", cwd=d, status=status)
        assert message in err, err
        assert not capstan.image("img").exists()

    good = "name: app\ntitle: t\nauthor: a\n"
    check("package.yaml", "name: app\ntitle: [", "package.yaml:3:1")
    check("package.yaml", "name: app\ntitle: t\n", 'required field "author" is missing')
    check("package.yaml", good + "nmae: x\nname: y\n", "this key occurs twice")
    check("package.yaml", "name: ../x\ntitle: t\nauthor: a\n", "not a package name")
    check("package.yaml", good + "require: [app]\n", "requires itself")
    check("package.yaml", good + "require: [nothing]\n", "not in the local repository", status=1)
    check("package.yaml", good + "require: {a: b}\n", "takes a list")
    (d / "meta/package.yaml").write_text(good + "requires: [x]\n")
    assert 'unknown key "requires", did you mean "require"?' in capstan("package", "compose", "w", cwd=d)[1]
    (d / "meta/package.yaml").write_text(good)
    check("run.yaml", "bootcmd: /x\n", '"runtime" is missing')
    check("run.yaml", "runtime: cobol\n", 'unknown runtime "cobol"')
    check("run.yaml", "runtime: native\nconfig_set: {a: {bootcmd: /x}, b: {bootcmd: /y}}\n", "choose with --runconfig")
    check("run.yaml", "runtime: native\nconfig_set: {a: {}}\n", '"bootcmd" is missing')
    check("run.yaml", "runtime: native\nconfig_set: {a: {bootcmd: /x}}\nconfig_set_default: z\n", 'names "z"')
    check("run.yaml", "runtime: native\nbootcmd: /x 'y\n", "a ' is not closed")
    check("run.yaml", "runtime: native\nconfig_set: {a: {base: nope:x}}\n", "not required")
    check("run.yaml", "a: &x 1\nb: *x\nruntime: native\n", "references")
    (d / "meta/package.yaml").unlink()
    _, err = capstan("package", "compose", "img", cwd=d, status=65)
    assert "capstan package init" in err


def test_dependency_cycles_and_versions(capstan):
    for a, b in [("a", "b"), ("b", "c"), ("c", "a")]:
        capstan("package", "import", cwd=capstan.package(a, {}, require=[b], version="1.2.3"))
    d = capstan.package("app", {}, require=["a"])
    _, err = capstan("package", "collect", cwd=d, status=65)
    assert "a -> b -> c -> a" in err
    capstan("package", "import", cwd=capstan.package("c", {}, version="2.1.0"))
    for want, ok in [("c >=2", True), ("c ^2.0", True), ("c@~2.1", True), ("c 2.x", True), ("c <2", False),
                     ("c ^1", False), ("c >=1 <2 || >=2.1", True), ("c =2.1", True), ("c 3", False)]:
        d = capstan.package("app", {}, require=[want])
        _, err = capstan("package", "collect", cwd=d, status=0 if ok else 65)
        assert ok or "version 2.1.0 is in the local repository" in err
    d = capstan.package("app", {}, require=["c >>1"])
    assert "unreadable version range" in capstan("package", "collect", cwd=d, status=65)[1]


def test_hostile_archives_are_refused(capstan):
    def archive(name, *entries):
        path = capstan.tmp / name
        with tarfile.open(path, "w:gz") as t:
            for info, data in entries:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        return path

    def entry(name, data=b"x", kind=tarfile.REGTYPE, link=""):
        i = tarfile.TarInfo(name)
        i.type, i.linkname = kind, link
        return i, (data if kind == tarfile.REGTYPE else b"")

    manifest = entry("meta/package.yaml", b"name: evil\ntitle: t\nauthor: a\n")
    for entries, message in [
            ([entry("../outside")], "leaves the package"),
            ([entry("a/../../outside")], "leaves the package"),
            ([entry("/etc/passwd")], "absolute path"),
            ([entry("dev", kind=tarfile.CHRTYPE)], "device nodes"),
            ([entry("hard", kind=tarfile.LNKTYPE, link="later")], "no earlier file"),
            ([entry("hard", kind=tarfile.LNKTYPE, link="../x")], "leaves the package"),
            ([entry("x", kind=tarfile.SYMTYPE, link="x"), entry("x/y")], "cannot put")]:
        _, err = capstan("package", "import", archive("evil.mpm", manifest, *entries), status=None or 65) \
            if "cannot put" not in message else capstan("package", "import", archive("evil.mpm", manifest, *entries), status=1)
        assert message in err, err
        assert "evil" not in capstan("package", "list")[0]
    bomb = archive("bomb.mpm", manifest, entry("zeros", bytes(300 << 20)))
    assert "archive bomb" in capstan("package", "import", bomb, status=65)[1]
    whole = archive("good.mpm", manifest, entry("data", os.urandom(100000))).read_bytes()
    (capstan.tmp / "cut.mpm").write_bytes(whole[:50000])
    assert "truncated" in capstan("package", "import", "cut.mpm", status=65)[1]
    (capstan.tmp / "no.mpm").write_bytes(b"not an archive")
    capstan("package", "import", "no.mpm", status=65)
    assert "no meta/package.yaml" in capstan("package", "import", archive("e.mpm", entry("a")), status=65)[1]
    # A link out of the package is only a link in the guest, never a way to write on the host.
    outside = capstan.tmp / "outside"
    outside.mkdir()
    capstan("package", "import", archive("l.mpm", manifest, entry("l", kind=tarfile.SYMTYPE, link=str(outside)),
                                         entry("l/pwned")))
    capstan("package", "collect", cwd=capstan.package("app", {}, require=["evil"]))
    assert list(outside.iterdir()) == []
    assert not list(capstan.root.rglob("*.tmp"))


def test_build_hook_and_round_trip(capstan):
    d = capstan.package("built", {"meta/hooks/build": ("#!/bin/sh\necho made > made.txt\n", 0o755),
                                  "bin/run": ("#!/bin/sh\n", 0o755)}, version="1.0",
                        run="runtime: native\nbootcmd: /bin/run\n")
    (d / "sub").mkdir()
    (d / "sub/link").symlink_to("../bin/run")
    capstan("package", "build", cwd=d)
    first = (d / "built.mpm").read_bytes()
    with tarfile.open(d / "built.mpm") as t:
        assert t.getmember("made.txt") and t.getmember("sub/link").linkname == "../bin/run"
        assert "built.mpm" not in t.getnames() and t.getmember("bin/run").mode == 0o755
    st = os.stat(d / "made.txt")
    (d / "meta/hooks/build").write_text("#!/bin/sh\n")
    with tarfile.open(d / "built.mpm") as t:
        pass
    out, _ = capstan("package", "import", d / "built.mpm")
    assert out == "Imported built 1.0\n" and st.st_size == 5 and first
    out, _ = capstan("package", "describe", "built", "-c")
    assert "/made.txt" in out and "default: /bin/run" in out
    assert json.loads(capstan("--json", "package", "describe", "built")[0])["version"] == "1.0"
    (d / "meta/hooks/build").write_text("#!/bin/sh\nexit 3\n")
    assert "failed with status 3" in capstan("package", "build", cwd=d, status=1)[1]
    capstan("package", "remove", "built")
    assert json.loads(capstan("--json", "package", "list")[0]) == []


def test_validate_finds_what_is_wrong(capstan):
    d = capstan.package("v", {"run.sh": "x"}, run="runtime: native\nbootcmd: /run.sh\n")
    capstan("package", "validate", cwd=d)
    (d / "bin").mkdir()
    (d / "bin/true").write_bytes(pathlib.Path("/bin/true").read_bytes())
    _, err = capstan("package", "validate", cwd=d, status=65)
    assert "/bin/true needs libc.so.6" in err and "libc6" in err and "2 errors" in err
    (d / "bin/true").write_bytes(pathlib.Path("/bin/true").read_bytes()[:5000])
    _, err = capstan("package", "validate", cwd=d, status=65)
    assert "/bin/true cannot be loaded" in err
    (d / "bin/true").unlink()
    (d / "meta/hooks").mkdir()
    (d / "meta/hooks/test").write_text("#!/bin/sh\n")
    assert "not executable" in capstan("package", "validate", cwd=d, status=65)[1]


def test_package_test_runs_the_hook_or_boots(capstan):
    d = capstan.package("t", {"run.sh": "x", "meta/hooks/test": ("#!/bin/sh\ntest -s $CAPSTAN_IMAGE\n", 0o755)},
                        run="runtime: native\nbootcmd: /run.sh\n")
    assert "Test passed" in capstan("package", "test", cwd=d)[0]
    (d / "meta/hooks/test").write_text("#!/bin/sh\nexit 4\n")
    assert "Test failed" in capstan("package", "test", cwd=d, status=4)[0]
    (d / "meta/hooks/test").unlink()
    capstan("package", "test", cwd=d, env={"FAKE_GUEST": "exit 6"}, status=6)


def test_run_hook_prepares_the_host(capstan):
    d = capstan.package("r", {"x": "", "meta/hooks/run": (
        "#!/bin/sh\necho $CAPSTAN_INSTANCE $CAPSTAN_IMAGE > prepared\n", 0o755)},
        run="runtime: native\nbootcmd: /x\n")
    capstan("package", "compose", "r", cwd=d)
    capstan("run", "r", cwd=capstan.tmp)
    assert not (d / "prepared").exists()  # only the package one stands in
    capstan("run", "r", cwd=d)
    name, image = (d / "prepared").read_text().split()
    assert image == str(capstan.image("r")) and name
    (d / "meta/hooks/run").write_text("#!/bin/sh\nexit 7\n")
    capstan.record.unlink()
    assert "failed with status 7; the machine was not started" in capstan("run", "r", cwd=d, status=1)[1]
    assert not capstan.record.exists()
    capstan("package", "compose", "other", cwd=capstan.package("o", {"x": ""}, run="runtime: native\nbootcmd: /x\n"))
    capstan("run", "other", cwd=d)  # an image of another package


def test_images_import_info_and_damage(capstan):
    d = capstan.package("app", {"x": "y"}, run="runtime: native\nbootcmd: /x 1\n")
    capstan("package", "compose", "-o", capstan.tmp / "out.raw", "-f", "raw", "-s", "8M", cwd=d)
    capstan("import", "team/copy", "out.raw", "-d", "a copy", "-v", "2.0")
    out, _ = capstan("images")
    assert "team/copy" in out and "a copy" in out and "2.0" in out
    assert "/x 1" in capstan("info", "team/copy")[0]
    capstan("run", "team/copy")
    assert capstan.cmdline() == "/x 1"
    data = bytearray((capstan.tmp / "out.raw").read_bytes())
    data[530] ^= 1
    (capstan.tmp / "bad.raw").write_bytes(data)
    assert "wrong checksum" in capstan("run", "./bad.raw", status=65)[1]
    assert "not a Carrara image" in capstan("info", "/etc/passwd", status=65)[1]
    assert "did you mean" in capstan("run", "team/cpoy", status=1)[1]
    capstan("rmi", "team/copy")


def test_full_disk_is_an_error_not_half_an_image(capstan):
    d = capstan.package("app", {"big": "x" * 5000000}, run="runtime: native\nbootcmd: /big\n")
    script = f"""mount -t tmpfs -o size=2m tmpfs {capstan.tmp}/small && cd {d} &&
{BUILD}/capstan/capstan package compose -o {capstan.tmp}/small/img; echo status $?; ls -A {capstan.tmp}/small"""
    (capstan.tmp / "small").mkdir()
    r = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=capstan.env, capture_output=True, text=True)
    assert "status 1\n" in r.stdout and r.stdout.endswith("status 1\n"), r
    assert "No space left" in r.stderr


def test_export_for_other_hypervisors(capstan):
    d = capstan.package("app", {"x": "y"}, run="runtime: native\nbootcmd: /x 1\n")
    capstan("package", "compose", "img", "--size", "8M", cwd=d)
    for fmt in ("vdi", "vmdk", "raw", "qcow2"):
        capstan("export", "-f", fmt, "img", f"out.{fmt}")
        info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", capstan.tmp / f"out.{fmt}"]))
        assert (info["format"], info["virtual-size"]) == (fmt, 8 << 20)
    _, err = capstan("export", "-f", "raw.tar.gz", "img", "out.tar.gz")
    assert "cannot boot by itself" in err
    with tarfile.open(capstan.tmp / "out.tar.gz") as t:
        assert [(m.name, m.size) for m in t] == [("disk.raw", 8 << 20)]
        assert t.extractfile("disk.raw").read() == (capstan.tmp / "out.raw").read_bytes()
    assert "unknown format" in capstan("export", "-f", "iso", "img", "x", status=64)[1]


def test_packages_from_the_host_and_from_debian(capstan):
    capstan("package", "from-host", "/bin/sh", "--name", "shell", "--version", "1.2", "--run", "/bin/sh -c 'echo a b'",
            "--link", "/usr/bin/mysh:dash")
    d = capstan.package("app", {}, require=["shell ^1"])
    out, _ = capstan("package", "compose", "img", cwd=d)
    assert "Command line set to: /bin/sh -c 'echo a b'" in out
    tree = capstan.extract(capstan.image("img"))
    assert os.readlink(tree / "usr/bin/mysh") == "dash" and (tree / "usr/bin/dash").exists()
    assert (tree / "usr/lib/x86_64-linux-gnu/libc.so.6").exists()
    # An installed Debian package: its program, the libraries it needs, no documentation.
    capstan("package", "from-deb", "gzip", "tar")
    out, _ = capstan("package", "describe", "gzip", "-c")
    listing = out.split("CONTENT:")[1].split()
    assert any(f.endswith("/bin/gzip") for f in listing) and any(f.endswith("/bin/tar") for f in listing)
    assert any("libacl.so" in f for f in listing) and not any("/share/doc" in f for f in listing)
    assert "neither dpkg nor apt knows" in capstan("package", "from-deb", "no-such-package-x", status=1)[1]
    assert "not /PATH:TARGET" in capstan("package", "from-host", "/bin/sh", "--link", "x", status=64)[1]


def test_oci_layout_round_trip(capstan):
    capstan("package", "import", cwd=capstan.package("base", {"usr/bin/tool": ("#!/bin/sh\n", 0o755), "a": "base"}))
    d = capstan.package("app", {"a": "app", "dir/b": "b"}, version="1.2", require=["base"],
                        run="runtime: native\nbootcmd: --cwd=/dir /usr/bin/tool 'x y'\nenv: {K: v}\n")
    capstan("package", "export-oci", capstan.tmp / "layout", cwd=d)
    layout = capstan.tmp / "layout"
    index = json.loads((layout / "index.json").read_text())
    for blob in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    manifest = json.loads((layout / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((layout / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    assert config["config"] == {"Cmd": ["/usr/bin/tool", "x y"], "Env": ["K=v"], "WorkingDir": "/dir"}
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert "exists already" in capstan("package", "export-oci", layout, cwd=d, status=1)[1]
    capstan("package", "from-oci", layout, "--name", "again")
    user = capstan.package("user", {}, require=["again"])
    out, _ = capstan("package", "compose", "img", cwd=user)
    assert "Command line set to: --env=K=v --cwd=/dir /usr/bin/tool 'x y'" in out
    assert (capstan.extract(capstan.image("img")) / "a").read_text() == "app"


def test_oci_layers_white_outs_and_damage(capstan):
    layout = capstan.tmp / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (layout / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    def layer(*files):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as t:
            for name in files:
                info = tarfile.TarInfo(name)
                info.size = 1
                t.addfile(info, io.BytesIO(b"x"))
        return blob(out.getvalue())

    def image(ref, *layers, cpu="amd64"):
        config = blob(json.dumps({"config": {"Entrypoint": ["/bin/e"], "Cmd": ["c"], "Env": ["PATH=/bin"]}}).encode())
        m = blob(json.dumps({"config": config, "layers": list(layers)}).encode())
        m["platform"] = {"os": "linux", "architecture": cpu}
        m["annotations"] = {"org.opencontainers.image.ref.name": ref}
        return m

    one = image("one", layer("bin/e", "d/a", "d/b", "e/x", "f"), layer("d/.wh.a", "e/.wh..wh..opq", "e/new", ".wh.f"))
    (layout / "index.json").write_text(json.dumps({"manifests": [one, image("arm", cpu="arm64"), image("two", layer("z"))]}))
    assert "several images" in capstan("package", "from-oci", layout, status=65)[1]
    capstan("package", "from-oci", f"{layout}:one", "--name", "one")
    out, _ = capstan("package", "describe", "one", "-c")
    assert out.split("CONTENT:")[1].split() == ["/bin/e", "/d/b", "/e/new", "/meta/package.yaml", "/meta/run.yaml"]
    assert "--env=PATH=/bin /bin/e c" in out
    assert "no image for linux/amd64 named arm" in capstan("package", "from-oci", f"{layout}:arm", status=65)[1]
    for b in (layout / "blobs/sha256").iterdir():
        if b.read_bytes()[:2] == b"\x1f\x8b":
            b.write_bytes(b.read_bytes() + b"!")
    assert "does not have the content" in capstan("package", "from-oci", f"{layout}:two", status=65)[1]
    (layout / "index.json").write_text("{")
    assert "index.json:1" in capstan("package", "from-oci", layout, status=65)[1]
