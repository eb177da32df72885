# SPDX-License-Identifier: BSD-3-Clause
"""The kernel starts on every machine type, from a loader or directly, and says why when it cannot."""
import pytest

from machine import DIRECT, boot_disk, disk, root_image, run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return root_image(tmp_path_factory.mktemp("root"))


def hello(r, cpus=1):
    assert f"hello world, {cpus} CPUs" in r.output, r
    assert r.report[-1:] == ["exit 7"], r
    assert r.returncode == 0, r


MACHINES = {
    "q35": ("q35", "virtio-blk-pci", ""),
    "pc": ("pc", "virtio-blk-pci", ""),
    "microvm": ("microvm", "virtio-blk-device", ""),
    "microvm without ACPI": ("microvm,acpi=off", "virtio-blk-device", ""),
    "packed ring": ("q35", "virtio-blk-pci", ",packed=on"),
    "plain ring": ("q35", "virtio-blk-pci", ",event_idx=off,indirect_desc=off"),
    "small ring": ("q35", "virtio-blk-pci", ",queue-size=8"),
    "line interrupts": ("q35", "virtio-blk-pci", ",vectors=0"),
    "one vector for all queues": ("q35", "virtio-blk-pci", ",vectors=2"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_machine(name, root, tmp_path):
    machine, device, options = MACHINES[name]
    cpus = 1 if "acpi=off" in machine else 2  # without tables there is nothing to find CPUs by
    hello(run(tmp_path, [*DIRECT, "-append", "/hello world", *disk(root, device, options=options)], machine,
              cpus=cpus), cpus)


def test_modern_mmio(root, tmp_path):
    hello(run(tmp_path, [*DIRECT, "-append", "/hello world", "-global", "virtio-mmio.force-legacy=false",
                         *disk(root, "virtio-blk-device")], "microvm"))


@pytest.mark.parametrize("machine", ["q35", "microvm"])
def test_virtio_console(machine, root, tmp_path):
    """No serial port at all: the console is a port of virtio-serial."""
    kind = "pci" if machine == "q35" else "device"
    extra = ["-global", "virtio-mmio.force-legacy=false"] if machine == "microvm" else []
    r = run(tmp_path, [*DIRECT, "-append", "/hello line", *extra, *disk(root, f"virtio-blk-{kind}")], machine,
            cpus=2, console=f"virtio-serial-{kind}", answer=("say something", "a line\n"))
    assert "heard a line" in r.output and r.report[-1:] == ["exit 0"], r


@pytest.mark.parametrize("cpus", [1, 2, 4, 8, 16, 32, 64])
def test_cpus(cpus, root, tmp_path):
    hello(run(tmp_path, [*DIRECT, "-append", "/hello world", *disk(root)], cpus=cpus, timeout=120), cpus)


def test_numa(root, tmp_path):
    memory = [a for n in "ab" for a in ("-object", f"memory-backend-ram,id={n},size=128M")]
    r = run(tmp_path, [*DIRECT, "-append", "/hello nodes", *disk(root), *memory, "-numa", "node,cpus=0-1,memdev=a",
                       "-numa", "node,cpus=2-3,memdev=b"], cpus=4)
    seen = [tuple(map(int, line.split()[1::2])) for line in r.output.splitlines() if line.startswith("cpu ")]
    assert [cpu for cpu, _, _ in seen] == [0, 1, 2, 3] and {apic for _, _, apic in seen} == {0, 1, 2, 3}, r
    assert all(node == apic // 2 for _, node, apic in seen), r


def test_8_mib(root, tmp_path):
    hello(run(tmp_path, [*DIRECT, "-append", "/hello world", *disk(root, "virtio-blk-device")], "microvm", memory=8))


def test_all_of_a_file(root, tmp_path):
    r = run(tmp_path, [*DIRECT, "-append", "/hello read /large", *disk(root)], cpus=2)
    assert "read 2097152" in r.output and r.report[-1:] == ["exit 0"], r


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_bios(machine, root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world")
    hello(run(tmp_path, disk(image), machine, cpus=2), 2)


def stops(tmp_path, image_args, message, **options):
    r = run(tmp_path, image_args, until=message, **options)
    assert message in r.output, r


def test_bios_no_kernel(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world", kernel=False)
    stops(tmp_path, disk(image), "Carrara: this disk has no kernel")


def test_bios_damaged_header(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world")
    with open(image, "r+b") as f:
        f.seek(512 + 40)
        f.write(b"\xff")
    stops(tmp_path, disk(image), "Carrara: the image header is damaged")


def test_bios_damaged_kernel(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world")
    with open(image, "r+b") as f:
        f.seek(64 * 512 + 1000)
        f.write(bytes(64))
    stops(tmp_path, disk(image), "Carrara: the kernel on this disk is damaged")


def test_bios_damaged_loader(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world")
    with open(image, "r+b") as f:
        f.seek(2 * 512)
        f.write(bytes(512))
    stops(tmp_path, disk(image), "Carrara: the boot loader on this disk is damaged")


def test_bios_too_little_memory(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world", raw_bytes=6 << 20)
    stops(tmp_path, disk(image), "Carrara: too little memory: the kernel needs", memory=4)


def faulty(tmp_path, image, sector, once=False):
    """A drive on which reading one sector fails."""
    config = tmp_path / "errors"
    config.write_text(f'[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "{sector}"\n'
                      f'once = "{"on" if once else "off"}"\n')
    return f"driver=raw,file.driver=blkdebug,file.config={config},file.image.driver=file,file.image.filename={image}"


def test_bios_read_error(root, tmp_path):
    image = boot_disk(tmp_path / "disk", root, "/hello world")
    stops(tmp_path, disk(image, read_only=False, drive=faulty(tmp_path, image, 64)),
          "Carrara: the disk cannot be read at sector 64")


def test_read_error_in_file(root, tmp_path):
    # The last sectors of the large file: the machine is up when they are wanted.
    content = root.read_bytes()
    sector = content.rindex(bytes(range(256)) * 8) // 512
    r = run(tmp_path, [*DIRECT, "-append", "/hello read /large",
                       *disk(root, read_only=False, drive=faulty(tmp_path, root, sector))])
    assert "read: I/O error" in r.output and r.report[-1:] == ["exit 3"], r


def test_read_error_at_root(root, tmp_path):
    r = run(tmp_path, [*DIRECT, "-append", "/hello world",
                       *disk(root, read_only=False, drive=faulty(tmp_path, root, 2))])
    assert "no root file system" in r.output and r.report[-1:] == ["exit 66"], r


def test_no_disk(tmp_path):
    r = run(tmp_path, [*DIRECT, "-append", "/hello world"])
    assert "no root file system: there is no disk" in r.output and r.report[-1:] == ["exit 66"], r


def test_empty_disk(tmp_path):
    (tmp_path / "empty").write_bytes(bytes(1 << 20))
    r = run(tmp_path, [*DIRECT, "-append", "/hello world", *disk(tmp_path / "empty")])
    assert "vda: neither an image header nor" in r.output and r.report[-1:] == ["exit 66"], r


def test_read_only_disk(root, tmp_path):
    (tmp_path / "second").write_bytes(bytes(1 << 20))
    r = run(tmp_path, [*DIRECT, "-append", "/hello write /dev/vdb", *disk(root), *disk(tmp_path / "second")])
    assert r.report[-1:] != ["exit 0"] and "wrote" not in r.output, r
    assert (tmp_path / "second").read_bytes() == bytes(1 << 20)


def test_written_disk(root, tmp_path):
    (tmp_path / "second").write_bytes(bytes(1 << 20))
    r = run(tmp_path, [*DIRECT, "-append", "/hello write /dev/vdb", *disk(root),
                       *disk(tmp_path / "second", read_only=False)], cpus=2)
    assert "wrote" in r.output and r.report[-1:] == ["exit 0"], r
    assert (tmp_path / "second").read_bytes() == b"w" * 65536 + bytes((1 << 20) - 65536)
